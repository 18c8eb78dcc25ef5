// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_tokenizer.h"

#include <gtest/gtest.h>

#include <limits>

#include "formats/gguf_pre_tokenizers.h"
#include "formats/gguf_test_file.h"
#include "support/json.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

constexpr int64_t kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6;

GgufTestFile with_tokens(std::string_view model, const std::vector<std::string>& tokens,
                         const std::vector<int64_t>& types) {
  GgufTestFile file;
  file.text("tokenizer.ggml.model", model).texts("tokenizer.ggml.tokens", tokens);
  if (!types.empty()) file.integers("tokenizer.ggml.token_type", types);
  return file;
}

Result<std::vector<NamedText>> files_of(const GgufTestFile& made) {
  const std::string bytes = made.bytes();
  MLC_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::parse(as_bytes(bytes), "m.gguf"));
  return gguf_tokenizer_files(file);
}
std::string error_of(const GgufTestFile& made) { return error_text(files_of(made)); }

std::string text_of(const GgufTestFile& made, std::string_view name) {
  const auto files = files_of(made);
  EXPECT_TRUE(files.ok()) << error_text(files);
  if (!files.ok()) return "";
  for (const NamedText& file : *files) {
    if (file.name == name) return file.text;
  }
  return "absent";
}
Json json_of(const GgufTestFile& made, std::string_view name = "tokenizer.json") {
  return parse_json(text_of(made, name), name).value();
}
std::string merges_of(const GgufTestFile& made) {
  std::string text;
  const Json tokenizer = json_of(made);
  for (const Json& merge : tokenizer.find("model")->find("merges")->as_array()) {
    text += cat(merge.as_array()[0].as_string(), "+", merge.as_array()[1].as_string(), " ");
  }
  return text;
}

const std::string kBlank = "\u2581";

GgufTestFile sentencepiece() {
  GgufTestFile made = with_tokens(
      "llama", {"<unk>", "<s>", "</s>", "<0x41>", kBlank, "a", "b", kBlank + "a", "ab", "<x>"},
      {kUnknown, kControl, kControl, kByte, kNormal, kNormal, kNormal, kNormal, kNormal,
       kUserDefined});
  made.reals("tokenizer.ggml.scores", {0, 0, 0, 0, -3, -4, -5, -2, -1, 0});
  return made;
}

TEST(GgufTokenizer, SentencePieceWhole) {
  const std::string blank = "\"" + kBlank + "\"";
  EXPECT_EQ(
      text_of(sentencepiece(), "tokenizer.json"),
      cat(R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [)",
          R"({"id": 0, "content": "<unk>", "single_word": false, "lstrip": false, "rstrip": false, )",
          R"("normalized": false, "special": true}, )",
          R"({"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, )",
          R"("normalized": false, "special": true}, )",
          R"({"id": 2, "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, )",
          R"("normalized": false, "special": true}, )",
          R"({"id": 9, "content": "<x>", "single_word": false, "lstrip": false, "rstrip": false, )",
          R"("normalized": false, "special": false}], )",
          R"("normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": )",
          blank, R"(}, {"type": "Replace", "pattern": {"String": " "}, "content": )", blank,
          R"(}]}, )", R"("pre_tokenizer": null, )",
          R"("post_processor": {"type": "TemplateProcessing", "single": )",
          R"([{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}], )",
          R"("pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, )",
          R"({"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<s>", "type_id": 1}}, )",
          R"({"Sequence": {"id": "B", "type_id": 1}}], )",
          R"("special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}, )",
          R"("decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": )",
          R"({"String": )", blank,
          R"(}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, )",
          R"({"type": "Strip", "content": " ", "start": 1, "stop": 0}]}, )",
          R"("model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", )",
          R"("continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": true, )",
          R"("byte_fallback": true, "ignore_merges": false, "vocab": {"<unk>": 0, "<s>": 1, )",
          R"("</s>": 2, "<0x41>": 3, )", blank, R"(: 4, "a": 5, "b": 6, ")", kBlank,
          R"(a": 7, "ab": 8, "<x>": 9}, "merges": [["a", "b"], [)", blank, R"(, "a"]]}})"));
  EXPECT_EQ(json_of(sentencepiece(), "tokenizer_config.json").dump(),
            R"({"add_bos_token": true, "add_eos_token": false, "bos_token": "<s>", )"
            R"("clean_up_tokenization_spaces": false, "eos_token": "</s>", "pad_token": null, )"
            R"("tokenizer_class": "LlamaTokenizer", "unk_token": "<unk>"})");
  EXPECT_EQ(text_of(sentencepiece(), "vocab.json"), "absent");
}

