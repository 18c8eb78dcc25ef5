// SPDX-License-Identifier: Apache-2.0
// The bytes of a vocabulary's tokens as a tree in preorder: tokens that begin alike are looked at
// once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlc::engine::grammar {

class TokenTrie {
 public:
  // tokens[id]: its bytes; an empty one is never allowed.
  explicit TokenTrie(const std::vector<std::string>& tokens);

  struct Node {
    int32_t first_token;  // of the subtree, in the order of bytes; its own ones come first
    int32_t next;         // the node behind the subtree
    int16_t depth;        // of its byte, from 1
    int16_t deepest;      // depth in the subtree
    uint16_t kinds;       // of the subtree's bytes, this one's included: a bit for each
    uint8_t byte;
  };
  // Bytes by kind: texts that are made of the same few kinds are looked at together. Bytes of
  // characters that take several are of one kind, those that are no UTF-8 of the last one.
  static constexpr int kNumKinds = 8;
  static constexpr int kSeveralBytes = 0;
  static constexpr int kNoCharacter = kNumKinds;
  static int kind_of(uint8_t byte);
  std::span<const Node> nodes() const { return {nodes_.data(), nodes_.size() - 1}; }
  // The tokens at a node: from its first_token to that of the following node.
  int32_t end_of_tokens(size_t node) const { return nodes_[node + 1].first_token; }
  int32_t end_of_subtree(size_t node) const {
    return nodes_[static_cast<size_t>(nodes_[node].next)].first_token;
  }

  // By place in the order of bytes.
  int32_t id(int32_t place) const { return ids_[static_cast<size_t>(place)]; }
  std::string_view bytes_at(int32_t place) const {
    const auto p = static_cast<size_t>(place);
    return std::string_view(text_).substr(offsets_[p], offsets_[p + 1] - offsets_[p]);
  }
  // By id; empty for ids that are never allowed.
  std::string_view bytes_of(int32_t id) const;
  int64_t num_ids() const { return static_cast<int64_t>(places_.size()); }
  size_t deepest() const { return deepest_; }

 private:
  std::vector<Node> nodes_;  // and one behind the last
  std::vector<int32_t> ids_;
  std::vector<int32_t> places_;  // by id; -1: none
  std::string text_;
  std::vector<size_t> offsets_;
  size_t deepest_ = 0;
};

}  // namespace mlc::engine::grammar
