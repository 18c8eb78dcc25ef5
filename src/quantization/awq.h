// SPDX-License-Identifier: Apache-2.0
// AWQ weights in AutoAWQ's "gemm" order. They are imported as they are; this unpacks them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mlc::quantization {

// W[n, k] = (q[k, n] - z[k / 128, n]) * s[k / 128, n], the product rounded to f16: [n, k] of
// float32, from qweight [k, n / 8], qzeros [k / 128, n / 8] and scales [k / 128, n] (f16).
std::vector<float> unpack_awq(const uint32_t* qweight, const uint32_t* qzeros,
                              const uint16_t* scales, int64_t n, int64_t k);

}  // namespace mlc::quantization
