// SPDX-License-Identifier: Apache-2.0
// Matmul of some rows, with weights stored by rows. Four columns (a quartet) are multiplied
// together, a piece of k at a time, whose weights are unpacked into registers and stay there while
// all rows pass. Lanes are the chains of the sums, so no sum is horizontal until the end, and the
// activations are read as they lie. The order of summation is gemv's.
#include <algorithm>

#include "kernel/templates/matmul.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

// Columns whose chains are summed together: a quartet, or one of those that are left.
struct Columns {
  Expr n;       // the first in the result,
  Expr column;  // and in the local buffer
  int count;
};

// Columns whose weights are in registers together, vectors of a few columns each. Their chains lie
// side by side, row by row, from `chains` on.
struct Strip {
  Expr n;
  Expr chains;
  int columns;  // of a vector
  int vectors;

  int width() const { return columns * vectors; }
};

// What is the same for all activations: columns, rows, and where the chains lie.
class Strips {
 public:
  Strips(const MatmulNode& m, int lanes, bool many_rows)
      : m_(m),
        b_("gemv_strips"),
        parameters_(b_, m.graph, m.id),
        lanes_(lanes),
        many_rows_(many_rows),
        wide_(m.target.vector_bytes() >= 64),
        epilogue_(m.graph, m.id, preferred_block_width(m.node.base_type.last(), 64)) {
    x_ = declare_activations(m, parameters_);
    weights_ = std::make_unique<WeightReader>(m.graph, m.id, 1, parameters_);
    epilogue_.declare(parameters_);
    rows_ = parameters_.size("rows", m.rows);
  }
  virtual ~Strips() = default;
  Strips(const Strips&) = delete;
  Strips& operator=(const Strips&) = delete;

