// SPDX-License-Identifier: Apache-2.0
#include "engine/softmax.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "engine/random.h"

namespace mlc::engine {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> values(size_t n, double spread) {
  std::vector<float> v(n);
  for (size_t i = 0; i < n; ++i) v[i] = static_cast<float>((uniform_draw(n, i) - 0.5) * spread);
  return v;
}

TEST(Softmax, LargestPassesOverNans) {
  EXPECT_EQ(largest(std::vector<float>{1, kNan, 3, 2, -5}), 3);
  EXPECT_EQ(largest(std::vector<float>{-2}), -2);
  EXPECT_EQ(largest(std::vector<float>{kNan, kNan}), -kInfinity);
  EXPECT_EQ(largest({}), -kInfinity);
  for (size_t n = 1; n < 40; ++n) {
    std::vector<float> v = values(n, 8);
    v[n / 3] = 9;
    EXPECT_EQ(largest(v), 9);
  }
}

TEST(Softmax, WeightsAreExponentialsOfDifferences) {
  const std::vector<float> v = values(1001, 160);
  const float best = largest(v);
  std::vector<float> weights(v.size());
  for (const float per_unit : {1.0f, 0.3f, 4.0f}) {
    softmax_weights(v, best, per_unit, weights);
    for (size_t i = 0; i < v.size(); ++i) {
      const float x = (v[i] - best) * per_unit;
      const double expected = x < -87 ? 0 : std::exp(static_cast<double>(x));
      ASSERT_NEAR(static_cast<double>(weights[i]), expected, expected * 1e-6) << x;
    }
  }
}

TEST(Softmax, TheLargestWeighsExactlyOneAndNansNothing) {
  const std::vector<float> v = {3.7f, -kInfinity, kNan, 3.7f, 2, -1000};
  std::vector<float> weights(v.size());
  softmax_weights(v, 3.7f, 1, weights);
  EXPECT_EQ(weights[0], 1);
  EXPECT_EQ(weights[1], 0);
  EXPECT_EQ(weights[2], 0);
  EXPECT_EQ(weights[3], 1);
  EXPECT_EQ(weights[5], 0);
}

TEST(Softmax, IdsAtLeastFindsAllOfThem) {
  for (size_t n = 0; n < 60; ++n) {
    const std::vector<float> v = values(n, 10);
    std::vector<int32_t> expected, ids = {99};
    for (size_t i = 0; i < n; ++i) {
      if (v[i] >= 2) expected.push_back(static_cast<int32_t>(i));
    }
    ids_at_least(v, 2, ids);
    EXPECT_EQ(ids, expected);
    ids_at_least(v, -kInfinity, ids);
    EXPECT_EQ(ids.size(), n);
  }
}

TEST(Softmax, SumsInDoubles) {
  for (size_t n = 0; n < 30; ++n) {
    const std::vector<float> v = values(n, 3);
    double expected = 0;
    for (const float x : v) expected += static_cast<double>(x);
    EXPECT_NEAR(sum_of(v), expected, 1e-12);
  }
  EXPECT_EQ(sum_of(std::vector<float>(1 << 20, 0.1f)), static_cast<double>(0.1f) * (1 << 20));
}

TEST(Softmax, LogSumExpIsTheLogarithmOfTheSum) {
  for (const size_t n : {1u, 3u, 255u, 256u, 257u, 5000u}) {
    const std::vector<float> v = values(n, 20);
    double sum = 0;
    for (const float x : v) sum += std::exp(static_cast<double>(x));
    EXPECT_NEAR(log_sum_exp(v), std::log(sum), 1e-6);
  }
  EXPECT_EQ(log_sum_exp(std::vector<float>{-kInfinity}), -static_cast<double>(kInfinity));
}

}  // namespace
}  // namespace mlc::engine
