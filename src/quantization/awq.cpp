// SPDX-License-Identifier: Apache-2.0
#include "quantization/awq.h"

#include "support/half.h"

namespace mlc::quantization {
namespace {

// Column 8c + p of a word c is nibble (p mod 2) * 4 + p / 2: 0, 4, 1, 5, 2, 6, 3, 7.
int nibble(uint32_t word, int64_t column) {
  const int64_t p = column % 8;
  return static_cast<int>(word >> (4 * (p % 2 * 4 + p / 2)) & 15);
}

}  // namespace

std::vector<float> unpack_awq(const uint32_t* qweight, const uint32_t* qzeros,
                              const uint16_t* scales, int64_t n, int64_t k) {
  constexpr int64_t kGroupSize = 128;
  std::vector<float> values(static_cast<size_t>(n * k));
  for (int64_t row = 0; row < k; ++row) {
    const int64_t group = row / kGroupSize;
    for (int64_t column = 0; column < n; ++column) {
      const int code = nibble(qweight[row * (n / 8) + column / 8], column);
      const int zero = nibble(qzeros[group * (n / 8) + column / 8], column);
      const float scale = f16_to_f32(scales[group * n + column]);
      values[static_cast<size_t>(column * k + row)] =
          f16_to_f32(f32_to_f16(static_cast<float>(code - zero) * scale));
    }
  }
  return values;
}

}  // namespace mlc::quantization
