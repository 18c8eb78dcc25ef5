// SPDX-License-Identifier: Apache-2.0
// Casts between float types, as weights take them on their way from a checkpoint into a model.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/dtype.h"

namespace mlc::quantization {

// float16, bfloat16, float32 and float64 can be cast to the first three.
bool can_cast(DType from, DType to);

// `count` values, rounded to nearest even once; overflow gives infinity.
void cast_values(DType from, DType to, const std::byte* in, int64_t count, std::byte* out);

// Adds 1 in the arithmetic of the type: the sum is rounded to it.
void add_one(DType dtype, int64_t count, std::byte* values);

}  // namespace mlc::quantization
