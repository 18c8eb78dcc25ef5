// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/scored_bpe.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "tokenizers/byte_tokens.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

ScoredBpe::ScoredBpe(Vocabulary vocabulary, ScoredBpeOptions options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      joins_(vocabulary_.keys()),
      byte_ids_(byte_token_ids(vocabulary_)) {
  has_unused_ =
      std::find(options_.unused.begin(), options_.unused.end(), true) != options_.unused.end();
  for (int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
    if (options_.ranks[static_cast<size_t>(id)] < 0 || !vocabulary_.contains(id)) continue;
    if (const std::string_view key = vocabulary_.key(id); !key.empty()) joins_.add_inside(key);
  }
  std::vector<std::pair<std::string_view, int32_t>> frozen;
  for (const int32_t id : options_.frozen) frozen.emplace_back(vocabulary_.key(id), id);
  frozen_.build(std::move(frozen));
}

size_t ScoredBpe::unit_length(std::string_view text, size_t at) const {
  return vocabulary_.keys() == Vocabulary::Keys::kBytes ? 1 : utf8_length(text[at]);
}

void ScoredBpe::encode(std::string_view word, std::vector<int32_t>& ids,
                       ModelScratch& scratch) const {
  if (options_.whole_words_first) {
    if (const int32_t id = vocabulary_.find(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  Output output{ids};
  size_t done = 0;
  if (!frozen_.empty()) {
    for (size_t at = 0; at < word.size();) {
      const auto [length, id] = frozen_.longest(word, at);
      if (id < 0) {
        at += unit_length(word, at);
        continue;
      }
      encode_part(word.substr(done, at - done), output, scratch);
      ids.push_back(id);
      output.after_unknown = false;
      at += length;
      done = at;
    }
  }
  encode_part(word.substr(done), output, scratch);
}

void ScoredBpe::encode_part(std::string_view part, Output& output, ModelScratch& scratch) const {
  // How an unused token is taken apart depends on joins elsewhere: then nothing is cut.
  for (size_t begin = 0; begin < part.size();) {
    const size_t end = has_unused_ ? part.size() : joins_.segment_end(part, begin);
    encode_segment(part.substr(begin, end - begin), output, scratch);
    begin = end;
  }
}

void ScoredBpe::encode_segment(std::string_view segment, Output& output,
                               ModelScratch& scratch) const {
  std::vector<ModelScratch::Symbol>& symbols = scratch.symbols;
  std::vector<Span>& spans = scratch.spans;
  std::vector<uint64_t>& queue = scratch.queue;
  symbols.clear();
  spans.clear();
  queue.clear();
  scratch.splits.clear();
  for (size_t i = 0; i < segment.size();) {
    const size_t begin = i;
    i += unit_length(segment, i);
    spans.push_back({begin, i});
    const auto place = static_cast<int32_t>(symbols.size());
    symbols.push_back({.previous = place - 1, .next = place + 1});
  }
  symbols.back().next = -1;
  const auto symbol = [&](int32_t i) -> ModelScratch::Symbol& {
    return symbols[static_cast<size_t>(i)];
  };
  const auto span = [&](int32_t i) -> Span& { return spans[static_cast<size_t>(i)]; };
  const auto look_up = [&](int32_t i) {
    ModelScratch::Symbol& left = symbol(i);
    left.rank = -1;
    if (left.next < 0) return false;
    const size_t begin = span(i).begin;
    const int32_t id = vocabulary_.find(segment.substr(begin, span(left.next).end - begin));
    if (id < 0) return false;
    left.rank = options_.ranks[static_cast<size_t>(id)];
    if (left.rank >= 0 && is_unused(id)) scratch.splits[id] = span(i).end - begin;
    return left.rank >= 0;
  };
  const auto push = [&](int32_t i) {
    if (!look_up(i)) return;
    queue.push_back(static_cast<uint64_t>(symbol(i).rank) << 32 | static_cast<uint32_t>(i));
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  for (size_t i = 0; i + 1 < symbols.size(); ++i) push(static_cast<int32_t>(i));
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const uint64_t top = queue.back();
    queue.pop_back();
    const auto place = static_cast<int32_t>(top & 0xffffffff);
    ModelScratch::Symbol& left = symbol(place);
    if (left.rank != static_cast<int32_t>(top >> 32)) continue;
    ModelScratch::Symbol& right = symbol(left.next);
    span(place).end = span(left.next).end;
    left.next = right.next;
    right.rank = -1;
    if (left.next >= 0) symbol(left.next).previous = place;
    push(place);
    if (left.previous >= 0) push(left.previous);
  }
  for (int32_t i = 0; i >= 0; i = symbol(i).next) {
    add(segment.substr(span(i).begin, span(i).end - span(i).begin), output, scratch);
  }
}

void ScoredBpe::add(std::string_view text, Output& output, const ModelScratch& scratch) const {
  if (!has_unused_) return add_token(text, vocabulary_.find(text), output);
  std::vector<std::string_view> waiting = {text};
  while (!waiting.empty()) {
    const std::string_view next = waiting.back();
    waiting.pop_back();
    const int32_t id = vocabulary_.find(next);
    const auto split = id >= 0 && is_unused(id) ? scratch.splits.find(id) : scratch.splits.end();
    if (split == scratch.splits.end()) {
      add_token(next, id, output);
    } else {
      waiting.push_back(next.substr(split->second));
      waiting.push_back(next.substr(0, split->second));
    }
  }
}

void ScoredBpe::add_token(std::string_view text, int32_t id, Output& output) const {
  if (id >= 0 && options_.ranks[static_cast<size_t>(id)] >= 0) {
    output.ids.push_back(id);
    output.after_unknown = false;
    return;
  }
  const auto byte_id = [&](char c) { return byte_ids_[static_cast<unsigned char>(c)]; };
  if (options_.byte_fallback &&
      std::all_of(text.begin(), text.end(), [&](char c) { return byte_id(c) >= 0; })) {
    for (const char c : text) output.ids.push_back(byte_id(c));
    output.after_unknown = false;
    return;
  }
  // Unknown characters side by side are one token.
  if (options_.unknown_id >= 0 && !output.after_unknown) output.ids.push_back(options_.unknown_id);
  output.after_unknown = true;
}

}  // namespace mlc::tokenizers
