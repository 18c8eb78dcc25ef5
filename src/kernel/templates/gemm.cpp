// SPDX-License-Identifier: Apache-2.0
// Matmul of many rows. The activations of sixteen rows are packed so that a lane is a row (pack),
// once a matmul. A task is a block of columns of the result: its weights are unpacked into scratch,
// and for each tile of rows the chains of the sum run one after the other (the order is gemv's), so
// that the activations of a chain stay in the L1 cache while all columns pass. Results are turned
// to lie by rows, and the epilogue follows.
//
// Where the target multiplies tiles (tile_dot), the integer sums of a group come from a tile
// product into memory instead of from dot products in registers. What follows is the same, and so
// are the bits.
//
// Packed activations: int8: codes [tile of 16][chain][block][quad][16 rows][4], scales and sums
// [tile][chain][block][16], for blocks the codes [quad / 2][16 rows][8]. f32: [tile of 16][chain][k
// / 16][16 rows].
#include <algorithm>

#include "kernel/templates/gemm_parts.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

struct PackedSizes {
  int64_t chains;
  int64_t steps;          // of a chain: blocks of eight groups, or k / 16
  int64_t quads = 0;      // int8
  int64_t tile_elements;  // codes in bytes, or floats
  int64_t tile_scales = 0;

  explicit PackedSizes(const MatmulNode& m) {
    if (m.int8) {
      const graph::GroupedInt8& grouped = *m.x_type.grouped;
      chains = kGroupLanes;
      steps = grouped.blocks(m.k);
      quads = grouped.quads();
      tile_elements = chains * steps * quads * kTileRows * 4;
      tile_scales = chains * steps * kTileRows;
    } else {
      chains = kLanes;
      steps = (m.k + kLanes - 1) / kLanes;
      tile_elements = chains * steps * kTileRows;
    }
  }
};

class Pack {
 public:
  explicit Pack(const MatmulNode& m)
      : m_(m), sizes_(m), b_("pack"), parameters_(b_, m.graph, m.id) {}

  LoweredKernel run() {
    const BufferRef x = parameters_.operand("x", m_.int8 ? DType::kI8 : DType::kF32, 0, 0);
    if (m_.int8) {
      scales_ = parameters_.operand("x_scales", DType::kF32, 0, 1);
      sums_ = parameters_.operand("x_sums", DType::kI32, 0, 2);
    }
    out_ = parameters_.temporary("packed", m_.int8 ? DType::kI8 : DType::kF32, 0);
    if (m_.int8) {
      out_scales_ = parameters_.temporary("packed_scales", DType::kF32, 1);
      out_sums_ = parameters_.temporary("packed_sums", DType::kI32, 2);
    }
    rows_ = parameters_.size("rows", m_.rows);
    b_.parallel("tile", ceil_div(rows_, kTileRows), [&](const Expr& tile) {
      row_of_ = rows_of_tile(b_, tile, rows_);
      if (m_.int8) {
        pack_codes(x, tile);
        pack_group_values(scales_, out_scales_, tile);
        pack_group_values(sums_, out_sums_, tile);
      } else {
        pack_floats(x, tile);
      }
    });
    return {b_.finish(), parameters_.take(), {1, m_.rows, kTileRows}};
  }

