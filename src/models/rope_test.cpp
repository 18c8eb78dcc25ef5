// SPDX-License-Identifier: Apache-2.0
// All kinds of rope scaling against numbers that were worked out apart from this program (by turns
// in the original context instead of wavelengths), for 16 rotated dimensions of base 10000.
#include "models/rope.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/throw.h"

namespace mlc::models {
namespace {

Rope read(const std::string& json, int64_t dims = 16) {
  const Json config = parse_json(json, "test").value();
  return read_rope(ConfigReader(config), dims, "position_embedding_base", 10000);
}

std::string refusal(const std::string& json) {
  try {
    read(json);
  } catch (const UserError& error) {
    return error.what();
  }
  return "nothing";
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(got[i] / want[i], 1, 1e-10) << i;
}

const std::vector<double> kDefault = {1.0,  0.316227766017,   0.1,   0.0316227766017,
                                      0.01, 0.00316227766017, 0.001, 0.000316227766017};

std::vector<double> times(std::vector<double> list, double factor) {
  for (double& value : list) value *= factor;
  return list;
}

TEST(Rope, Default) {
  for (const char* json :
       {"{}", R"({"rope_scaling": null})", R"({"rope_scaling": {"rope_type": "default"}})",
        R"({"rope_parameters": {"type": "default"}})"}) {
    const Rope rope = read(json);
    expect_near(rope.frequencies, kDefault);
    EXPECT_EQ(rope.rotary_dim, 16);
    EXPECT_EQ(rope.multiplier, 1);
    EXPECT_EQ(rope.switch_length, 0);
    EXPECT_TRUE(rope.long_frequencies.empty());
  }
}

TEST(Rope, TheBaseComesFromItsKeyOrFromTheScalingObject) {
  expect_near(read(R"({"position_embedding_base": 256})").frequencies,
              {1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125});
  expect_near(
      read(R"({"position_embedding_base": 7, "rope_parameters": {"rope_theta": 256}})").frequencies,
      {1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125});
  expect_near(
      read(R"({"rope_scaling": {"rope_type": "default"}, "rope_parameters": {"rope_theta": 256}})")
          .frequencies,
      kDefault);
  expect_near(
      read(R"({"position_embedding_base": 3, "hf": {"position_embedding_base": 256}})").frequencies,
      {1, 0.5, 0.25, 0.125, 0.0625, 0.03125, 0.015625, 0.0078125});
}

TEST(Rope, AnOddNumberOfDimensionsRotatesOneMore) {
  const Rope rope = read("{}", 5);
  EXPECT_EQ(rope.rotary_dim, 6);
  expect_near(rope.frequencies, {1.0, 0.025118864315095794, 0.000630957344480193});
}

TEST(Rope, Linear) {
  expect_near(read(R"({"rope_scaling": {"type": "linear", "factor": 4.0}})").frequencies,
              times(kDefault, 0.25));
}

TEST(Rope, DynamicKeepsItsFrequenciesUpToTheModelsLength) {
  const Rope rope = read(
      R"({"max_position_embeddings": 512, "rope_scaling": {"rope_type": "dynamic", "factor": 2, "original_max_position_embeddings": 128}})");
  expect_near(rope.frequencies, kDefault);
  EXPECT_EQ(rope.ntk_factor, 2);
  EXPECT_EQ(rope.switch_length, 512) << "the original length is ignored";
}

TEST(Rope, Llama3KeepsFastOnesDividesSlowOnesAndBlendsBetween) {
  expect_near(
      read(
          R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 1024}})")
          .frequencies,
      {1.0, 0.316227766017, 0.1, 0.0316227766017, 0.00308676096701, 0.000395284707521, 0.000125,
       3.95284707521e-05});
  expect_near(
      read(
          R"({"max_position_embeddings": 8192, "rope_scaling": {"rope_type": "llama3", "factor": 32}})")
          .frequencies,
      {1.0, 0.316227766017, 0.1, 0.0316227766017, 0.01, 0.00316227766017, 0.000129351209459,
       9.88211768803e-06});
}

TEST(Rope, TheOriginalLengthAtTheTopWins) {
  const Rope inside = read(
      R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 1024}})");
  const Rope top = read(
      R"({"original_max_position_embeddings": 1024, "rope_scaling": {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 64}})");
  EXPECT_EQ(top.frequencies, inside.frequencies);
}

TEST(Rope, Yarn) {
  const std::string head =
      R"({"max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 4.0)";
  Rope rope = read(head + "}}");
  expect_near(rope.frequencies, {1.0, 0.316227766017, 0.1, 0.0256935059889, 0.00625,
                                 0.00138349647632, 0.00025, 7.90569415042e-05});
  EXPECT_NEAR(rope.multiplier, 1.138629436111989, 1e-12);
  rope = read(head + R"(, "truncate": false}})");
  expect_near(rope.frequencies, {1.0, 0.316227766017, 0.1, 0.028613608812, 0.00655697152113,
                                 0.00128563203073, 0.00025, 7.90569415042e-05});
  rope = read(head + R"(, "beta_fast": 16, "beta_slow": 2}})");
  expect_near(rope.frequencies, {1.0, 0.316227766017, 0.1, 0.0316227766017, 0.0075,
                                 0.00158113883008, 0.00025, 7.90569415042e-05});
}