  LoweredKernel run() {
    const ColumnBlocks& blocks = epilogue_.blocks();
    b_.parallel("block", index(blocks.count), [&](const Expr& block) {
      width_ = blocks.stride;
      const int64_t most_rows = many_rows_ ? kStripRows : kMaxRowsOfWholeStrips;
      local_ = b_.allocate("local", {DType::kF32, 1}, most_rows * width_, Space::kLocal);
      chains_ = b_.allocate("chains", {DType::kF32, 1},
                            (many_rows_ ? width_ : kQuartet) * chains_stride(), Space::kLocal);
      const Expr count = epilogue_.column_count(b_, block);
      const auto chunk = [&](const Expr& first_row, const Expr& rows) {
        first_row_ = first_row;
        chunk_rows_ = rows;
        for (int64_t segment = 0; segment < blocks.segments; ++segment) {
          const Expr first = b_.let("first", block * blocks.width + segment * blocks.distance);
          multiply(first, count, segment * blocks.padded_width());
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

 protected:
  // Blocks of k that a strip takes one after the other, and what is left behind them.
  virtual int64_t blocks() const = 0;
  // Adds the products of a block to the chains of all rows of the chunk.
  virtual void add_block(const Strip& strip, const Expr& block) = 0;
  virtual void add_rest(const Columns& columns) = 0;
  // Asks for what lies `bytes_ahead` behind a block of a row, which may go on into following rows.
  virtual void prefetch(const Expr& row, const Expr& block, int64_t bytes_ahead) = 0;
  // Columns of a quartet whose weights fill half of the registers, and how many a vector has.
  virtual int strip_width() const = 0;
  virtual int columns_of_vector() const = 0;

  void for_strips(const Columns& columns, const std::function<void(const Strip&)>& body) {
    const int width = width_of(columns);
    const int together = std::min(width, columns_of_vector());
    const auto strip = [&](const Expr& n, const Expr& chains) {
      body({n, chains, together, width / together});
    };
    if (width == columns.count) {
      strip(columns.n, chains_of(columns));
      return;
    }
    b_.serial("i", columns.count / width, [&](const Expr& i) {
      strip(b_.let("n", columns.n + i * width),
            b_.let("chains", chains_of(columns) + i * (width * chains_stride())));
    });
  }
  int width_of(const Columns& columns) const { return std::min(columns.count, strip_width()); }

  Expr chains_of(const Columns& columns) const {
    return many_rows_ ? columns.column * chains_stride() : index(0);
  }
  Expr chains_of(const Strip& strip, const Expr& row) const {
    return strip.chains + row * (strip.width() * lanes_);
  }

  static constexpr int kQuartet = 4;

  const MatmulNode& m_;
  KernelBuilder b_;
  ParameterList parameters_;
  const int lanes_;  // chains of a sum
  const bool many_rows_;
  const bool wide_;
  std::unique_ptr<WeightReader> weights_;
  ActivationBuffers x_;
  BufferRef chains_;
  Expr rows_;
  Expr first_row_, chunk_rows_;

 private:
  // Columns [first, first + count) of the result, of the rows of a chunk, into `local` from column
  // `at` on.
  void multiply(const Expr& first, const Expr& count, int64_t at) {
    const auto all = [&](const std::function<void(const Columns&)>& body) {
      for_columns(first, count, at, body);
    };
    if (!many_rows_) {
      all([&](const Columns& columns) {
        for_strips(columns, [&](const Strip& strip) {
          clear(strip);
          if (blocks() > 0)
            b_.serial("block", blocks(), [&](const Expr& block) {
              prefetch_ahead(strip, block);
              add_block(strip, block);
            });
        });
        add_rest(columns);
        sum_chains(columns);
      });
      return;
    }
    // The rows would not stay in the L1 cache for all of k: all columns for a block of k at a time.
    const auto strips = [&](const std::function<void(const Strip&)>& body) {
      all([&](const Columns& columns) { for_strips(columns, body); });
    };
    strips([&](const Strip& strip) { clear(strip); });
    b_.serial("block", blocks(), [&](const Expr& block) {
      strips([&](const Strip& strip) {
        for (int c = 0; c < strip.width(); ++c) prefetch(strip.n + (kColumnsAhead + c), block, 0);
        add_block(strip, block);
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

  void clear(const Strip& strip) {
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      for (int c = 0; c < strip.width(); ++c)
        b_.store(chains_, chains_of(strip, row) + c * lanes_, zeros(DType::kF32, lanes_));
    });
  }

  // The chains of each sum by halves.
  void sum_chains(const Columns& columns) {
    const Expr first = chains_of(columns);
    const int width = width_of(columns);
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      std::vector<Expr> list;
      for (int c = 0; c < columns.count; c += width) {
        list.push_back(
            load(chains_, first + (row * (width * lanes_) + c * chains_stride()), width * lanes_));
      }
      Expr sums = concat_all(b_, std::move(list));  // [column][chain]
      for (int chains = lanes_ / 2; chains > 0; chains /= 2) {
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

  // The columns of a strip are streams side by side. Short ones lie in one or two pages: the next
  // strip is asked for in the order in which it lies in memory. Of long ones each asks for what is
  // some blocks ahead, behind its end in the strip that comes after.
  void prefetch_ahead(const Strip& strip, const Expr& block) {
    const int64_t width = strip.width();
    const int64_t strip_bytes = width * weights_->row_bytes();
    if (strip_bytes <= kPrefetchBytes) {
      for (int64_t i = 0; i < width; ++i)
        prefetch(strip.n, block * width + i, strip_bytes + kPrefetchBytes / 2);
      return;
    }
    const int64_t blocks_ahead = kPrefetchBytes / 2 * width * blocks() / strip_bytes;
    const Expr ahead = b_.let("ahead", block + blocks_ahead);
    const Expr n = b_.let("ahead_n", strip.n + ahead / blocks() * width);
    const Expr ahead_block = b_.let("ahead_block", ahead % blocks());
    for (int64_t i = 0; i < width; ++i) prefetch(n + i, ahead_block, 0);
  }

  // Strips whose chains begin a multiple of 4 KB apart would share their sets of the L1 cache.
  int64_t chains_stride() const { return kStripRows * lanes_ + 16; }

  static constexpr int64_t kColumnsAhead = 8;

  Epilogue epilogue_;
  BufferRef local_;
  int64_t width_ = 0;
};

// int8 activations: a lane is one of the eight groups of a block of k. A 64-byte register holds
// those of two columns.
class Int8Strips : public Strips {
 public:
  Int8Strips(const MatmulNode& m, bool many_rows)
      : Strips(m, kGroupLanes, many_rows), layout_(m.layout(rows_)) {
    MLC_CHECK(layout_.grouped.quads() <=
              DotAccumulator::max_steps((1 << weights_->layout().bits) - 1))
        << layout_.grouped.quads() << " steps";
  }

 private:
  int64_t groups() const { return layout_.grouped.groups(m_.k); }
  int rest_groups() const { return static_cast<int>(groups() % kGroupLanes); }
  int64_t blocks() const override { return groups() / kGroupLanes; }
  int strip_width() const override { return wide_ ? kQuartet : 1; }
  int columns_of_vector() const override { return wide_ ? 2 : 1; }

  void prefetch(const Expr& row, const Expr& block, int64_t bytes_ahead) override {
    weights_->prefetch_block(b_, row, block, bytes_ahead);
  }

  void add_block(const Strip& strip, const Expr& block) override {
    add_groups(strip, block, kGroupLanes, kGroupLanes);
  }

  // Up to four groups leave room for twice as many columns in a vector.
  void add_rest(const Columns& columns) override {
    const Expr block = index(blocks());
    if (rest_groups() == 0) return;
    if (rest_groups() <= 4 && wide_ && columns.count == kQuartet) {
      add_groups({columns.n, chains_of(columns), kQuartet, 1}, block, rest_groups(), 4);
      return;
    }
    for_strips(columns,
               [&](const Strip& strip) { add_groups(strip, block, rest_groups(), kGroupLanes); });
  }

  // Adds the products of a block's first `existing` groups. A vector has `lanes` groups of each of
  // its columns.
  void add_groups(const Strip& strip, const Expr& block, int existing, int lanes) {
    std::vector<std::vector<Expr>> codes;  // [vector][quad]
    std::vector<Expr> scales;
    for (int v = 0; v < strip.vectors; ++v) {
      std::vector<Expr> list;
      std::vector<Expr> list_scales;
      for (int c = 0; c < strip.columns; ++c) {
        list.push_back(b_.let("n", strip.n + (v * strip.columns + c)));
        list_scales.push_back(
            slice_lanes(weights_->block_scales(b_, list.back(), block, existing), 0, lanes));
      }
      codes.push_back(weights_->strip_codes(b_, list, block, existing, lanes));
      scales.push_back(b_.let("scales", concat_all(b_, std::move(list_scales))));
    }
    const Expr codes_at = b_.let("codes_at", layout_.codes_at(first_row_, block));
    const Expr groups_at = b_.let("groups_at", layout_.groups_at(first_row_, block));
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      const std::vector<Expr> products =
          row_products(strip, lanes, b_.let("at", codes_at + row * layout_.grouped.block_bytes()),
                       b_.let("group", groups_at + row * kGroupLanes), codes);
      for (int v = 0; v < strip.vectors; ++v) {
        const Expr chains =
            b_.let("chains", chains_of(strip, row) + int64_t{v} * strip.columns * kGroupLanes);
        add_to_chains(chains, strip.columns, lanes, products[static_cast<size_t>(v)],
                      scales[static_cast<size_t>(v)]);
      }
    });
  }

  // f32(sum) * x_scale of the groups of a strip with those of a row, whose codes lie at `at` and
  // whose values at `group`: of each vector [column][lane].
  std::vector<Expr> row_products(const Strip& strip, int lanes, const Expr& at, const Expr& group,
                                 const std::vector<std::vector<Expr>>& codes) {
    const int all = strip.columns * lanes;
    const DotAccumulator dots(m_.target, all);
    // The groups once for each column.
    const auto of_groups = [&](const Expr& groups) {
      std::vector<int> order;
      for (int i = 0; i < all; ++i) order.push_back(i % lanes);
      return strip.columns == 1 ? groups : shuffle(b_.let("groups", groups), order);
    };
    const Expr start = b_.let("start", of_groups(load(x_.sums, group, lanes)));
    // A sum can be added to some cycles later only: where a step is one instruction, the even and
    // the odd quads have each their own.
    const size_t parts = m_.target.has_dot4() ? 2 : 1;
    std::vector<std::vector<Expr>> acc(codes.size(),
                                       std::vector<Expr>(parts, dots.begin_at(start)));
    for (std::vector<Expr>& sums : acc) {
      if (parts == 2) sums[0] = dots.begin();
    }
    for (int quad = 0; quad < layout_.grouped.quads(); ++quad) {
      const Expr bytes = load(x_.codes, at + quad * (4 * kGroupLanes), 4 * lanes);
      const Expr words = bitcast({DType::kI32, lanes}, bytes);
      const Expr x = b_.let("x", bitcast({DType::kI8, 4 * all}, of_groups(words)));
      for (size_t v = 0; v < acc.size(); ++v) {
        Expr& part = acc[v][static_cast<size_t>(quad) % parts];
        part = b_.let("acc", dots.step(part, codes[v][static_cast<size_t>(quad)], x));
      }
    }
    const Expr x_scales = b_.let("x_scales", of_groups(load(x_.scales, group, lanes)));
    std::vector<Expr> products;
    for (const std::vector<Expr>& sums : acc) {
      const Expr total = dots.finish_at(sum_by_halves(b_, sums), start);
      products.push_back(b_.let("product", cast(DType::kF32, total) * x_scales));
    }
    return products;
  }

  // chain = fma(product, scale, chain) for the chains of a vector's columns.
  void add_to_chains(const Expr& chains, int columns, int lanes, const Expr& products,
                     const Expr& scales) {
    // Chains without a group get 0 * 0 added.
    const int step = lanes == kGroupLanes ? columns * lanes : 2 * kGroupLanes;
    const auto spread = [&](const Expr& v, int from) {
      if (lanes == kGroupLanes) return v;
      std::vector<int> order;
      for (int i = from; i < from + step; ++i) {
        const int group = i % kGroupLanes;
        order.push_back(group < lanes ? i / kGroupLanes * lanes + group : columns * lanes);
      }
      return b_.let("spread", shuffle(v, zeros(DType::kF32, columns * lanes), order));
    };
    for (int from = 0; from < columns * kGroupLanes; from += step) {
      const Expr at = b_.let("at", chains + from);
      b_.store(chains_, at,
               fma(spread(products, from), spread(scales, from), load(chains_, at, step)));
    }
  }

  GroupedLayout layout_;
};

// Floats: a lane is an element of k. A block has as many as fill a few vectors of a column.
class FloatStrips : public Strips {
 public:
  explicit FloatStrips(const MatmulNode& m) : Strips(m, kLanes, false) {
    const int step = weights_->decode_step();
    elements_ = std::max(1, (wide_ ? 4 : 2) * kLanes / step) * step;
  }

 private:
  int64_t blocks() const override { return m_.k / elements_; }
  int strip_width() const override { return wide_ ? kQuartet : 2; }
  int columns_of_vector() const override { return 1; }

  void prefetch(const Expr& row, const Expr& block, int64_t bytes_ahead) override {
    weights_->prefetch(b_, row, block * elements_, elements_, bytes_ahead);
  }

  void add_block(const Strip& strip, const Expr& block) override {
    add_elements(strip, block * elements_, elements_);
  }

  void add_rest(const Columns& columns) override {
    const int rest = static_cast<int>(m_.k % elements_);
    if (rest == 0) return;
    for_strips(columns, [&](const Strip& strip) { add_elements(strip, index(m_.k - rest), rest); });
  }

  // Elements [at, at + count) of k.
  void add_elements(const Strip& strip, const Expr& from, int count) {
    const Expr at = b_.let("k", from);
    std::vector<std::vector<Expr>> values;  // [column][vector]
    for (int c = 0; c < strip.width(); ++c) {
      const Expr n = b_.let("n", strip.n + c);
      std::vector<Expr> list;
      for (int done = 0; done < count; done += weights_->decode_step()) {
        const int now = std::min(weights_->decode_step(), count - done);
        for (const Expr& w : weights_->decode(b_, n, at + done, now)) list.push_back(w);
      }
      values.push_back(std::move(list));
    }
    b_.serial("row", chunk_rows_, [&](const Expr& row) {
      const Expr x_at = b_.let("x_at", (first_row_ + row) * m_.k + at);
      std::vector<Expr> chains;
      for (int c = 0; c < strip.width(); ++c)
        chains.push_back(
            b_.let("chain", load(chains_, chains_of(strip, row) + int64_t{c} * kLanes, kLanes)));
      int64_t done = 0;
      for (size_t v = 0; v < values[0].size(); ++v) {
        const int lanes = values[0][v]->type.lanes;
        const Expr x = b_.let("x", load_padded(x_.x, x_at + done, lanes, kLanes));
        for (size_t c = 0; c < values.size(); ++c)
          chains[c] = b_.let("chain", fma(pad_lanes(values[c][v], kLanes), x, chains[c]));
        done += lanes;
      }
      for (int c = 0; c < strip.width(); ++c) {
        b_.store(chains_, chains_of(strip, row) + int64_t{c} * kLanes,
                 chains[static_cast<size_t>(c)]);
      }
    });
  }

  int elements_ = 0;
};

}  // namespace

LoweredKernel gemv_strips_kernel(const MatmulNode& m, bool many_rows) {
  if (m.int8) return Int8Strips(m, many_rows).run();
  return FloatStrips(m).run();
}

}  // namespace mlc::kernel
