// SPDX-License-Identifier: Apache-2.0
// What the kernels of a matmul share: its operands as parameters, and the limits between them.
#pragma once

#include <functional>
#include <memory>

#include "kernel/lowering/epilogue.h"
#include "kernel/templates/weights.h"

namespace mlc::kernel {

// Up to this many rows are computed by kernels for few rows, more by gemm, with the same order of
// summation in both.
inline constexpr int64_t kMaxGemvRows = 8;
// gemv_strips: rows that stay in the L1 cache with all their activations, and rows that do with
// those of a block.
inline constexpr int64_t kMaxRowsOfWholeStrips = 24;
inline constexpr int64_t kStripRows = 64;
// How far ahead of a stream of weights to prefetch: of 0 to 8192 bytes the best at each level
// (docs/performance.md).
inline constexpr int64_t kPrefetchBytes = 4096;
// Without a fixed order, up to this many rows are computed in it nevertheless: unpacking weights to
// bf16 takes about six times as long as to codes, an estimated quarter of a cycle a weight more, of
// which 16 rows give back a twentieth.
inline constexpr int64_t kMaxFixedRows = 128;
// Rows of a tile of packed activations.
inline constexpr int64_t kTileRows = 16;
// Rows that a tile_sum computes.
inline constexpr int64_t kTileSumRows = 2 * kTileRows;

struct MatmulNode {
  MatmulNode(const graph::Graph& g, graph::NodeId i, const target::Target& t)
      : graph(g),
        id(i),
        target(t),
        node(g.node(i)),
        x_type(g.node(node.operands[0]).type),
        int8(x_type.grouped.has_value()),
        by_columns(g.node(node.operands[1]).type.layout &&
                   g.node(node.operands[1]).type.layout->order != graph::WordOrder::kRows),
        k(x_type.last()),
        rows(row_symbol(x_type)) {}

  // Whether the products of int8 activations may be rounded to bf16 and summed as the tile unit
  // likes, where there are more rows than kMaxFixedRows.
  bool by_sums() const { return int8 && !target.fixed_order && target.has_tile_sum(); }
  // Where int8 activations lie, of so many rows.
  GroupedLayout layout(const Expr& row_count) const { return {*x_type.grouped, row_count}; }
  // How gemm sums int8 products: by tiles in memory, by blocks of 2 x 2, else in lanes.
  bool by_tiles() const { return int8 && target.has_tile_dot(); }
  bool by_blocks() const { return int8 && !by_tiles() && target.has_block_dot(); }

  const graph::Graph& graph;
  graph::NodeId id;
  const target::Target& target;
  const graph::Node& node;
  const graph::Type& x_type;
  bool int8;
  bool by_columns;  // a row of the weights' words holds one k or a few of all columns
  int64_t k;
  formats::PlanSymbol rows;
};

// The activations of a matmul as a kernel's parameters.
struct ActivationBuffers {
  BufferRef x;                    // f32, or
  BufferRef codes, scales, sums;  // grouped int8
};
ActivationBuffers declare_activations(const MatmulNode& m, ParameterList& parameters);

// Columns a block for about the same number of tasks whatever the size of the matrix.
int64_t preferred_block_width(int64_t n, int64_t largest);

// Exactly so many rows, one or two; of floats with weights by columns at most so many.
LoweredKernel gemv_kernel(const MatmulNode& m, int64_t most_rows);
// Some rows with weights by rows. `many_rows`: int8, more than kMaxRowsOfWholeStrips.
LoweredKernel gemv_strips_kernel(const MatmulNode& m, bool many_rows);
// The activations of many rows, laid out for gemm: temporary 0 (codes or f32), 1 (scales), 2
// (sums).
LoweredKernel pack_kernel(const MatmulNode& m);
// `single_tile`: for up to 16 rows, which one tile of activations holds.
LoweredKernel gemm_kernel(const MatmulNode& m, bool single_tile);
// False where that is no other kernel.
bool gemm_has_single_tile(const MatmulNode& m);
// The same two for by_sums(); the packed activations are temporary 0 again.
LoweredKernel pack_bf16_kernel(const MatmulNode& m);
LoweredKernel gemm_bf16_kernel(const MatmulNode& m);
int64_t packed_bf16_row_bytes(const MatmulNode& m);  // of rows rounded up to kTileSumRows
std::vector<formats::LinearSize> gemm_temporaries(const MatmulNode& m);

}  // namespace mlc::kernel
