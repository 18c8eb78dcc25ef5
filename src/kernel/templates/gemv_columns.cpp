// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/gemv_columns.h"

#include "support/check.h"

#include <map>

namespace mlc::kernel {
namespace {

// The rows [0, rows) in batches of the given sizes (falling, the last one is 1), so that weights
// are unpacked once a batch. `rows` may be the constant 1.
void for_row_batches(KernelBuilder& b, const Expr& rows, const std::vector<int>& batches,
                     const std::function<void(const std::vector<Expr>&)>& body) {
  if (is_constant(rows)) {
    MLC_CHECK(constant_value(rows) == 1) << constant_value(rows) << " rows";
    body({index(0)});
    return;
  }
  Expr done = index(0);
  for (const int batch : batches) {
    const Expr begin = done;
    const Expr whole = b.let("whole", (rows - begin) / batch);
    b.serial("batch", whole, [&](const Expr& i) {
      std::vector<Expr> list;
      for (int r = 0; r < batch; ++r) list.push_back(b.let("row", begin + (i * batch + r)));
      body(list);
    });
    done = b.let("done", begin + whole * batch);
  }
}

class ChainOfColumns {
 public:
  // Columns [first, first + count) of the result, of at most `width`, for `rows` rows (a constant
  // 1, or up to kMaxGemvRows).
  ChainOfColumns(const MatmulNode& m, KernelBuilder& b, const WeightReader& weights,
                 const ActivationBuffers& x, Expr first, Expr count, int64_t width, Expr rows)
      : m_(m),
        b_(b),
        weights_(weights),
        x_(x),
        first_(std::move(first)),
        count_(std::move(count)),
        width_(width),
        rows_(std::move(rows)) {}

  // Chain `chain` of their sums, into `sums` [row][chain][n].
  void run(const Expr& chain, const BufferRef& sums) {
    Expr done = index(0);
    for (const ColumnStrip& strip : weights_.strips(width_, m_.target.vector_bytes())) {
      const Expr count = b_.let("strips", (count_ - done) / strip.columns());
      if (!is_constant(count) || constant_value(count) > 0) {
        strip_ = strip;
        start(is_constant(count) ? constant_value(count) : width_ / strip.columns());
        const Expr first = b_.let("first_column", first_ + done);
        add_chain(chain, first, count);
        b_.serial("row", rows_, [&](const Expr& row) {
          store_strips(sums, row, (row * kGroupLanes + chain) * weights_.n() + first, count);
        });
      }
      done = b_.let("done", done + count * strip.columns());
    }
  }

 private:
  // Zeros for at most `strips` strips of every row.
  void start(int64_t strips) {
    const int64_t rows = is_constant(rows_) ? 1 : kMaxGemvRows;
    stride_ = strips * strip_.columns();
    chains_ = b_.allocate("chains", {DType::kF32, 1}, rows * stride_, Space::kLocal);
    b_.serial("i", rows_ * (strips * strip_.accumulators), [&](const Expr& i) {
      b_.store(chains_, i * strip_.lanes, zeros(DType::kF32, strip_.lanes));
    });
  }

  // A row's chains lie [strip][accumulator][lane].
  Expr chain_at(const Expr& row, const Expr& strip, int64_t accumulator) const {
    return row * stride_ + (strip * strip_.columns() + accumulator * strip_.lanes);
  }

  // The chains of a row to their columns' places from `at` on.
  void store_strips(const BufferRef& buffer, const Expr& row, const Expr& at, const Expr& count) {
    b_.serial("strip", count, [&](const Expr& strip) {
      const Expr to = b_.let("to", at + strip * strip_.columns());
      for (int a = 0; a < strip_.accumulators; ++a) {
        const Expr where =
            strip_.accumulators == 1
                ? to
                : broadcast(to, strip_.lanes) + vector_constant(DType::kI64, strip_.order(a));
        b_.store(buffer, where, load(chains_, chain_at(row, strip, a), strip_.lanes));
      }
    });
  }

  // Of a group of the weights: for each accumulator of a strip.
  struct GroupValues {
    std::vector<Expr> scales;
    std::vector<Expr> zeros;  // where they are stored
  };

