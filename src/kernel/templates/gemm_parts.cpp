// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/gemm_parts.h"

#include <algorithm>

namespace mlc::kernel {

std::vector<Expr> rows_of_tile(KernelBuilder& b, const Expr& tile, const Expr& rows) {
  std::vector<Expr> list;
  for (int64_t i = 0; i < kTileRows; ++i)
    list.push_back(b.let("row", minimum(tile * kTileRows + i, rows - 1)));
  return list;
}

std::vector<Expr> load_quads(KernelBuilder& b, const GroupedLayout& layout, const BufferRef& x,
                             const std::vector<Expr>& rows, const Expr& block, const Expr& pair) {
  std::vector<Expr> vectors;
  for (const Expr& row : rows) {
    const Expr at = layout.codes_at(row, block) + pair * 64;
    vectors.push_back(b.let("v", bitcast({DType::kI32, kLanes}, load(x, at, 64))));
  }
  return transpose(b, std::move(vectors));
}

void for_column_runs(KernelBuilder& b, const ColumnBlocks& blocks, const Expr& block,
                     const Expr& existing, int64_t from, int64_t columns,
                     const std::function<void(const Expr& first, const Expr& existing, int64_t at,
                                              int64_t count)>& body) {
  const int64_t padded = blocks.padded_width();
  for (int64_t begin = from; begin < from + columns;) {
    const int64_t segment = begin / padded;
    const int64_t in_segment = begin % padded;
    const int64_t end = std::min(from + columns, (segment + 1) * padded);
    const Expr first =
        b.let("first", block * blocks.width + (segment * blocks.distance + in_segment));
    const Expr there =
        b.let("existing", minimum(index(end - begin), maximum(existing - in_segment, index(0))));
    body(first, there, begin - from, end - begin);
    begin = end;
  }
}

void for_stored_columns(
    KernelBuilder& b, const WeightReader& weights, int64_t block_width, const Expr& existing,
    int64_t groups, const std::function<void(const Expr& column)>& row,
    const std::function<void(const Expr& column, const Expr& group, int lanes)>& columns) {
  if (weights.by_rows()) {
    b.serial("c", existing, [&](const Expr& c) { row(c); });
    return;
  }
  // AWQ's words hold eight columns.
  const bool aligned = weights.layout().order != graph::WordOrder::kAwq || block_width % 8 == 0;
  const Expr whole = aligned ? b.let("whole", existing / kLanes) : index(0);
  const Expr done = b.let("done", whole * kLanes);
  b.serial("g", groups, [&](const Expr& group) {
    b.serial("c", whole, [&](const Expr& c) { columns(c * kLanes, group, kLanes); });
    b.serial("c", existing - done, [&](const Expr& c) { columns(done + c, group, 1); });
  });
}

void store_by_rows(KernelBuilder& b, const BufferRef& from, const Expr& at, const BufferRef& to,
                   const Expr& to_at, int64_t stride) {
  std::vector<Expr> vectors;
  for (int64_t c = 0; c < kLanes; ++c)
    vectors.push_back(b.let("v", load(from, at + c * kTileRows, kLanes)));
  vectors = transpose(b, std::move(vectors));
  for (int64_t r = 0; r < kTileRows; ++r)
    b.store(to, to_at + r * stride, vectors[static_cast<size_t>(r)]);
}

}  // namespace mlc::kernel
