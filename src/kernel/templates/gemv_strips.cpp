// SPDX-License-Identifier: Apache-2.0
// Matmul of int8 activations for some rows, with weights stored by rows. A strip of columns is
// unpacked 256 elements of k at a time into registers, where the codes stay while all rows pass: a
// lane is one of the eight groups (chains of the sum) of one column, so no sum is horizontal until
// the end, and the activations are read as they lie.
#include "kernel/templates/matmul.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

class GemvStrips {
 public:
  GemvStrips(const MatmulNode& m, bool many_rows)
      : m_(m),
        b_("gemv_strips"),
        parameters_(b_, m.graph, m.id),
        many_rows_(many_rows),
        wide_(m.target.vector_bytes() >= 64),
        epilogue_(m.graph, m.id, preferred_block_width(m.node.base_type.last(), 64)) {
    x_ = declare_activations(m, parameters_);
    weights_ = std::make_unique<WeightReader>(m.graph, m.id, 1, parameters_);
    epilogue_.declare(parameters_);
    rows_ = parameters_.size("rows", m.rows);
    const int64_t groups = m.x_type.grouped->groups(m.k);
    whole_blocks_ = groups / 8;
    rest_groups_ = static_cast<int>(groups % 8);
  }

  LoweredKernel run() {
    const ColumnBlocks& blocks = epilogue_.blocks();
    b_.parallel("block", index(blocks.count), [&](const Expr& block) {
      width_ = blocks.stride;
      local_ =
          b_.allocate("local", {DType::kF32, 1},
                      (many_rows_ ? kStripRows : kMaxRowsOfWholeStrips) * width_, Space::kLocal);
      chains_ = b_.allocate("chains", {DType::kF32, 1},
                            (many_rows_ ? width_ : kQuartet) * kChainsOfColumn, Space::kLocal);
      const Expr count = epilogue_.column_count(b_, block);
      const auto chunk = [&](const Expr& first_row, const Expr& rows) {
        first_row_ = first_row;
        chunk_rows_ = rows;
        for (int64_t segment = 0; segment < blocks.segments; ++segment) {
          const Expr first = b_.let("first", block * blocks.width + segment * blocks.distance);
          columns(first, count, segment * blocks.padded_width());
        }
        b_.serial("row", rows, [&](const Expr& row) {
          epilogue_.finish_row(b_, b_.let("out_row", first_row + row), block, local_,
                               b_.let("base", row * width_));
        });
      };
      if (!many_rows_) {
        chunk(index(0), rows_);
        return;
      }
      b_.serial("chunk", ceil_div(rows_, kStripRows), [&](const Expr& i) {
        const Expr first = b_.let("first_row", i * kStripRows);
        chunk(first, b_.let("chunk_rows", minimum(rows_ - first, index(kStripRows))));
      });
    });
    return {b_.finish(), parameters_.take(), {blocks.count, 0, 1}};
  }

 private:
  // Columns whose chains are summed together: four, or one of those that are left.
  struct Columns {
    Expr n;       // the first in the result,
    Expr column;  // and in `local`
    int count;
  };

  // Columns whose codes are in registers together: a vector has those of a few columns, `groups`
  // lanes each. Their chains lie side by side, row by row, from `chains` on.
  struct Strip {
    Expr n;
    Expr chains;
    int columns;  // of a vector
    int vectors;
    int groups = kGroupLanes;

    int width() const { return columns * vectors; }
    int lanes() const { return columns * groups; }
    Expr chains_of(const Expr& row) const { return chains + row * (width() * kGroupLanes); }
  };

  // Columns [first, first + count) of the result, of the rows of a chunk, into `local` from column
  // `at` on.
  void columns(const Expr& first, const Expr& count, int64_t at) {
    if (!many_rows_) {
      for_columns(first, count, at, [&](const Columns& columns) {
        for_strips(columns, [&](const Strip& strip) {
          clear(strip);
          b_.serial("block", whole_blocks_, [&](const Expr& block) {
            prefetch_behind(strip, block);
            add_block(strip, block, 8);
          });
        });
        add_rest(columns);
        sum_chains(columns);
      });
      return;
    }
    // The rows would not stay in the L1 cache for all of k: all columns for a block of k at a time.
    const auto all = [&](const std::function<void(const Columns&)>& body) {
      for_columns(first, count, at, body);
    };
    const auto strips = [&](const std::function<void(const Strip&)>& body) {
      all([&](const Columns& columns) { for_strips(columns, body); });
    };
    strips([&](const Strip& strip) { clear(strip); });
    b_.serial("block", whole_blocks_, [&](const Expr& block) {
      strips([&](const Strip& strip) {
        for (int c = 0; c < strip.width(); ++c)
          weights_->prefetch(b_, strip.n + (kColumnsAhead + c), block, 0);
        add_block(strip, block, 8);
      });
    });
    all([&](const Columns& columns) { add_rest(columns); });
    all([&](const Columns& columns) { sum_chains(columns); });
  }

