// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "support/testing.h"
#include "tokenizers/formats.h"

namespace mlc::tokenizers {
namespace {

std::unique_ptr<Tokenizer> load_text(std::string_view text) {
  auto tokenizer = tokenizer_from_json_text(text, "t.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.error().to_string();
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

std::string error_of(std::string_view text) {
  const auto tokenizer = tokenizer_from_json_text(text, "t.json");
  return tokenizer.ok() ? "no error" : tokenizer.error().to_string();
}

std::string with_model(std::string_view fields) { return cat("{\"model\": {", fields, "}}"); }

// Byte-level, with a token for each of a few bytes.
constexpr std::string_view kByteLevel = R"({
  "added_tokens": [{"id": 9, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": true}],
  "normalizer": null,
  "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
  "decoder": {"type": "ByteLevel"},
  "model": {"type": "BPE", "vocab": {"l": 0, "o": 1, "Ġ": 2, "lo": 3, "Ġlo": 4, "ä": 5, "½": 6, "ł": 7, "Ġl": 8},
            "merges": ["l o", ["Ġ", "lo"], "Ġ l"]}})";

TEST(Tokenizer, KnowsItsTokensByTextAndById) {
  const auto tokenizer = load_text(kByteLevel);
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->vocab_size(), 10);
  EXPECT_EQ(tokenizer->max_id(), 9);
  EXPECT_EQ(tokenizer->token_id("Ġlo"), 4);
  EXPECT_EQ(tokenizer->token_id("<s>"), 9);
  EXPECT_EQ(tokenizer->token_id(" lo"), std::nullopt);
  EXPECT_EQ(tokenizer->token_text(4), "Ġlo");
  EXPECT_EQ(tokenizer->token_text(9), "<s>");
  EXPECT_EQ(tokenizer->token_text(10), std::nullopt);
  EXPECT_EQ(tokenizer->token_text(-1), std::nullopt);
  EXPECT_EQ(tokenizer->token_bytes(4), " lo");
  EXPECT_EQ(tokenizer->token_bytes(5), "\xe4");
  EXPECT_EQ(tokenizer->token_bytes(9), "<s>");
  EXPECT_EQ(tokenizer->token_bytes(12), "");
  EXPECT_TRUE(tokenizer->is_special(9));
  EXPECT_FALSE(tokenizer->is_special(4));
  EXPECT_FALSE(tokenizer->is_special(-1));
  EXPECT_FALSE(tokenizer->is_special(1000));
}

// serde_json reads the first score a bit lower than the second one, which is the same number, and
// so two tokens are the better way.
TEST(Tokenizer, ReadsScoresAsTheReferenceDoes) {
  const auto tokenizer = load_text(with_model(
      R"("type": "Unigram", "unk_id": 0, "vocab": [["?", -20], ["a", 0.0], ["b", -9.4969496735219590], ["ab", -9.496949673521959]])"));
  ASSERT_NE(tokenizer, nullptr);
  EXPECT_EQ(tokenizer->encode("ab"), (std::vector<int32_t>{1, 2}));
}

TEST(Tokenizer, LeavesOutIdsThatNoTokenHas) {
  const auto tokenizer = load_text(kByteLevel);
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>{0, 500, -3, 1}), "lo");
}

TEST(Tokenizer, KeepsHalfACharacterBackWhileStreaming) {
  const auto tokenizer = load_text(kByteLevel);
  StreamDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.put(3), "lo");
  EXPECT_EQ(decoder.put(5), "");
  EXPECT_EQ(decoder.put(6), "");
  EXPECT_EQ(decoder.put(7), "\xe4\xbd\xa0");
  EXPECT_EQ(decoder.put(5), "");
  EXPECT_EQ(decoder.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(decoder.put(4), " lo");  // as new
  EXPECT_EQ(decoder.finish(), "");
}

TEST(Tokenizer, SkipsSpecialTokensOnlyWhenAsked) {
  const auto tokenizer = load_text(kByteLevel);
  const std::vector<int32_t> ids = tokenizer->encode("lo<s>lo");
  EXPECT_EQ(ids, (std::vector<int32_t>{3, 9, 3}));
  EXPECT_EQ(tokenizer->decode(ids), "lo<s>lo");
  EXPECT_EQ(tokenizer->decode(ids, {.skip_special = true}), "lolo");
}

TEST(Tokenizer, TreatsBytesThatAreNoTextAsReplacementCharacters) {
  const auto tokenizer =
      load_text(R"({"model": {"type": "BPE", "vocab": {"a": 0, "�": 1}, "merges": []}})");
  EXPECT_EQ(tokenizer->encode("a\xff\xfe"
                              "a"),
            (std::vector<int32_t>{0, 1, 1, 0}));
  EXPECT_EQ(tokenizer->encode("\xe4\xbd"
                              "a"),
            (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(tokenizer->encode("\xed\xa0\x80"), (std::vector<int32_t>{1, 1, 1}));
}

// With a quadratic algorithm each of these takes minutes.
TEST(Tokenizer, EncodesAMegabyteWithoutBlanksInLinearTime) {
  const auto tokenizer =
      load_text(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "aa": 2, "aaaa": 3, "ab": 4},
                                        "merges": ["a a", "aa aa", "a b"]}})");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(tokenizer->encode(std::string(1 << 20, 'a')).size(), (1u << 20) / 4);
  std::string mixed;
  while (mixed.size() < (1 << 20)) mixed += "aaab";
  EXPECT_EQ(tokenizer->encode(mixed).size(), mixed.size() / 4 * 2);
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  EXPECT_LT(elapsed.count(), 20);
}