  GroupValues group_values(const Expr& column, const Expr& weight_group) {
    GroupValues values{weights_.strip_scales(b_, strip_, column, weight_group), {}};
    if (weights_.layout().stored_zeros)
      values.zeros = weights_.strip_zeros(b_, strip_, column, weight_group);
    return values;
  }

  void add_chain(const Expr& chain, const Expr& first, const Expr& count) {
    const graph::GroupedInt8& grouped = *m_.x_type.grouped;
    const int64_t groups = grouped.groups(m_.k);
    const int64_t together = weights_.layout().group_size / grouped.group_size;
    const Expr steps = b_.let("steps", (index(groups + kGroupLanes - 1) - chain) / kGroupLanes);
    b_.serial("i", steps, [&](const Expr& i) {
      const Expr group = b_.let("group", chain + i * kGroupLanes);
      // Behind the last group of a chain the next task's first one follows.
      const Expr ahead = b_.let("ahead", group + kGroupLanes);
      const Expr next =
          b_.let("next", select(less(ahead, index(groups)), ahead, (chain + 1) % kGroupLanes));
      b_.serial("strip", count, [&](const Expr& strip) {
        const Expr column = b_.let("column", first + strip * strip_.columns());
        const GroupValues values = group_values(column, group / together);
        for_row_batches(b_, rows_, row_batches(), [&](const std::vector<Expr>& rows) {
          add_group(rows, strip, column, group, next, values);
        });
      });
    });
  }

  // Rows whose accumulators fit the registers beside what is unpacked.
  std::vector<int> row_batches() const {
    return strip_.accumulators == 1 ? std::vector<int>{4, 2, 1} : std::vector<int>{1};
  }

  // The activations' group `group` of a strip for some rows, into its chain. `next`: the group that
  // comes after it.
  void add_group(const std::vector<Expr>& rows, const Expr& strip, const Expr& column,
                 const Expr& group, const Expr& next, const GroupValues& values) {
    const GroupedLayout layout = m_.layout(rows_);
    const DotAccumulator dots(m_.target, strip_.lanes);
    const auto accumulators = static_cast<size_t>(strip_.accumulators);
    std::vector<Expr> x_rows;
    std::vector<Expr> at_groups;
    std::vector<Expr> starts;
    std::vector<Expr> acc;
    for (const Expr& row : rows) {
      x_rows.push_back(b_.let("at", layout.quad_at(row, group)));
      at_groups.push_back(b_.let("at_group", layout.group_at(row, group)));
      const Expr sum = b_.let("sum", load(x_.sums, at_groups.back()));
      for (size_t a = 0; a < accumulators; ++a) {
        const Expr start = values.zeros.empty()
                               ? broadcast(sum, strip_.lanes)
                               : values.zeros[a] * broadcast(i32(0) - sum, strip_.lanes);
        starts.push_back(b_.let("start", start));
        acc.push_back(dots.begin_at(starts.back()));
      }
    }
    for (int step = 0; step < weights_.strip_steps(); ++step) {
      // A few at a time: many at once hold up the loads behind them.
      weights_.prefetch_strip(b_, strip_, column, next, step);
      std::map<std::pair<int, size_t>, Expr> x;  // by quad and row
      for (const WeightReader::StripQuad& q :
           weights_.strip_quads(b_, strip_, column, group, step)) {
        for (size_t r = 0; r < rows.size(); ++r) {
          Expr& four = x[{q.quad, r}];
          if (!four) {
            const Expr bytes = load(x_.codes, x_rows[r] + int64_t{32} * q.quad, 4);
            four = b_.let("x", bitcast({DType::kI8, 4 * strip_.lanes},
                                       broadcast(bitcast({DType::kI32, 1}, bytes), strip_.lanes)));
          }
          Expr& sum = acc[r * accumulators + static_cast<size_t>(q.accumulator)];
          sum = b_.let("acc", dots.step(sum, q.codes, four));
        }
      }
    }
    for (size_t r = 0; r < rows.size(); ++r) {
      const Expr x_scale = broadcast(load(x_.scales, at_groups[r]), strip_.lanes);
      for (size_t a = 0; a < accumulators; ++a) {
        const size_t i = r * accumulators + a;
        const Expr scaled = cast(DType::kF32, dots.finish_at(acc[i], starts[i])) * x_scale;
        add_to_chain(chain_at(rows[r], strip, static_cast<int64_t>(a)), scaled, values.scales[a]);
      }
    }
  }