 private:
  // Two quads of eight groups are a vector of 16 words; sixteen rows of it are transposed.
  void pack_codes(const BufferRef& x, const Expr& tile) {
    b_.serial("block", sizes_.steps, [&](const Expr& block) {
      b_.serial("pair", sizes_.quads / 2, [&](const Expr& pair) {
        const std::vector<Expr> vectors = load_quads(b_, m_.layout(rows_), x, row_of_, block, pair);
        if (m_.by_blocks()) {  // a row's words of both quads together
          std::vector<int> by_turns;
          for (int row = 0; row < kLanes; ++row)
            by_turns.insert(by_turns.end(), {row, kLanes + row});
          for (int64_t chain = 0; chain < 8; ++chain) {
            const Expr both = shuffle(vectors[static_cast<size_t>(chain)],
                                      vectors[static_cast<size_t>(8 + chain)], by_turns);
            const Expr at =
                (((tile * 8 + chain) * sizes_.steps + block) * sizes_.quads + pair * 2) *
                (kTileRows * 4);
            b_.store(out_, at, bitcast({DType::kI8, 128}, both));
          }
          return;
        }
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const int64_t chain = lane % 8;
          const Expr quad = pair * 2 + lane / 8;
          const Expr at =
              (((tile * 8 + chain) * sizes_.steps + block) * sizes_.quads + quad) * (kTileRows * 4);
          b_.store(out_, at, bitcast({DType::kI8, 64}, vectors[static_cast<size_t>(lane)]));
        }
      });
    });
  }

  void pack_group_values(const BufferRef& from, const BufferRef& to, const Expr& tile) {
    const int64_t groups = m_.x_type.grouped->padded_groups(m_.k);
    b_.serial("group", groups, [&](const Expr& group) {
      const Expr at = b_.let("at", ((tile * 8 + group % 8) * sizes_.steps + group / 8) * kTileRows);
      for (int64_t i = 0; i < kTileRows; ++i) {
        const Expr& row = row_of_[static_cast<size_t>(i)];
        b_.store(to, at + i, load(from, m_.layout(rows_).group_at(row, group)));
      }
    });
  }

  void pack_floats(const BufferRef& x, const Expr& tile) {
    for_vectors(b_, "k", m_.k, kLanes, [&](const Expr& at, int lanes) {
      std::vector<Expr> vectors;
      for (const Expr& row : row_of_)
        vectors.push_back(b_.let("v", load_padded(x, row * m_.k + at, lanes, kLanes)));
      vectors = transpose(b_, std::move(vectors));
      const Expr step = b_.let("step", at / kLanes);
      for (int64_t chain = 0; chain < kLanes; ++chain) {
        b_.store(out_, ((tile * kLanes + chain) * sizes_.steps + step) * kTileRows,
                 vectors[static_cast<size_t>(chain)]);
      }
    });
  }

  const MatmulNode& m_;
  PackedSizes sizes_;
  KernelBuilder b_;
  ParameterList parameters_;
  BufferRef scales_, sums_, out_, out_scales_, out_sums_;
  Expr rows_;
  std::vector<Expr> row_of_;
};

class Gemm {
 public:
  Gemm(const MatmulNode& m, bool single_tile)
      : m_(m),
        sizes_(m),
        b_("gemm"),
        parameters_(b_, m.graph, m.id),
        epilogue_(m.graph, m.id, preferred_block_width(m.node.base_type.last(), 64)) {
    by_tiles_ = m.by_tiles();
    by_blocks_ = m.by_blocks();
    // Columns and tiles of rows that a step of the inner loop computes at once, for the registers
    // there are.
    const bool wide = m.target.vector_bytes() >= 64;
    tiles_ = wide && !single_tile && !by_tiles_ ? 2 : 1;
    columns_ = by_tiles_ ? kTileDotSize : wide && (!m.int8 || tiles_ == 1) ? 8 : 4;
  }

  LoweredKernel run() {
    packed_ = parameters_.temporary("x", m_.int8 ? DType::kI8 : DType::kF32, 0);
    if (m_.int8) {
      packed_scales_ = parameters_.temporary("x_scales", DType::kF32, 1);
      packed_sums_ = parameters_.temporary("x_sums", DType::kI32, 2);
    }
    weights_ = std::make_unique<WeightReader>(m_.graph, m_.id, 1, parameters_);
    epilogue_.declare(parameters_);
    const Expr rows = parameters_.size("rows", m_.rows);
    const ColumnBlocks& blocks = epilogue_.blocks();
    const int64_t width = blocks.stride;
    group_columns_ = m_.int8 ? blocks.local_width() : kLanes;
    const int64_t step_rows = tiles_ * kTileRows;
    b_.parallel("block", index(blocks.count), [&](const Expr& block) {
      const BufferRef local =
          b_.allocate("local", {DType::kF32, 1}, kChunkRows * width, Space::kLocal);
      allocate_scratch(step_rows);
      const Expr count = epilogue_.column_count(b_, block);
      b_.serial("chunk", ceil_div(rows, kChunkRows), [&](const Expr& chunk) {
        const Expr first_row = b_.let("first_row", chunk * kChunkRows);
        const Expr chunk_rows = b_.let("chunk_rows", minimum(rows - first_row, index(kChunkRows)));
        for (int64_t from = 0; from < blocks.local_width(); from += group_columns_) {
          unpack(block, count, blocks, from);
          b_.serial("tile", ceil_div(chunk_rows, step_rows), [&](const Expr& tile) {
            const Expr packed_tile =
                b_.let("packed_tile", chunk * (kChunkRows / kTileRows) + tile * tiles_);
            multiply(packed_tile, b_.let("last_tile", (rows - 1) / kTileRows), block, blocks, from);
            combine(local, tile * step_rows, width, from, step_rows);
          });
        }
        b_.serial("row", chunk_rows, [&](const Expr& row) {
          epilogue_.finish_row(b_, b_.let("out_row", first_row + row), block, local,
                               b_.let("base", row * width));
        });
      });
    });
    return {b_.finish(), parameters_.take(), {blocks.count, 0, 1}};
  }

