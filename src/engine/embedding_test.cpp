// SPDX-License-Identifier: Apache-2.0
#include "engine/embedding.h"

#include <gtest/gtest.h>

#include "engine/fake_model.h"

namespace mlc::engine {
namespace {

std::vector<float> pooled(const EmbeddingOptions& options) {
  Pooler pooler(options);
  for (const std::vector<float>& row : {std::vector<float>{3, 4}, {9, 12}}) pooler.add(row);
  return pooler.finish();
}

TEST(Embedding, PoolsAndNormalizes) {
  EXPECT_EQ(pooled({Pooling::kMean, false}), (std::vector<float>{6, 8}));
  EXPECT_EQ(pooled({Pooling::kMean, true}), (std::vector<float>{0.6f, 0.8f}));
  EXPECT_EQ(pooled({Pooling::kFirst, false}), (std::vector<float>{3, 4}));
  Pooler zero({Pooling::kLast, true});
  EXPECT_EQ(zero.wanted_rows(), runtime::WantedLogits::kLast);
  zero.add(std::vector<float>{0, 0});
  EXPECT_EQ(zero.finish(), (std::vector<float>{0, 0}));
  EXPECT_EQ(Pooler({Pooling::kFirst, true}).wanted_rows(), runtime::WantedLogits::kAll);
}

TEST(Embedding, OptionsAreThoseOfTheConfig) {
  const auto read = [](const char* json) {
    return read_embedding_options(parse_json(json, "test").value(), "f");
  };
  EXPECT_EQ(read("null")->pooling, Pooling::kLast);
  EXPECT_TRUE(read("null")->normalize);
  EXPECT_EQ(read(R"({"pooling_strategy": "mean", "normalize": false})")->pooling, Pooling::kMean);
  EXPECT_FALSE(read(R"({"normalize": false})")->normalize);
  EXPECT_EQ(read(R"({"pooling_strategy": "cls"})")->pooling, Pooling::kFirst);
  EXPECT_EQ(read(R"({"pooling_strategy": "max"})").error().to_string(),
            "error: f: embedding_metadata: pooling_strategy: is max\n  expected last, mean or cls");
  EXPECT_EQ(read(R"({"normalize": 1})").error().to_string(),
            "error: f: embedding_metadata: normalize: is an integer\n  expected true or false");
}

TEST(Embedding, RefusesWhatItCannotEmbed) {
  const FakeModel model;
  Engine engine(model.session(), fake_tokenizer(), {});
  EXPECT_EQ(embed(engine, {}, {}).error().to_string(),
            "error: tokens: are none\n  expected at least one token");
  const std::vector<int32_t> many(300, 1);
  EXPECT_EQ(embed(engine, many, {}).error().to_string(),
            "error: tokens: are 300\n  expected at most 256, the context here");
  // A library that has nothing but logits.
  EXPECT_EQ(
      embed(engine, std::vector<int32_t>{1, 2}, {}).error().to_string(),
      "error: fake.so: gives no hidden states\n  compile the library again with this mlc_llm");
}

}  // namespace
}  // namespace mlc::engine