TEST(GgufTokenizer, SentencePieceWithoutAPrefix) {
  GgufTestFile made = sentencepiece();
  made.flag("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(json_of(made).find("normalizer")->find("type")->as_string(), "Replace");
  EXPECT_EQ(json_of(made).find("decoder")->find("decoders")->as_array().size(), 3u);
}

TEST(GgufTokenizer, MergesFollowTheScores) {
  // By falling score; ties by rising id; splits of a token by the ids of their parts.
  GgufTestFile made =
      with_tokens("llama", {"<unk>", "a", "b", "c", "bc", "ab", "abc", "ca"},
                  {kUnknown, kNormal, kNormal, kNormal, kNormal, kNormal, kNormal, kNormal});
  GgufTestFile scored = made;
  scored.reals("tokenizer.ggml.scores", {0, 0, 0, 0, -2, -3, -1, -2});
  EXPECT_EQ(merges_of(scored), "a+bc ab+c b+c c+a a+b ");
  // Equal, unknown or no scores: by rising id.
  EXPECT_EQ(merges_of(made), "b+c a+b a+bc ab+c c+a ");
  GgufTestFile equal = made;
  EXPECT_EQ(merges_of(equal.reals("tokenizer.ggml.scores", std::vector<float>(8, -1000))),
            "b+c a+b a+bc ab+c c+a ");
  GgufTestFile unknown = made;
  unknown.reals("tokenizer.ggml.scores",
                {0, 0, 0, 0, std::numeric_limits<float>::quiet_NaN(), -3, -1, -2});
  EXPECT_EQ(merges_of(unknown), "a+bc ab+c c+a a+b b+c ");
}

TEST(GgufTokenizer, UserDefinedTokensAreMergedFirstAndLongPartsBeforeShortOnes) {
  GgufTestFile made = with_tokens(
      "llama", {"<unk>", kBlank, "  ", "   ", "a", "\u00e4", kBlank + "a", "<0x00>", "control"},
      {kUnknown, kNormal, kUserDefined, kUserDefined, kNormal, kNormal, kNormal, kByte, kControl});
  const std::string two = kBlank + kBlank;
  EXPECT_EQ(merges_of(made), cat(two, "+", kBlank, " ", kBlank, "+", two, " ", kBlank, "+", kBlank,
                                 " ", kBlank, "+a "));
  const Json vocabulary = *json_of(made).find("model")->find("vocab");
  EXPECT_EQ(vocabulary.find(two)->as_int(), 2);
  EXPECT_FALSE(vocabulary.contains("  "));
  EXPECT_EQ(json_of(made).find("added_tokens")->as_array()[1].find("content")->as_string(), two);
}

TEST(GgufTokenizer, BlanksOfUserDefinedTokensStayWhereTheSignStandsForAnotherToken) {
  GgufTestFile made =
      with_tokens("llama", {"<unk>", kBlank + kBlank, "  "}, {kUnknown, kNormal, kUserDefined});
  EXPECT_EQ(json_of(made).find("model")->find("vocab")->dump(-1, false),
            cat("{\"<unk>\": 0, \"", kBlank, kBlank, "\": 1, \"  \": 2}"));
}

GgufTestFile byte_level() {
  GgufTestFile made =
      with_tokens("gpt2", {"a", "b", "ab", "<s>", "<|x y|>", "[PAD5]", "\u0120", "[PAD]"},
                  {kNormal, kNormal, kNormal, kControl, kUserDefined, kUnused, kNormal, kUnused});
  made.texts("tokenizer.ggml.merges", {"a b"}).integer("tokenizer.ggml.bos_token_id", 3);
  return made;
}

TEST(GgufTokenizer, ByteLevelWhole) {
  GgufTestFile made = byte_level();
  made.text("tokenizer.ggml.pre", "smollm").integer("tokenizer.ggml.eos_token_id", 4);
  made.flag("tokenizer.ggml.add_eos_token", true).size("context_length", 64);
  EXPECT_EQ(
      text_of(made, "tokenizer.json"),
      R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [)"
      R"({"id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, )"
      R"("normalized": false, "special": true}, )"
      R"({"id": 4, "content": "<|x y|>", "single_word": false, "lstrip": false, "rstrip": false, )"
      R"("normalized": false, "special": false}], "normalizer": null, )"
      R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": )"
      R"([{"type": "Digits", "individual_digits": true}, {"type": "ByteLevel", )"
      R"("add_prefix_space": false, "trim_offsets": true, "use_regex": true}]}, )"
      R"("post_processor": {"type": "TemplateProcessing", "single": )"
      R"([{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<|x y|>", "type_id": 0}}], )"
      R"("pair": [{"Sequence": {"id": "A", "type_id": 0}}, )"
      R"({"SpecialToken": {"id": "<|x y|>", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}, )"
      R"({"SpecialToken": {"id": "<|x y|>", "type_id": 1}}], "special_tokens": )"
      R"({"<|x y|>": {"id": "<|x y|>", "ids": [4], "tokens": ["<|x y|>"]}}}, )"
      R"("decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, )"
      R"("use_regex": true}, "model": {"type": "BPE", "dropout": null, "unk_token": null, )"
      R"("continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, )"
      R"("byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0, "b": 1, "ab": 2, )"
      R"("<s>": 3, "<|x y|>": 4, )"
      "\"\u0120\""
      R"(: 6, "[PAD]": 7}, "merges": [["a", "b"]]}})");
  EXPECT_EQ(
      text_of(made, "vocab.json"),
      "{\"a\": 0, \"b\": 1, \"ab\": 2, \"<s>\": 3, \"<|x y|>\": 4, \"\u0120\": 6, \"[PAD]\": 7}");
  EXPECT_EQ(text_of(made, "merges.txt"), "#version: 0.2\na b\n");
  EXPECT_EQ(
      json_of(made, "tokenizer_config.json").dump(),
      R"({"add_bos_token": false, "add_eos_token": true, "bos_token": "<s>", )"
      R"("clean_up_tokenization_spaces": false, "eos_token": "<|x y|>", "model_max_length": 64, )"
      R"("pad_token": null, "tokenizer_class": "PreTrainedTokenizerFast", "unk_token": null})");
}

