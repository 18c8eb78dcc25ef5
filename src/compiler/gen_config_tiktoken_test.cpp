// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_tiktoken.h"

#include <gtest/gtest.h>

namespace mlc::compiler {
namespace {

const Json kQwen = Json::Object{{"tokenizer_class", "QWenTokenizer"}};

std::string file(const std::vector<OutputText>& files, std::string_view name) {
  for (const OutputText& f : files) {
    if (f.name == name) return f.text;
  }
  return "absent";
}

std::string tiktoken_error(std::string_view text, const Json& config = kQwen) {
  const auto result = convert_tiktoken(text, "q.tiktoken", config, Json::object(), -1);
  return result.ok() ? "no error" : result.error().to_string();
}

// a, b, ab, abab, the byte 0xff and a blank.
constexpr std::string_view kRanks = "YQ== 0\nYg== 1\n/w== 2\nIA== 3\nYWI= 4\nYWJhYg== 5\n";

TEST(ConvertTiktoken, RecoversMergesAndWritesBytesInGpt2sAlphabet) {
  const auto files = convert_tiktoken(kRanks, "q", kQwen, Json::object(), 4096).value();
  ASSERT_EQ(files.size(), 5u);
  EXPECT_EQ(file(files, "merges.txt"), "#version: 0.2\na b\nab ab");
  const Json vocab = parse_json(file(files, "vocab.json"), "v").value();
  EXPECT_EQ(*vocab.find("\u00ff"), Json(2));
  EXPECT_EQ(*vocab.find("\u0120"), Json(3));
  EXPECT_EQ(*vocab.find("<|endoftext|>"), Json(6));
  EXPECT_EQ(*vocab.find("<|extra_204|>"), Json(6 + 3 + 204));
  EXPECT_EQ(file(files, "special_tokens_map.json"),
            "{\n  \"bos_token\": \"<|endoftext|>\",\n  \"eos_token\": \"<|endoftext|>\",\n"
            "  \"unk_token\": \"<|endoftext|>\"\n}");
  const Json config = parse_json(file(files, "tokenizer_config.json"), "c").value();
  EXPECT_EQ(*config.find("model_max_length"), Json(4096));
  const Json tokenizer = parse_json(file(files, "tokenizer.json"), "t").value();
  EXPECT_EQ(tokenizer.find("model")->find("merges")->dump(), R"(["a b", "ab ab"])");
  EXPECT_EQ(tokenizer.find("added_tokens")->as_array().size(), 208u);
  EXPECT_EQ(tokenizer.find("normalizer")->dump(), R"({"type": "NFC"})");
}

TEST(ConvertTiktoken, AddedTokensOfTheTokenizerConfigComeFirst) {
  Json config = kQwen;
  config.set("added_tokens_decoder", Json::Object{{"9", Json::Object{{"content", "<x>"}}}});
  const auto files = convert_tiktoken(kRanks, "q", config, Json::object(), -1).value();
  EXPECT_EQ(*parse_json(file(files, "vocab.json"), "v")->find("<x>"), Json(9));
  EXPECT_FALSE(parse_json(file(files, "tokenizer_config.json"), "c")->contains("model_max_length"));
}

TEST(ConvertTiktoken, DamagedFilesAreRefused) {
  EXPECT_EQ(tiktoken_error(kRanks, Json::object()),
            "error: q.tiktoken: belongs to a tokenizer whose word splitting is not known\n"
            "  expected that of Qwen (tokenizer_class QWenTokenizer)\n"
            "  put a tokenizer.json beside config.json");
  EXPECT_EQ(tiktoken_error(""), "error: q.tiktoken: is empty\n  expected token ranks");
  for (const char* line : {"YQ==", "Y! 0", " 0", "YQ== x", "YQ== -1"}) {
    EXPECT_EQ(tiktoken_error(line),
              "error: q.tiktoken:1: is no line of a .tiktoken file\n"
              "  expected a token in base64, a blank, its rank")
        << line;
  }
  EXPECT_EQ(tiktoken_error("YQ== 0\nYQ== 1\n"),
            "error: q.tiktoken:2: has a token a second time\n  expected each token once");
  EXPECT_EQ(tiktoken_error("YQ== 0\nYg== 1\nYWJhYg== 2\n"),
            "error: q.tiktoken: the token of rank 2 is no join of two others\n"
            "  the file is damaged, or its ranks are not those of merges");
}

}  // namespace
}  // namespace mlc::compiler
