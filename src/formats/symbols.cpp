// SPDX-License-Identifier: Apache-2.0
#include "formats/symbols.h"

#include <iterator>

namespace mlc::formats {
namespace {

constexpr std::string_view kNames[] = {
#define MLC_SYMBOL(enumerator, name) name,
#include "formats/symbols.def"
#undef MLC_SYMBOL
};

}  // namespace

std::string_view symbol_name(Symbol symbol) { return kNames[static_cast<int>(symbol)]; }

std::optional<Symbol> parse_symbol(std::string_view name) {
  for (int i = 1; i < static_cast<int>(std::size(kNames)); ++i) {
    if (kNames[i] == name) return static_cast<Symbol>(i);
  }
  return {};
}

}  // namespace mlc::formats