TEST(Tokenizer, NormalizesALongRunOfMarksInLinearTime) {
  const auto tokenizer = load_text(R"({"normalizer": {"type": "NFC"},
      "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
  std::string text = "a";
  for (int i = 0; i < 200'000; ++i)
    text += "\xcc\x81\xcc\xa3";  // classes 230 and 220, to be sorted
  EXPECT_LT(tokenizer->encode(text).size(), 2u);
}

TEST(Tokenizer, GivesAddedTokensTheNextFreeIds) {
  const auto tokenizer = load_text(R"({
      "added_tokens": [{"id": 77, "content": "b", "special": false, "normalized": false},
                       {"id": 99, "content": "<x>", "special": true, "normalized": false},
                       {"id": 98, "content": "<y>", "special": true, "normalized": false}],
      "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}})");
  EXPECT_EQ(tokenizer->encode("ab<x><y>"), (std::vector<int32_t>{0, 1, 2, 3}));
  EXPECT_EQ(tokenizer->vocab_size(), 4);
}

TEST(Tokenizer, TakesTheLastOfTwoIdsOfOneText) {
  const auto tokenizer =
      load_text(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "a": 2}, "merges": []}})");
  EXPECT_EQ(tokenizer->encode("a"), (std::vector<int32_t>{2}));
  EXPECT_EQ(tokenizer->token_text(0), std::nullopt);
  EXPECT_EQ(tokenizer->vocab_size(), 2);
}

TEST(TokenizerErrors, NameTheFieldOfTokenizerJson) {
  EXPECT_EQ(error_of("{}"), "error: t.json: lacks the key \"model\"\n  expected a tokenizer.json");
  EXPECT_EQ(error_of("{\"version\": \"2.0\"}"),
            "error: t.json:1:18: has version 2.0\n  expected 1.0");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPE\", \"merges\": []")),
            "error: t.json: model lacks the key \"vocab\"");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": 0}")),
            "error: t.json: model: lacks the key \"merges\"");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPF\", \"vocab\": {}, \"merges\": []")),
            "error: t.json: model: unknown type BPF\n  expected one of BPE, Unigram, WordLevel, "
            "WordPiece\n  did you "
            "mean BPE?");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a b\"]")),
            "error: t.json: model: the merge \"a b\" names a token that is not in the vocabulary\n "
            " expected merges of "
            "tokens into tokens\n  the file is damaged or was edited: get it again");
  EXPECT_EQ(
      error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [\"a\"]")),
      "error: t.json:1:60: has the merge \"a\"\n  expected two tokens with a blank between them");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": 0}, \"merges\": [[\"a\"]]")),
            "error: t.json:1:62: has a merge of one token\n  expected two tokens");
  EXPECT_EQ(error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": -1}, \"merges\": []")),
            "error: t.json: token \"a\" has the id -1\n  expected ids from 0 to 8388607 and less "
            "than 2 GiB of text");
  EXPECT_EQ(
      error_of(with_model("\"type\": \"BPE\", \"vocab\": {\"a\": 4000000000}, \"merges\": []")),
      "error: t.json: token \"a\" has the id 4000000000\n  expected ids from 0 to 8388607 and less "
      "than 2 GiB of "
      "text");
  EXPECT_EQ(
      error_of(with_model("\"type\": \"BPE\", \"dropout\": 0.1, \"vocab\": {}, \"merges\": []")),
      "error: t.json: model: dropout is 0.1\n  expected null or 0\n  set it to null: a model in "
      "use must give the "
      "same ids each time");
  EXPECT_EQ(error_of(with_model(
                "\"type\": \"BPE\", \"unk_token\": \"u\", \"vocab\": {}, \"merges\": []")),
            "error: t.json: model: unk_token \"u\" is not in the vocabulary");
  EXPECT_EQ(error_of(with_model("\"type\": \"WordPiece\", \"unk_token\": \"u\", \"vocab\": {}")),
            "error: t.json: model: unk_token \"u\" is not in the vocabulary");
  EXPECT_EQ(
      error_of(with_model("\"type\": \"Unigram\", \"unk_id\": 1, \"vocab\": [[\"a\", -1.0]]")),
      "error: t.json: model: unk_id is 1\n  expected the id of one of its 1 tokens");
  EXPECT_EQ(
      error_of(with_model("\"type\": \"Unigram\", \"vocab\": {\"a\": 0}")),
      "error: t.json: model: has a vocabulary without scores\n  expected [[text, score], ...]");
  EXPECT_EQ(error_of(with_model("\"type\": \"WordLevel\", \"vocab\": [[\"a\", 0]]")),
            "error: t.json: model: has a vocabulary with scores\n  expected {text: id, ...}");
  EXPECT_EQ(error_of(with_model("\"type\": \"Unigram\", \"vocab\": [[\"a\"]]")),
            "error: t.json:1:46: has a token without a score\n  expected [text, score]");
}

