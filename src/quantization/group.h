// SPDX-License-Identifier: Apache-2.0
// Group quantization: groups of values along the input axis share a scale, codes are packed into
// 32-bit words, lowest bits first. The arithmetic is that of MLC LLM's converter, so the bytes are
// the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "quantization/quantization.h"

namespace mlc::quantization {

// Packs rows [rows, k] of the model dtype into words [rows, words_per_row(k)] and scales [rows,
// groups_per_row(k)] of the model dtype. `kind` matters to q4bf16_0, where linears divide by a
// scale of higher precision. Returns whether there was a NaN (it becomes the smallest code).
bool pack_rows(const Quantization& quantization, WeightKind kind, const std::byte* values,
               int64_t rows, int64_t k, uint32_t* words, std::byte* scales);

// [rows, k] of float32, each product rounded to the model dtype. words and scales as pack_rows
// writes them.
std::vector<float> unpack_rows(const Quantization& quantization, const uint32_t* words,
                               const std::byte* scales, int64_t rows, int64_t k);

// A matrix [rows, columns] of elements of 1, 2, 4 or 8 bytes becomes [columns, rows]. Rows of `out`
// are out_stride elements apart.
void transpose(const std::byte* in, int64_t rows, int64_t columns, int64_t element_bytes,
               std::byte* out, int64_t out_stride);

}  // namespace mlc::quantization
