// SPDX-License-Identifier: Apache-2.0
// Norms: a task is a row. Sums go through sixteen chains (element i belongs to chain i mod 16) and a tree, whatever the
// vector width. The normalized row lies in a local buffer, from which the epilogue takes it.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "support/check.h"

namespace mlc::kernel {
namespace {

using graph::Attr;
using graph::Op;

// sum over the row of f(element) in the fixed order; f gets 16 lanes, zeros behind the end.
Expr row_sum(KernelBuilder& b, const BufferRef& x, const Expr& from, int64_t n, const std::function<Expr(Expr, Expr, int)>& add) {
  const BufferRef chains = b.allocate("chains", {DType::kF32, kLanes}, 1, Space::kRegister);
  b.store(chains, index(0), zeros(DType::kF32, kLanes));
  for_vectors(b, "i", n, kLanes, [&](const Expr& at, int lanes) {
    const Expr v = b.let("v", load_padded(x, from + at, lanes, kLanes));
    b.store(chains, index(0), add(load(chains, index(0)), v, lanes));
  });
  return tree_sum(b, load(chains, index(0)));
}

}  // namespace

LoweredNode norm_template(const graph::Graph& graph, graph::NodeId id, const target::Target&) {
  const graph::Node& node = graph.node(id);
  const graph::Node& source = graph.node(node.operands[0]);
  const int64_t n = node.base_type.last();
  KernelBuilder b("norm");
  ParameterList parameters(b, graph, id);
  const BufferRef x = parameters.operand("x", DType::kF32, 0);
  std::vector<BufferRef> affine;
  for (int i = 1; i < node.base_operands(); ++i) {
    const graph::Node& parameter = graph.node(node.operands[static_cast<size_t>(i)]);
    affine.push_back(parameters.stored(i == 1 ? "weight" : "bias", graph::memory_dtype(parameter.stored[0].dtype), i, 0));
  }
  Epilogue epilogue(graph, id, n);
  epilogue.declare(parameters);
  MLC_CHECK(epilogue.blocks().count == 1 && epilogue.blocks().segments == 1) << "a norm's epilogue takes whole rows";
  const formats::PlanSymbol rows = row_symbol(source.type);
  const Expr count = parameters.size("rows", rows);
  const float inverse_n = 1.0f / static_cast<float>(n);
  b.parallel("row", count, [&](const Expr& row) {
    const BufferRef local = b.allocate("local", {DType::kF32, 1}, epilogue.blocks().stride, Space::kLocal);
    const Expr from = b.let("from", row * n);
    Expr mean;
    Expr squares;
    if (node.op == Op::kRmsNorm) {
      squares = row_sum(b, x, from, n, [](Expr sum, Expr v, int) { return fma(v, v, std::move(sum)); });
    } else {
      mean = b.let("mean", row_sum(b, x, from, n, [](Expr sum, Expr v, int) { return std::move(sum) + std::move(v); }) * f32(inverse_n));
      squares = row_sum(b, x, from, n, [&](Expr sum, Expr v, int lanes) {
        // Lanes behind the end must not count as -mean.
        const Expr d = b.let("d", lanes == kLanes ? v - mean : pad_lanes(slice_lanes(v, 0, lanes) - mean, kLanes));
        return fma(d, d, std::move(sum));
      });
    }
    const Expr variance = b.let("variance", squares * f32(inverse_n) + f32(node.attrs.float_of(Attr::kEps)));
    const Expr factor = b.let("factor", f32(1) / square_root(variance));
    for_vectors(b, "i", n, kLanes, [&](const Expr& at, int lanes) {
      Expr v = load(x, from + at, lanes);
      if (mean) v = v - mean;
      v = v * factor;
      if (!affine.empty()) v = v * cast(DType::kF32, load(affine[0], at, lanes));
      if (affine.size() > 1) v = v + cast(DType::kF32, load(affine[1], at, lanes));
      b.store(local, at, v);
    });
    epilogue.finish_row(b, row, index(0), local, index(0));
  });
  LoweredKernel lowered{b.finish(), parameters.take(), {1, rows, 1}};
  lowered.kernel.name = graph::op_name(node.op);
  LoweredNode result;
  result.calls.push_back({rows, {{INT64_MAX, {std::move(lowered)}}}});
  return result;
}

}  // namespace mlc::kernel