TEST(GgufTokenizer, SomePreTokenizersAddBosUnlessTheFileSaysOtherwise) {
  GgufTestFile made = byte_level();
  made.text("tokenizer.ggml.pre", "llama-bpe");
  EXPECT_FALSE(json_of(made).find("post_processor")->is_null());
  EXPECT_TRUE(json_of(made).find("model")->find("ignore_merges")->as_bool());
  made.flag("tokenizer.ggml.add_bos_token", false);
  EXPECT_TRUE(json_of(made).find("post_processor")->is_null());
  GgufTestFile other = byte_level();
  other.text("tokenizer.ggml.pre", "qwen2");
  EXPECT_TRUE(json_of(other).find("post_processor")->is_null());
  EXPECT_EQ(json_of(other).find("normalizer")->dump(), R"({"type": "NFC"})");
}

TEST(GgufTokenizer, TheClassOfGpt2NeedsItsToken) {
  GgufTestFile made = with_tokens("gpt2", {"a", "<|endoftext|>"}, {kNormal, kControl})
                          .texts("tokenizer.ggml.merges", {});
  made.text("tokenizer.ggml.pre", "gpt-2");
  EXPECT_EQ(json_of(made, "tokenizer_config.json").find("tokenizer_class")->as_string(),
            "GPT2Tokenizer");
}