TEST(TokenizerErrors, NameThePartAndWhatIsKnown) {
  EXPECT_EQ(error_of("{\"normalizer\": {\"type\": \"NFX\"}}"),
            "error: t.json: normalizer: unknown normalizer NFX\n  expected one of BertNormalizer, "
            "ByteLevel, Lowercase, "
            "NFC, NFD, NFKC, NFKD, Nmt, Precompiled, Prepend, Replace, Sequence, Strip, "
            "StripAccents\n  did you mean "
            "NFC or NFD?");
  EXPECT_EQ(error_of("{\"normalizer\": {\"type\": \"Strip\", \"strip_left\": 1}}"),
            "error: t.json: normalizer.strip_left: is an integer\n  expected a boolean");
  EXPECT_EQ(error_of("{\"normalizer\": {\"type\": \"Strip\"}}"),
            "error: t.json: normalizer: lacks the key \"strip_left\"");
  EXPECT_EQ(
      error_of("{\"normalizer\": {\"type\": \"Replace\", \"pattern\": 1, \"content\": \"\"}}"),
      "error: t.json: normalizer: pattern is an integer\n  expected {\"String\": text} or "
      "{\"Regex\": expression}");
  EXPECT_EQ(
      error_of("{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"!\"}}"),
      "error: t.json: normalizer: is no base64: has the character '!'\n  expected letters, digits, "
      "+, / and =");
  EXPECT_EQ(
      error_of(
          "{\"normalizer\": {\"type\": \"Precompiled\", \"precompiled_charsmap\": \"AAEAAAA=\"}}"),
      "error: t.json: normalizer: precompiled charsmap of 5 bytes states a trie of 256 bytes\n  "
      "expected a trie "
      "that fits, in units of 4 bytes\n  the file is damaged: get it again");
  EXPECT_EQ(error_of("{\"pre_tokenizer\": {\"type\": \"Digit\"}}"),
            "error: t.json: pre_tokenizer: unknown pre_tokenizer Digit\n  expected one of "
            "BertPreTokenizer, ByteLevel, "
            "CharDelimiterSplit, Digits, FixedLength, Metaspace, Punctuation, Sequence, Split, "
            "Whitespace, "
            "WhitespaceSplit\n  did you mean Digits?");
  EXPECT_EQ(error_of("{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"Regex\": \"(\"}}}"),
            "error: t.json: pre_tokenizer: regular expression ( can't be compiled: missing closing "
            "parenthesis");
  EXPECT_EQ(
      error_of("{\"pre_tokenizer\": {\"type\": \"Split\", \"pattern\": {\"String\": \" \"}, "
               "\"behavior\": \"Keep\"}}"),
      "error: t.json: pre_tokenizer: unknown behavior Keep\n  expected one of Removed, Isolated, "
      "MergedWithPrevious, MergedWithNext, Contiguous");
  EXPECT_EQ(
      error_of("{\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"ab\"}}"),
      "error: t.json: pre_tokenizer.replacement: is \"ab\"\n  expected a text of one character");
  EXPECT_EQ(error_of("{\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\", "
                     "\"prepend_scheme\": \"last\"}}"),
            "error: t.json: pre_tokenizer: unknown prepend_scheme last\n  expected one of always, "
            "first, never");
  EXPECT_EQ(error_of("{\"pre_tokenizer\": {\"type\": \"Metaspace\", \"replacement\": \"_\", "
                     "\"add_prefix_space\": false, "
                     "\"prepend_scheme\": \"first\"}}"),
            "error: t.json: pre_tokenizer: add_prefix_space is false and prepend_scheme is first\n "
            " expected the scheme "
            "\"never\" with it");
  EXPECT_EQ(error_of("{\"pre_tokenizer\": {\"type\": \"FixedLength\", \"length\": 0}}"),
            "error: t.json: pre_tokenizer.length: is 0\n  expected 1 or more");
  EXPECT_EQ(error_of("{\"decoder\": {\"type\": \"Bytes\"}}"),
            "error: t.json: decoder: unknown decoder Bytes\n  expected one of BPEDecoder, "
            "ByteFallback, ByteLevel, CTC, "
            "Fuse, Metaspace, Replace, Sequence, Strip, WordPiece");
  EXPECT_EQ(
      error_of(
          "{\"decoder\": {\"type\": \"Strip\", \"content\": \" \", \"start\": -1, \"stop\": 0}}"),
      "error: t.json: decoder.start: is -1\n  expected 0 or more");
  EXPECT_EQ(error_of("{\"post_processor\": {\"type\": \"Template\"}}"),
            "error: t.json: post_processor: unknown post_processor Template\n  expected one of "
            "BertProcessing, "
            "ByteLevel, RobertaProcessing, Sequence, TemplateProcessing");
}

