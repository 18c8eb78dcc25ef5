// SPDX-License-Identifier: Apache-2.0
// `added_tokens`: texts that become one token wherever they stand, before the model sees anything.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizers/trie.h"

namespace mlc::tokenizers {

struct AddedToken {
  std::string content;
  int32_t id = -1;
  bool single_word = false;  // no letter or digit may touch it
  bool lstrip = false;       // takes the blanks on its left
  bool rstrip = false;
  bool normalized = true;  // is looked for in the normalized text
  bool special = false;
};

// Finds the tokens of one kind (normalized or not) in a text: leftmost first, the longest at a
// place.
class AddedTokenMatcher {
 public:
  // `patterns`: text and index into `tokens`.
  void build(const std::vector<std::pair<std::string, int32_t>>& patterns,
             const std::vector<AddedToken>& tokens);
  bool empty() const { return trie_.empty(); }

  // A part of the text: a token, or text between tokens (id -1).
  struct Part {
    size_t begin = 0;
    size_t end = 0;
    int32_t id = -1;
  };
  // Appends the parts that are not empty.
  void split(std::string_view text, std::vector<Part>& parts) const;

 private:
  struct Rule {
    int32_t id = -1;
    bool single_word = false;
    bool lstrip = false;
    bool rstrip = false;
  };
  size_t next_start(std::string_view text, size_t offset) const;

  Trie trie_;
  std::vector<Rule> rules_;
  int single_start_ = -1;  // the first byte of all tokens, if there is one
};

}  // namespace mlc::tokenizers