TEST(GgufTokenizer, MergesAreCutAtTheFirstBlankBehindTheirStart) {
  GgufTestFile made = with_tokens("gpt2",
                                  {" ", "a", " a", "b c",
                                   "a"
                                   "b c"},
                                  {});
  made.text("tokenizer.ggml.pre", "gpt-2").texts("tokenizer.ggml.merges", {"  a", "a b c"});
  EXPECT_EQ(merges_of(made), " +a a+b c ");
}

TEST(GgufTokenizer, Gemma4MergesWithinLines) {
  GgufTestFile made = with_tokens("gemma4", {"<unk>", "<bos>", kBlank, "a", kBlank + "a", "  "},
                                  {kUnknown, kControl, kNormal, kNormal, kNormal, kUserDefined});
  made.texts("tokenizer.ggml.merges", {kBlank + " a"}).integer("tokenizer.ggml.bos_token_id", 1);
  made.integer("tokenizer.ggml.unknown_token_id", 0);
  const Json tokenizer = json_of(made);
  EXPECT_EQ(
      tokenizer.find("pre_tokenizer")->dump(),
      R"({"type": "Split", "pattern": {"Regex": "\\n+"}, "behavior": "Isolated", "invert": false})");
  EXPECT_EQ(tokenizer.find("normalizer")->find("type")->as_string(), "Replace");
  EXPECT_EQ(tokenizer.find("model")->find("unk_token")->as_string(), "<unk>");
  EXPECT_TRUE(tokenizer.find("model")->find("byte_fallback")->as_bool());
  EXPECT_EQ(tokenizer.find("model")->find("vocab")->find(kBlank + kBlank)->as_int(), 5);
  EXPECT_FALSE(tokenizer.find("post_processor")->is_null());
  EXPECT_EQ(merges_of(made), kBlank + "+a ");
}

TEST(GgufTokenizer, ChatTemplates) {
  const auto chat_template = [](const GgufTestFile& made) {
    const Json config = json_of(made, "tokenizer_config.json");
    return config.contains("chat_template") ? config.find("chat_template")->dump() : "absent";
  };
  EXPECT_EQ(chat_template(sentencepiece()), "absent");
  GgufTestFile one = sentencepiece();
  EXPECT_EQ(chat_template(one.text("tokenizer.chat_template", "{{ x }}")), "\"{{ x }}\"");
  one.text("tokenizer.chat_template.tool_use", "t").texts("tokenizer.chat_templates", {"tool_use"});
  EXPECT_EQ(chat_template(one), R"([{"name": "default", "template": "{{ x }}"}, )"
                                R"({"name": "tool_use", "template": "t"}])");
  GgufTestFile named = sentencepiece();
  EXPECT_EQ(chat_template(named.text("tokenizer.chat_template.rag", "r")),
            R"([{"name": "rag", "template": "r"}])");
}

struct Guess {
  std::string warning;
  Json pre_tokenizer;
};
Guess guess_of(std::string_view architecture, bool says_default) {
  GgufTestFile made(architecture);
  made.text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {"a"});
  made.texts("tokenizer.ggml.merges", {});
  if (says_default) made.text("tokenizer.ggml.pre", "default");
  testing::internal::CaptureStderr();
  const Json tokenizer = json_of(made);
  return {testing::internal::GetCapturedStderr(), *tokenizer.find("pre_tokenizer")};
}

TEST(GgufTokenizer, FilesWithoutAPreTokenizerAreGuessedWithAWarning) {
  for (const auto& [architecture, name] :
       {std::pair("qwen2", "qwen2"), std::pair("gptneox", "mpt"), std::pair("gpt2", "gpt-2"),
        std::pair("phi2", "gpt-2"), std::pair("starcoder2", "starcoder")}) {
    const Guess guess = guess_of(architecture, false);
    EXPECT_EQ(guess.pre_tokenizer, find_gguf_pre_tokenizer(name)->pre_tokenizer_json())
        << architecture;
    EXPECT_EQ(guess.warning,
              cat("warning: m.gguf: key tokenizer.ggml.pre: is absent, so how the original "
                  "tokenizer splits text into words is not known\n  ",
                  name,
                  " is assumed, which the architecture suggests; a newer file of the model says "
                  "it\n"));
  }
  const Guess guess = guess_of("llama", true);
  EXPECT_EQ(guess.pre_tokenizer, find_gguf_pre_tokenizer("default")->pre_tokenizer_json());
  EXPECT_HAS(guess.warning, "is default, so how");
  EXPECT_HAS(guess.warning, "a general rule is used, which may cost quality");
}

