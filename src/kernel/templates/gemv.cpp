// SPDX-License-Identifier: Apache-2.0
// Matmul of one row or two, or of a few rows of floats with weights by columns (others:
// gemv_strips, gemv_columns). A task is a block of columns of the result, that is of rows of the
// weights, which are read once, one after the other; the block's epilogue follows at once.
//
// Order of summation (docs/numerics.md), the same everywhere: int8 activations: the exact integer
// sum of a group, then chain g mod 8 of eight f32 chains, fma(float(sum) * xs, scale, chain).
// Floats: chain k mod 16 of sixteen, fma. The chains are summed by halves.
#include "kernel/templates/matmul.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

class Gemv {
 public:
  Gemv(const MatmulNode& m, int64_t most_rows)
      : m_(m),
        b_("gemv"),
        parameters_(b_, m.graph, m.id),
        most_rows_(most_rows),
        epilogue_(m.graph, m.id, preferred_block_width(m.node.base_type.last(), 64)) {
    x_ = declare_activations(m, parameters_);
    weights_ = std::make_unique<WeightReader>(m.graph, m.id, 1, parameters_);
    epilogue_.declare(parameters_);
    const bool exact = most_rows == 1 || weights_->by_rows();
    rows_ = exact ? index(most_rows) : parameters_.size("rows", m.rows);
  }

  LoweredKernel run() {
    const ColumnBlocks& blocks = epilogue_.blocks();
    b_.parallel("block", index(blocks.count), [&](const Expr& block) {
      width_ = blocks.stride;
      local_ = b_.allocate("local", {DType::kF32, 1}, most_rows_ * width_, Space::kLocal);
      const Expr count = epilogue_.column_count(b_, block);
      for (int64_t segment = 0; segment < blocks.segments; ++segment) {
        const Expr first = b_.let("first", block * blocks.width + segment * blocks.distance);
        segment_columns(first, count, blocks, segment * blocks.padded_width());
      }
      if (most_rows_ == 1) {
        epilogue_.finish_row(b_, index(0), block, local_, index(0));
      } else {
        b_.serial("row", rows_, [&](const Expr& row) {
          epilogue_.finish_row(b_, row, block, local_, b_.let("base", row * width_));
        });
      }
    });
    return {b_.finish(), parameters_.take(), {blocks.count, 0, 1}};
  }

 private:
  // Columns [first, first + count) of the result into `local` from column `at` on.
  void segment_columns(const Expr& first, const Expr& count, const ColumnBlocks& blocks,
                       int64_t at) {
    if (weights_->by_rows()) {
      b_.serial("c", count, [&](const Expr& c) {
        const Expr column = b_.let("column", first + c);
        const std::vector<Expr> sums = m_.int8 ? dots_int8(column) : dots_floats(column);
        for (int64_t row = 0; row < most_rows_; ++row)
          b_.store(local_, c + (row * width_ + at), sums[static_cast<size_t>(row)]);
      });
      return;
    }
    // Other orders: sixteen columns at once, a lane each. A word of AWQ holds eight, which a block
    // must not cut.
    const bool aligned =
        weights_->layout().order != graph::WordOrder::kAwq || blocks.width % 8 == 0;
    const auto body = [&](const Expr& c, int lanes) {
      const Expr column = b_.let("column", first + c);
      b_.serial("row", rows_, [&](const Expr& row) {
        b_.store(local_, row * width_ + (c + at), columns_floats(column, row, lanes));
      });
    };
    if (!aligned) {
      b_.serial("c", count, [&](const Expr& c) { body(c, 1); });
    } else if (weights_->layout().order == graph::WordOrder::kAwq && is_constant(count)) {
      const int64_t whole = constant_value(count) / kLanes * kLanes;
      b_.serial("c", whole / kLanes, [&](const Expr& i) { body(i * kLanes, kLanes); });
      if (whole < constant_value(count))
        body(index(whole), static_cast<int>(constant_value(count) - whole));
    } else {
      for_vectors_up_to(b_, "c", count, blocks.padded_width(), kLanes, body);
    }
  }