  void for_columns(const Expr& first, const Expr& count, int64_t at,
                   const std::function<void(const Columns&)>& body) {
    const Expr whole = b_.let("whole", count / kQuartet);
    b_.serial("quartet", whole, [&](const Expr& i) {
      body({b_.let("n", first + i * kQuartet), b_.let("column", i * kQuartet + at), kQuartet});
    });
    const Expr done = b_.let("done", whole * kQuartet);
    b_.serial("c", count - done, [&](const Expr& c) {
      body({b_.let("n", first + (done + c)), b_.let("column", (done + c) + at), 1});
    });
  }

  Expr chains_of(const Columns& columns) const {
    return many_rows_ ? columns.column * kChainsOfColumn : index(0);
  }

  // As many columns as half of the registers hold the codes of: four where a register holds those
  // of two, else one after the other.
  void for_strips(const Columns& columns, const std::function<void(const Strip&)>& body) {
    if (wide_ && columns.count == kQuartet) {
      body({columns.n, chains_of(columns), 2, 2});
      return;
    }
    b_.serial("i", columns.count, [&](const Expr& i) {
      body({b_.let("n", columns.n + i), b_.let("chains", chains_of(columns) + i * kChainsOfColumn),
            1, 1});
    });
  }

  void clear(const Strip& strip) {
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      for (int c = 0; c < strip.width(); ++c)
        b_.store(chains_, strip.chains_of(row) + c * kGroupLanes, zeros(DType::kF32, kGroupLanes));
    });
  }

  // The eight chains of each sum by halves.
  void sum_chains(const Columns& columns) {
    const Expr first = chains_of(columns);
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      Expr sums;  // [column][chain]
      if (wide_ && columns.count == kQuartet) {
        sums = load(chains_, first + row * (kQuartet * kGroupLanes), kQuartet * kGroupLanes);
      } else {
        std::vector<Expr> list;
        for (int c = 0; c < columns.count; ++c)
          list.push_back(
              load(chains_, first + (row * kGroupLanes + c * kChainsOfColumn), kGroupLanes));
        sums = concat_all(b_, std::move(list));
      }
      for (int chains = kGroupLanes / 2; chains > 0; chains /= 2) {
        std::vector<int> low;
        for (int i = 0; i < columns.count * chains; ++i)
          low.push_back(i / chains * 2 * chains + i % chains);
        std::vector<int> high = low;
        for (int& lane : high) lane += chains;
        sums = b_.let("sums", sums);
        sums = shuffle(sums, low) + shuffle(sums, high);
      }
      b_.store(local_, row * width_ + columns.column, sums);
    });
  }

  // While a strip of a few columns is read, side by side, the next one is asked for, in the order
  // in which it lies in memory.
  void prefetch_behind(const Strip& strip, const Expr& block) {
    const int width = strip.width();
    const int64_t behind =
        width == 1 ? kPrefetchBytes : width * weights_->row_bytes() + kPrefetchBytes / 2;
    for (int i = 0; i < width; ++i)
      weights_->prefetch(b_, strip.n, block * int64_t{width} + i, behind);
  }

  // Adds the products of the eight groups of a block, `existing` of which exist, to the chains of
  // all rows of the chunk.
  void add_block(const Strip& strip, const Expr& block, int existing) {
    std::vector<std::vector<Expr>> codes;
    std::vector<Expr> scales;
    for (int i = 0; i < strip.vectors; ++i) {
      std::vector<Expr> list;
      std::vector<Expr> list_scales;
      for (int c = 0; c < strip.columns; ++c) {
        list.push_back(b_.let("n", strip.n + (i * strip.columns + c)));
        list_scales.push_back(
            slice_lanes(weights_->block_scales(b_, list.back(), block, existing), 0, strip.groups));
      }
      codes.push_back(weights_->strip_codes(b_, list, block, existing, strip.groups));
      scales.push_back(b_.let("scales", concat_all(b_, std::move(list_scales))));
    }
    const GroupedLayout layout = m_.layout(rows_);
    const Expr codes_at = b_.let("codes_at", layout.codes_at(first_row_, block));
    const Expr groups_at = b_.let("groups_at", layout.groups_at(first_row_, block));
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      const std::vector<Expr> products =
          row_products(strip, b_.let("at", codes_at + row * layout.grouped.block_bytes()),
                       b_.let("group", groups_at + row * kGroupLanes), codes);
      for (size_t i = 0; i < products.size(); ++i)
        add_products(strip,
                     b_.let("chains", strip.chains_of(row) +
                                          static_cast<int64_t>(i) * strip.columns * kGroupLanes),
                     products[i], scales[i]);
    });
  }

  // f32(sum) * x_scale of the groups of a strip with those of a row, whose codes lie at `at` and
  // whose values at `group`: [vector][column][group].
  std::vector<Expr> row_products(const Strip& strip, const Expr& at, const Expr& group,
                                 const std::vector<std::vector<Expr>>& codes) {
    const graph::GroupedInt8& grouped = *m_.x_type.grouped;
    const DotAccumulator dots(m_.target, strip.lanes());
    MLC_CHECK(grouped.quads() <= DotAccumulator::max_steps((1 << weights_->layout().bits) - 1))
        << grouped.quads() << " steps";
    // The groups once for each column.
    const auto of_groups = [&](const Expr& groups) {
      std::vector<int> order;
      for (int i = 0; i < strip.lanes(); ++i) order.push_back(i % strip.groups);
      return strip.columns == 1 ? groups : shuffle(b_.let("groups", groups), order);
    };
    const Expr start = b_.let("start", of_groups(load(x_.sums, group, strip.groups)));
    // A sum can be added to some cycles later only: where a step is one instruction, the even and
    // the odd quads have each their own.
    const size_t parts = m_.target.has_dot4() ? 2 : 1;
    std::vector<std::vector<Expr>> acc(codes.size(),
                                       std::vector<Expr>(parts, dots.begin_at(start)));
    for (std::vector<Expr>& sums : acc) {
      if (parts == 2) sums[0] = dots.begin();
    }
    for (int quad = 0; quad < grouped.quads(); ++quad) {
      const Expr bytes = load(x_.codes, at + quad * (4 * kGroupLanes), 4 * strip.groups);
      const Expr words = bitcast({DType::kI32, strip.groups}, bytes);
      const Expr x = b_.let("x", bitcast({DType::kI8, 4 * strip.lanes()}, of_groups(words)));
      for (size_t i = 0; i < acc.size(); ++i) {
        Expr& part = acc[i][static_cast<size_t>(quad) % parts];
        part = b_.let("acc", dots.step(part, codes[i][static_cast<size_t>(quad)], x));
      }
    }
    const Expr x_scales = b_.let("x_scales", of_groups(load(x_.scales, group, strip.groups)));
    std::vector<Expr> products;
    for (const std::vector<Expr>& sums : acc) {
      const Expr total = dots.finish_at(sum_by_halves(b_, sums), start);
      products.push_back(b_.let("product", cast(DType::kF32, total) * x_scales));
    }
    return products;
  }

  // chain = fma(product, scale, chain) for the chains of a vector's columns from `chains` on.
  void add_products(const Strip& strip, const Expr& chains, const Expr& products,
                    const Expr& scales) {
    // Chains without a group get 0 * 0 added.
    const int lanes = strip.groups == kGroupLanes ? strip.lanes() : wide_ ? 16 : 8;
    const auto spread = [&](const Expr& v, int from) {
      if (strip.groups == kGroupLanes) return v;
      std::vector<int> order;
      for (int i = from; i < from + lanes; ++i) {
        const int group = i % kGroupLanes;
        order.push_back(group < strip.groups ? i / kGroupLanes * strip.groups + group
                                             : strip.lanes());
      }
      return b_.let("spread", shuffle(v, zeros(DType::kF32, strip.lanes()), order));
    };
    for (int from = 0; from < strip.columns * kGroupLanes; from += lanes) {
      const Expr at = b_.let("at", chains + from);
      b_.store(chains_, at,
               fma(spread(products, from), spread(scales, from), load(chains_, at, lanes)));
    }
  }

  // The groups behind the last block. Up to four of them leave place for twice as many columns.
  void add_rest(const Columns& columns) {
    if (rest_groups_ == 0) return;
    const Expr block = index(whole_blocks_);
    if (rest_groups_ <= 4 && wide_ && columns.count == kQuartet) {
      add_block({columns.n, chains_of(columns), 4, 1, 4}, block, rest_groups_);
      return;
    }
    for_strips(columns, [&](const Strip& strip) { add_block(strip, block, rest_groups_); });
  }

  static constexpr int kQuartet = 4;
  static constexpr int64_t kColumnsAhead = 8;
  // Strips whose chains begin a multiple of 4 KB apart would share their sets of the L1 cache.
  static constexpr int64_t kChainsOfColumn = kStripRows * kGroupLanes + 16;

  const MatmulNode& m_;
  KernelBuilder b_;
  ParameterList parameters_;
  bool many_rows_;
  bool wide_;
  Epilogue epilogue_;
  std::unique_ptr<WeightReader> weights_;
  ActivationBuffers x_;
  BufferRef local_;
  BufferRef chains_;
  Expr rows_;
  Expr first_row_, chunk_rows_;
  int64_t width_ = 0;
  int64_t whole_blocks_ = 0;
  int rest_groups_ = 0;
};

}  // namespace

LoweredKernel gemv_strips_kernel(const MatmulNode& m, bool many_rows) {
  return GemvStrips(m, many_rows).run();
}

}  // namespace mlc::kernel