TEST(Rope, YarnsMultiplierComesFromItsKeysInThisOrder) {
  const std::string head =
      R"({"max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 4.0)";
  EXPECT_NEAR(read(head + R"(, "mscale": 1.5, "mscale_all_dim": 0.5}})").multiplier,
              1.1296432507391427, 1e-12);
  EXPECT_NEAR(read(head + R"(, "mscale": 1.5}})").multiplier, 1.138629436111989, 1e-12)
      << "both or none";
  EXPECT_EQ(read(head + R"(, "mscale": 1.5, "mscale_all_dim": 0.5, "attention_factor": 0.7}})")
                .multiplier,
            0.7);
  EXPECT_EQ(
      read(
          R"({"max_position_embeddings": 4096, "rope_scaling": {"rope_type": "yarn", "factor": 0.5}})")
          .multiplier,
      1);
}

TEST(Rope, LongropeHasTwoSets) {
  const std::string factors =
      R"("short_factor": [1, 1, 1, 1, 2, 2, 2, 2], "long_factor": [4, 4, 4, 4, 4, 4, 4, 8])";
  for (const char* kind : {"longrope", "su"}) {
    const Rope rope = read(
        R"({"max_position_embeddings": 4096, "original_max_position_embeddings": 512, "rope_scaling": {"type": ")" +
        std::string(kind) + "\", " + factors + "}}");
    expect_near(rope.frequencies, {1.0, 0.316227766017, 0.1, 0.0316227766017, 0.005,
                                   0.001581138830085, 0.0005, 0.0001581138830085});
    expect_near(rope.long_frequencies, {0.25, 0.07905694150425, 0.025, 0.007905694150425, 0.0025,
                                        0.0007905694150425, 0.00025, 3.9528470752125e-05});
    EXPECT_EQ(rope.switch_length, 512);
    EXPECT_NEAR(rope.multiplier, 1.1547005383792515, 1e-12);
  }
  const std::string head =
      R"({"max_position_embeddings": 4096, "original_max_position_embeddings": 512, "rope_scaling": {"rope_type": "longrope", )" +
      factors;
  EXPECT_EQ(read(head + R"(, "attention_factor": 1.5}})").multiplier, 1.5);
  EXPECT_EQ(read(head + R"(, "factor": 1.0}})").multiplier, 1);
}

TEST(Rope, WhatIsWrongWithAScaling) {
  EXPECT_EQ(refusal(R"({"rope_scaling": {"rope_type": "yarm"}})"),
            "error: model_config: rope_scaling: unknown rope type yarm\n  expected one of default, "
            "linear, dynamic, llama3, yarn, longrope\n  did you mean yarn?");
  EXPECT_EQ(refusal(R"({"rope_scaling": "linear"})"),
            "error: model_config: rope_scaling: is a string\n  expected an object");
  EXPECT_EQ(refusal(R"({"rope_scaling": {"type": 3}})"),
            "error: model_config: rope_scaling.type: is an integer\n  expected a string");
  EXPECT_EQ(refusal(R"({"rope_scaling": {"type": "linear"}})"),
            "error: model_config: rope_scaling.factor: is missing");
  EXPECT_EQ(refusal(R"({"rope_scaling": {"type": "linear", "factor": 0}})"),
            "error: model_config: rope_scaling.factor: is 0.0\n  expected a positive number");
  EXPECT_EQ(refusal(R"({"rope_scaling": {"type": "linear", "factor": "4"}})"),
            "error: model_config: rope_scaling.factor: is a string\n  expected a number");
  EXPECT_EQ(
      refusal(
          R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 2], "long_factor": [1]}})"),
      "error: model_config: rope_scaling.short_factor: is no list of the right length\n  expected "
      "8 numbers");
  EXPECT_EQ(
      refusal(
          R"({"rope_scaling": {"type": "longrope", "short_factor": [1, 1, 1, 1, 1, 1, 1, 0], "long_factor": [1]}})"),
      "error: model_config: rope_scaling.short_factor: has an entry that is no positive number");
  EXPECT_EQ(refusal(R"({"position_embedding_base": 0})"),
            "error: model_config: position_embedding_base: is 0.0\n  expected a positive number");
  EXPECT_EQ(
      refusal(
          R"({"rope_scaling": {"type": "yarn", "factor": 2, "original_max_position_embeddings": -1}})"),
      "error: model_config: rope_scaling.original_max_position_embeddings: is -1.0\n  expected a "
      "positive number");
}

TEST(Rope, TheTableOfAGraphHoldsWhatWasRead) {
  graph::GraphBuilder b;
  const graph::NodeId positions = b.input("positions", DType::kI32, {graph::Symbol::kNumTokens});
  const graph::NodeId lengths = b.input("lengths", DType::kI32, {graph::Symbol::kNumTokens});
  Rope rope;
  rope.rotary_dim = 4;
  rope.frequencies = {1, 0.5};
  rope.long_frequencies = {0.25, 0.125};
  rope.switch_length = 64;
  rope.multiplier = 1.25;
  const graph::Graph graph = b.finish(add_rope_table(b, rope, positions, lengths), {});
  EXPECT_NE(to_text(graph).find(
                "%0 = constant {values = [1.0, 0.5]}\n  %1 = constant {values = [0.25, 0.125]}\n"
                "  %2 = rope_table %positions, %lengths, %0, %1 {multiplier = 1.25, switch_length "
                "= 64}\n"),
            std::string::npos)
      << to_text(graph);
}

}  // namespace
}  // namespace mlc::models
