// SPDX-License-Identifier: Apache-2.0
#include "target/target.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace mlc::target {
namespace {

TEST(Target, LevelsContainTheirPredecessors) {
  const Target v3 = cpu_level_target("x86-64-v3").value();
  const Target v4 = cpu_level_target("x86-64-v4-vnni").value();
  EXPECT_TRUE(v4.features.contains(v3.features));
  EXPECT_FALSE(v3.features.contains(v4.features));
  EXPECT_TRUE(v3.has_fma());
  EXPECT_FALSE(v3.has_dot4());
  EXPECT_TRUE(v4.has_dot4());
  EXPECT_EQ(v3.vector_bytes(), 32);
  EXPECT_EQ(v4.vector_bytes(), 64);
}

TEST(Target, OneLevelMultipliesTiles) {
  const Target amx = cpu_level_target("x86-64-v4-amx").value();
  EXPECT_TRUE(amx.features.contains(cpu_level_target("x86-64-v4-vnni").value().features));
  EXPECT_TRUE(amx.has_tile_dot());
  EXPECT_TRUE(amx.has_tile_sum());
  EXPECT_TRUE(amx.has_dot4());
  EXPECT_FALSE(cpu_level_target("x86-64-v4-vnni").value().has_tile_dot());
}

TEST(Target, OneLevelMultipliesBlocks) {
  EXPECT_TRUE(cpu_level_target("armv8-i8mm").value().has_block_dot());
  EXPECT_FALSE(cpu_level_target("armv8-dotprod").value().has_block_dot());
}

TEST(Target, UnknownLevelListsNearOnes) {
  const auto result = cpu_level_target("x86-64-v5");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("unknown CPU level x86-64-v5"), std::string::npos);
  EXPECT_NE(result.error().to_string().find("did you mean"), std::string::npos);
}

TEST(Target, EnvironmentPinsTheLevel) {
  setenv("MLC_CPU_LEVEL", "x86-64", 1);
  const auto pinned = host_cpu_target();
  setenv("MLC_CPU_LEVEL", "armv8", 1);
  const auto other = host_cpu_target();
  unsetenv("MLC_CPU_LEVEL");
  if (host_architecture() == "x86_64") {
    EXPECT_EQ(pinned.value().features.bits(), 0u);
    EXPECT_NE(other.error().to_string().find("which this CPU lacks"), std::string::npos);
  }
  EXPECT_EQ(host_cpu_target()->level, "native");
}

}  // namespace
}  // namespace mlc::target