 private:
  void allocate_scratch(int64_t step_rows) {
    if (m_.int8) {
      w_ = b_.allocate("w_codes", {DType::kU32, 1}, group_columns_ / 16 * 8 * chain_words(),
                       Space::kLocal);
      w_scales_ = b_.allocate("w_values", {DType::kF32, 1}, group_columns_ * sizes_.steps * 8,
                              Space::kLocal);
      if (weights_->layout().stored_zeros) {
        w_zeros_ = b_.allocate("w_negative_zeros", {DType::kI32, 1},
                               group_columns_ * sizes_.steps * 8, Space::kLocal);
      }
    } else {
      w_ = b_.allocate("w_values", {DType::kF32, 1}, kLanes * sizes_.steps * kLanes, Space::kLocal);
    }
    partial_ = b_.allocate("partial", {DType::kF32, 1}, sizes_.chains * group_columns_ * step_rows,
                           Space::kLocal);
  }

  // Scratch of unpacked weights, int8: [16 columns][chain][step][16][quad], for blocks [16
  // columns][chain][step][8][pair of quads][2 columns][2 quads]. What a step reads lies together,
  // as tiles need it, and fills whole cache lines.
  Expr code_at(const Expr& column, const Expr& chain, const Expr& step, int64_t quad) const {
    const Expr group = (column / 16 * 8 + chain) * chain_words();
    if (by_blocks_) {
      return group + (step * 16 + (column - column % 2) % 16) * sizes_.quads + column % 2 * 2 +
             (quad / 2 * 4 + quad % 2);
    }
    return group + (step * 16 + column % 16) * sizes_.quads + quad;
  }
  // Chains that begin a multiple of 4 KB apart would share their sets of the L1 cache.
  int64_t chain_words() const { return sizes_.steps * 16 * sizes_.quads + 16; }
  // A block's eight scales lie together where they come so, but blocks of two columns need theirs
  // side by side.
  bool rows_of_scales() const { return weights_->by_rows() && !by_blocks_; }
  Expr scale_at(const Expr& column, const Expr& chain, const Expr& step) const {
    if (rows_of_scales()) return (column * sizes_.steps + step) * 8 + chain;
    return ((column / 16 * 8 + chain) * sizes_.steps + step) * 16 + column % 16;
  }

  // Unpacks the weights of columns [from, from + group_columns_) of the block's local columns.
  void unpack(const Expr& block, const Expr& count, const ColumnBlocks& blocks, int64_t from) {
    for_column_runs(b_, blocks, block, count, from, group_columns_,
                    [&](const Expr& first, const Expr& existing, int64_t at, int64_t columns) {
                      unpack_run(first, existing, at, columns);
                    });
  }

  // `existing` of `columns` columns of the result from `first` on, into scratch from column `at`;
  // zeros for the rest.
  void unpack_run(const Expr& first, const Expr& existing, int64_t at, int64_t columns) {
    if (!m_.int8) {
      unpack_floats(first, existing);
      return;
    }
    for_stored_columns(
        b_, *weights_, epilogue_.blocks().width, existing, sizes_.steps * 8,
        [&](const Expr& c) { unpack_row(first + c, b_.let("column", c + at)); },
        [&](const Expr& c, const Expr& group, int lanes) {
          unpack_columns(b_.let("n", first + c), b_.let("column", c + at), group, lanes);
        });
    b_.serial("missing", index(columns) - existing, [&](const Expr& i) {
      const Expr column = b_.let("column", (existing + i) + at);
      b_.serial("step", sizes_.steps, [&](const Expr& step) {
        b_.serial("chain", 8, [&](const Expr& chain) {
          for (int64_t quad = 0; quad < sizes_.quads; ++quad)
            b_.store(w_, code_at(column, chain, step, quad), constant({DType::kU32, 1}, 0));
          b_.store(w_scales_, scale_at(column, chain, step), f32(0));
          if (w_zeros_) b_.store(w_zeros_, scale_at(column, chain, step), i32(0));
        });
      });
    });
  }

