// SPDX-License-Identifier: Apache-2.0
// Elementwise operators that found no other kernel to stand in: a task is a row.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "support/check.h"

namespace mlc::kernel {

LoweredNode elementwise_template(const graph::Graph& graph, graph::NodeId id, const target::Target&) {
  // The node is a copy of its first operand with itself as the first step of its epilogue.
  graph::Graph copy = graph;
  graph::Node& node = copy.node(id);
  graph::EpilogueOp self{node.op, {}, node.attrs, node.base_type};
  for (int i = 1; i < node.base_operands(); ++i) self.operands.push_back(i);
  node.base_type = copy.node(node.operands[0]).type;
  node.epilogue.insert(node.epilogue.begin(), self);
  const int64_t n = node.base_type.last();
  KernelBuilder b("elementwise");
  ParameterList parameters(b, copy, id);
  const BufferRef x = parameters.operand("x", DType::kF32, 0);
  Epilogue epilogue(copy, id, n);
  epilogue.declare(parameters);
  const ColumnBlocks& blocks = epilogue.blocks();
  const formats::PlanSymbol rows = row_symbol(node.type);
  const Expr count = parameters.size("rows", rows);
  b.parallel("task", count * blocks.count, [&](const Expr& task) {
    const Expr row = b.let("row", task / blocks.count);
    const Expr block = b.let("block", task % blocks.count);
    const BufferRef local = b.allocate("local", {DType::kF32, 1}, blocks.stride, Space::kLocal);
    const Expr existing = epilogue.column_count(b, block);
    for (int64_t segment = 0; segment < blocks.segments; ++segment) {
      const Expr from = b.let("from", row * n + (block * blocks.width + segment * blocks.distance));
      for_vectors_up_to(b, "i", existing, blocks.padded_width(), kLanes, [&](const Expr& at, int lanes) {
        b.store(local, at + segment * blocks.padded_width(), load(x, from + at, lanes));
      });
    }
    epilogue.finish_row(b, row, block, local, index(0));
  });
  LoweredKernel lowered{b.finish(), parameters.take(), {blocks.count, rows, 1}};
  lowered.kernel.name = "elementwise";
  LoweredNode result;
  result.calls.push_back({rows, {{INT64_MAX, {std::move(lowered)}}}});
  return result;
}

}  // namespace mlc::kernel