TEST(GgufTokenizer, Llama3IsGuessedByItsTokens) {
  std::vector<std::string> tokens;
  for (int i = 0; i < 128256; ++i) tokens.push_back(std::to_string(i));
  GgufTestFile made = with_tokens("gpt2", tokens, {}).texts("tokenizer.ggml.merges", {});
  testing::internal::CaptureStderr();
  EXPECT_TRUE(json_of(made).find("model")->find("ignore_merges")->as_bool());
  EXPECT_HAS(testing::internal::GetCapturedStderr(), "llama-bpe is assumed");
}

TEST(GgufTokenizer, AWholeTokenizerInTheFileIsPreferred) {
  GgufTestFile made = byte_level();
  made.text("tokenizer.huggingface.json", "{\"version\": 1}");
  EXPECT_EQ(text_of(made, "tokenizer.json"), "{\"version\": 1}");
  EXPECT_EQ(text_of(made, "vocab.json"), "absent");
  EXPECT_EQ(json_of(made, "tokenizer_config.json").find("bos_token")->as_string(), "<s>");
  GgufTestFile broken = byte_level();
  broken.text("tokenizer.huggingface.json", "{");
  EXPECT_HAS(error_of(broken), "m.gguf: key tokenizer.huggingface.json:1:2: is not valid JSON");
}

TEST(GgufTokenizer, WhatIsNotSupportedIsTakenFromBesideTheFile) {
  TemporaryDirectory directory;
  const std::string path = directory.file("m.gguf");
  const auto open = [&](const GgufTestFile& made) {
    EXPECT_TRUE(write_file(path, made.bytes()).ok());
    return gguf_tokenizer_files(GgufFile::open(path).value());
  };
  GgufTestFile bert = with_tokens("bert", {"a"}, {});
  GgufTestFile unknown = byte_level();
  unknown.text("tokenizer.ggml.pre", "kimi-k2");
  EXPECT_HAS(error_text(open(bert)), "unknown kind of tokenizer bert");
  ASSERT_TRUE(write_file(directory.file("tokenizer.json"), "{\"beside\": true}").ok());
  EXPECT_EQ(open(bert).value()[0].text, "{\"beside\": true}");
  EXPECT_EQ(open(unknown).value()[0].text, "{\"beside\": true}");
  EXPECT_FALSE(has_part(open(sentencepiece()).value()[0].text, "beside"));
  GgufTestFile none;  // a file without a vocabulary
  none.text("tokenizer.ggml.model", "none").integer("tokenizer.ggml.bos_token_id", 1);
  const std::vector<NamedText> files = open(none).value();
  EXPECT_EQ(files[0].text, "{\"beside\": true}");
  EXPECT_TRUE(parse_json(files[1].text, "config").value().find("bos_token")->is_null());
  ASSERT_TRUE(write_file(directory.file("tokenizer.json"), "{").ok());
  EXPECT_HAS(error_text(open(bert)), directory.file("tokenizer.json"));
}

TEST(GgufTokenizer, AWholeTokenizerNeedsNoDistinctTokens) {
  GgufTestFile made = with_tokens("gpt2", {"a", "a"}, {});
  made.text("tokenizer.huggingface.json", "{}").integer("tokenizer.ggml.bos_token_id", 1);
  EXPECT_EQ(text_of(made, "tokenizer.json"), "{}");
  EXPECT_EQ(json_of(made, "tokenizer_config.json").find("bos_token")->as_string(), "a");
}

