// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/wordpiece.h"

#include <utility>

#include "support/strings.h"
#include "tokenizers/trie.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

class WordPiece final : public Model {
 public:
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options, int32_t unknown_id)
      : vocabulary_(std::move(vocabulary)),
        max_characters_(options.max_characters),
        unknown_id_(unknown_id) {
    std::vector<std::pair<std::string_view, int32_t>> starts;
    std::vector<std::pair<std::string_view, int32_t>> continuations;
    for (int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
      if (!vocabulary_.contains(id)) continue;
      std::string_view text = vocabulary_.key(id);
      starts.emplace_back(text, id);
      if (!text.starts_with(options.continuing_prefix)) continue;
      text.remove_prefix(options.continuing_prefix.size());
      continuations.emplace_back(text, id);
    }
    starts_.build(std::move(starts));
    continuations_.build(std::move(continuations));
  }

  void encode(std::string_view word, std::vector<int32_t>& ids, ModelScratch&) const override {
    const size_t before = ids.size();
    bool known = static_cast<int64_t>(count_code_points(word)) <= max_characters_;
    for (size_t at = 0; known && at < word.size();) {
      const auto [length, id] = (at == 0 ? starts_ : continuations_).longest(word, at);
      known = id >= 0;
      ids.push_back(id);
      at += length;
    }
    if (known) return;
    ids.resize(before);
    ids.push_back(unknown_id_);
  }

  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  Trie starts_;
  Trie continuations_;
  int64_t max_characters_;
  int32_t unknown_id_;
};

class WordLevel final : public Model {
 public:
  WordLevel(Vocabulary vocabulary, int32_t unknown_id)
      : vocabulary_(std::move(vocabulary)), unknown_id_(unknown_id) {}

  void encode(std::string_view word, std::vector<int32_t>& ids, ModelScratch&) const override {
    const int32_t id = vocabulary_.find(word);
    ids.push_back(id >= 0 ? id : unknown_id_);
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  int32_t unknown_id_;
};

Result<int32_t> unknown_id(const Vocabulary& vocabulary, const std::string& token,
                           const std::string& where) {
  const int32_t id = vocabulary.find(token);
  if (id < 0) return user_error(where, cat("unk_token \"", token, "\" is not in the vocabulary"));
  return id;
}

}  // namespace

Result<std::unique_ptr<Model>> make_wordpiece(Vocabulary vocabulary,
                                              const WordPieceOptions& options,
                                              const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const int32_t unknown, unknown_id(vocabulary, options.unknown_token, where));
  return std::unique_ptr<Model>(
      std::make_unique<WordPiece>(std::move(vocabulary), options, unknown));
}

Result<std::unique_ptr<Model>> make_wordlevel(Vocabulary vocabulary,
                                              const std::string& unknown_token,
                                              const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const int32_t unknown, unknown_id(vocabulary, unknown_token, where));
  return std::unique_ptr<Model>(std::make_unique<WordLevel>(std::move(vocabulary), unknown));
}

}  // namespace mlc::tokenizers
