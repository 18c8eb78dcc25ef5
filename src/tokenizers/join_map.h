// SPDX-License-Identifier: Apache-2.0
// Cuts words where no token can reach across: between characters (or bytes) that stand side by side
// in no token that joining makes. Byte-pair encoding of the parts is that of the whole, and long
// texts without blanks stay cheap.
#pragma once

#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/unicode.h"
#include "tokenizers/vocabulary.h"

namespace mlc::tokenizers {

class JoinMap {
 public:
  explicit JoinMap(Vocabulary::Keys keys)
      : bytes_(keys == Vocabulary::Keys::kBytes),
        bits_((bytes_ ? kByteBits : kCharacterBits) / 64) {}

  // Some token joins `left` to `right` (neither is empty).
  void add(std::string_view left, std::string_view right);
  // All places inside a token.
  void add_inside(std::string_view token);

  void write(FlatWriter& out) const;
  bool read(FlatReader& in);  // false for a map of another size

  // The first place behind `begin` (< size) where the word may be cut.
  size_t segment_end(std::string_view word, size_t begin) const;

 private:
  static constexpr size_t kByteBits = size_t{1} << 16;  // exact
  static constexpr size_t kCharacterBits = size_t{1}
                                           << 19;  // by hash: a place may be missed, never invented

  size_t index(char32_t left, char32_t right) const {
    if (bytes_) return left << 8 | right;
    return (left * 0x9e3779b1u ^ right * 0x85ebca6bu) >> (32 - std::countr_zero(kCharacterBits));
  }
  void set(size_t index) { bits_[index / 64] |= uint64_t{1} << (index % 64); }
  bool has(size_t index) const { return (bits_[index / 64] >> (index % 64) & 1) != 0; }

  bool bytes_;
  std::vector<uint64_t> bits_;
};

}  // namespace mlc::tokenizers
