// SPDX-License-Identifier: Apache-2.0
// Rows by number: gather_rows of activations, embedding of ids in a plain or quantized table. A
// task is a row.
#include "kernel/lowering/epilogue.h"
#include "kernel/templates/templates.h"
#include "kernel/templates/weights.h"
#include "support/check.h"

namespace mlc::kernel {

using graph::Op;

LoweredNode gather_template(const graph::Graph& graph, graph::NodeId id, const target::Target&) {
  const graph::Node& node = graph.node(id);
  const int64_t n = node.base_type.last();
  const bool embeds = node.op == Op::kEmbedding;
  const int source = embeds ? 1 : 0;
  const int numbers = embeds ? 0 : 1;
  KernelBuilder b("gather");
  ParameterList parameters(b, graph, id);
  const BufferRef ids = parameters.operand("ids", DType::kI32, numbers);
  std::unique_ptr<WeightReader> table;
  BufferRef x;
  if (embeds) {
    table = std::make_unique<WeightReader>(graph, id, source, parameters);
  } else {
    x = parameters.operand("x", DType::kF32, source);
  }
  Epilogue epilogue(graph, id, n);
  epilogue.declare(parameters);
  MLC_CHECK(epilogue.blocks().count == 1 && epilogue.blocks().segments == 1)
      << "a gather's epilogue takes whole rows";
  const formats::PlanSymbol rows = row_symbol(node.type);
  const Expr count = parameters.size("rows", rows);
  b.parallel("row", count, [&](const Expr& row) {
    const BufferRef local =
        b.allocate("local", {DType::kF32, 1}, epilogue.blocks().stride, Space::kLocal);
    const Expr number = b.let("number", cast(DType::kI64, load(ids, row)));
    if (embeds) {
      for_vectors(b, "i", n, table->decode_step(), [&](const Expr& at, int lanes) {
        const std::vector<Expr> values = table->decode(b, number, at, lanes);
        int done = 0;
        for (const Expr& v : values) {
          b.store(local, at + done, v);
          done += v->type.lanes;
        }
      });
    } else {
      for_vectors(b, "i", n, kLanes, [&](const Expr& at, int lanes) {
        b.store(local, at, load(x, number * n + at, lanes));
      });
    }
    epilogue.finish_row(b, row, index(0), local, index(0));
  });
  LoweredKernel lowered{b.finish(), parameters.take(), {1, rows, 1}};
  lowered.kernel.name = graph::op_name(node.op);
  LoweredNode result;
  result.calls.push_back({rows, {{INT64_MAX, {std::move(lowered)}}}});
  return result;
}

}  // namespace mlc::kernel
