// SPDX-License-Identifier: Apache-2.0
// Matmul of many rows where the order of summation is free (--opt fixed_order=0) and the target
// sums tiles of bf16 (tile_sum). In the fixed order the sum of a group is an exact integer that is
// scaled behind the tile; here codes times scales are rounded to bf16 while they are unpacked and
// packed, so that sums stay in the tile registers over as much of k as the first cache holds.
//
// The terms of a sum follow the quads of the groups, 8 quads a step: packed activations
// [32 rows][2][step][16 pairs][16 rows][2], weights [32 columns][2][step][16 columns][32].
#include "kernel/templates/gemm_parts.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

// Steps of a tile_sum: its weights, 32 KiB, stay in the first cache while all rows pass.
constexpr int64_t kDepth = 16;

int64_t groups_of(const MatmulNode& m) { return m.x_type.grouped->groups(m.k); }
int64_t quads_of(const MatmulNode& m) { return m.x_type.grouped->quads(); }
int64_t steps_of(const MatmulNode& m) { return (groups_of(m) * quads_of(m) + 7) / 8; }

class PackBf16 {
 public:
  explicit PackBf16(const MatmulNode& m) : m_(m), b_("pack_bf16"), parameters_(b_, m.graph, m.id) {}

  LoweredKernel run() {
    const BufferRef x = parameters_.operand("x", DType::kI8, 0, 0);
    const BufferRef x_scales = parameters_.operand("x_scales", DType::kF32, 0, 1);
    const BufferRef out = parameters_.temporary("packed", DType::kBF16, 0);
    const Expr rows = parameters_.size("rows", m_.rows);
    const int64_t groups = m_.x_type.grouped->padded_groups(m_.k);
    const int64_t quads = quads_of(m_);
    b_.parallel("tile", ceil_div(rows, kTileSumRows) * 2, [&](const Expr& tile) {
      const std::vector<Expr> row_of = rows_of_tile(b_, tile, rows);
      const BufferRef scales =
          b_.allocate("scales", {DType::kF32, 1}, groups * kTileRows, Space::kLocal);
      b_.serial("group", groups, [&](const Expr& group) {
        for (int64_t i = 0; i < kTileRows; ++i) {
          b_.store(scales, group * kTileRows + i,
                   load(x_scales, m_.layout(rows).group_at(row_of[static_cast<size_t>(i)], group)));
        }
      });
      b_.serial("block", groups / 8, [&](const Expr& block) {
        b_.serial("pair", quads / 2, [&](const Expr& pair) {
          const std::vector<Expr> vectors = load_quads(b_, m_.layout(rows), x, row_of, block, pair);
          for (int64_t chain = 0; chain < 8; ++chain) {
            const Expr group = b_.let("group", block * 8 + chain);
            const Expr quad = b_.let("quad", group * quads + pair * 2);
            // Missing groups have codes of zero: those in the last step count.
            b_.if_then(less(quad, index(steps_of(m_) * 8)), [&] {
              const Expr scale = b_.let("scale", load(scales, group * kTileRows, kLanes));
              for (int64_t i = 0; i < 2; ++i) {
                const Expr at = (tile * steps_of(m_) * 8 + (quad + i)) * (4 * kTileRows);
                store_quad(out, at, vectors[static_cast<size_t>(8 * i + chain)], scale);
              }
            });
          }
        });
      });
    });
    return {b_.finish(), parameters_.take(), {2, m_.rows, kTileSumRows}};
  }

 private:
  // The first two codes of 16 rows, then the others.
  void store_quad(const BufferRef& out, const Expr& at, const Expr& words, const Expr& scale) {
    const Expr codes = b_.let("codes", bitcast({DType::kI8, 4 * kLanes}, words));
    std::vector<int> twice;
    for (int row = 0; row < kLanes; ++row) twice.insert(twice.end(), {row, row});
    const Expr scales = shuffle(scale, twice);
    for (int half = 0; half < 2; ++half) {
      std::vector<int> order;
      for (int row = 0; row < kLanes; ++row)
        order.insert(order.end(), {4 * row + 2 * half, 4 * row + 2 * half + 1});
      const Expr values = cast(DType::kF32, shuffle(codes, order)) * scales;
      b_.store(out, at + int64_t{2 * half * kTileRows}, cast(DType::kBF16, values));
    }
  }

  const MatmulNode& m_;
  KernelBuilder b_;
  ParameterList parameters_;
};

