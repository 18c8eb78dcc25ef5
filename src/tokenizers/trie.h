// SPDX-License-Identifier: Apache-2.0
// A set of byte strings that is walked one byte at a time, to find those that a text begins with.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace mlc::tokenizers {

class FlatReader;
class FlatWriter;

class Trie {
 public:
  // Text and a value >= 0. Empty texts are left out; of equal texts the last one counts.
  void build(std::vector<std::pair<std::string_view, int32_t>> entries);
  bool empty() const { return nodes_.empty(); }
  void write(FlatWriter& out) const;
  bool read(FlatReader& in);

  // Nodes are numbers; 0 means that there is none.
  int32_t first(char byte) const { return roots_[static_cast<unsigned char>(byte)]; }
  int32_t next(int32_t node, char byte) const {
    const Node& from = nodes_[static_cast<size_t>(node)];
    const auto label = static_cast<unsigned char>(byte);
    const unsigned char* const begin = labels_.data() + from.children;
    const unsigned char* const end = begin + from.count;
    const unsigned char* const at =
        from.count < 8 ? std::find(begin, end, label) : std::lower_bound(begin, end, label);
    return at != end && *at == label ? targets_[static_cast<size_t>(at - labels_.data())] : 0;
  }
  // Of the string that ends at the node, or -1.
  int32_t value(int32_t node) const { return nodes_[static_cast<size_t>(node)].value; }

  // (length, value) of the longest string that the text has at `offset` (< size); value -1 if there
  // is none.
  std::pair<size_t, int32_t> longest(std::string_view text, size_t offset) const;

 private:
  struct Node {
    uint32_t children = 0;  // place in labels_ and targets_
    uint32_t count = 0;
    int32_t value = -1;
  };
  std::vector<Node> nodes_;            // [0] is the root
  std::vector<unsigned char> labels_;  // sorted within a node
  std::vector<int32_t> targets_;
  std::array<int32_t, 256> roots_{};
};

}  // namespace mlc::tokenizers
