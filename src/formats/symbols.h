// SPDX-License-Identifier: Apache-2.0
// Symbolic sizes, and sizes that are linear in them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mlc::formats {

enum class Symbol : uint8_t {
#define MLC_SYMBOL(enumerator, name) enumerator,
#include "formats/symbols.def"
#undef MLC_SYMBOL
};

std::string_view symbol_name(Symbol symbol);
std::optional<Symbol> parse_symbol(std::string_view name);

}  // namespace mlc::formats
