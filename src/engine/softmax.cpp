// SPDX-License-Identifier: Apache-2.0
#include "engine/softmax.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

// A fused multiply-add rounds once where others round twice.
#pragma clang fp contract(off)

namespace mlc::engine {
namespace {

constexpr size_t kLanes = 4;
using Floats = float __attribute__((vector_size(4 * kLanes)));
using Ints = int32_t __attribute__((vector_size(4 * kLanes)));

// Calls f(lanes, place, count) for all values, four at a time; behind the end they are minus
// infinity.
template <class F>
void for_lanes(std::span<const float> values, F f) {
  size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    Floats v;
    std::memcpy(&v, values.data() + i, sizeof(v));
    f(v, i, kLanes);
  }
  if (i < values.size()) {
    Floats v = Floats{} + kLowest;
    std::memcpy(&v, values.data() + i, 4 * (values.size() - i));
    f(v, i, values.size() - i);
  }
}

void store(Floats v, std::span<float> to, size_t place, size_t count) {
  if (count == kLanes) {
    std::memcpy(to.data() + place, &v, sizeof(v));
  } else {
    std::memcpy(to.data() + place, &v, 4 * count);
  }
}

// e^x for x <= 0. x = n ln 2 + f with |f| <= ln 2 / 2; n by adding 1.5 * 2^23, which rounds to an
// integer; e^f by its series.
Floats exp_of_negative(Floats x) {
  const Floats scaled = x * 1.44269504088896341f;
  const Floats n = (scaled + 12582912.0f) - 12582912.0f;
  // ln 2 in two parts, the first with few bits, so that n times it is exact.
  const Floats f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = f * (1.0f / 5040.0f) + (1.0f / 720.0f);
  p = p * f + (1.0f / 120.0f);
  p = p * f + (1.0f / 24.0f);
  p = p * f + (1.0f / 6.0f);
  p = p * f + 0.5f;
  p = p * f + 1.0f;
  p = p * f + 1.0f;
  const Ints in_range = x >= -87.0f;
  const Floats safe = std::bit_cast<Floats>(in_range & std::bit_cast<Ints>(n));
  const Ints exponent = (__builtin_convertvector(safe, Ints) + 127) << 23;
  return std::bit_cast<Floats>(in_range & std::bit_cast<Ints>(p * std::bit_cast<Floats>(exponent)));
}

}  // namespace

float largest(std::span<const float> values) {
  Floats best = Floats{} + kLowest;
  for_lanes(values, [&](Floats v, size_t, size_t) { best = v > best ? v : best; });
  float result = kLowest;
  for (size_t i = 0; i < kLanes; ++i) result = std::max(result, best[i]);
  return result;
}

void softmax_weights(std::span<const float> logits, float largest, float per_unit,
                     std::span<float> weights) {
  for_lanes(logits, [&](Floats v, size_t i, size_t count) {
    store(exp_of_negative((v - largest) * per_unit), weights, i, count);
  });
}

void ids_at_least(std::span<const float> values, float least, std::vector<int32_t>& ids) {
  ids.clear();
  for_lanes(values, [&](Floats v, size_t i, size_t count) {
    const Ints enough = v >= least;
    if ((enough[0] | enough[1] | enough[2] | enough[3]) == 0) return;
    for (size_t lane = 0; lane < count; ++lane) {
      if (enough[lane] != 0) ids.push_back(static_cast<int32_t>(i + lane));
    }
  });
}

// Eight lanes at a time, then the lanes from first to last.
double sum_of(std::span<const float> values) {
  using EightFloats = float __attribute__((vector_size(32)));
  using Doubles = double __attribute__((vector_size(64)));
  Doubles lanes = {};
  size_t i = 0;
  for (; i + 8 <= values.size(); i += 8) {
    EightFloats v;
    std::memcpy(&v, values.data() + i, sizeof(v));
    lanes += __builtin_convertvector(v, Doubles);
  }
  for (; i < values.size(); ++i) lanes[i % 8] += static_cast<double>(values[i]);
  double sum = 0;
  for (int lane = 0; lane < 8; ++lane) sum += lanes[lane];
  return sum;
}

double log_sum_exp(std::span<const float> logits) {
  const float best = largest(logits);
  if (!std::isfinite(best)) return static_cast<double>(best);
  float weights[256];
  double sum = 0;
  for (size_t first = 0; first < logits.size(); first += std::size(weights)) {
    const size_t count = std::min(std::size(weights), logits.size() - first);
    softmax_weights(logits.subspan(first, count), best, 1, weights);
    sum += sum_of(std::span(weights).first(count));
  }
  return static_cast<double>(best) + std::log(sum);
}

}  // namespace mlc::engine
