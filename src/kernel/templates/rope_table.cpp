// SPDX-License-Identifier: Apache-2.0
// rope_table: cosines and sines of a token's angles, once a step for all layers. A task is a token.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"

namespace mlc::kernel {

using graph::Attr;

LoweredNode rope_table_template(const graph::Graph& graph, graph::NodeId id,
                                const target::Target&) {
  const graph::Node& node = graph.node(id);
  const int64_t f = node.type.last() / 2;
  const bool switches = node.attrs.find(Attr::kSwitchLength) != nullptr;
  const bool two_sets = node.base_operands() > 3;
  KernelBuilder b("rope_table");
  ParameterList parameters(b, graph, id);
  const BufferRef positions = parameters.operand("positions", DType::kI32, 0);
  const BufferRef lengths = parameters.operand("lengths", DType::kI32, 1);
  const BufferRef near = parameters.operand("frequencies", DType::kF32, 2);
  const BufferRef far = two_sets ? parameters.operand("long_frequencies", DType::kF32, 3) : near;
  const BufferRef out = parameters.result("out", DType::kF32);
  const formats::PlanSymbol rows = row_symbol(node.type);
  const Expr count = parameters.size("rows", rows);
  b.parallel("row", count, [&](const Expr& row) {
    const Expr position = b.let("position", cast(DType::kF32, load(positions, row)));
    Expr is_long;
    Expr ntk;  // log2 of the factor a
    if (switches) {
      const double limit = static_cast<double>(node.attrs.int_of(Attr::kSwitchLength));
      const Expr length = b.let("length", load(lengths, row));
      is_long = b.let("is_long", less(i32(node.attrs.int_of(Attr::kSwitchLength)), length));
      if (node.attrs.find(Attr::kNtkFactor) != nullptr && f > 1) {
        const double factor = node.attrs.float_of(Attr::kNtkFactor);
        const Expr a = cast(DType::kF32, length) * f32(factor / limit) - f32(factor - 1);
        ntk = b.let("ntk", math(ExprKind::kLog2, maximum(a, f32(1))) *
                               f32(-1.0 / static_cast<double>(f - 1)));
      }
    }
    for_vectors(b, "i", f, kLanes, [&](const Expr& at, int lanes) {
      Expr frequency = load(near, at, lanes);
      if (two_sets) frequency = select(is_long, load(far, at, lanes), frequency);
      if (ntk) {
        const Expr i = cast(DType::kF32, ramp(at, 1, lanes));
        frequency = frequency * select(is_long, math(ExprKind::kExp2, i * ntk), f32(1));
      }
      const Expr angle = b.let("angle", position * frequency);
      const Expr multiplier = f32(node.attrs.float_or(Attr::kMultiplier, 1));
      b.store(out, row * (2 * f) + at, math(ExprKind::kCos, angle) * multiplier);
      b.store(out, row * (2 * f) + (at + f), math(ExprKind::kSin, angle) * multiplier);
    });
  });
  LoweredKernel lowered{b.finish(), parameters.take(), {1, rows, 1}};
  LoweredNode result;
  result.calls.push_back({rows, {{INT64_MAX, {std::move(lowered)}}}});
  return result;
}

}  // namespace mlc::kernel
