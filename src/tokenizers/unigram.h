// SPDX-License-Identifier: Apache-2.0
// Unigram language models: the tokens of highest total score that make up a word (Viterbi's
// algorithm, linear time). Of the tokenizers package, or of sentencepiece, whose sums are single
// precision and whose pieces have kinds.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "support/error.h"
#include "tokenizers/model.h"
#include "tokenizers/trie.h"

namespace mlc::tokenizers {

struct UnigramOptions {
  enum class Rules { kTokenizers, kSentencePiece };
  // What a token may be used for, by sentencepiece's rules.
  enum class Use : uint8_t { kNormal, kUserDefined, kNever };

  Rules rules = Rules::kTokenizers;
  int32_t unknown_id = -1;  // -1: a word with an unknown character has no tokens
  bool byte_fallback = false;
  std::vector<Use> uses{};  // [scores]; empty: all are normal
};

class Unigram final : public Model {
 public:
  // The vocabulary is indexed; scores [max_id + 1].
  Unigram(Vocabulary vocabulary, std::vector<double> scores, UnigramOptions options);
  // All that encode() needs, and a model of it. Null for what is no such thing.
  void write_tables(FlatWriter& out) const;
  static std::unique_ptr<Unigram> from_tables(FlatReader& in);

  void encode(std::string_view word, std::vector<int32_t>& ids,
              ModelScratch& scratch) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  explicit Unigram(Vocabulary vocabulary);
  void find_best(std::string_view word, std::vector<ModelScratch::Best>& best) const;
  void add_unknown(std::string_view text, std::vector<int32_t>& ids) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  UnigramOptions options_;
  Trie trie_;
  double unknown_score_ = 0;
  std::array<int32_t, 256> byte_ids_;  // of "<0x..>", or -1
};

}  // namespace mlc::tokenizers
