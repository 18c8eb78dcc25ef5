// SPDX-License-Identifier: Apache-2.0
// Elementwise operators that found no other kernel to stand in: a task is a row, on a GPU a block
// of a row's columns.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "support/check.h"

namespace mlc::kernel {

LoweredNode elementwise_template(const graph::Graph& graph, graph::NodeId id,
                                 const target::Target& target) {
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
  const BufferRef x = parameters.operand("x", node.base_type.dtype, 0);
  RowSchedule schedule(target);
  Epilogue epilogue(copy, id, schedule.block_width(n), &schedule);
  epilogue.declare(parameters);
  const ColumnBlocks& blocks = epilogue.blocks();
  const formats::PlanSymbol rows = row_symbol(node.type);
  const Expr count = parameters.size("rows", rows);
  schedule.tasks(b, "task", count * blocks.count, [&](const Expr& task) {
    const Expr row = b.let("row", task / blocks.count);
    const Expr block = b.let("block", task % blocks.count);
    const BufferRef local = schedule.allocate_row(b, "local", blocks.stride);
    const Expr existing = epilogue.column_count(b, block);
    for (int64_t segment = 0; segment < blocks.segments; ++segment) {
      const Expr from = b.let("from", row * n + (block * blocks.width + segment * blocks.distance));
      schedule.for_elements(b, "i", existing, blocks.padded_width(),
                            [&](const Expr& at, int lanes) {
                              b.store(local, at + segment * blocks.padded_width(),
                                      cast(DType::kF32, load(x, from + at, lanes)));
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