class GemmBf16 {
 public:
  explicit GemmBf16(const MatmulNode& m)
      : m_(m),
        quads_(quads_of(m)),
        steps_(steps_of(m)),
        b_("gemm_bf16"),
        parameters_(b_, m.graph, m.id),
        epilogue_(m.graph, m.id, preferred_block_width(m.node.base_type.last(), 64)) {
    MLC_CHECK(quads_ % 4 == 0) << quads_ << " quads";
  }

  LoweredKernel run() {
    packed_ = parameters_.temporary("x", DType::kBF16, 0);
    weights_ = std::make_unique<WeightReader>(m_.graph, m_.id, 1, parameters_);
    epilogue_.declare(parameters_);
    const Expr rows = parameters_.size("rows", m_.rows);
    const ColumnBlocks& blocks = epilogue_.blocks();
    const int64_t tiles = blocks.local_width() / kLanes;  // of columns
    column_pairs_ = (tiles + 1) / 2;
    b_.parallel("block", index(blocks.count), [&](const Expr& block) {
      const BufferRef local =
          b_.allocate("local", {DType::kF32, 1}, kChunkRows * blocks.stride, Space::kLocal);
      w_ = b_.allocate("w", {DType::kBF16, 1}, column_pairs_ * 2 * steps_ * kTileSumElements,
                       Space::kLocal);
      sums_ = b_.allocate("sums", {DType::kF32, 1}, column_pairs_ * kRowPairs * kSumElements,
                          Space::kLocal);
      for_column_runs(b_, blocks, block, epilogue_.column_count(b_, block), 0, blocks.local_width(),
                      [&](const Expr& first, const Expr& existing, int64_t at, int64_t columns) {
                        unpack_run(first, existing, at, columns);
                      });
      b_.serial("chunk", ceil_div(rows, kChunkRows), [&](const Expr& chunk) {
        const Expr first_row = b_.let("first_row", chunk * kChunkRows);
        const Expr chunk_rows = b_.let("chunk_rows", minimum(rows - first_row, index(kChunkRows)));
        const Expr row_pairs = b_.let("row_pairs", ceil_div(chunk_rows, kTileSumRows));
        multiply(chunk, row_pairs);
        b_.serial("row_pair", row_pairs, [&](const Expr& row_pair) {
          for (int64_t tile = 0; tile < tiles; ++tile) {
            for (int64_t half = 0; half < 2; ++half) {
              const Expr at =
                  sums_at(index(tile / 2), row_pair) + (tile % 2 * 2 + half) * kTileSize;
              const Expr row = row_pair * kTileSumRows + half * kTileRows;
              store_by_rows(b_, sums_, at, local, row * blocks.stride + tile * kLanes,
                            blocks.stride);
            }
          }
        });
        b_.serial("row", chunk_rows, [&](const Expr& row) {
          epilogue_.finish_row(b_, b_.let("out_row", first_row + row), block, local,
                               b_.let("base", row * blocks.stride));
        });
      });
    });
    return {b_.finish(), parameters_.take(), {blocks.count, 0, 1}};
  }

 private:
  static constexpr int64_t kRowPairs = kChunkRows / kTileSumRows;
  static constexpr int64_t kTileSize = kTileDotSize * kTileDotSize;
  static constexpr int64_t kSumElements = 4 * kTileSize;

  Expr sums_at(const Expr& column_pair, const Expr& row_pair) const {
    return (column_pair * kRowPairs + row_pair) * kSumElements;
  }

  // Four quads of a column's group, from quad 4 * four on.
  Expr value_at(const Expr& column, const Expr& group, int64_t four) const {
    const Expr fours = group * (quads_ / 4) + four;
    return ((column / 16 * steps_ + fours / 2) * 16 + column % 16) * 32 + fours % 2 * 16;
  }

  void unpack_run(const Expr& first, const Expr& existing, int64_t at, int64_t columns) {
    for_stored_columns(
        b_, *weights_, epilogue_.blocks().width, existing, groups_of(m_),
        [&](const Expr& c) { unpack_row(first + c, b_.let("column", c + at)); },
        [&](const Expr& c, const Expr& group, int lanes) {
          unpack_columns(b_.let("n", first + c), b_.let("column", c + at), group, lanes);
        });
    const int64_t fours = groups_of(m_) * (quads_ / 4);
    b_.serial("c", columns, [&](const Expr& c) {
      const Expr column = b_.let("column", c + at);
      // Of a missing column everything, of the others what the last step has beyond k.
      const Expr begin = select(less(c, existing), index(fours), index(0));
      b_.serial("four", index(2 * steps_) - begin, [&](const Expr& i) {
        const Expr four = begin + i;
        b_.store(w_, ((column / 16 * steps_ + four / 2) * 16 + column % 16) * 32 + four % 2 * 16,
                 zeros(DType::kBF16, 16));
      });
    });
  }

