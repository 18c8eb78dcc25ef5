// SPDX-License-Identifier: Apache-2.0
// Reads stored weights: plain 16-bit floats or codes of any bit layout. Nothing outside the tensor
// is ever read, since it may end where a mapped file ends.
#pragma once

#include <vector>

#include "kernel/lowering/epilogue.h"

namespace mlc::kernel {

// Neighbouring columns of the result (rows of the weights) that are computed together: a lane each
// of one accumulator or more. With one, lane i is column i.
struct ColumnStrip {
  int lanes = 16;
  int accumulators = 1;

  int columns() const { return lanes * accumulators; }
  // The column of each lane of an accumulator, counted from the strip's first.
  std::vector<int> order(int accumulator) const;
};

class WeightReader {
 public:
  // Declares the parameters for operand `operand` of node `id`, a matrix [n, k].
  WeightReader(const graph::Graph& graph, graph::NodeId id, int operand, ParameterList& parameters);

  int64_t n() const { return n_; }
  int64_t k() const { return k_; }
  bool is_plain() const { return !layout_; }
  const graph::BitLayout& layout() const { return *layout_; }
  // By rows: of values or codes.
  int64_t row_bytes() const {
    return layout_ ? layout_->groups(k_) * layout_->words_per_group() * 4
                   : k_ * dtype_bytes(words_->element.dtype);
  }
  bool by_rows() const { return !layout_ || layout_->order == graph::WordOrder::kRows; }

  // By rows: the values of `count` columns from `at` on (a multiple of decode_step()) as f32
  // vectors of 16 lanes, the last one perhaps shorter. count is decode_step(), or less at the end
  // of the row.
  int decode_step() const;
  std::vector<Expr> decode(KernelBuilder& b, const Expr& row, const Expr& at, int count) const;
  // Any order but rows: the values of column base + offset in `lanes` rows from `row` on, where
  // base is a multiple of column_step() and offset below it.
  int column_step() const;
  Expr decode_column(KernelBuilder& b, const Expr& row, const Expr& base, int64_t offset,
                     int lanes) const;

  // For int8 activations, by rows: the codes of the eight groups of `block` as u8 vectors of 64
  // bytes, [quad][8 groups][4 bytes]; `groups` of the eight exist.
  std::vector<Expr> block_codes(KernelBuilder& b, const Expr& row, const Expr& block,
                                int groups) const;
  // The first `lanes` groups of some columns side by side: [quad], of each [column][lanes][4
  // bytes].
  std::vector<Expr> strip_codes(KernelBuilder& b, const std::vector<Expr>& columns,
                                const Expr& block, int groups, int lanes) const;
  // The codes of one column group by group: of each of the eight groups its quads as u32 words, one
  // after the other.
  std::vector<Expr> block_groups(KernelBuilder& b, const Expr& row, const Expr& block,
                                 int groups) const;
  // The scales of these groups, f32 x 8, zeros for missing ones.
  Expr block_scales(KernelBuilder& b, const Expr& row, const Expr& block, int groups) const;
  // Other orders: the codes of all quads of the activations' group `group` for `lanes` rows from
  // `row`, each u8 of 4 * lanes bytes.
  std::vector<Expr> group_codes(KernelBuilder& b, const Expr& row, const Expr& group,
                                int lanes) const;
  Expr group_scales(KernelBuilder& b, const Expr& row, const Expr& group, int lanes) const;  // f32
  // Other orders: strips, widest first, of which any tile of at most `width` columns is made that
  // begins with a word. `vector_bytes`: of a register.
  std::vector<ColumnStrip> strips(int64_t width, int64_t vector_bytes) const;
  // The codes of the activations' group `group` in the strip that begins at row `row`, in
  // strip_steps() pieces.
  struct StripQuad {
    int quad;
    int accumulator;
    Expr codes;  // u8 of 4 * lanes
  };
  int strip_steps() const;
  std::vector<StripQuad> strip_quads(KernelBuilder& b, const ColumnStrip& strip, const Expr& row,
                                     const Expr& group, int step) const;
  // Of the weights' own group `group`, for each accumulator: scales, f32, and stored zeros, i32.
  std::vector<Expr> strip_scales(KernelBuilder& b, const ColumnStrip& strip, const Expr& row,
                                 const Expr& group) const;
  std::vector<Expr> strip_zeros(KernelBuilder& b, const ColumnStrip& strip, const Expr& row,
                                const Expr& group) const;
  // Asks for what step `step` of a strip will read in the activations' group `group`.
  void prefetch_strip(KernelBuilder& b, const ColumnStrip& strip, const Expr& row,
                      const Expr& group, int step) const;

  // By rows: scale of (row, group), f32.
  Expr scale(const Expr& row, const Expr& group) const;
  // Minus the code that stands for zero, in the activations' group `group` of `lanes` rows from
  // `row` on, i32.
  Expr negative_zeros(KernelBuilder& b, const Expr& row, const Expr& group, int lanes) const;

  // Codes of each word's values as quads: u8 of 4 * words' lanes, element a of the result has the
  // quads of kind a.
  std::vector<Expr> unpack_words(KernelBuilder& b, const Expr& words) const;

  // By rows: asks for `count` columns from `at` on, or for what lies `bytes_ahead` (of values or
  // codes) behind them and may be of following rows.
  void prefetch(KernelBuilder& b, const Expr& row, const Expr& at, int64_t count,
                int64_t bytes_ahead) const;
  // The same for the eight groups of `block`.
  void prefetch_block(KernelBuilder& b, const Expr& row, const Expr& block,
                      int64_t bytes_ahead) const;

 private:
  void prefetch_groups(KernelBuilder& b, const Expr& first, int64_t count,
                       int64_t bytes_ahead) const;
  // The weights' group that an activations' group lies in.
  Expr scale_group(const Expr& group) const;
  Expr block_words(KernelBuilder& b, const Expr& row, const Expr& block, int groups) const;
  // Other orders: rows of words that hold an activations' group, and the words of one.
  int64_t word_rows() const;
  int64_t words_per_row() const;
  Expr scales_of(KernelBuilder& b, const Expr& row, const Expr& group, int lanes) const;
  Expr stored_zeros(KernelBuilder& b, const Expr& row, const Expr& group, int lanes) const;  // i32
  Expr awq_nibbles(KernelBuilder& b, const BufferRef& words, const Expr& at_row, const Expr& row,
                   int lanes) const;

  int64_t n_ = 0;
  int64_t k_ = 0;
  std::optional<graph::BitLayout> layout_;
  BufferRef words_;  // or the plain values
  BufferRef scales_;
  BufferRef zeros_;
};

}  // namespace mlc::kernel
