// SPDX-License-Identifier: Apache-2.0
// The types of tensors in GGUF files and what their elements are worth as numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/error.h"

namespace mlc::formats {

enum class GgufType : uint8_t {
#define MLC_GGUF_TYPE(enumerator, name, number, elements, bytes) enumerator,
#include "formats/gguf_types.def"
};

std::string_view gguf_type_name(GgufType type);  // "Q4_K"
// A row of a tensor is a whole number of blocks of so many elements and bytes.
int64_t gguf_block_elements(GgufType type);  // 1, 32 or 256
int64_t gguf_block_bytes(GgufType type);
bool is_quantized(GgufType type);

// The type with that number in the file. Errors: unknown numbers, types that are not supported,
// types that were removed from the format.
Result<GgufType> parse_gguf_type(uint32_t number, const std::string& where);

// Writes the elements [begin, begin + count) of the tensor whose blocks begin at `blocks` to `out`
// as float32. Exact but for the one rounding of types with a minimum.
void gguf_dequantize(GgufType type, const std::byte* blocks, int64_t begin, int64_t count,
                     std::byte* out);

}  // namespace mlc::formats