  void unpack_row(const Expr& n, const Expr& column) {
    const int64_t groups = weights_->layout().groups(m_.k);
    const auto body = [&](const Expr& step, int existing) {
      weights_->prefetch_block(b_, n, step, kPrefetchBytes);
      const std::vector<Expr> groups_of_block = weights_->block_groups(b_, n, step, existing);
      const Expr scales = b_.let("scales", weights_->block_scales(b_, n, step, existing));
      if (rows_of_scales()) b_.store(w_scales_, scale_at(column, index(0), step), scales);
      for (int chain = 0; chain < existing; ++chain) {
        store_quads(groups_of_block[static_cast<size_t>(chain)], column, index(chain), step, 0);
        if (!rows_of_scales())
          b_.store(w_scales_, scale_at(column, index(chain), step), extract_lane(scales, chain));
      }
    };
    b_.serial("g", groups / 8, [&](const Expr& step) { body(step, 8); });
    if (groups % 8 != 0) body(index(groups / 8), static_cast<int>(groups % 8));
  }

  void unpack_columns(const Expr& n, const Expr& column, const Expr& group, int lanes) {
    const Expr chain = b_.let("chain", group % 8);
    const Expr step = b_.let("step", group / 8);
    b_.if_then(
        less(group, index(m_.x_type.grouped->groups(m_.k))),
        [&] {
          std::vector<Expr> words;
          for (const Expr& codes : weights_->group_codes(b_, n, group, lanes))
            words.push_back(bitcast({DType::kU32, lanes}, codes));
          if (lanes == kLanes) {
            store_turned(words, column, chain, step);
          } else {
            for (size_t quad = 0; quad < words.size(); ++quad)
              b_.store(w_, code_at(column, chain, step, static_cast<int64_t>(quad)), words[quad]);
          }
          b_.store(w_scales_, scale_at(column, chain, step),
                   weights_->group_scales(b_, n, group, lanes));
          if (w_zeros_)
            b_.store(w_zeros_, scale_at(column, chain, step),
                     weights_->negative_zeros(b_, n, group, lanes));
        },
        [&] {
          // Nobody reads the codes of a missing group in a tile or block.
          for (int64_t quad = 0; quad < sizes_.quads && !by_tiles_ && !by_blocks_; ++quad)
            b_.store(w_, code_at(column, chain, step, quad), zeros(DType::kU32, lanes));
          b_.store(w_scales_, scale_at(column, chain, step), zeros(DType::kF32, lanes));
          if (w_zeros_)
            b_.store(w_zeros_, scale_at(column, chain, step), zeros(DType::kI32, lanes));
        });
  }

  // Words of a column's group from `quad` on into scratch for tiles or blocks.
  void store_quads(const Expr& words, const Expr& column, const Expr& chain, const Expr& step,
                   int64_t quad) {
    const int at_once = by_blocks_ ? 2 : words->type.lanes;
    for (int i = 0; i < words->type.lanes; i += at_once)
      b_.store(w_, code_at(column, chain, step, quad + i), slice_lanes(words, i, at_once));
  }

  // [quad] vectors of 16 columns' words into the same: blocks of four quads and four columns are
  // transposed.
  void store_turned(const std::vector<Expr>& words, const Expr& column, const Expr& chain,
                    const Expr& step) {
    for (size_t quad = 0; quad < words.size(); quad += 4) {
      const auto begin = words.begin() + static_cast<ptrdiff_t>(quad);
      const std::vector<Expr> turned = transpose(b_, {begin, begin + 4});
      for (int c = 0; c < kLanes; ++c) {
        store_quads(slice_lanes(turned[static_cast<size_t>(c % 4)], c / 4 * 4, 4), column + c,
                    chain, step, static_cast<int64_t>(quad));
      }
    }
  }

