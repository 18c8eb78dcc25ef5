// SPDX-License-Identifier: Apache-2.0
// How the bits of a stored weight lie, and how int8 activations are grouped: plain structs, so that
// kernels never know the names of quantization schemes.
#pragma once

#include <cstdint>

#include "support/dtype.h"

namespace mlc::graph {

// The order of the stored words of a matrix of N rows (outputs) and K columns (inputs).
enum class WordOrder : uint8_t {
  kRows,     // [N, words]: the codes of a row follow each other (NK)
  kColumns,  // [words, N]: the transpose of it (KN)
  kAwq,      // [K, N / 8]: a word holds eight rows of one column, in AutoAWQ's order
};

// Codes of `bits` in 32-bit words, lowest bits first, 32 / bits of them a word; groups along K
// share a scale. value = (code - zero) * scale, where zero is 2^(bits-1) - 1 or, with stored zeros,
// a code of its own. Groups are whole words: group_size / (32 / bits) words; the last group of a
// row may be cut, its words are not.
struct BitLayout {
  int bits = 4;
  int group_size = 32;
  WordOrder order = WordOrder::kRows;
  DType scale = DType::kF16;
  bool stored_zeros = false;

  int codes_per_word() const { return 32 / bits; }
  int words_per_group() const { return group_size / codes_per_word(); }
  int zero() const { return (1 << (bits - 1)) - 1; }
  // Weights that have stored zeros (`bits` 8) multiply by their negative themselves.
  int sum_factor() const { return bits == 8 ? 1 : 1 - (1 << (bits - 1)); }
  int64_t groups(int64_t k) const { return (k + group_size - 1) / group_size; }
  bool operator==(const BitLayout&) const = default;
};

// Activations as int8 codes in [-127, 127] with an f32 scale a group of `group_size` along the last
// axis, and an i32 a group: the sum of its codes times sum_factor(), which is what it takes to
// count the codes of the weights from their zero.
//
// Codes lie in blocks of eight groups (the last block of a row is padded with zeros): [block][row]
// [quad][8 groups][4 bytes], so that a quad of all eight groups is one vector. Which four elements
// a quad holds follows the words of the weights that will meet it: `bits` 4: quad 4a + w has
// elements 8w + 2i + a; 3: quad 4a + w has 10w + 4a + i (i < 2 for a = 2, then zeros); 8: quad q
// has 4q + i.
struct GroupedInt8 {
  int group_size = 32;
  int bits = 4;

  int quads() const { return bits == 4 ? 8 : bits == 3 ? 12 : group_size / 4; }
  // Element of the group at byte i of quad q, or -1 where the byte is padding.
  int element(int quad, int i) const {
    if (bits == 8) return 4 * quad + i;
    const int a = quad / 4;
    const int w = quad % 4;
    if (bits == 4) return 8 * w + 2 * i + a;
    return 4 * a + i < 10 ? 10 * w + 4 * a + i : -1;
  }
  // Weights that have stored zeros (`bits` 8) multiply by their negative themselves.
  int sum_factor() const { return bits == 8 ? 1 : 1 - (1 << (bits - 1)); }
  int64_t groups(int64_t k) const { return (k + group_size - 1) / group_size; }
  int64_t blocks(int64_t k) const { return (groups(k) + 7) / 8; }
  int64_t padded_groups(int64_t k) const { return 8 * blocks(k); }
  int64_t block_bytes() const { return int64_t{32} * quads(); }
  int64_t row_bytes(int64_t k) const { return blocks(k) * block_bytes(); }
  bool operator==(const GroupedInt8&) const = default;
};

// The grouping that int8 activations need to meet weights of this layout. AWQ's groups of 128 are
// cut in four: a scale for 32 activations loses less.
inline GroupedInt8 activations_for(const BitLayout& layout) {
  if (layout.order == WordOrder::kAwq) return {32, 8};
  return {layout.group_size, layout.bits};
}

}  // namespace mlc::graph
