// SPDX-License-Identifier: Apache-2.0
// The parts of a tokenizer.json and the other files against
// tests/fixtures/tokenizers/components.json: what the tokenizers package, sentencepiece and
// tiktoken make of the same inputs.
#include <gtest/gtest.h>

#include <algorithm>

#include "support/json.h"
#include "support/testing.h"
#include "tokenizers/formats.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/test_helpers.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {
namespace {

const Json& fixture() {
  static const Json json =
      read_json_file(source_path("tests/fixtures/tokenizers/components.json")).value();
  return json;
}

std::unique_ptr<Tokenizer> from_json(const Json& json) {
  auto tokenizer = tokenizer_from_json(json, "fixture");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

// A tokenizer that shows its words: each character becomes its bytes, behind "##" unless it begins
// a word.
Json word_probe(const Json& normalizer, const Json& pre_tokenizer) {
  Json vocabulary = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string digits = hex(static_cast<uint64_t>(byte), 2);
    for (char& c : digits) c = static_cast<char>(c >= 'a' ? c - 32 : c);
    vocabulary.set(cat("<0x", digits, ">"), byte);
  }
  return Json::Object{{"added_tokens", Json::array()},
                      {"normalizer", normalizer},
                      {"pre_tokenizer", pre_tokenizer},
                      {"post_processor", Json()},
                      {"decoder", Json()},
                      {"model", Json::Object{{"type", "BPE"},
                                             {"byte_fallback", true},
                                             {"continuing_subword_prefix", "##"},
                                             {"vocab", vocabulary},
                                             {"merges", Json::array()}}}};
}

std::string probed(const std::vector<std::string>& words) {
  std::string bytes;
  for (const std::string& word : words) {
    for (size_t i = 0; i < word.size(); ++i) {
      const bool begins_character = (static_cast<unsigned char>(word[i]) & 0xc0) != 0x80;
      if (begins_character && i > 0) bytes += "##";
      bytes += word[i];
    }
  }
  return bytes;
}

TEST(Components, NormalizersAndPreTokenizersMakeTheWordsOfTheReference) {
  const Json::Array& all = fixture().find("words")->as_array();
  EXPECT_GT(all.size(), 35u);
  for (const Json& one : all) {
    const auto tokenizer =
        from_json(word_probe(*one.find("normalizer"), *one.find("pre_tokenizer")));
    ASSERT_NE(tokenizer, nullptr);
    for (const Json& pair : one.find("cases")->as_array()) {
      std::vector<std::string> words;
      for (const Json& word : pair.as_array()[1].as_array()) words.push_back(word.as_string());
      std::string bytes;
      for (const int32_t id : tokenizer->encode(pair.as_array()[0].as_string()))
        bytes += static_cast<char>(id);
      EXPECT_EQ(bytes, probed(words))
          << one.find("normalizer")->dump() << one.find("pre_tokenizer")->dump();
    }
  }
}

TEST(Components, DecodersMakeTheTextOfTheReference) {
  for (const Json& one : fixture().find("decoders")->as_array()) {
    for (const Json& pair : one.find("cases")->as_array()) {
      Json vocabulary = Json::object();
      std::vector<int32_t> ids;
      for (const Json& token : pair.as_array()[0].as_array()) {
        if (!vocabulary.contains(token.as_string())) {
          vocabulary.set(token.as_string(), static_cast<int64_t>(vocabulary.as_object().size()));
        }
        ids.push_back(static_cast<int32_t>(vocabulary.find(token.as_string())->as_int()));
      }
      vocabulary.set("[UNK]", 100);
      const auto tokenizer = from_json(Json::Object{
          {"decoder", *one.find("decoder")},
          {"model",
           Json::Object{{"type", "WordLevel"}, {"unk_token", "[UNK]"}, {"vocab", vocabulary}}}});
      ASSERT_NE(tokenizer, nullptr);
      EXPECT_EQ(tokenizer->decode(ids), pair.as_array()[1].as_string())
          << one.find("decoder")->dump();
    }
  }
}

TEST(Components, WholeTokenizersEncodeAndDecodeLikeTheReference) {
  for (const Json& one : fixture().find("tokenizers")->as_array()) {
    const std::string& name = one.find("name")->as_string();
    const auto tokenizer = from_json(*one.find("tokenizer"));
    ASSERT_NE(tokenizer, nullptr) << name;
    for (const Json& expected : one.find("cases")->as_array()) {
      const std::string& text = expected.find("text")->as_string();
      const std::vector<int32_t> ids = ids_of(*expected.find("ids"));
      EXPECT_EQ(tokenizer->encode(text), ids) << name << ": " << text;
      EXPECT_EQ(tokenizer->encode(text, {.add_special = true}),
                ids_of(*expected.find("with_special")))
          << name;
      EXPECT_EQ(tokenizer->decode(ids, {.skip_special = true}),
                expected.find("decode")->as_string())
          << name;
      EXPECT_EQ(tokenizer->decode(ids), expected.find("decode_raw")->as_string()) << name;
      EXPECT_EQ(streamed(*tokenizer, ids), expected.find("decode_raw")->as_string()) << name;
      EXPECT_EQ(streamed(*tokenizer, ids, {.skip_special = true}),
                expected.find("decode")->as_string())
          << name;
    }
  }
}

// The order of the keys in the file must not matter, though it decides how the file is read.
TEST(Components, KeysMayComeInAnyOrder) {
  for (const Json& one : fixture().find("tokenizers")->as_array()) {
    Json json = *one.find("tokenizer");
    std::reverse(json.find("model")->as_object().begin(), json.find("model")->as_object().end());
    std::reverse(json.as_object().begin(), json.as_object().end());
    const auto tokenizer = from_json(json);
    ASSERT_NE(tokenizer, nullptr);
    for (const Json& expected : one.find("cases")->as_array()) {
      EXPECT_EQ(tokenizer->encode(expected.find("text")->as_string()),
                ids_of(*expected.find("ids")))
          << one.find("name")->as_string();
    }
  }
}

TEST(Components, SentencePieceModelsEncodeAndDecodeLikeTheReference) {
  for (const Json& one : fixture().find("sentencepiece")->as_array()) {
    const std::string& name = one.find("name")->as_string();
    const std::string model = decode_base64(one.find("model")->as_string(), "fixture").value();
    const auto tokenizer = tokenizer_from_sentencepiece(model, name);
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
    for (const Json& expected : one.find("cases")->as_array()) {
      const std::string& text = expected.as_array()[0].as_string();
      const std::vector<int32_t> ids = ids_of(expected.as_array()[1]);
      EXPECT_EQ(tokenizer.value()->encode(text), ids) << name << ": " << text;
      EXPECT_EQ(tokenizer.value()->decode(ids), expected.as_array()[2].as_string()) << name;
      EXPECT_EQ(streamed(*tokenizer.value(), ids), expected.as_array()[2].as_string()) << name;
    }
  }
}

TEST(Components, TiktokenFilesEncodeLikeTheReference) {
  const Json& one = *fixture().find("tiktoken");
  const auto tokenizer = tokenizer_from_tiktoken(one.find("text")->as_string(), "fixture");
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  for (const Json& expected : one.find("cases")->as_array()) {
    const std::string& text = expected.as_array()[0].as_string();
    const std::vector<int32_t> ids = ids_of(expected.as_array()[1]);
    EXPECT_EQ(tokenizer.value()->encode(text), ids) << text;
    EXPECT_EQ(tokenizer.value()->decode(ids), text);
  }
}

}  // namespace
}  // namespace mlc::tokenizers