TEST(GgufTokenizer, OtherKindsAreRefused) {
  for (const std::string kind : {"bert", "t5", "rwkv", "plamo2", "none"}) {
    EXPECT_EQ(error_of(with_tokens(kind, {"a"}, {})),
              cat("error: m.gguf: key tokenizer.ggml.model: unknown kind of tokenizer ", kind,
                  "\n  expected one of llama, gpt2, gemma4\n",
                  "  put the tokenizer.json of the original model beside the file"));
  }
  GgufTestFile none;
  EXPECT_EQ(error_of(none),
            "error: m.gguf: has no tokenizer: the key tokenizer.ggml.model is absent\n"
            "  take the tokenizer's files from the folder of the original model");
}

TEST(GgufTokenizer, UnknownPreTokenizersAreRefusedWithTheKnownOnes) {
  GgufTestFile made = byte_level();
  made.text("tokenizer.ggml.pre", "qwen3");
  const std::string error = error_of(made);
  EXPECT_HAS(error,
             "key tokenizer.ggml.pre: unknown pre-tokenizer qwen3\n  expected one of llama-bpe, ");
  EXPECT_HAS(error, "deepseek-v3");
  EXPECT_HAS(error,
             "did you mean qwen2 or qwen35?; else put the tokenizer.json of the original model");
  GgufTestFile far = byte_level();
  far.text("tokenizer.ggml.pre", "superbpe-and-more");
  EXPECT_HAS(error_of(far), "\n  put the tokenizer.json of the original model beside the file");
}

TEST(GgufTokenizer, BrokenListsAreRefused) {
  GgufTestFile no_tokens;
  no_tokens.text("tokenizer.ggml.model", "llama");
  EXPECT_HAS(error_of(no_tokens), "lacks the key tokenizer.ggml.tokens");
  EXPECT_HAS(error_of(with_tokens("llama", {"a", "b"}, {kNormal})),
             "key tokenizer.ggml.token_type: has 1 elements\n  expected 2, one for each token");
  GgufTestFile scores = with_tokens("llama", {"a", "b"}, {});
  scores.reals("tokenizer.ggml.scores", {0});
  EXPECT_HAS(error_of(scores), "key tokenizer.ggml.scores: has 1 elements\n  expected 2");
  EXPECT_HAS(
      error_of(with_tokens("llama", {"a", "b", "a"}, {})),
      "key tokenizer.ggml.tokens: tokens 0 and 2 are both \"a\"\n  expected every token once");
  EXPECT_HAS(error_of(with_tokens("llama", {"a", "b\xff"}, {})), "token 1 is no UTF-8: b\\xff");
  EXPECT_HAS(error_of(with_tokens("llama", {std::string(513, 'a')}, {})),
             "token 0 has 513 bytes\n  expected at most 512");
  GgufTestFile no_merges = with_tokens("gpt2", {"a"}, {});
  no_merges.text("tokenizer.ggml.pre", "gpt-2");
  EXPECT_HAS(error_of(no_merges), "lacks the key tokenizer.ggml.merges");
  for (const std::string merge : {"ab", "a c", "b a", "", " "}) {
    GgufTestFile made = byte_level();
    made.text("tokenizer.ggml.pre", "gpt-2").text("x", "");
    GgufTestFile broken = with_tokens("gpt2", {"a", "b", "ab", ""}, {});
    broken.text("tokenizer.ggml.pre", "gpt-2").texts("tokenizer.ggml.merges", {"a b", merge});
    EXPECT_HAS(error_of(broken), cat("key tokenizer.ggml.merges: merge 1 is \"", merge, "\"\n",
                                     "  expected two tokens with a blank between them"));
  }
}

TEST(GgufTokenizer, EmptyTokensGetAName) {
  GgufTestFile made = with_tokens("llama", {"a", "", ""}, {});
  EXPECT_EQ(json_of(made).find("model")->find("vocab")->dump(),
            R"({"a": 0, "[EMPTY_1]": 1, "[EMPTY_2]": 2})");
}

// -------------------------------------------------------------------------------------
// pre-tokenizers

