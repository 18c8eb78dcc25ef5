// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

void AddedTokenMatcher::build(std::vector<std::pair<std::string, int32_t>> patterns,
                              const std::vector<AddedToken>& tokens) {
  *this = AddedTokenMatcher();
  std::erase_if(patterns, [](const auto& pattern) { return pattern.first.empty(); });
  if (patterns.empty()) return;
  std::stable_sort(patterns.begin(), patterns.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // A node is a range of the sorted patterns that share their first `depth` bytes.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges = {{0, patterns.size(), 0}};
  nodes_.push_back({});
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && patterns[begin].first.size() == depth; ++begin) {
      const AddedToken& token = tokens[static_cast<size_t>(patterns[begin].second)];
      nodes_[node].rule = static_cast<int32_t>(rules_.size());
      rules_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
    }
    nodes_[node].children = static_cast<uint32_t>(labels_.size());
    while (begin < end) {
      const char label = patterns[begin].first[depth];
      size_t stop = begin;
      while (stop < end && patterns[stop].first[depth] == label) ++stop;
      labels_.push_back(static_cast<unsigned char>(label));
      targets_.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({});
      ranges.push_back({begin, stop, depth + 1});
      ++nodes_[node].count;
      begin = stop;
    }
  }
  for (uint16_t i = 0; i < nodes_[0].count; ++i) root_[labels_[i]] = targets_[i];
  if (nodes_[0].count == 1) single_start_ = labels_[0];
}

size_t AddedTokenMatcher::next_start(std::string_view text, size_t offset) const {
  if (single_start_ >= 0) {
    const void* const found =
        offset < text.size()
            ? std::memchr(text.data() + offset, single_start_, text.size() - offset)
            : nullptr;
    return found == nullptr ? text.size()
                            : static_cast<size_t>(static_cast<const char*>(found) - text.data());
  }
  while (offset < text.size() && root_[static_cast<unsigned char>(text[offset])] == 0) ++offset;
  return offset;
}

// (length, rule) of the longest token at `offset`; rule -1 if there is none.
std::pair<size_t, int32_t> AddedTokenMatcher::longest(std::string_view text, size_t offset) const {
  std::pair<size_t, int32_t> found{0, -1};
  int32_t node = root_[static_cast<unsigned char>(text[offset])];
  for (size_t i = offset + 1; node != 0; ++i) {
    const Node& here = nodes_[static_cast<size_t>(node)];
    if (here.rule >= 0) found = {i - offset, here.rule};
    node = 0;
    if (i == text.size()) break;
    const auto begin = labels_.begin() + here.children;
    const auto end = begin + here.count;
    const auto label = static_cast<unsigned char>(text[i]);
    const auto at = std::lower_bound(begin, end, label);
    if (at != end && *at == label) node = targets_[static_cast<size_t>(at - labels_.begin())];
  }
  return found;
}

void AddedTokenMatcher::split(std::string_view text, std::vector<Part>& parts) const {
  size_t done = 0;
  if (!nodes_.empty()) {
    for (size_t at = next_start(text, 0); at < text.size(); at = next_start(text, at)) {
      const auto [length, index] = longest(text, at);
      if (index < 0) {
        ++at;
        continue;
      }
      size_t begin = at;
      size_t end = at + length;
      at = end;
      const Rule& rule = rules_[static_cast<size_t>(index)];
      if (rule.single_word) {
        size_t before = begin > 0 ? previous_offset(text, begin) : 0;
        size_t behind = end;
        const bool touches_left = begin > 0 && is_word(next_code_point(text, before));
        const bool touches_right = end < text.size() && is_word(next_code_point(text, behind));
        if (touches_left || touches_right) continue;
      }
      if (rule.lstrip) {
        while (begin > done) {
          const size_t before = previous_offset(text, begin);
          size_t i = before;
          if (!is_whitespace(next_code_point(text, i))) break;
          begin = before;
        }
        begin = std::max(begin, done);
      }
      if (rule.rstrip) {
        for (size_t i = end; i < text.size() && is_whitespace(next_code_point(text, i));) end = i;
      }
      if (done < begin) parts.push_back({done, begin, -1});
      parts.push_back({begin, end, rule.id});
      done = end;
    }
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
}

}  // namespace mlc::tokenizers
