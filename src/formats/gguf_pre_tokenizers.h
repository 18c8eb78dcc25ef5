// SPDX-License-Identifier: Apache-2.0
// What the names in tokenizer.ggml.pre stand for: how a byte-level BPE tokenizer normalizes text
// and splits it into words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"

namespace mlc::formats {

struct GgufPreTokenizer {
  enum class StepKind { kSplit, kDigits, kDigitGroups, kPunctuation, kGpt2 };
  struct Step {
    StepKind kind;
    std::string expression{};  // of kSplit
  };

  std::vector<std::string_view> names;
  std::vector<Step> steps;     // applied in turn
  bool nfc = false;            // normalizes first
  bool ignore_merges = false;  // a word that is a token is not split
  bool adds_bos = false;       // unless the file says otherwise

  Json normalizer_json() const;     // null, or as in a tokenizer.json
  Json pre_tokenizer_json() const;  // ends in the byte alphabet
  bool has_gpt2_words() const;
};

// Null where the name is not known.
const GgufPreTokenizer* find_gguf_pre_tokenizer(std::string_view name);
std::vector<std::string> gguf_pre_tokenizer_names();

}  // namespace mlc::formats
