// SPDX-License-Identifier: Apache-2.0
#include "quantization/group.h"

#include <algorithm>
#include <cstring>

#include "quantization/pack_kernels.h"
#include "support/check.h"
#include "support/half.h"

namespace mlc::quantization {
namespace {

GroupRounding group_rounding(const Quantization& quantization, WeightKind kind) {
  if (quantization.model_dtype == DType::kF16) return GroupRounding::kF16;
  if (quantization.model_dtype == DType::kF32) return GroupRounding::kF32;
  // MLC LLM's compiler fuses the transposition of the scales so that the division sees them
  // unrounded.
  const bool is_transposed =
      quantization.linear_layout == Layout::kKN && kind == WeightKind::kLinear;
  return is_transposed ? GroupRounding::kBF16ExactDivisor : GroupRounding::kBF16;
}

float load_float(DType dtype, const std::byte* from, int64_t index) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, from + 4 * index, 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, from + 2 * index, 2);
  return dtype == DType::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

float round_to(DType dtype, float value) {
  if (dtype == DType::kF16) return f16_to_f32(f32_to_f16(value));
  if (dtype == DType::kBF16) return bf16_to_f32(f32_to_bf16(value));
  return value;
}

// Blocks of 32 x 32, so that reads and writes both stay within few cache lines.
template <class T>
void transpose_elements(const std::byte* in, int64_t rows, int64_t columns, std::byte* out,
                        int64_t out_stride) {
  constexpr int64_t kBlock = 32;
  constexpr int64_t kBytes = sizeof(T);
  for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
    for (int64_t c0 = 0; c0 < columns; c0 += kBlock) {
      for (int64_t c = c0; c < std::min(c0 + kBlock, columns); ++c) {
        for (int64_t r = r0; r < std::min(r0 + kBlock, rows); ++r) {
          std::memcpy(out + (c * out_stride + r) * kBytes, in + (r * columns + c) * kBytes, kBytes);
        }
      }
    }
  }
}

}  // namespace

bool pack_rows(const Quantization& quantization, WeightKind kind, const std::byte* values,
               int64_t rows, int64_t k, uint32_t* words, std::byte* scales) {
  MLC_CHECK(quantization.scheme == Scheme::kGroup) << quantization.name;
  MLC_CHECK((quantization.bits == 4 && quantization.group_size == 32) ||
            (quantization.bits == 3 && quantization.group_size == 40))
      << quantization.name;
  return pack_kernels().pack(quantization.bits, group_rounding(quantization, kind), values, rows, k,
                             words, scales);
}

std::vector<float> unpack_rows(const Quantization& quantization, const uint32_t* words,
                               const std::byte* scales, int64_t rows, int64_t k) {
  const int64_t per_word = quantization.values_per_word();
  const uint32_t mask = (1u << quantization.bits) - 1;
  std::vector<float> values(static_cast<size_t>(rows * k));
  for (int64_t row = 0; row < rows; ++row) {
    const uint32_t* row_words = words + row * quantization.words_per_row(k);
    const int64_t first_scale = row * quantization.groups_per_row(k);
    for (int64_t i = 0; i < k; ++i) {
      const uint32_t code = row_words[i / per_word] >> (i % per_word * quantization.bits) & mask;
      const float scale =
          load_float(quantization.model_dtype, scales, first_scale + i / quantization.group_size);
      const float centred = static_cast<float>(static_cast<int>(code) - quantization.largest());
      values[static_cast<size_t>(row * k + i)] =
          round_to(quantization.model_dtype, centred * scale);
    }
  }
  return values;
}

void transpose(const std::byte* in, int64_t rows, int64_t columns, int64_t element_bytes,
               std::byte* out, int64_t out_stride) {
  switch (element_bytes) {
    case 1:
      return transpose_elements<uint8_t>(in, rows, columns, out, out_stride);
    case 2:
      return transpose_elements<uint16_t>(in, rows, columns, out, out_stride);
    case 4:
      return transpose_elements<uint32_t>(in, rows, columns, out, out_stride);
    case 8:
      return transpose_elements<uint64_t>(in, rows, columns, out, out_stride);
    default:
      MLC_UNREACHABLE() << element_bytes;
  }
}

}  // namespace mlc::quantization
