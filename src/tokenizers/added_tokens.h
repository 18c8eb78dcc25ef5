// SPDX-License-Identifier: Apache-2.0
// `added_tokens`: texts that become one token wherever they stand, before the model sees anything.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  void build(std::vector<std::pair<std::string, int32_t>> patterns,
             const std::vector<AddedToken>& tokens);
  bool empty() const { return nodes_.empty(); }

  // A part of the text: a token, or text between tokens (id -1).
  struct Part {
    size_t begin = 0;
    size_t end = 0;
    int32_t id = -1;
  };
  // Appends the parts that are not empty.
  void split(std::string_view text, std::vector<Part>& parts) const;

 private:
  struct Node {
    uint32_t children = 0;  // place in labels_ and targets_
    uint16_t count = 0;
    int32_t rule = -1;  // of the token that ends here
  };
  struct Rule {
    int32_t id = -1;
    bool single_word = false;
    bool lstrip = false;
    bool rstrip = false;
  };
  size_t next_start(std::string_view text, size_t offset) const;
  std::pair<size_t, int32_t> longest(std::string_view text, size_t offset) const;

  std::vector<Node> nodes_;            // [0] is the root
  std::vector<unsigned char> labels_;  // sorted within a node
  std::vector<int32_t> targets_;
  std::vector<Rule> rules_;
  std::array<int32_t, 256> root_{};  // node behind a first byte, or 0
  int single_start_ = -1;            // the first byte of all tokens, if there is one
};

}  // namespace mlc::tokenizers