  void unpack_row(const Expr& n, const Expr& column) {
    const int64_t groups = groups_of(m_);
    const Expr negative_zero = i32(-weights_->layout().zero());
    const auto body = [&](const Expr& block, int existing) {
      weights_->prefetch_block(b_, n, block, kPrefetchBytes);
      const std::vector<Expr> words = weights_->block_groups(b_, n, block, existing);
      const Expr scales = b_.let("scales", weights_->block_scales(b_, n, block, existing));
      for (int g = 0; g < existing; ++g) {
        for (int64_t four = 0; four < quads_ / 4; ++four) {
          store_values(slice_lanes(words[static_cast<size_t>(g)], static_cast<int>(4 * four), 4),
                       negative_zero, extract_lane(scales, g),
                       value_at(column, block * 8 + g, four));
        }
      }
    };
    b_.serial("block", groups / 8, [&](const Expr& block) { body(block, 8); });
    if (groups % 8 != 0) body(index(groups / 8), static_cast<int>(groups % 8));
  }

  void unpack_columns(const Expr& n, const Expr& column, const Expr& group, int lanes) {
    const std::vector<Expr> codes = weights_->group_codes(b_, n, group, lanes);
    const Expr scales = b_.let("scales", weights_->group_scales(b_, n, group, lanes));
    const Expr negative_zeros = b_.let("zeros", weights_->negative_zeros(b_, n, group, lanes));
    for (int64_t four = 0; four < quads_ / 4; ++four) {
      std::vector<Expr> words;
      for (int64_t i = 4 * four; i < 4 * four + 4; ++i)
        words.push_back(b_.let("w", bitcast({DType::kU32, lanes}, codes[static_cast<size_t>(i)])));
      if (lanes == 1) {
        words = {concat_all(b_, std::move(words))};
      } else {
        words = transpose(b_, std::move(words));
      }
      for (int c = 0; c < lanes; ++c) {
        store_values(slice_lanes(words[static_cast<size_t>(c % 4)], c / 4 * 4, 4),
                     extract_lane(negative_zeros, c), extract_lane(scales, c),
                     value_at(column + c, group, four));
      }
    }
  }

  // 16 codes: (code + negative_zero) * scale
  void store_values(const Expr& words, const Expr& negative_zero, const Expr& scale,
                    const Expr& at) {
    const Expr codes = cast(DType::kI32, bitcast({DType::kU8, 16}, words)) + negative_zero;
    b_.store(w_, at, cast(DType::kBF16, cast(DType::kF32, codes) * scale));
  }

  void multiply(const Expr& chunk, const Expr& row_pairs) {
    b_.serial("column_pair", column_pairs_, [&](const Expr& column_pair) {
      b_.serial("vector", row_pairs * (kSumElements / kLanes), [&](const Expr& i) {
        b_.store(sums_, sums_at(column_pair, index(0)) + i * kLanes, zeros(DType::kF32, kLanes));
      });
      const auto part = [&](const Expr& first_step, int64_t steps) {
        b_.serial("row_pair", row_pairs, [&](const Expr& row_pair) {
          const Expr rows_at = (chunk * kRowPairs + row_pair) * (2 * steps_) + first_step;
          b_.tile_sum(sums_, sums_at(column_pair, row_pair),
                      {.a = w_,
                       .a_index = (column_pair * (2 * steps_) + first_step) * kTileSumElements,
                       .b = packed_,
                       .b_index = rows_at * kTileSumElements,
                       .steps = steps,
                       .tile_steps = steps_});
        });
      };
      b_.serial("depth", steps_ / kDepth, [&](const Expr& i) { part(i * kDepth, kDepth); });
      if (steps_ % kDepth != 0) part(index(steps_ / kDepth * kDepth), steps_ % kDepth);
    });
  }

  const MatmulNode& m_;
  int64_t quads_;
  int64_t steps_;
  KernelBuilder b_;
  ParameterList parameters_;
  Epilogue epilogue_;
  std::unique_ptr<WeightReader> weights_;
  BufferRef packed_, w_, sums_;
  int64_t column_pairs_ = 0;
};

}  // namespace

int64_t packed_bf16_row_bytes(const MatmulNode& m) {
  return steps_of(m) * 2 * kTileSumElements / kTileRows;
}

LoweredKernel pack_bf16_kernel(const MatmulNode& m) { return PackBf16(m).run(); }
LoweredKernel gemm_bf16_kernel(const MatmulNode& m) { return GemmBf16(m).run(); }

}  // namespace mlc::kernel