  void add_to_chain(const Expr& at, const Expr& a, const Expr& b) {
    const Expr to = b_.let("to", at);
    b_.store(chains_, to, fma(a, b, load(chains_, to, strip_.lanes)));
  }

  const MatmulNode& m_;
  KernelBuilder& b_;
  const WeightReader& weights_;
  const ActivationBuffers& x_;
  const Expr first_, count_;
  const int64_t width_;
  const Expr rows_;
  ColumnStrip strip_;
  BufferRef chains_;
  int64_t stride_ = 0;  // elements of a row
};

Expr row_count(const MatmulNode& m, bool single_row, ParameterList& parameters) {
  return single_row ? index(1) : parameters.size("rows", m.rows);
}

}  // namespace

LoweredKernel column_chains_kernel(const MatmulNode& m, bool single_row) {
  KernelBuilder b("gemv_chains");
  ParameterList parameters(b, m.graph, m.id);
  const ActivationBuffers x = declare_activations(m, parameters);
  const WeightReader weights(m.graph, m.id, 1, parameters);
  const BufferRef sums = parameters.temporary("sums", DType::kF32, kColumnChainsTemporary);
  const Expr rows = row_count(m, single_row, parameters);
  // A page or two of words, cut evenly; for several rows as much as leaves their chains in the
  // caches.
  const int64_t n = weights.n();
  const int64_t most =
      (weights.layout().order == graph::WordOrder::kAwq ? 4096 : 2048) / (single_row ? 1 : 2);
  const int64_t ranges = (n + most - 1) / most;
  const int64_t width = ((n + ranges - 1) / ranges + 127) / 128 * 128;
  b.parallel("task", index(ranges * kGroupLanes), [&](const Expr& task) {
    const Expr first = b.let("first", (task / kGroupLanes) * (ranges == 1 ? 0 : width));
    Expr count = index(std::min(n, width));
    if (n != ranges * width && ranges > 1) count = b.let("count", minimum(count, index(n) - first));
    ChainOfColumns(m, b, weights, x, first, count, width, rows)
        .run(b.let("chain", task % kGroupLanes), sums);
  });
  return {b.finish(), parameters.take(), {ranges * kGroupLanes, 0, 1}};
}

LoweredKernel column_finish_kernel(const MatmulNode& m, bool single_row) {
  KernelBuilder b("gemv_finish");
  ParameterList parameters(b, m.graph, m.id);
  const int64_t n = m.node.base_type.last();
  Epilogue epilogue(m.graph, m.id, preferred_block_width(n, 64));
  const BufferRef sums = parameters.temporary("sums", DType::kF32, kColumnChainsTemporary);
  epilogue.declare(parameters);
  const Expr rows = row_count(m, single_row, parameters);
  const ColumnBlocks& blocks = epilogue.blocks();
  b.parallel("block", index(blocks.count), [&](const Expr& block) {
    const BufferRef local = b.allocate("local", {DType::kF32, 1}, blocks.stride, Space::kLocal);
    const Expr count = epilogue.column_count(b, block);
    b.serial("row", rows, [&](const Expr& row) {
      for (int64_t segment = 0; segment < blocks.segments; ++segment) {
        const Expr first = b.let(
            "first", row * (kGroupLanes * n) + block * blocks.width + segment * blocks.distance);
        const auto sum = [&](const Expr& c, int lanes) {
          std::vector<Expr> parts;
          for (int64_t j = 0; j < kGroupLanes; ++j)
            parts.push_back(load(sums, first + (c + j * n), lanes));
          b.store(local, c + segment * blocks.padded_width(), sum_by_halves(b, std::move(parts)));
        };
        for_vectors_up_to(b, "c", count, blocks.padded_width(), kLanes, sum);
      }
      epilogue.finish_row(b, row, block, local, index(0));
    });
  });
  return {b.finish(), parameters.take(), {blocks.count, 0, 1}};
}

formats::LinearSize column_chains_bytes(const MatmulNode& m) {
  return int64_t{4} * kMaxGemvRows * kGroupLanes * m.node.base_type.last();
}

}  // namespace mlc::kernel