  // The dot products of all rows with `column`.
  std::vector<Expr> dots_int8(const Expr& column) {
    const GroupedLayout layout = m_.layout(rows_);
    const int64_t groups = layout.grouped.groups(m_.k);
    const BufferRef chains = start_chains(kGroupLanes);
    const DotAccumulator dots(m_.target, kLanes);
    const auto body = [&](const Expr& block, int existing) {
      weights_->prefetch_block(b_, column, block, kPrefetchBytes);
      const std::vector<Expr> codes = weights_->block_codes(b_, column, block, existing);
      const Expr scales = weights_->block_scales(b_, column, block, existing);
      for (int64_t row = 0; row < most_rows_; ++row) {
        const Expr at = b_.let("at", layout.codes_at(index(row), block));
        const Expr group = b_.let("group", layout.groups_at(index(row), block));
        const Expr start = pad_lanes(b_.let("correction", load(x_.sums, group, 8)), kLanes);
        Expr acc = dots.begin_at(start);
        for (size_t c = 0; c < codes.size(); ++c) {
          const Expr x = b_.let("x", load(x_.codes, at + static_cast<int64_t>(64 * c), 64));
          acc = b_.let("acc", dots.step(acc, codes[c], x));
        }
        const Expr x_scales = b_.let("x_scales", load(x_.scales, group, 8));
        const Expr sum = b_.let("sum", dots.finish_at(acc, start));
        const Expr total = b_.let("total", slice_lanes(sum, 0, 8) + slice_lanes(sum, 8, 8));
        b_.store(chains, index(row),
                 fma(cast(DType::kF32, total) * x_scales, scales, load(chains, index(row))));
      }
    };
    b_.serial("g", groups / 8, [&](const Expr& block) { body(block, 8); });
    if (groups % 8 != 0) body(index(groups / 8), static_cast<int>(groups % 8));
    return sum_chains(chains);
  }

  std::vector<Expr> dots_floats(const Expr& column) {
    const BufferRef chains = start_chains(kLanes);
    for_vectors(b_, "k", m_.k, weights_->decode_step(), [&](const Expr& at, int elements) {
      int done = 0;
      for (const Expr& w : weights_->decode(b_, column, at, elements)) {
        const int lanes = w->type.lanes;
        for (int64_t row = 0; row < most_rows_; ++row) {
          const Expr x = b_.let("x", load_padded(x_.x, at + (row * m_.k + done), lanes, kLanes));
          b_.store(chains, index(row), fma(pad_lanes(w, kLanes), x, load(chains, index(row))));
        }
        done += lanes;
      }
    });
    return sum_chains(chains);
  }

  // The chains of each row, zeros.
  BufferRef start_chains(int lanes) {
    const BufferRef chains =
        b_.allocate("chains", {DType::kF32, lanes}, most_rows_, Space::kRegister);
    for (int64_t row = 0; row < most_rows_; ++row)
      b_.store(chains, index(row), zeros(DType::kF32, lanes));
    return chains;
  }

  std::vector<Expr> sum_chains(const BufferRef& chains) {
    std::vector<Expr> sums;
    for (int64_t row = 0; row < most_rows_; ++row)
      sums.push_back(tree_sum(b_, load(chains, index(row))));
    return sums;
  }

  Expr columns_floats(const Expr& column, const Expr& row, int lanes) {
    const BufferRef chains = b_.allocate("chains", {DType::kF32, lanes}, kLanes, Space::kRegister);
    b_.unrolled("j", kLanes,
                [&](const Expr& j) { b_.store(chains, j, zeros(DType::kF32, lanes)); });
    for_vectors(b_, "k", m_.k, weights_->column_step(), [&](const Expr& base, int count) {
      for (int offset = 0; offset < count; ++offset) {
        const Expr w = weights_->decode_column(b_, column, base, offset, lanes);
        const Expr x = broadcast(load(x_.x, row * m_.k + (base + offset)), lanes);
        const Expr chain = index(offset % kLanes);
        b_.store(chains, chain, fma(w, x, load(chains, chain)));
      }
    });
    std::vector<Expr> parts;
    for (int j = 0; j < kLanes; ++j) parts.push_back(load(chains, index(j)));
    return sum_by_halves(b_, std::move(parts));
  }

  const MatmulNode& m_;
  KernelBuilder b_;
  ParameterList parameters_;
  int64_t most_rows_;
  Epilogue epilogue_;
  std::unique_ptr<WeightReader> weights_;
  ActivationBuffers x_;
  BufferRef local_;
  Expr rows_;
  int64_t width_ = 0;
};

}  // namespace

int64_t preferred_block_width(int64_t n, int64_t largest) {
  int64_t width = largest;
  while (width > 16 && n / width < 24) width /= 2;
  return width;
}

ActivationBuffers declare_activations(const MatmulNode& m, ParameterList& parameters) {
  ActivationBuffers x;
  if (m.int8) {
    x.codes = parameters.operand("x", DType::kI8, 0, 0);
    x.scales = parameters.operand("x_scales", DType::kF32, 0, 1);
    x.sums = parameters.operand("x_sums", DType::kI32, 0, 2);
  } else {
    x.x = parameters.operand("x", DType::kF32, 0);
  }
  return x;
}

LoweredKernel gemv_kernel(const MatmulNode& m, int64_t most_rows) {
  return Gemv(m, most_rows).run();
}

}  // namespace mlc::kernel
