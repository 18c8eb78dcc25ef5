// SPDX-License-Identifier: Apache-2.0
// The bytes of a vocabulary's tokens as a tree in preorder: tokens that begin alike are looked at
// once. Beside it, for tokens that are made of the same few kinds of bytes, masks and lists that
// save looking at them at all.
#pragma once

#include <array>
#include <cstdint>
#include <map>
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
    int32_t first_token;      // of the subtree, in the order of bytes; its own ones come first
    int32_t next;             // the node behind the subtree
    int16_t depth;            // of its byte, from 1
    int16_t characters;       // that begin on the way from the root to here, this byte included
    int16_t most_characters;  // of a token of the subtree
    uint16_t kind;            // of its byte: one bit
    uint16_t kinds;           // of the subtree's bytes, this one's included: a bit for each
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

  // The tokens that are made of bytes of some kinds, and all others by their first other byte.
  struct OfKinds {
    std::vector<uint64_t> within;         // by id
    std::vector<int32_t> leaving;         // nodes of such bytes, in preorder for each byte
    std::array<int32_t, 257> first_of{};  // where those of a byte begin in `leaving`
  };
  // Made at the first call for these kinds, and kept: not for several threads.
  const OfKinds& of_kinds(uint16_t kinds) const;
  uint16_t kinds_of(int32_t id) const { return kinds_[static_cast<size_t>(id)]; }

  // Tokens of more than kShort characters are few; here are their places, the longest first.
  static constexpr int64_t kShort = 16;
  struct LongToken {
    int32_t place;
    int32_t characters;
  };
  std::span<const LongToken> long_tokens() const { return long_; }
  // The tokens of at most so many characters, at most kShort.
  const std::vector<uint64_t>& up_to(int64_t characters) const {
    return up_to_[static_cast<size_t>(characters)];
  }
  // The number of characters that begin in a text: of bytes that continue none.
  static int64_t count_characters(std::string_view text);

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
  int64_t most_characters() const { return most_characters_; }

 private:
  std::vector<Node> nodes_;  // and one behind the last
  std::vector<int32_t> ids_;
  std::vector<int32_t> places_;  // by id; -1: none
  std::string text_;
  std::vector<size_t> offsets_;
  size_t deepest_ = 0;
  int64_t most_characters_ = 0;
  std::vector<uint16_t> kinds_;  // by id; of ids that are never allowed a bit that is no kind's
  std::vector<LongToken> long_;
  std::vector<std::vector<uint64_t>> up_to_;
  mutable std::map<uint16_t, OfKinds> of_kinds_;
};

}  // namespace mlc::engine::grammar
