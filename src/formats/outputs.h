// SPDX-License-Identifier: Apache-2.0
// What a step of a model can give. The graph names the values, the plan says where they lie and
// which calls make them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "formats/symbols.h"

namespace mlc::formats {

enum class Output : uint8_t {
#define MLC_OUTPUT(enumerator, name, rows) enumerator,
#include "formats/outputs.def"
#undef MLC_OUTPUT
};

#define MLC_OUTPUT(enumerator, name, rows) +1
inline constexpr int kNumOutputs = 0
#include "formats/outputs.def"
    ;
#undef MLC_OUTPUT

std::string_view output_name(Output output);
std::optional<Output> parse_output(std::string_view name);
// The symbol that counts its rows.
Symbol output_rows(Output output);
// Its bit in a set of outputs.
inline uint32_t output_bit(Output output) { return uint32_t{1} << static_cast<int>(output); }

}  // namespace mlc::formats
