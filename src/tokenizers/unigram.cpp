// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/unigram.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "tokenizers/byte_tokens.h"
#include "tokenizers/flat_file.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr double kUnknownPenalty = 10;

}  // namespace

Unigram::Unigram(Vocabulary vocabulary, std::vector<double> scores, UnigramOptions options)
    : vocabulary_(std::move(vocabulary)),
      scores_(std::move(scores)),
      options_(std::move(options)),
      byte_ids_(byte_token_ids(vocabulary_)) {
  if (options_.uses.empty()) options_.uses.assign(scores_.size(), UnigramOptions::Use::kNormal);
  const bool sentencepiece = options_.rules == UnigramOptions::Rules::kSentencePiece;
  double lowest =
      sentencepiece ? std::numeric_limits<float>::max() : std::numeric_limits<double>::infinity();
  double highest = std::numeric_limits<float>::min();
  std::vector<std::pair<std::string_view, int32_t>> entries;
  for (int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
    const auto index = static_cast<size_t>(id);
    if (options_.uses[index] == UnigramOptions::Use::kNormal) {
      lowest = std::min(lowest, scores_[index]);
      highest = std::max(highest, scores_[index]);
    }
    if (options_.uses[index] == UnigramOptions::Use::kNever || !vocabulary_.contains(id)) continue;
    entries.emplace_back(vocabulary_.key(id), id);
  }
  trie_.build(std::move(entries));
  unknown_score_ = lowest - kUnknownPenalty;
  if (sentencepiece) unknown_score_ = static_cast<float>(unknown_score_);
  for (int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
    const auto index = static_cast<size_t>(id);
    if (options_.uses[index] != UnigramOptions::Use::kUserDefined) continue;
    // Always better than its parts. The product is single precision in sentencepiece, the
    // difference is not.
    const auto length = static_cast<float>(vocabulary_.key(id).size());
    scores_[index] = length * static_cast<float>(highest) - 0.1;
  }
}

Unigram::Unigram(Vocabulary vocabulary)
    : vocabulary_(std::move(vocabulary)), byte_ids_(byte_token_ids(vocabulary_)) {}

void Unigram::write_tables(FlatWriter& out) const {
  vocabulary_.write(out);
  out.array(scores_);
  out.value(options_.rules);
  out.value(options_.unknown_id);
  out.value(options_.byte_fallback);
  out.array(options_.uses);
  trie_.write(out);
  out.value(unknown_score_);
}

std::unique_ptr<Unigram> Unigram::from_tables(FlatReader& in) {
  Vocabulary vocabulary;
  if (!vocabulary.read(in)) return nullptr;
  std::unique_ptr<Unigram> unigram(new Unigram(std::move(vocabulary)));
  UnigramOptions& options = unigram->options_;
  const bool complete = in.array(&unigram->scores_) && in.value(&options.rules) &&
                        in.value(&options.unknown_id) && in.value(&options.byte_fallback) &&
                        in.array(&options.uses) && unigram->trie_.read(in) &&
                        in.value(&unigram->unknown_score_);
  return complete ? std::move(unigram) : nullptr;
}

void Unigram::find_best(std::string_view word, std::vector<ModelScratch::Best>& best) const {
  const bool single = options_.rules == UnigramOptions::Rules::kSentencePiece;
  best.assign(word.size() + 1, {});
  for (size_t start = 0; start < word.size();) {
    const size_t character_end = start + utf8_length(word[start]);
    const double score_here = best[start].score;
    bool has_character = false;
    const auto offer = [&](size_t end, double score, int32_t id) {
      ModelScratch::Best& target = best[end];
      if (target.start >= 0 && score <= target.score) return;
      target = {single ? static_cast<double>(static_cast<float>(score)) : score,
                static_cast<int64_t>(start), id};
    };
    size_t end = start;
    for (int32_t node = trie_.first(word[end]); node != 0; node = trie_.next(node, word[end])) {
      ++end;
      if (const int32_t id = trie_.value(node); id >= 0) {
        double score = scores_[static_cast<size_t>(id)] + score_here;
        if (single && options_.uses[static_cast<size_t>(id)] == UnigramOptions::Use::kNormal) {
          score = static_cast<float>(score);
        }
        offer(end, score, id);
        has_character |= end == character_end;
      }
      if (end == word.size()) break;
    }
    if (!has_character) {
      const double score = unknown_score_ + score_here;
      offer(character_end, single ? static_cast<double>(static_cast<float>(score)) : score,
            options_.unknown_id);
    }
    start = character_end;
  }
}

void Unigram::add_unknown(std::string_view text, std::vector<int32_t>& ids) const {
  if (const int32_t id = vocabulary_.find(text);
      id >= 0 && options_.rules == UnigramOptions::Rules::kTokenizers) {
    ids.push_back(id);
    return;
  }
  const auto byte_id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback &&
      std::all_of(text.begin(), text.end(), [&](char c) { return byte_id(c) >= 0; })) {
    for (const char c : text) ids.push_back(byte_id(c));
  } else if (options_.unknown_id >= 0) {
    ids.push_back(options_.unknown_id);
  }
}

void Unigram::encode(std::string_view word, std::vector<int32_t>& ids,
                     ModelScratch& scratch) const {
  find_best(word, scratch.best);
  scratch.spans.clear();
  for (size_t end = word.size(); end > 0;) {
    const auto start = static_cast<size_t>(scratch.best[end].start);
    scratch.spans.push_back({start, end});
    end = start;
  }
  std::reverse(scratch.spans.begin(), scratch.spans.end());
  for (size_t i = 0; i < scratch.spans.size();) {
    const auto id_of = [&](size_t k) { return scratch.best[scratch.spans[k].end].id; };
    const size_t begin = scratch.spans[i].begin;
    if (id_of(i) != options_.unknown_id) {
      ids.push_back(id_of(i++));
      continue;
    }
    // Unknown characters side by side are one unknown text.
    while (i < scratch.spans.size() && id_of(i) == options_.unknown_id) ++i;
    add_unknown(word.substr(begin, scratch.spans[i - 1].end - begin), ids);
  }
}

}  // namespace mlc::tokenizers
