// SPDX-License-Identifier: Apache-2.0
// What the kernels for many rows share: gemm.cpp in the fixed order of summation, gemm_bf16.cpp in
// that of the tile unit.
#pragma once

#include <functional>
#include <vector>

#include "kernel/templates/matmul.h"

namespace mlc::kernel {

// Rows whose results wait for the epilogue at once.
inline constexpr int64_t kChunkRows = 256;

// The rows of a tile of 16. Those behind the last repeat it: their results are dropped.
std::vector<Expr> rows_of_tile(KernelBuilder& b, const Expr& tile, const Expr& rows);

// int8 activations of 16 rows, whose quads 2 * pair and 2 * pair + 1 of the eight groups of
// `block`: element 8 * (quad mod 2) + group is an i32 word, a quad, of each row.
std::vector<Expr> load_quads(KernelBuilder& b, const GroupedLayout& layout, const BufferRef& x,
                             const std::vector<Expr>& rows, const Expr& block, const Expr& pair);

// The local columns [from, from + columns) of a block as runs that follow each other in the result:
// body(first, existing, at, count): `count` columns from `first` on, of which `existing` exist, are
// the local ones from + at and so on.
void for_column_runs(KernelBuilder& b, const ColumnBlocks& blocks, const Expr& block,
                     const Expr& existing, int64_t from, int64_t columns,
                     const std::function<void(const Expr& first, const Expr& existing, int64_t at,
                                              int64_t count)>& body);

// Visits the weights of `existing` columns of the result in the order in which they are read fast.
// By rows: row(column) for each. Other orders: columns(column, group, lanes) for all columns of
// each of `groups` groups, since memory gives its bandwidth to long runs only; 16 columns at a time
// where as many follow each other in `block_width`.
void for_stored_columns(
    KernelBuilder& b, const WeightReader& weights, int64_t block_width, const Expr& existing,
    int64_t groups, const std::function<void(const Expr& column)>& row,
    const std::function<void(const Expr& column, const Expr& group, int lanes)>& columns);

// Turns 16 columns of 16 rows from `from` at `at` on and stores them by rows, `stride` elements
// apart.
void store_by_rows(KernelBuilder& b, const BufferRef& from, const Expr& at, const BufferRef& to,
                   const Expr& to_at, int64_t stride);

}  // namespace mlc::kernel
