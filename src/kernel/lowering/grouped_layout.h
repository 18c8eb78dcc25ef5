// SPDX-License-Identifier: Apache-2.0
// Where grouped int8 activations lie in memory (graph/bit_layout.h).
#pragma once

#include "graph/bit_layout.h"
#include "kernel/builder.h"

namespace mlc::kernel {

// Codes [block][row][quad][8 groups][4 bytes], scales and sums [block][row][8 groups]: what a
// matmul reads of all rows in one step lies together, and rows are no power of two apart.
struct GroupedLayout {
  graph::GroupedInt8 grouped;
  Expr rows;

  Expr groups_at(const Expr& row, const Expr& block) const { return (block * rows + row) * 8; }
  Expr codes_at(const Expr& row, const Expr& block) const {
    return (block * rows + row) * grouped.block_bytes();
  }
  // Of group `group` of a row: its scale or sum, and its part of quad 0. Quads are 32 bytes apart.
  Expr group_at(const Expr& row, const Expr& group) const {
    return groups_at(row, group / 8) + group % 8;
  }
  Expr quad_at(const Expr& row, const Expr& group) const {
    return codes_at(row, group / 8) + (group % 8) * 4;
  }
};

}  // namespace mlc::kernel
