// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

void AddedTokenMatcher::build(const std::vector<std::pair<std::string, int32_t>>& patterns,
                              const std::vector<AddedToken>& tokens) {
  *this = AddedTokenMatcher();
  std::vector<std::pair<std::string_view, int32_t>> entries;
  bool same_start = true;
  for (const auto& [text, index] : patterns) {
    if (text.empty()) continue;
    const AddedToken& token = tokens[static_cast<size_t>(index)];
    entries.emplace_back(text, static_cast<int32_t>(rules_.size()));
    rules_.push_back({token.id, token.single_word, token.lstrip, token.rstrip});
    same_start &= text[0] == entries[0].first[0];
  }
  if (!entries.empty() && same_start)
    single_start_ = static_cast<unsigned char>(entries[0].first[0]);
  trie_.build(std::move(entries));
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
  while (offset < text.size() && trie_.first(text[offset]) == 0) ++offset;
  return offset;
}

void AddedTokenMatcher::split(std::string_view text, std::vector<Part>& parts) const {
  size_t done = 0;
  if (!trie_.empty()) {
    for (size_t at = next_start(text, 0); at < text.size(); at = next_start(text, at)) {
      const auto [length, index] = trie_.longest(text, at);
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
      if (begin >= end) continue;  // an rstrip before it has taken all of it
      if (done < begin) parts.push_back({done, begin, -1});
      parts.push_back({begin, end, rule.id});
      done = end;
    }
  }
  if (done < text.size()) parts.push_back({done, text.size(), -1});
}

}  // namespace mlc::tokenizers
