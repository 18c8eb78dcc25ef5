// SPDX-License-Identifier: Apache-2.0
// The `normalizer` of a tokenizer.json: what is done to text before it is split into words.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "support/json.h"
#include "tokenizers/charsmap.h"
#include "tokenizers/regex.h"
#include "tokenizers/trie.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

// What is searched for by Replace and Split: a text or an expression.
class Pattern {
 public:
  // {"String": ...} or {"Regex": ...}; the old form is a plain string.
  static Result<Pattern> from_json(const Json& json, const std::string& where);
  static Pattern literal(std::string text) {
    Pattern pattern{};
    pattern.literal_ = std::move(text);
    return pattern;
  }
  // Appends the matches, left to right, none overlapping.
  void find_all(std::string_view text, std::vector<Span>& matches) const;

 private:
  std::string literal_;
  Regex regex_;
  bool is_regex_ = false;
};

// sentencepiece's own way to prepare text.
struct SentencePieceRules {
  Charsmap charsmap;
  std::vector<std::string> user_symbols;  // stay as they are
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;     // blanks become U+2581
  bool whitespace_as_suffix = false;  // the dummy goes behind
};

class Normalizer {
 public:
  // Null gives one that changes nothing.
  static Result<Normalizer> from_json(const Json& json, const std::string& where);
  static Normalizer from_sentencepiece(SentencePieceRules rules);

  // The normal form of valid UTF-8: `text` itself, or what `buffer` holds afterwards. `*at_start`
  // comes in as true if `text` begins where the original text does, and becomes false if its first
  // character is taken away.
  std::string_view apply(std::string_view text, std::string& buffer, bool* at_start) const;
  bool is_identity() const { return steps_.empty(); }

 private:
  struct Step {
    enum class Kind {
      kForm,
      kLowercase,
      kStrip,
      kStripAccents,
      kReplace,
      kPrepend,
      kNmt,
      kByteLevel,
      kPrecompiled,
      kBertClean,
      kBertChinese,
      kBertAccents,
      kSentencePiece
    };
    Kind kind;
    NormalForm form = NormalForm::kNfc;
    bool left = false;  // Strip
    bool right = false;
    Pattern pattern{};      // Replace
    std::string content{};  // Replace, Prepend
    Charsmap charsmap{};    // Precompiled
    std::shared_ptr<const SentencePieceRules> rules{};
    std::shared_ptr<const Trie> user_symbols{};
  };
  Result<void> add(const Json& json, const std::string& where, int depth);
  static bool changes(const Step& step, std::string_view text);
  static void run(const Step& step, std::string_view text, std::string& result, bool* at_start);

  std::vector<Step> steps_;
};

}  // namespace mlc::tokenizers
