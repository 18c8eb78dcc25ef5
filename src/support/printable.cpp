// SPDX-License-Identifier: Apache-2.0
#include "support/printable.h"

#include "support/strings.h"

namespace mlc {

std::string escape_unprintable(std::string_view text) {
  std::string result;
  for (const char c : escape_invalid_utf8(text)) {
    const bool is_control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    if (is_control && c != '\n' && c != '\t') {
      result += "\\x" + hex(static_cast<unsigned char>(c), 2);
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace mlc
