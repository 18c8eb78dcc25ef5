// SPDX-License-Identifier: Apache-2.0
// Norms: a task is a row. On a CPU its sums go through sixteen chains (element i belongs to chain i
// mod 16) and a tree, whatever the vector width; on a GPU each thread of a block has such a chain.
// The normalized row lies in a local buffer, from which the epilogue takes it, on a GPU a part of
// the row at a time.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

using graph::Attr;
using graph::Op;

enum class Summand : uint8_t { kValue, kSquare };

// The sum over a row, less `mean` where it is given, in the fixed order.
Expr row_sum(KernelBuilder& b, const RowSchedule& schedule, const BufferRef& x, const Expr& from,
             int64_t n, Summand summand, const Expr& mean = {}) {
  const int lanes = schedule.lanes();
  const BufferRef chains = b.allocate("chains", {DType::kF32, lanes}, 1, Space::kRegister);
  b.store(chains, index(0), zeros(DType::kF32, lanes));
  schedule.for_elements(b, "i", index(n), n, [&](const Expr& at, int count) {
    Expr v = cast(DType::kF32, load(x, from + at, count));
    if (mean) v = v - mean;
    v = b.let("v", pad_lanes(v, lanes));  // with zeros, which must not count as -mean
    const Expr sum = load(chains, index(0));
    b.store(chains, index(0), summand == Summand::kSquare ? fma(v, v, sum) : sum + v);
  });
  return schedule.sum(b, load(chains, index(0)));
}

}  // namespace

LoweredNode norm_template(const graph::Graph& graph, graph::NodeId id,
                          const target::Target& target) {
  const graph::Node& node = graph.node(id);
  const graph::Node& source = graph.node(node.operands[0]);
  const int64_t n = node.base_type.last();
  KernelBuilder b("norm");
  ParameterList parameters(b, graph, id);
  const BufferRef x = parameters.operand("x", source.type.dtype, 0);
  std::vector<BufferRef> affine;
  for (int i = 1; i < node.base_operands(); ++i) {
    const graph::Node& parameter = graph.node(node.operands[static_cast<size_t>(i)]);
    affine.push_back(parameters.stored(i == 1 ? "weight" : "bias",
                                       graph::memory_dtype(parameter.stored[0].dtype), i, 0));
  }
  RowSchedule schedule(target);
  Epilogue epilogue(graph, id, schedule.block_width(n), &schedule);
  epilogue.declare(parameters);
  const ColumnBlocks& blocks = epilogue.blocks();
  MLC_CHECK(blocks.segments == 1) << "a norm's epilogue takes no gate";
  const formats::PlanSymbol rows = row_symbol(source.type);
  const Expr count = parameters.size("rows", rows);
  const float inverse_n = 1.0f / static_cast<float>(n);
  schedule.tasks(b, "row", count, [&](const Expr& row) {
    const BufferRef local = schedule.allocate_row(b, "local", blocks.stride);
    const Expr from = b.let("from", row * n);
    Expr mean;
    if (node.op == Op::kLayerNorm)
      mean = b.let("mean", row_sum(b, schedule, x, from, n, Summand::kValue) * f32(inverse_n));
    const Expr squares = row_sum(b, schedule, x, from, n, Summand::kSquare, mean);
    const Expr variance =
        b.let("variance", squares * f32(inverse_n) + f32(node.attrs.float_of(Attr::kEps)));
    const Expr factor = b.let("factor", f32(1) / square_root(variance));
    const auto store_block = [&](const Expr& block) {
      const Expr first = b.let("first", block * blocks.width);
      schedule.for_elements(b, "i", epilogue.column_count(b, block), blocks.padded_width(),
                            [&](const Expr& at, int lanes) {
                              const Expr column = first + at;
                              Expr v = cast(DType::kF32, load(x, from + column, lanes));
                              if (mean) v = v - mean;
                              v = v * factor;
                              if (!affine.empty())
                                v = v * cast(DType::kF32, load(affine[0], column, lanes));
                              if (affine.size() > 1)
                                v = v + cast(DType::kF32, load(affine[1], column, lanes));
                              b.store(local, at, v);
                            });
      epilogue.finish_row(b, row, block, local, index(0));
    };
    if (blocks.count == 1) {
      store_block(index(0));
      return;
    }
    b.serial("block", blocks.count, [&](const Expr& block) {
      store_block(block);
      schedule.sync(b);  // the buffer is used again
    });
  });
  LoweredKernel lowered{b.finish(), parameters.take(), {1, rows, 1}};
  lowered.kernel.name = graph::op_name(node.op);
  LoweredNode result;
  result.calls.push_back({rows, {{INT64_MAX, {std::move(lowered)}}}});
  return result;
}

}  // namespace mlc::kernel
