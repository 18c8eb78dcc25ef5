// SPDX-License-Identifier: Apache-2.0
// The tokenizers of ../shared/conformance/tokenizers against the ids and texts of the reference
// implementations.
#include <gtest/gtest.h>

#include "support/json.h"
#include "support/testing.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/test_helpers.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {
namespace {

std::string text_or(const Json& object, std::string_view key, const std::string& fallback) {
  const Json* const text = object.find(key);
  return text == nullptr ? fallback : text->as_string();
}

void expect_encoded(const Tokenizer& tokenizer, const Json& expected, const std::string& text) {
  const std::vector<int32_t> ids = ids_of(*expected.find("ids"));
  EXPECT_EQ(tokenizer.encode(text), ids) << text;
  if (const Json* const special = expected.find("with_special");
      special != nullptr && special->is_object()) {
    std::vector<int32_t> with_special = ids_of(*special->find("before"));
    with_special.insert(with_special.end(), ids.begin(), ids.end());
    const std::vector<int32_t> after = ids_of(*special->find("after"));
    with_special.insert(with_special.end(), after.begin(), after.end());
    EXPECT_EQ(tokenizer.encode(text, {.add_special = true}), with_special) << text;
  }
  const std::string decoded = text_or(expected, "decode", text);
  EXPECT_EQ(tokenizer.decode(ids, {.skip_special = true}), decoded);
  EXPECT_EQ(tokenizer.decode(ids), text_or(expected, "decode_raw", decoded));
  EXPECT_EQ(streamed(tokenizer, ids), text_or(expected, "decode_raw", decoded));
}

void expect_streamed(const Tokenizer& tokenizer, const Json& expected) {
  StreamDecoder decoder(tokenizer);
  const Json::Array& pieces = expected.find("stream")->as_array();
  const std::vector<int32_t> ids = ids_of(*expected.find("ids"));
  ASSERT_EQ(ids.size(), pieces.size());
  for (size_t i = 0; i < ids.size(); ++i)
    EXPECT_EQ(decoder.put(ids[i]), pieces[i].as_string()) << "piece " << i;
  EXPECT_EQ(decoder.finish(), "");
}

class Conformance : public testing::TestWithParam<const char*> {};

TEST_P(Conformance, GivesTheReferencesIdsAndTexts) {
  MLC_NEEDS_SHARED();
  const std::string folder = path_join(shared_path("conformance/tokenizers"), GetParam());
  const auto loaded = load_tokenizer(folder);
  ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
  const Tokenizer& tokenizer = *loaded.value();
  const Json cases = read_json_file(path_join(folder, "cases.json")).value();
  const Json strings = read_json_file(path_join(folder, "../strings.json")).value();
  const Json::Array& encode = cases.find("encode")->as_array();
  ASSERT_EQ(encode.size(), strings.as_array().size());
  size_t streams = 0;
  for (size_t i = 0; i < encode.size(); ++i) {
    expect_encoded(tokenizer, encode[i], strings.as_array()[i].as_string());
    if (!encode[i].contains("stream")) continue;
    expect_streamed(tokenizer, encode[i]);
    ++streams;
  }
  const Json* const decode = cases.find("decode");
  if (decode == nullptr) return;  // sentencepiece's cases have encodings only
  EXPECT_GT(streams, 0u);
  for (const Json& one : decode->as_array()) {
    const std::vector<int32_t> ids = ids_of(*one.find("ids"));
    EXPECT_EQ(tokenizer.decode(ids, {.skip_special = true}), one.find("decode")->as_string());
    EXPECT_EQ(tokenizer.decode(ids), one.find("decode_raw")->as_string());
  }
  for (const Json& one : cases.find("invalid_utf8")->as_array()) {
    const std::string bytes = decode_base64(one.find("bytes_base64")->as_string(), "test").value();
    EXPECT_EQ(tokenizer.encode(bytes), ids_of(*one.find("ids"))) << escape_invalid_utf8(bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Tiny, Conformance,
                         testing::Values("tiny_bpe_bytelevel", "tiny_bpe_bytelevel_split",
                                         "tiny_bpe_digits_nfc", "tiny_bpe_bytefallback",
                                         "tiny_bpe_metaspace", "tiny_unigram", "tiny_wordpiece",
                                         "tiny_sp_bpe", "tiny_sp_unigram"));

}  // namespace
}  // namespace mlc::tokenizers
