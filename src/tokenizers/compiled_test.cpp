// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/compiled.h"

#include <gtest/gtest.h>

#include "support/file.h"
#include "support/testing.h"

namespace mlc::tokenizers {
namespace {

constexpr std::string_view kByteLevelJson = R"({
  "added_tokens": [{"id": 9, "content": "<s \"é\">", "special": true}],
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "unk_token": "½", "ignore_merges": true,
            "vocab": {"l": 0, "o": 1, "Ġ": 2, "lo": 3, "Ġlo": 4, "ä": 5, "½": 6, "ł": 7, "Ġl": 8, "日": 10},
            "merges": ["l o", ["Ġ", "lo"], "Ġ l"]}})";
constexpr std::string_view kCharacters = R"({
  "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
  "model": {"vocab": {"▁": 0, "a": 1, "b": 2, "▁a": 3, "ab": 4, "<unk>": 5, "b</w>": 6, "<0x41>": 7},
            "type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "end_of_word_suffix": "</w>", "merges": ["▁ a", "a b"]}})";
constexpr std::string_view kUnigram = R"({
  "pre_tokenizer": {"type": "Metaspace", "replacement": "▁"}, "decoder": {"type": "Metaspace", "replacement": "▁"},
  "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": true,
            "vocab": [["<unk>", 0], ["▁", -2], ["a", -1.5], ["b", -3], ["▁ab", -2.5], ["ba", -1], ["lo", -1], ["<0x78>", -9]]}})";
constexpr std::string_view kTexts[] = {"", "lolo lo l<s \"é\">o", "x½ä", "a b ab  ba日日",
                                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab b"};

TEST(CompiledTokenizer, IsTheSameTokenizer) {
  for (const std::string_view json : {kByteLevelJson, kCharacters, kUnigram}) {
    const auto made = compile_tokenizer_json(json, "t.json");
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    const auto again = tokenizer_from_compiled(made.value().compiled, "t.json");
    ASSERT_NE(again, nullptr);
    const Tokenizer& first = *made.value().tokenizer;
    EXPECT_EQ(again->vocab_size(), first.vocab_size());
    EXPECT_EQ(again->max_id(), first.max_id());
    for (int32_t id = 0; id <= first.max_id(); ++id) {
      EXPECT_EQ(again->token_text(id), first.token_text(id));
      EXPECT_EQ(again->is_special(id), first.is_special(id));
    }
    for (const std::string_view text : kTexts) {
      const std::vector<int32_t> ids = first.encode(text);
      EXPECT_EQ(again->encode(text), ids) << text;
      EXPECT_EQ(again->decode(ids), first.decode(ids)) << text;
    }
  }
}

TEST(CompiledTokenizer, OfOtherModelsIsNotMade) {
  const auto made = compile_tokenizer_json(
      R"({"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"?": 0, "ab": 1}}})",
      "t.json");
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made.value().compiled, "");
  EXPECT_EQ(made.value().tokenizer->encode("ab"), (std::vector<int32_t>{1}));
}

TEST(CompiledTokenizer, WithAnyByteChangedOrCutCountsAsAbsent) {
  const std::string compiled = compile_tokenizer_json(kByteLevelJson, "t.json").value().compiled;
  for (size_t i = 0; i < compiled.size(); i += i < 64 ? 1 : 997) {
    std::string changed = compiled;
    changed[i] = static_cast<char>(changed[i] ^ 0x10);
    EXPECT_EQ(tokenizer_from_compiled(changed, "t.json"), nullptr) << i;
    EXPECT_EQ(tokenizer_from_compiled(compiled.substr(0, i), "t.json"), nullptr) << i;
  }
  EXPECT_EQ(tokenizer_from_compiled(compiled + "x", "t.json"), nullptr);
}

// A large file goes through the cache: found by its content, made anew when it is damaged, left out
// when its folder can't be.
TEST(CompiledTokenizer, IsKeptInTheCacheByContent) {
  const TemporaryDirectory folder;
  const std::string cache = folder.file("cache");
  const auto padded = [](std::string_view json, char blank) {
    return cat(json.substr(0, json.size() - 1), std::string(size_t{2} << 20, blank), "}");
  };
  const std::string json = padded(kByteLevelJson, ' ');
  const std::string name = cat(content_hash(json), ".tokenizer");
  for (int round = 0; round < 2; ++round) {
    const auto tokenizer = tokenizer_from_json_or_cache(json, "t.json", cache);
    ASSERT_TRUE(tokenizer.ok());
    EXPECT_EQ(tokenizer.value()->encode("lo lo"), (std::vector<int32_t>{3, 4}));
    EXPECT_EQ(list_directory(cache).value(), (std::vector<std::string>{name}));
  }
  const std::string good = read_file(path_join(cache, name)).value();
  ASSERT_TRUE(write_file(path_join(cache, name), good.substr(0, good.size() / 2)).ok());
  EXPECT_TRUE(tokenizer_from_json_or_cache(json, "t.json", cache).ok());
  EXPECT_EQ(read_file(path_join(cache, name)).value(), good);
  const auto other = tokenizer_from_json_or_cache(padded(kByteLevelJson, '\n'), "t.json", cache);
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(list_directory(cache).value().size(), 2u);
  const auto nowhere =
      tokenizer_from_json_or_cache(json, "t.json", path_join(cache, cat(name, "/x")));
  ASSERT_TRUE(nowhere.ok());
  EXPECT_EQ(nowhere.value()->encode("lo lo"), (std::vector<int32_t>{3, 4}));
}

}  // namespace
}  // namespace mlc::tokenizers
