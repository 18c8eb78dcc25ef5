// SPDX-License-Identifier: Apache-2.0
#include "graph/interpreter.h"

#include "support/check.h"
#include "support/strings.h"

namespace mlc::graph {

Interpreter::Interpreter(const Graph& graph, const ParameterValues& parameters)
    : graph_(graph), parameters_(graph.nodes.size()) {
  for (const NodeId id : graph.parameters()) {
    Tensor& tensor = parameters_[static_cast<size_t>(id)];
    int64_t size = 1;
    for (const Dim& dim : graph.node(id).type.shape) {
      tensor.shape.push_back(dim.value);
      size *= dim.value;
    }
    tensor.floats = parameters(graph.node(id));
    MLC_CHECK(static_cast<int64_t>(tensor.floats.size()) == size) << graph.node(id).name;
  }
}

Tensor Interpreter::run(const Step& step, const std::function<void(NodeId, const Tensor&)>& trace) {
  const auto input = [&](const std::string& name) -> const std::vector<int32_t>& {
    if (name == "tokens") return step.tokens;
    if (name == "positions") return step.positions;
    if (name == "lengths") return step.lengths;
    if (name == "logit_rows") return step.logit_rows;
    MLC_UNREACHABLE() << "unknown input " << name;
  };
  EvalContext context{&graph_, step.sequences, step.positions, &cache_};
  std::vector<Tensor> values(graph_.nodes.size());
  const auto value_of = [&](NodeId id) -> const Tensor* {
    const auto i = static_cast<size_t>(id);
    return graph_.nodes[i].op == Op::kParameter ? &parameters_[i] : &values[i];
  };
  for (size_t i = 0; i < graph_.nodes.size(); ++i) {
    const Node& node = graph_.nodes[i];
    if (node.op == Op::kParameter) continue;
    if (node.op == Op::kInput) {
      values[i].ints = input(node.name);
      values[i].shape = {static_cast<int64_t>(values[i].ints.size())};
      continue;
    }
    std::vector<const Tensor*> operands;
    for (int k = 0; k < node.base_operands(); ++k) {
      operands.push_back(value_of(node.operands[static_cast<size_t>(k)]));
    }
    Tensor value = rule_of(node.op).evaluate(context, operands, node.attrs);
    for (const EpilogueOp& e : node.epilogue) {
      operands = {&value};
      for (const int k : e.operands)
        operands.push_back(value_of(node.operands[static_cast<size_t>(k)]));
      Tensor next = rule_of(e.op).evaluate(context, operands, e.attrs);
      value = std::move(next);
    }
    values[i] = std::move(value);
    if (trace) trace(static_cast<NodeId>(i), values[i]);
  }
  return values[static_cast<size_t>(graph_.result)];
}

}  // namespace mlc::graph