  // Scratch of float weights: [chain][step][16 columns].
  void unpack_floats(const Expr& first, const Expr& existing) {
    const auto at = [&](const Expr& chain, const Expr& step) {
      return (chain * sizes_.steps + step) * kLanes;
    };
    if (weights_->by_rows()) {
      // Columns behind the last repeat it: their results are dropped.
      std::vector<Expr> columns;
      for (int64_t i = 0; i < kLanes; ++i)
        columns.push_back(b_.let("n", first + minimum(index(i), maximum(existing - 1, index(0)))));
      b_.if_then(less(index(0), existing), [&] {
        for_vectors(b_, "k", m_.k, weights_->decode_step(), [&](const Expr& k, int count) {
          std::vector<std::vector<Expr>> values;
          for (const Expr& column : columns)
            values.push_back(weights_->decode(b_, column, k, count));
          for (size_t v = 0; v < values[0].size(); ++v) {
            std::vector<Expr> vectors;
            for (const auto& row : values)
              vectors.push_back(b_.let("w", pad_lanes(row[v], kLanes)));
            vectors = transpose(b_, std::move(vectors));
            const Expr step = b_.let("step", k / kLanes + static_cast<int64_t>(v));
            for (int64_t chain = 0; chain < kLanes; ++chain) {
              b_.store(w_, at(index(chain), step), vectors[static_cast<size_t>(chain)]);
            }
          }
        });
      });
      return;
    }
    const auto store_columns = [&](const Expr& n, const Expr& lane, int lanes) {
      for_vectors(b_, "k", m_.k, weights_->column_step(), [&](const Expr& base, int count) {
        for (int offset = 0; offset < count; ++offset) {
          const Expr step = base / kLanes + offset / kLanes;
          b_.store(w_, at(index(offset % kLanes), step) + lane,
                   weights_->decode_column(b_, n, base, offset, lanes));
        }
      });
      for (int64_t k = m_.k; k < sizes_.steps * kLanes; ++k) {
        b_.store(w_, at(index(k % kLanes), index(k / kLanes)) + lane, zeros(DType::kF32, lanes));
      }
    };
    const bool aligned =
        weights_->layout().order != graph::WordOrder::kAwq || epilogue_.blocks().width % 8 == 0;
    const Expr whole = aligned ? b_.let("whole", existing / kLanes) : index(0);
    b_.serial("c", whole, [&](const Expr&) { store_columns(first, index(0), kLanes); });
    const Expr done = b_.let("done", whole * kLanes);
    b_.serial("c", existing - done,
              [&](const Expr& c) { store_columns(b_.let("n", first + (done + c)), done + c, 1); });
  }

  // All chains of all columns in scratch for `tiles_` packed tiles, into partial
  // [chain][column][row].
  void multiply(const Expr& packed_tile, const Expr& last_tile, const Expr& block,
                const ColumnBlocks& blocks, int64_t from) {
    std::vector<Expr> tiles;
    for (int64_t v = 0; v < tiles_; ++v)
      tiles.push_back(b_.let("tile", minimum(packed_tile + v, last_tile)));
    b_.serial("chain", sizes_.chains, [&](const Expr& chain) {
      b_.serial("columns", group_columns_ / columns_, [&](const Expr& group) {
        const Expr first = b_.let("first_column", group * columns_);
        if (m_.int8 && weights_->by_rows()) {
          b_.if_then(equal(packed_tile, index(0)),
                     [&] { prefetch_next(block, blocks, first + from, chain); });
        }
        // The last groups (or columns) of a row may be missing in the later chains.
        const Expr steps = m_.int8 ? chain_steps(m_.x_type.grouped->groups(m_.k), chain)
                                   : chain_steps(m_.k, chain);
        if (by_blocks_) {
          b_.serial("half", 2, [&](const Expr& half) {
            multiply_blocks(tiles[0], half, chain, first, steps);
          });
          return;
        }
        const BufferRef sums = zero_sums(columns_ * tiles_);
        if (by_tiles_) {
          steps_by_tiles(tiles[0], chain, first, steps, sums);
          store_sums(chain, first, sums);
          return;
        }
        b_.serial("step", steps, [&](const Expr& step) {
          if (m_.int8) {
            step_int8(tiles, chain, first, step, sums);
          } else {
            step_floats(tiles, chain, first, step, sums);
          }
        });
        store_sums(chain, first, sums);
      });
    });
  }

  BufferRef zero_sums(int64_t count) {
    BufferRef sums = b_.allocate("sums", {DType::kF32, kLanes}, count, Space::kRegister);
    b_.unrolled("i", count, [&](const Expr& i) { b_.store(sums, i, zeros(DType::kF32, kLanes)); });
    return sums;
  }

  void store_sums(const Expr& chain, const Expr& first, const BufferRef& sums) {
    for (int64_t c = 0; c < columns_; ++c) {
      for (int64_t v = 0; v < tiles_; ++v) {
        const Expr at =
            (chain * group_columns_ + (first + c)) * (tiles_ * kTileRows) + v * kTileRows;
        b_.store(partial_, at, load(sums, index(c * tiles_ + v)));
      }
    }
  }

