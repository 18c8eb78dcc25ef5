// SPDX-License-Identifier: Apache-2.0
// Element types of tensors, with the names that the weight format uses ("float16", "uint32", ...).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mlc {

enum class DType : uint8_t {
#define MLC_DTYPE(enumerator, name, short_name, bytes) enumerator,
#include "support/dtypes.def"
};

int64_t dtype_bytes(DType dtype);
std::string_view dtype_name(DType dtype);        // "float16"
std::string_view dtype_short_name(DType dtype);  // "f16", as in the IRs' text form
std::optional<DType> parse_dtype(std::string_view name);
std::optional<DType> parse_short_dtype(std::string_view name);
bool is_float(DType dtype);

}  // namespace mlc
