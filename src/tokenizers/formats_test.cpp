// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/formats.h"

#include <gtest/gtest.h>

#include "support/testing.h"

namespace mlc::tokenizers {
namespace {

using Loaded = Result<std::unique_ptr<Tokenizer>>;

std::string error_of(const Loaded& loaded) {
  return loaded.ok() ? "no error" : loaded.error().to_string();
}

constexpr std::string_view kRwkv =
    "1 '\\x00' 1\n2 'a' 1\n300 'ab' 2\n70000 b'\\xe4\\xbd' 2\n4 b\"\\xa0\" 1\n"
    "5 '\\u00e9' 2\n6 \"'\" 1\n7 '\\n\\t\\\\' 3\n8 ' ' 1\r\n9 'ü' 2\n";

TEST(Rwkv, TakesTheLongestTokenAgainAndAgain) {
  const Result<std::string> packed = pack_rwkv_vocabulary(kRwkv, "vocab.txt");
  ASSERT_TRUE(packed.ok()) << packed.error().to_string();
  const Loaded loaded = tokenizer_from_rwkv(packed.value(), "tokenizer_model");
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  const Tokenizer& tokenizer = *loaded.value();
  EXPECT_EQ(tokenizer.encode("aaba 你\n\t\\'"),
            (std::vector<int32_t>{2, 300, 2, 8, 70000, 4, 7, 6}));
  EXPECT_EQ(tokenizer.encode("éü"), (std::vector<int32_t>{5, 9}));
  EXPECT_EQ(tokenizer.decode(std::vector<int32_t>{300, 70000, 4, 5}), "ab你é");
  EXPECT_EQ(tokenizer.vocab_size(), 10);
  EXPECT_EQ(tokenizer.token_bytes(70000), "\xe4\xbd");
}

TEST(Rwkv, PacksAsPythonsMsgpackDoes) {
  EXPECT_EQ(pack_rwkv_vocabulary("1 'a' 1\n200 'b' 1\n70000 b'\\xff\\x00' 2\n", "v").value(),
            std::string("\x83\x01\xc4\x01"
                        "a\xcc\xc8\xc4\x01"
                        "b\xce\x00\x01\x11\x70\xc4\x02\xff\x00",
                        19));
  EXPECT_EQ(pack_rwkv_json(Json::Object{{"é", 300}}, "v").value(), "\x81\xcd\x01\x2c\xc4\x02é");
  std::string many;
  for (int i = 0; i < 20; ++i) many += cat(i, " 'x' 1\n");
  EXPECT_TRUE(pack_rwkv_vocabulary(many, "v").value().starts_with(std::string("\xde\x00\x14", 3)));
}

TEST(Rwkv, RefusesLinesItDoesNotUnderstand) {
  for (const char* const line : {"x 'a' 1", "1 a 1", "1 'a' 2", "1 'a'", "1 'a 1", "1 '\\q' 2",
                                 "-1 'a' 1", "1 '\\x1' 1", "1 '\\U00110000' 4", "99999999 'a' 1"}) {
    const Result<std::string> packed =
        pack_rwkv_vocabulary(cat("1 'a' 1\n", line, "\n"), "vocab.txt");
    ASSERT_FALSE(packed.ok()) << line;
    EXPECT_EQ(packed.error().to_string(),
              cat("error: vocab.txt:2: is ", line,
                  "\n  expected an id, a Python text or bytes literal, and its length in bytes"));
  }
  EXPECT_EQ(pack_rwkv_json(Json::Object{{"a", -1}}, "v").error().to_string(),
            "error: v: token \"a\" has the id -1\n  expected an integer from 0 to 8388607");
  EXPECT_EQ(pack_rwkv_json(Json::array(), "v").error().to_string(),
            "error: v: is a list\n  expected {token: id}");
}

TEST(Rwkv, RefusesDamagedPackedFiles) {
  const std::string packed = pack_rwkv_vocabulary(kRwkv, "v").value();
  for (size_t size = 0; size < packed.size(); ++size) {
    EXPECT_FALSE(tokenizer_from_rwkv(packed.substr(0, size), "tokenizer_model").ok()) << size;
  }
  EXPECT_EQ(error_of(tokenizer_from_rwkv("\x81\x01\x02", "tokenizer_model")),
            "error: tokenizer_model: is no packed RWKV vocabulary: byte 3 can't be read\n  "
            "expected a MessagePack map of "
            "token ids to bytes");
  EXPECT_FALSE(tokenizer_from_rwkv(packed + "x", "tokenizer_model").ok());
}

TEST(Tiktoken, RefusesLinesItDoesNotUnderstand) {
  EXPECT_EQ(error_of(tokenizer_from_tiktoken("YQ== 0\nYg==\n", "t.tiktoken")),
            "error: t.tiktoken:2: is Yg==\n  expected a token in base64 and its rank");
  EXPECT_EQ(error_of(tokenizer_from_tiktoken("Y*== 0\n", "t.tiktoken")),
            "error: t.tiktoken:1: is no base64: has the character '*'\n  expected letters, digits, "
            "+, / and =");
  EXPECT_EQ(error_of(tokenizer_from_tiktoken("\n", "t.tiktoken")),
            "error: t.tiktoken: has no tokens\n  expected lines of a token in base64 and its rank");
}

TEST(VocabularyFiles, MakeAByteLevelTokenizerWithItsAddedTokens) {
  const Loaded loaded = tokenizer_from_vocabulary_files(
      {.vocabulary = R"({"l": 0, "o": 1, "lo": 2, "Ġ": 3, "Ġlo": 4})",
       .merges = "#version: 0.2\nl o\nĠ lo\n",
       .added_tokens = R"({"<|end|>": 7})"},
      "folder");
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  EXPECT_EQ(loaded.value()->encode("lo lo<|end|>"), (std::vector<int32_t>{2, 4, 7}));
  EXPECT_EQ(loaded.value()->decode(std::vector<int32_t>{2, 4, 7}, {.skip_special = true}), "lo lo");
}

TEST(VocabularyFiles, NameTheFileAndTheLine) {
  EXPECT_EQ(error_of(tokenizer_from_vocabulary_files({"{\"l\": 0}", "l\n", "{}"}, "folder")),
            "error: folder/merges.txt:1: is l\n  expected two tokens with a blank between them");
  EXPECT_EQ(error_of(tokenizer_from_vocabulary_files({"{\"l\": 0}", "l l\n", "{}"}, "folder")),
            "error: folder/merges.txt: the merge \"l l\" names a token that is not in the "
            "vocabulary\n  expected merges of "
            "tokens into tokens\n  the file is damaged or was edited: get it again");
  EXPECT_EQ(
      error_of(tokenizer_from_vocabulary_files({"{\"l\": -4}", "", "{}"}, "folder")),
      "error: folder/vocab.json: token \"l\" has the id -4\n  expected ids from 0 to 8388607");
  EXPECT_EQ(error_of(tokenizer_from_vocabulary_files({"[]", "", "{}"}, "folder")),
            "error: folder/vocab.json:1:1: is a list\n  expected an object");
}

// Field 1 (pieces) of a ModelProto: text, score 0, type.
std::string piece(std::string_view text, char type) {
  const std::string body = cat("\x0a", static_cast<char>(text.size()), text, "\x18", type);
  return cat("\x0a", static_cast<char>(body.size()), body);
}

TEST(SentencePiece, RefusesDamagedModels) {
  const auto error = [](std::string_view model) {
    return error_of(tokenizer_from_sentencepiece(model, "m.model"));
  };
  const std::string end =
      "\n  expected a tokenizer.model\n  the file is damaged, or is of another kind: get it again";
  EXPECT_EQ(error("{\"a\": 1}"),
            "error: m.model: is no sentencepiece model: its fields can't be read" + end);
  EXPECT_EQ(error(""), "error: m.model: is no sentencepiece model: it has no pieces" + end);
  EXPECT_EQ(error(piece("a", 1)),
            "error: m.model: is no sentencepiece model: it has no unknown piece" + end);
  EXPECT_EQ(error(piece("u", 2) + piece("v", 2)),
            "error: m.model: is no sentencepiece model: it has two unknown pieces" + end);
  EXPECT_EQ(error(piece("u", 2) + piece("u", 1)),
            "error: m.model: is no sentencepiece model: it has two pieces of the same text" + end);
  EXPECT_EQ(error(piece("u", 9)),
            "error: m.model: is no sentencepiece model: piece 0 has the type 9" + end);
  EXPECT_EQ(error(piece("", 1)),
            "error: m.model: is no sentencepiece model: piece 0 can't be read" + end);
  EXPECT_EQ(error(piece("\xff", 1)),
            "error: m.model: is no sentencepiece model: piece 0 is no UTF-8" + end);
  EXPECT_EQ(error(piece("u", 2) + "\x12\x02\x18\x03"),
            "error: m.model: has the model type 3\n  expected 1 (Unigram) or 2 (BPE)");
  EXPECT_EQ(error(piece("u", 2) + "\x2a\x03\x12\x01x"),
            "error: m.model: has a denormalizer_spec with a charsmap, which is not supported");
  EXPECT_EQ(error(piece("u", 2) + "\x1a\x04\x12\x02xy"),
            "error: m.model: precompiled charsmap of 2 bytes states a trie of 0 bytes\n  expected "
            "a trie that fits, in "
            "units of 4 bytes\n  the file is damaged: get it again");
  EXPECT_EQ(error_of(tokenizer_from_sentencepiece(piece("u", 2), "m.model")), "no error");
}

TEST(LoadTokenizer, TakesTheFirstOfTheFilesThatAFolderHas) {
  TemporaryDirectory folder;
  EXPECT_EQ(error_of(load_tokenizer(folder.path())),
            cat("error: ", folder.path(),
                ": has no tokenizer\n  expected tokenizer.json, tokenizer.model, vocab.json with "
                "merges.txt and "
                "added_tokens.json, or tokenizer_model\n  copy the tokenizer's files from the "
                "model's folder"));
  const auto size = [&] {
    const Loaded loaded = load_tokenizer(folder.path());
    EXPECT_TRUE(loaded.ok()) << loaded.error().to_string();
    return loaded.ok() ? loaded.value()->vocab_size() : -1;
  };
  ASSERT_TRUE(
      write_file(folder.file("tokenizer_model"), pack_rwkv_vocabulary("1 'a' 1\n", "v").value())
          .ok());
  EXPECT_EQ(size(), 1);
  ASSERT_TRUE(write_file(folder.file("vocab.json"), "{\"a\": 0, \"b\": 1}").ok());
  ASSERT_TRUE(write_file(folder.file("merges.txt"), "").ok());
  EXPECT_EQ(size(), 1);  // not without added_tokens.json
  ASSERT_TRUE(write_file(folder.file("added_tokens.json"), "{}").ok());
  EXPECT_EQ(size(), 2);
  ASSERT_TRUE(
      write_file(folder.file("tokenizer.model"), piece("u", 2) + piece("a", 1) + piece("b", 1))
          .ok());
  EXPECT_EQ(size(), 3);
  ASSERT_TRUE(
      write_file(
          folder.file("tokenizer.json"),
          R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "c": 2, "d": 3}, "merges": []}})")
          .ok());
  EXPECT_EQ(size(), 4);
}

TEST(LoadTokenizer, TakesSingleFilesByTheirNames) {
  TemporaryDirectory folder;
  ASSERT_TRUE(write_file(folder.file("rwkv_vocab_v20230424.txt"), "1 'a' 1\n2 'b' 1\n").ok());
  ASSERT_TRUE(write_file(folder.file("rwkv_vocab_v20220707.json"), "{\"a\": 1}").ok());
  ASSERT_TRUE(write_file(folder.file("qwen.tiktoken"), "YQ== 0\nYg== 1\nYWI= 2\n").ok());
  EXPECT_EQ(load_tokenizer(folder.file("rwkv_vocab_v20230424.txt")).value()->vocab_size(), 2);
  EXPECT_EQ(load_tokenizer(folder.file("rwkv_vocab_v20220707.json")).value()->vocab_size(), 1);
  EXPECT_EQ(load_tokenizer(folder.file("qwen.tiktoken")).value()->encode("abb"),
            (std::vector<int32_t>{2, 1}));
  EXPECT_FALSE(load_tokenizer(folder.file("absent.json")).ok());
}

}  // namespace
}  // namespace mlc::tokenizers
