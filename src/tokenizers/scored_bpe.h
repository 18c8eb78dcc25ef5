// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding without a list of merges: two neighbours may be joined if their joined text is
// a token, and the token of lowest rank is made first, leftmost on ties. sentencepiece's BPE (rank
// by score) and tiktoken's (rank = id).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/join_map.h"
#include "tokenizers/model.h"
#include "tokenizers/trie.h"

namespace mlc::tokenizers {

struct ScoredBpeOptions {
  std::vector<int32_t> ranks;  // [max_id + 1]; -1: joining never makes it
  std::vector<bool>
      unused{};  // [max_id + 1] or empty: such a token is taken apart again in the end
  std::vector<int32_t>
      frozen{};             // tokens that are taken out first, longest first, and never joined
  int32_t unknown_id = -1;  // -1: unknown characters are left out
  bool byte_fallback = false;
  bool whole_words_first = false;  // a word that is a token is that token
};

class ScoredBpe final : public Model {
 public:
  ScoredBpe(Vocabulary vocabulary, ScoredBpeOptions options);
  void encode(std::string_view word, std::vector<int32_t>& ids,
              ModelScratch& scratch) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  // Where the ids of one word go.
  struct Output {
    std::vector<int32_t>& ids;
    bool after_unknown = false;
  };
  size_t unit_length(std::string_view text, size_t at) const;
  bool is_unused(int32_t id) const {
    return !options_.unused.empty() && options_.unused[static_cast<size_t>(id)];
  }
  void encode_part(std::string_view part, Output& output, ModelScratch& scratch) const;
  void encode_segment(std::string_view segment, Output& output, ModelScratch& scratch) const;
  void add(std::string_view text, Output& output, const ModelScratch& scratch) const;
  void add_token(std::string_view text, int32_t id, Output& output) const;

  Vocabulary vocabulary_;
  ScoredBpeOptions options_;
  JoinMap joins_;
  Trie frozen_;
  bool has_unused_ = false;
  std::array<int32_t, 256> byte_ids_;
};

}  // namespace mlc::tokenizers
