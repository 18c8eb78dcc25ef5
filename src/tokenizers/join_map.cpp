// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/join_map.h"

#include "tokenizers/flat_file.h"

namespace mlc::tokenizers {

namespace {

char32_t byte_of(char c) { return static_cast<unsigned char>(c); }

}  // namespace

void JoinMap::add(std::string_view left, std::string_view right) {
  if (bytes_) {
    set(index(byte_of(left.back()), byte_of(right.front())));
    return;
  }
  size_t last = previous_offset(left, left.size());
  size_t first = 0;
  const char32_t left_character = next_code_point(left, last);
  set(index(left_character, next_code_point(right, first)));
}

void JoinMap::add_inside(std::string_view token) {
  for (size_t end = segment_end(token, 0); end < token.size(); end = segment_end(token, end)) {
    add(token.substr(0, end), token.substr(end));
  }
}

void JoinMap::write(FlatWriter& out) const { out.array(bits_); }

bool JoinMap::read(FlatReader& in) {
  const size_t words = bits_.size();
  return in.array(&bits_) && bits_.size() == words;
}

size_t JoinMap::segment_end(std::string_view word, size_t begin) const {
  if (bytes_) {
    for (size_t i = begin + 1; i < word.size(); ++i) {
      if (!has(index(byte_of(word[i - 1]), byte_of(word[i])))) return i;
    }
    return word.size();
  }
  size_t i = begin;
  char32_t left = next_code_point(word, i);
  while (i < word.size()) {
    const size_t start = i;
    const char32_t right = next_code_point(word, i);
    if (!has(index(left, right))) return start;
    left = right;
  }
  return word.size();
}

}  // namespace mlc::tokenizers
