// SPDX-License-Identifier: Apache-2.0
// Log-probabilities as JSON; engine_test.cpp has those of answers.
#include "engine/logprobs.h"

#include <gtest/gtest.h>

#include <limits>

#include "engine/fake_model.h"

namespace mlc::engine {
namespace {

TEST(Logprobs, AsJsonTheyAreThoseOfOpenAi) {
  const auto tokenizer = fake_tokenizer();
  const TokenLogprobs logprobs{
      .token = 'a', .logprob = -0.1f, .top = {{'a', -0.1f}, {257, -2.5f}, {0xc3, -3}}};
  EXPECT_EQ(to_json(logprobs, *tokenizer).dump(),
            R"({"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": [)"
            R"({"token": "a", "logprob": -0.1, "bytes": [97]}, )"
            R"({"token": " the", "logprob": -2.5, "bytes": [32, 116, 104, 101]}, )"
            R"({"token": "\\xc3", "logprob": -3.0, "bytes": [195]}]})");
}

TEST(Logprobs, WhatTheModelRulesOutIsAFiniteNumber) {
  const TokenLogprobs logprobs{.token = 'a', .logprob = -std::numeric_limits<float>::infinity()};
  EXPECT_EQ(to_json(logprobs, *fake_tokenizer()).dump(),
            R"({"token": "a", "logprob": -9999.0, "bytes": [97], "top_logprobs": []})");
}

}  // namespace
}  // namespace mlc::engine