std::string steps_of(std::string_view name) {
  const GgufPreTokenizer* known = find_gguf_pre_tokenizer(name);
  return known == nullptr ? "unknown" : known->pre_tokenizer_json().dump(-1, false);
}
std::string split_step(std::string_view expression) {
  return Json(Json::Object{{"type", "Split"},
                           {"pattern", Json::Object{{"Regex", expression}}},
                           {"behavior", "Isolated"},
                           {"invert", false}})
      .dump(-1, false);
}
std::string sequence(const std::vector<std::string>& steps) {
  return cat(R"({"type": "Sequence", "pretokenizers": [)", join(steps, ", "), "]}");
}
const std::string kBytes =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})";
const std::string kGpt2 =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

// Whole expressions as the tokenizer.json files of the models have them.
TEST(GgufPreTokenizers, SplitAsTheOriginalsDo) {
  EXPECT_EQ(
      steps_of("llama-bpe"),
      sequence({split_step(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                           R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
                kBytes}));
  EXPECT_EQ(steps_of("qwen2"),
            sequence({split_step(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
                                 R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
                      kBytes}));
  EXPECT_EQ(
      steps_of("gpt-4o"),
      sequence(
          {split_step(
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
               R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
               R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)"
               R"(\s*[\r\n]+|\s+(?!\S)|\s+)"),
           kBytes}));
  EXPECT_EQ(
      steps_of("tekken"),
      sequence(
          {split_step(
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
               R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
               R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"),
           kBytes}));
  EXPECT_EQ(steps_of("gpt-2"), kGpt2);
  EXPECT_EQ(steps_of("mpt"), kGpt2);
  EXPECT_EQ(steps_of("starcoder"),
            sequence({R"({"type": "Digits", "individual_digits": true})", kGpt2}));
  EXPECT_EQ(steps_of("falcon"),
            sequence({R"({"type": "Punctuation", "behavior": "Contiguous"})", kGpt2,
                      R"({"type": "Digits", "individual_digits": false})",
                      split_step("[0-9][0-9][0-9]")}));
  EXPECT_EQ(
      steps_of("deepseek-v3"),
      sequence({split_step(R"(\p{N}{1,3})"),
                split_step("[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"),
                split_step(R"re([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|)re"
                           R"re([^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)re"
                           R"re(\s*[\r\n]+|\s+(?!\S)|\s+)re"),
                kBytes}));
  EXPECT_EQ(steps_of("viking"),
            sequence({split_step(" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"),
                      R"({"type": "Digits", "individual_digits": true})", kBytes}));
  EXPECT_EQ(
      steps_of("jais-2"),
      sequence({split_step(R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                           R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|)"
                           R"(\s{128}(?!\S)|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|)"
                           R"(\s{4}(?!\S)|\s{1,2}(?!\S)|\s)"),
                kBytes}));
  EXPECT_EQ(steps_of("kimi-k2"), "unknown");
}

TEST(GgufPreTokenizers, OptionsGoWithTheNames) {
  struct Options {
    bool nfc, ignore_merges, adds_bos;
    bool operator==(const Options&) const = default;
  };
  const auto options = [](std::string_view name) {
    const GgufPreTokenizer& known = *find_gguf_pre_tokenizer(name);
    return Options{known.nfc, known.ignore_merges, known.adds_bos};
  };
  for (const char* name : {"llama-bpe", "llama3", "falcon3", "pixtral", "lfm2", "tekken"}) {
    EXPECT_EQ(options(name), (Options{false, true, true})) << name;
  }
  for (const char* name : {"glm4", "gpt-4o", "llama4", "kanana2", "minimax-m2"}) {
    EXPECT_EQ(options(name), (Options{false, true, false})) << name;
  }
  for (const char* name :
       {"qwen2", "deepseek-r1-qwen", "stablelm2", "qwen35", "mpt", "olmo", "command-r"}) {
    EXPECT_EQ(options(name), (Options{true, false, false})) << name;
  }
  for (const char* name :
       {"dbrx", "chatglm-bpe", "hunyuan", "gpt-2", "jais", "smollm", "deepseek-llm",
        "deepseek-coder", "bloom", "bailingmoe", "seed-coder", "default"}) {
    EXPECT_EQ(options(name), (Options{false, false, false})) << name;
  }
  EXPECT_EQ(gguf_pre_tokenizer_names().size(), 61u);
}

}  // namespace
}  // namespace mlc::formats