TEST(TokenizerErrors, NameWhatIsWrongInATemplate) {
  const auto error_of_template = [](std::string_view single, std::string_view tokens) {
    return error_of(cat("{\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": ",
                        single, ", \"special_tokens\": ", tokens, "}}"));
  };
  EXPECT_EQ(error_of_template("[{\"SpecialToken\": {\"id\": \"<s>\"}}]", "{}"),
            "error: t.json: post_processor: template names the special token \"<s>\"\n  expected a "
            "name among "
            "special_tokens");
  EXPECT_EQ(error_of_template("[{\"SpecialToken\": {\"id\": \"s\"}}]", "{\"s\": {\"ids\": [-1]}}"),
            "error: t.json: post_processor: has the token id -1\n  expected an integer from 0 to "
            "8388607");
  EXPECT_EQ(
      error_of_template("[]", "{}"),
      "error: t.json: post_processor: template for one sequence has it 0 times\n  expected once");
  EXPECT_EQ(
      error_of_template("[{\"Sequence\": {\"id\": \"B\"}}]", "{}"),
      "error: t.json: post_processor: template for one sequence has the sequence B\n  expected A");
  EXPECT_EQ(error_of_template("[{\"Word\": 1}]", "{}"),
            "error: t.json: post_processor: template has the piece {\"Word\": 1}\n  expected a "
            "Sequence or a "
            "SpecialToken");
  EXPECT_EQ(error_of("{\"post_processor\": {\"type\": \"BertProcessing\", \"cls\": [1], \"sep\": "
                     "[\"x\", 1]}}"),
            "error: t.json: post_processor.cls: has 1 items\n  expected [text, id]");
  EXPECT_EQ(
      error_of("{\"post_processor\": {\"type\": \"Sequence\", \"processors\": [{\"type\": "
               "\"BertProcessing\", "
               "\"cls\": [\"c\", 1], \"sep\": [\"s\", 2]}, {\"type\": \"TemplateProcessing\"}]}}"),
      "error: t.json: post_processor: adds tokens twice: a second one is TemplateProcessing\n  "
      "expected one "
      "template");
}

TEST(TokenizerErrors, RefusePartsThatAreNestedWithoutEnd) {
  std::string text = "{\"normalizer\": ";
  for (int i = 0; i < 40; ++i) text += "{\"type\": \"Sequence\", \"normalizers\": [";
  for (int i = 0; i < 40; ++i) text += "]}";
  EXPECT_EQ(error_of(text + "}"), "error: t.json: normalizer: is nested more than 16 deep");
}

}  // namespace
}  // namespace mlc::tokenizers
