// SPDX-License-Identifier: Apache-2.0
// Softmax over a vocabulary: quick, and the same bits on every machine: no function of the system's
// maths library, a fixed order of all sums, no fused multiply-add.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace mlc::engine {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// The largest value; NaNs are passed over. Minus infinity if there is none.
float largest(std::span<const float> values);

// weights[i] = e^((logits[i] - largest) * per_unit): 1 for the largest, 0 below e^-87 and for NaN;
// relative error below 1e-6. `weights` has as many elements; largest and per_unit are finite.
void softmax_weights(std::span<const float> logits, float largest, float per_unit,
                     std::span<float> weights);

// The places of the values that are at least so large, rising.
void ids_at_least(std::span<const float> values, float least, std::vector<int32_t>& ids);

// In doubles.
double sum_of(std::span<const float> values);

// log(sum of e^logits[i]), with an error below 1e-6.
double log_sum_exp(std::span<const float> logits);

}  // namespace mlc::engine
