// SPDX-License-Identifier: Apache-2.0
// Expected counts were read off transformers 5.23 (AutoTokenizer) for the same files.
#include "compiler/gen_config_vocab.h"

#include <gtest/gtest.h>

#include <optional>
#include <string_view>

namespace mlc::compiler {
namespace {

// Texts of the files; empty: absent. The vocabulary has 3 tokens, one of which is added too.
struct Files {
  std::string_view tokenizer_config = {};
  std::string_view special_tokens_map = {};
  std::string_view added_tokens = {};
  std::string_view config = {};
  std::string_view tokenizer = R"({"added_tokens": [{"content": "c"}],
      "pre_tokenizer": {"type": "ByteLevel"}, "model": {"vocab": {"a": 0, "b": 1, "c": 2}}})";
};

Result<int64_t> count(const Files& files) {
  const auto parse = [](std::string_view text) -> std::optional<Json> {
    if (text.empty()) return {};
    return parse_json(text, "test").value();
  };
  const auto pointer = [](const std::optional<Json>& json) { return json ? &*json : nullptr; };
  const auto tokenizer = parse(files.tokenizer), tokenizer_config = parse(files.tokenizer_config),
             map = parse(files.special_tokens_map), added = parse(files.added_tokens),
             config = parse(files.config);
  return count_tokens({pointer(tokenizer), pointer(tokenizer_config), pointer(map), pointer(added),
                       pointer(config)});
}

int64_t tokens(const Files& files) { return count(files).value(); }

std::string vocabulary_error(const Files& files) {
  const auto result = count(files);
  return result.ok() ? "no error" : result.error().to_string();
}

TEST(CountTokens, CountsDistinctTokens) {
  EXPECT_EQ(tokens({}), 3);
  EXPECT_EQ(tokens({.tokenizer = R"({"model": {"vocab": [["a", 0.5], ["b", 1], ["a", 2]]},
                                     "added_tokens": [{"content": "x"}]})"}),
            3);
}

TEST(CountTokens, NamedTokensCountIfTheyAreNew) {
  EXPECT_EQ(tokens({.tokenizer_config =
                        R"({"pad_token": "<pad>", "bos_token": "a", "unk_token": null})"}),
            4);
  EXPECT_EQ(tokens({.tokenizer_config =
                        R"({"pad_token": {"__type": "AddedToken", "content": "<pad>"}})"}),
            4);
  EXPECT_EQ(tokens({.tokenizer_config =
                        R"({"pad_token": "", "image_token": "<i>", "add_bos_token": true})"}),
            4);
}

TEST(CountTokens, FurtherTokensCome) {
  EXPECT_EQ(
      tokens({.tokenizer_config = R"({"additional_special_tokens": ["<x>", {"content": "<y>"}]})"}),
      5);
  EXPECT_EQ(
      tokens({.tokenizer_config =
                  R"({"extra_special_tokens": ["<x>"], "additional_special_tokens": ["<y>"]})"}),
      4);
  EXPECT_EQ(
      tokens(
          {.tokenizer_config =
               R"({"extra_special_tokens": {"image_token": "<x>"}, "additional_special_tokens": ["<y>"]})"}),
      5);
}

TEST(CountTokens, OlderFilesCountOnlyWithoutADecoderOfAddedTokens) {
  const Files both = {
      .special_tokens_map = R"({"pad_token": "<m>", "additional_special_tokens": ["<n>"]})",
      .added_tokens = R"({"<j>": 9})"};
  EXPECT_EQ(tokens(both), 6);
  Files with_decoder = both;
  with_decoder.tokenizer_config = R"({"added_tokens_decoder": {"9": {"content": "<d>"}}})";
  EXPECT_EQ(tokens(with_decoder), 4);
}

TEST(CountTokens, SpecialTokensMapReplacesNames) {
  EXPECT_EQ(tokens({.tokenizer_config = R"({"pad_token": "<p>"})",
                    .special_tokens_map = R"({"pad_token": "<m>"})"}),
            4);
  EXPECT_EQ(tokens({.tokenizer_config = R"({"pad_token": "<p>"})",
                    .special_tokens_map = R"({"pad_token": null})"}),
            3);
}

TEST(CountTokens, TokenizerClassesHaveTokensOfTheirOwn) {
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "GPT2TokenizerFast"})"}), 4);
  EXPECT_EQ(
      tokens(
          {.tokenizer_config =
               R"({"tokenizer_class": "GPT2Tokenizer", "bos_token": "a", "eos_token": "a", "unk_token": "b"})"}),
      3);
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "Unknown"})"}), 3);
  EXPECT_EQ(tokens({.config = R"({"model_type": "cohere"})"}), 10);
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "LlamaTokenizer"})"}),
            3);  // byte-level
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "LlamaTokenizer"})",
                    .tokenizer = R"({"model": {"vocab": {"a": 0}}})"}),
            4);
}

TEST(CountTokens, SomeArchitecturesOverruleTheNamedClass) {
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "GPT2Tokenizer"})",
                    .config = R"({"model_type": "phi3"})"}),
            3);
  EXPECT_EQ(tokens({.tokenizer_config = R"({"tokenizer_class": "LlamaTokenizer"})",
                    .config = R"({"model_type": "qwen2"})"}),
            4);
}

TEST(CountTokens, DecoderReplacesAddedTokensInClassesOfTheirOwn) {
  constexpr std::string_view kTokenizer =
      R"({"model": {"vocab": {"a": 0}}, "added_tokens": [{"content": "x"}]})";
  constexpr std::string_view kDecoder =
      R"({"added_tokens_decoder": {}, "tokenizer_class": "GPT2Tokenizer"})";
  EXPECT_EQ(tokens({.tokenizer_config = kDecoder, .tokenizer = kTokenizer}), 2);
  EXPECT_EQ(
      tokens({.tokenizer_config = R"({"added_tokens_decoder": {}})", .tokenizer = kTokenizer}), 2);
}

TEST(CountTokens, FormsThatCannotBeLoadedAreErrors) {
  EXPECT_EQ(vocabulary_error({.tokenizer = "{}"}),
            "error: tokenizer.json: model.vocab: is of a form that cannot be loaded\n"
            "  expected an object, or a list of [token, score]");
  EXPECT_EQ(vocabulary_error({.tokenizer = R"({"model": {"vocab": [3]}})"}),
            "error: tokenizer.json: model.vocab: is of a form that cannot be loaded\n"
            "  expected a list of [token, score]");
  EXPECT_EQ(vocabulary_error({.tokenizer_config = R"({"pad_token": 3})"}),
            "error: tokenizer_config.json: pad_token: is of a form that cannot be loaded\n"
            "  expected a token's text, or an object of type AddedToken");
  EXPECT_NE(vocabulary_error({.tokenizer_config = R"({"pad_token": {"content": "a"}})"}),
            "no error");
  EXPECT_EQ(
      vocabulary_error({.tokenizer_config = R"({"added_tokens_decoder": {"1": "a"}})"}),
      "error: tokenizer_config.json: added_tokens_decoder: is of a form that cannot be loaded\n"
      "  expected an object of tokens");
  EXPECT_NE(vocabulary_error({.tokenizer_config = R"({"extra_special_tokens": 3})"}), "no error");
  EXPECT_NE(vocabulary_error({.special_tokens_map = R"({"additional_special_tokens": [3]})"}),
            "no error");
}

}  // namespace
}  // namespace mlc::compiler