  // The same sums as step_int8 for 16 columns. Two steps at a time: while the vector units scale
  // the products of one, the tile unit makes those of the other.
  void steps_by_tiles(const Expr& tile, const Expr& chain, const Expr& first, const Expr& steps,
                      const BufferRef& sums) {
    constexpr int64_t kProductSize = kTileDotSize * kTileRows;
    const BufferRef products =
        b_.allocate("products", {DType::kI32, 1}, 2 * kProductSize, Space::kLocal);
    const auto product = [&](const Expr& step, int64_t which) {
      b_.tile_dot(products, index(which * kProductSize),
                  {.a = w_,
                   .a_index = code_at(first, chain, step, 0),
                   .b = packed_,
                   .b_index = (tile * 8 + chain) * (sizes_.steps * sizes_.quads * kTileRows * 4) +
                              step * (sizes_.quads * kTileRows * 4),
                   .quads = sizes_.quads,
                   .row_words = sizes_.quads});
    };
    const auto scale = [&](const Expr& step, const Expr& which) {
      const Expr at = b_.let("at_group", ((tile * 8 + chain) * sizes_.steps + step) * kTileRows);
      const Expr correction = b_.let("correction", load(packed_sums_, at, kLanes));
      const Expr x_scale = b_.let("x_scale", load(packed_scales_, at, kLanes));
      for (int64_t c = 0; c < columns_; ++c) {
        const Expr at_scale = scale_at(first + c, chain, step);
        Expr start = correction;
        if (w_zeros_) start = start * broadcast(load(w_zeros_, at_scale), kLanes);
        const Expr total =
            b_.let("total", load(products, which * kProductSize + c * kTileRows, kLanes) + start);
        const Expr w_scale = broadcast(load(w_scales_, at_scale), kLanes);
        b_.store(sums, index(c),
                 fma(cast(DType::kF32, total) * x_scale, w_scale, load(sums, index(c))));
      }
    };
    b_.serial("pair", steps / 2, [&](const Expr& pair) {
      const Expr step = b_.let("step", pair * 2);
      product(step, 0);
      product(step + 1, 1);
      b_.serial("which", 2, [&](const Expr& which) { scale(step + which, which); });
    });
    b_.if_then(equal(steps % 2, index(1)), [&] {
      const Expr step = b_.let("step", steps - 1);
      product(step, 0);
      scale(step, index(0));
    });
  }

