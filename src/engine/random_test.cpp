// SPDX-License-Identifier: Apache-2.0
#include "engine/random.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace mlc::engine {
namespace {

TEST(Philox, GivesThePublishedAnswers) {  // known-answer tests of the Random123 library
  using Words = std::array<uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(UniformDraw, IsAFunctionOfSeedAndIndex) {
  EXPECT_EQ(uniform_draw(1, 5), uniform_draw(1, 5));
  std::set<double> distinct;
  for (uint64_t seed : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40}) {
    for (uint64_t index : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 40})
      distinct.insert(uniform_draw(seed, index));
  }
  EXPECT_EQ(distinct.size(), 9u);
}

TEST(UniformDraw, IsUniformOverSixteenBinsAndItsNeighboursAreIndependent) {
  constexpr int kDraws = 160000;
  std::vector<int> single(16), pairs(16);
  for (int i = 0; i < kDraws; ++i) {
    const double u = uniform_draw(7, static_cast<uint64_t>(i));
    const double next = uniform_draw(7, static_cast<uint64_t>(i) + 1);
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    ++single[static_cast<size_t>(u * 16)];
    ++pairs[static_cast<size_t>(u * 4) * 4 + static_cast<size_t>(next * 4)];
  }
  for (const std::vector<int>* bins : {&single, &pairs}) {
    double chi_square = 0;
    for (const int count : *bins) chi_square += (count - 10000.0) * (count - 10000.0) / 10000.0;
    EXPECT_LT(chi_square, 37.7);  // 15 degrees of freedom: one in a thousand
  }
}

}  // namespace
}  // namespace mlc::engine
