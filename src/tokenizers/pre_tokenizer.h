// SPDX-License-Identifier: Apache-2.0
// The `pre_tokenizer` of a tokenizer.json: cuts normalized text into the words that the model sees.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "support/json.h"
#include "tokenizers/normalizer.h"
#include "tokenizers/regex.h"

namespace mlc::tokenizers {

// Words of one text: spans of it, none empty, left to right.
struct Words {
  std::string_view text;
  std::vector<Span> spans;
  // Memory for texts and spans under way.
  std::string buffers[2];
  std::vector<Span> next;
  std::vector<Span> matches;
};

class PreTokenizer {
 public:
  // Null gives one that leaves the text whole.
  static Result<PreTokenizer> from_json(const Json& json, const std::string& where);

  // True if the last step turns text into the byte alphabet.
  bool ends_in_byte_alphabet() const;
  // From then on that last step leaves the bytes as they are, for a model whose keys are bytes.
  void keep_bytes() { keep_bytes_ = true; }

  // `at_start`: whether the text begins where the whole text does (Metaspace with "first").
  void run(std::string_view text, bool at_start, Words& words) const;

 private:
  // What becomes of the text that a pattern matches.
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  enum class Scheme { kFirst, kNever, kAlways };
  struct Step {
    enum class Kind {
      kSplit,
      kByteLevel,
      kMetaspace,
      kDigits,
      kPunctuation,
      kWhitespace,
      kWhitespaceSplit,
      kDelimiter,
      kFixedLength
    };
    Kind kind;
    Pattern pattern{};
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
    bool add_prefix_space = false;  // ByteLevel
    bool use_regex = false;
    std::string replacement{};  // Metaspace: one character
    Scheme scheme = Scheme::kAlways;
    bool split = true;
    char32_t delimiter = 0;
    int64_t length = 1;  // FixedLength: characters
  };
  static Result<Behavior> behavior_field(const Json& json, const std::string& where);
  static Result<Step> metaspace(const Json& json, const std::string& where);
  Result<void> add(const Json& json, const std::string& where, int depth);

  template <class F>
  static void match_characters(std::string_view text, std::vector<Span>& matches, F is_match);
  static void find(const Step& step, std::string_view text, std::vector<Span>& matches);
  static void cut(const Step& step, size_t begin, size_t end, const std::vector<Span>& matches,
                  std::vector<Span>& spans);
  void run_byte_level(const Step& step, bool last, Words& words) const;
  static void run_metaspace(const Step& step, bool at_start, Words& words);
  static void run_fixed_length(const Step& step, Words& words);
  static void run_split(const Step& step, Words& words);

  std::vector<Step> steps_;
  bool keep_bytes_ = false;
};

}  // namespace mlc::tokenizers
