// SPDX-License-Identifier: Apache-2.0
#include <ctime>

#include "formats/jinja/operations.h"
#include "support/strings.h"

namespace mlc::jinja {

Value format_time(Machine& machine, const std::string& format) {
  constexpr size_t kLongestFormat = 4096;
  if (format.size() > kLongestFormat) {
    return machine.fail("LimitError", cat("a format of time has ", format.size(), " bytes"));
  }
  // A clock of whole seconds in local time, which has neither a fraction nor the name of a zone.
  std::string rest;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      rest += format[i];
      continue;
    }
    ++i;
    if (format[i] == 'f') {
      rest += "000000";
    } else if (format[i] == 'z' || format[i] == 'Z') {
      continue;
    } else if (format[i] >= '0' && format[i] <= '9') {  // a width: the C library fills it
      return machine.fail("ValueError", "Invalid format string");
    } else {
      rest += '%';
      rest += format[i];
      if (format[i] == '-' && i + 1 < format.size()) rest += format[++i];
    }
  }
  if (rest.empty()) return machine.text("");
  std::string buffer(64 * rest.size() + 64, '\0');
  buffer.resize(std::strftime(buffer.data(), buffer.size(), rest.c_str(), &machine.now()));
  return machine.text(std::move(buffer));
}

}  // namespace mlc::jinja