  // A chain of `columns_` columns for half of a tile, 8 rows. A vector has four blocks of two
  // columns and two rows: with the sums that are, of all rows of the tile, beside the sums of a
  // group there would be no register for the operands.
  void multiply_blocks(const Expr& tile, const Expr& half, const Expr& chain, const Expr& first,
                       const Expr& steps) {
    constexpr int64_t kHalfRows = kTileRows / 2;
    const int64_t pairs = columns_ / 2;
    // Lanes of a vector of blocks from two values, one a column, and from eight, one a row.
    const auto of_columns = [&](const BufferRef& values, const Expr& at) {
      return shuffle(b_.let("pair", load(values, at, 2)),
                     {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
    };
    const auto of_rows = [&](const BufferRef& values, const Expr& at) {
      return b_.let("rows", shuffle(b_.let("eight", load(values, at, kHalfRows)),
                                    {0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5, 6, 7, 6, 7}));
    };
    const BufferRef sums = zero_sums(pairs);
    b_.serial("step", steps, [&](const Expr& step) {
      const Expr at_group = b_.let("at_group", (tile * 8 + chain) * sizes_.steps + step);
      const Expr at_rows = b_.let("at_rows", at_group * kTileRows + half * kHalfRows);
      const Expr correction = of_rows(packed_sums_, at_rows);
      const BufferRef acc = b_.allocate("acc", {DType::kI32, kLanes}, pairs, Space::kRegister);
      for (int64_t p = 0; p < pairs; ++p) {
        const Expr at = scale_at(first + 2 * p, chain, step);
        b_.store(acc, index(p), w_zeros_ ? correction * of_columns(w_zeros_, at) : correction);
      }
      for (int64_t quad = 0; quad < sizes_.quads; quad += 2) {
        const Expr at = (at_group * sizes_.quads + quad) * (kTileRows * 4) + half * (kHalfRows * 8);
        const Expr x = b_.let("x", load(packed_, at, 64));
        for (int64_t p = 0; p < pairs; ++p) {
          const Expr block = load(w_, code_at(first + 2 * p, chain, step, quad), 4);
          const Expr blocks =
              shuffle(b_.let("block", block), {0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
          b_.store(acc, index(p),
                   block_dot(load(acc, index(p)), bitcast({DType::kU8, 64}, blocks), x));
        }
      }
      const Expr x_scale = of_rows(packed_scales_, at_rows);
      for (int64_t p = 0; p < pairs; ++p) {
        const Expr scale = of_columns(w_scales_, scale_at(first + 2 * p, chain, step));
        b_.store(
            sums, index(p),
            fma(cast(DType::kF32, load(acc, index(p))) * x_scale, scale, load(sums, index(p))));
      }
    });
    for (int64_t c = 0; c < columns_; ++c) {
      std::vector<int> rows_of_column;
      for (int i = 0; i < kLanes; ++i) {
        if (i % 4 / 2 == c % 2) rows_of_column.push_back(i);
      }
      const Expr at = (chain * group_columns_ + (first + c)) * kTileRows + half * kHalfRows;
      b_.store(partial_, at, shuffle(load(sums, index(c / 2)), rows_of_column));
    }
  }

  // While the first rows are multiplied, the weights of the next block of columns are on their way:
  // for each of `columns_` local columns from `column` on, what lies in every eighth block from
  // `chain` on.
  void prefetch_next(const Expr& block, const ColumnBlocks& blocks, const Expr& column,
                     const Expr& chain) {
    const int64_t padded = blocks.padded_width();
    const Expr segment = b_.let("segment", column / padded);
    const Expr n =
        b_.let("next", (block + 1) * blocks.width + (segment * blocks.distance + column % padded));
    b_.serial("part", chain_steps(sizes_.steps, chain), [&](const Expr& part) {
      for (int64_t c = 0; c < columns_; ++c)
        weights_->prefetch_block(b_, n + c, part * 8 + chain, 0);
    });
  }

  // How many of `count` things numbered chain, chain + chains, ... there are.
  Expr chain_steps(int64_t count, const Expr& chain) {
    if (count % sizes_.chains == 0) return index(count / sizes_.chains);
    return b_.let("steps", (index(count + sizes_.chains - 1) - chain) / sizes_.chains);
  }

  void step_int8(const std::vector<Expr>& tiles, const Expr& chain, const Expr& first,
                 const Expr& step, const BufferRef& sums) {
    const DotAccumulator dots(m_.target, kLanes);
    const bool stored_zeros = w_zeros_ != nullptr;
    std::vector<Expr> at_group;
    std::vector<Expr> corrections;
    for (const Expr& tile : tiles) {
      at_group.push_back(b_.let("at_group", (tile * 8 + chain) * sizes_.steps + step));
      corrections.push_back(
          b_.let("correction", load(packed_sums_, at_group.back() * kTileRows, kLanes)));
    }
    const int64_t count = columns_ * tiles_;
    MLC_CHECK(sizes_.quads <= DotAccumulator::max_steps((1 << weights_->layout().bits) - 1))
        << sizes_.quads << " steps";
    const BufferRef acc = b_.allocate("acc", dots.type(), count, Space::kRegister);
    std::vector<Expr> starts;
    for (int64_t c = 0; c < columns_; ++c) {
      for (int64_t v = 0; v < tiles_; ++v) {
        Expr start = corrections[static_cast<size_t>(v)];
        if (stored_zeros)
          start = b_.let(
              "start", start * broadcast(load(w_zeros_, scale_at(first + c, chain, step)), kLanes));
        starts.push_back(start);
        b_.store(acc, index(c * tiles_ + v), dots.begin_at(start));
      }
    }
    for (int64_t quad = 0; quad < sizes_.quads; ++quad) {
      std::vector<Expr> x;
      for (int64_t v = 0; v < tiles_; ++v) {
        const Expr at = (at_group[static_cast<size_t>(v)] * sizes_.quads + quad) * (kTileRows * 4);
        x.push_back(b_.let("x", load(packed_, at, 64)));
      }
      for (int64_t c = 0; c < columns_; ++c) {
        const Expr word = load(w_, code_at(first + c, chain, step, quad));
        const Expr w = b_.let("w", bitcast({DType::kU8, 64}, broadcast(word, kLanes)));
        for (int64_t v = 0; v < tiles_; ++v) {
          const Expr i = index(c * tiles_ + v);
          b_.store(acc, i, dots.step(load(acc, i), w, x[static_cast<size_t>(v)]));
        }
      }
    }
    std::vector<Expr> x_scales;
    for (const Expr& at : at_group)
      x_scales.push_back(b_.let("x_scale", load(packed_scales_, at * kTileRows, kLanes)));
    for (int64_t c = 0; c < columns_; ++c) {
      const Expr scale =
          b_.let("scale", broadcast(load(w_scales_, scale_at(first + c, chain, step)), kLanes));
      for (int64_t v = 0; v < tiles_; ++v) {
        const Expr i = index(c * tiles_ + v);
        const Expr total = b_.let(
            "total", dots.finish_at(load(acc, i), starts[static_cast<size_t>(c * tiles_ + v)]));
        b_.store(
            sums, i,
            fma(cast(DType::kF32, total) * x_scales[static_cast<size_t>(v)], scale, load(sums, i)));
      }
    }
  }

  void step_floats(const std::vector<Expr>& tiles, const Expr& chain, const Expr& first,
                   const Expr& step, const BufferRef& sums) {
    std::vector<Expr> x;
    for (const Expr& tile : tiles) {
      x.push_back(b_.let(
          "x", load(packed_, ((tile * kLanes + chain) * sizes_.steps + step) * kTileRows, kLanes)));
    }
    for (int64_t c = 0; c < columns_; ++c) {
      const Expr w = b_.let(
          "w", broadcast(load(w_, (chain * sizes_.steps + step) * kLanes + (first + c)), kLanes));
      for (int64_t v = 0; v < tiles_; ++v) {
        const Expr i = index(c * tiles_ + v);
        b_.store(sums, i, fma(w, x[static_cast<size_t>(v)], load(sums, i)));
      }
    }
  }

  // Sums the chains by halves and turns the results, so that a row's columns lie together in
  // `local`.
  void combine(const BufferRef& local, const Expr& row, int64_t width, int64_t from,
               int64_t step_rows) {
    const BufferRef turned =
        b_.allocate("turned", {DType::kF32, 1}, kLanes * kTileRows, Space::kLocal);
    b_.serial("sixteen", group_columns_ / kLanes, [&](const Expr& sixteen) {
      b_.serial("part", tiles_, [&](const Expr& part) {
        b_.serial("c", kLanes, [&](const Expr& c) {
          std::vector<Expr> chains;
          for (int64_t chain = 0; chain < sizes_.chains; ++chain) {
            const Expr at = (index(chain * group_columns_) + (sixteen * kLanes + c)) * step_rows +
                            part * kTileRows;
            chains.push_back(b_.let("chain", load(partial_, at, kLanes)));
          }
          b_.store(turned, c * kTileRows, sum_by_halves(b_, std::move(chains)));
        });
        store_by_rows(b_, turned, index(0), local,
                      (row + part * kTileRows) * width + (sixteen * kLanes + from), width);
      });
    });
  }

  const MatmulNode& m_;
  PackedSizes sizes_;
  KernelBuilder b_;
  ParameterList parameters_;
  Epilogue epilogue_;
  std::unique_ptr<WeightReader> weights_;
  BufferRef packed_, packed_scales_, packed_sums_;
  BufferRef w_, w_scales_, w_zeros_, partial_;
  int64_t columns_ = 4;
  int64_t tiles_ = 1;
  int64_t group_columns_ = 0;
  bool by_tiles_ = false;
  bool by_blocks_ = false;
};

}  // namespace

std::vector<formats::LinearSize> gemm_temporaries(const MatmulNode& m) {
  // Rows are rounded up to a tile.
  const PackedSizes sizes(m);
  const auto tiled = [&](int64_t tile_bytes) {
    return formats::LinearSize::of(m.rows, tile_bytes / kTileRows, tile_bytes);
  };
  if (!m.int8) return {tiled(4 * sizes.tile_elements)};
  int64_t row_bytes = sizes.tile_elements / kTileRows;
  int64_t padding_bytes = sizes.tile_elements;
  if (m.by_sums()) {
    row_bytes = std::max(row_bytes, packed_bf16_row_bytes(m));
    padding_bytes = std::max(padding_bytes, kTileSumRows * packed_bf16_row_bytes(m));
  }
  return {formats::LinearSize::of(m.rows, row_bytes, padding_bytes), tiled(4 * sizes.tile_scales),
          tiled(4 * sizes.tile_scales)};
}

bool gemm_has_single_tile(const MatmulNode& m) {
  return m.target.vector_bytes() >= 64 && !m.by_tiles();
}

LoweredKernel pack_kernel(const MatmulNode& m) { return Pack(m).run(); }
LoweredKernel gemm_kernel(const MatmulNode& m, bool single_tile) {
  return Gemm(m, single_tile).run();
}

}  // namespace mlc::kernel
