// SPDX-License-Identifier: Apache-2.0
// y = matmul(x, w); z = add(y, b) -> z = matmul(x, w) {epilogue = [add b]}, where y has no other
// use. The value is the same: an epilogue is applied to each element (or row block) in the order of
// its list. The fused node stands where its last part stood, so that all operands are defined;
// nothing between the two used y.
#include <algorithm>

#include "graph/passes/passes.h"

namespace mlc::graph {
namespace {

bool takes_epilogue(Op op) {
  switch (op) {
    case Op::kMatmul:
    case Op::kRmsNorm:
    case Op::kLayerNorm:
    case Op::kEmbedding:
    case Op::kGatherRows:
    case Op::kAttention:
      return true;
    default:
      return op_properties(op) & kElementwise;
  }
}

bool has(const Node& node, Op op) {
  return std::any_of(node.epilogue.begin(), node.epilogue.end(),
                     [&](const EpilogueOp& e) { return e.op == op; });
}

// Whether `consumer` may end the epilogue of `producer`.
bool fits(const Node& producer, const Node& consumer) {
  const unsigned properties = op_properties(consumer.op);
  if (!(properties & (kElementwise | kEpilogue))) return false;
  // Nothing follows what stores in another form, and a head is rotated after nothing but
  // elementwise operators.
  if (has(producer, Op::kQuantize) || has(producer, Op::kKvAppend)) return false;
  if (properties & kElementwise) return !has(producer, Op::kRope);
  // Kernels of rows have their whole row at once and store it as it is or quantized.
  if (producer.op != Op::kMatmul) return consumer.op == Op::kQuantize;
  switch (consumer.op) {
    case Op::kGate:
    case Op::kRope:
      return !has(producer, Op::kGate) && !has(producer, Op::kRope);
    case Op::kKvAppend:
      return !has(producer, Op::kGate);
    case Op::kQuantize:
      return !has(producer, Op::kRope);
    default:
      return false;
  }
}

}  // namespace

void fuse_epilogues(Graph& graph) {
  const std::vector<int> uses = count_uses(graph);
  const auto is_output = [&](NodeId id) {
    return id == graph.result ||
           std::any_of(graph.extras.begin(), graph.extras.end(),
                       [&](const Graph::Extra& extra) { return extra.node == id; });
  };
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    Node& consumer = graph.nodes[i];
    if (!consumer.epilogue.empty()) continue;
    // The latest operand is the one that can wait for the others.
    int chosen = -1;
    const bool commutes = consumer.op == Op::kAdd || consumer.op == Op::kMul;
    for (int k = 0;
         k < (commutes ? consumer.base_operands() : std::min(1, consumer.base_operands())); ++k) {
      const NodeId candidate = consumer.operands[static_cast<size_t>(k)];
      const Node& producer = graph.node(candidate);
      const bool single = uses[static_cast<size_t>(candidate)] == 1 && !is_output(candidate);
      // The epilogue's running value has the shape of the result; the other operand may be a row.
      if (!single || !takes_epilogue(producer.op) || !fits(producer, consumer)) continue;
      if (commutes && producer.type.shape != consumer.type.shape) continue;
      if (chosen < 0 || candidate > consumer.operands[static_cast<size_t>(chosen)]) chosen = k;
    }
    if (chosen < 0) continue;
    const NodeId source = consumer.operands[static_cast<size_t>(chosen)];
    Node fused = graph.node(source);
    EpilogueOp step{consumer.op, {}, consumer.attrs, consumer.type};
    for (int k = 0; k < consumer.base_operands(); ++k) {
      if (k == chosen) continue;
      step.operands.push_back(static_cast<int>(fused.operands.size()));
      fused.operands.push_back(consumer.operands[static_cast<size_t>(k)]);
    }
    fused.epilogue.push_back(std::move(step));
    fused.type = consumer.type;
    consumer = std::move(fused);
  }
  // What was fused away has no use left.
  remove_dead_nodes(graph);
}

void remove_dead_nodes(Graph& graph) {
  std::vector<bool> is_output(graph.nodes.size(), false);
  is_output[static_cast<size_t>(graph.result)] = true;
  for (const Graph::Extra& extra : graph.extras) is_output[static_cast<size_t>(extra.node)] = true;
  std::vector<bool> live(graph.nodes.size(), false);
  for (size_t i = graph.nodes.size(); i-- > 0;) {
    const Node& node = graph.nodes[i];
    const bool appends = node.op == Op::kKvAppend || has(node, Op::kKvAppend);
    // Inputs and parameters are the interface: they stay.
    if (node.op == Op::kInput || node.op == Op::kParameter || appends || is_output[i])
      live[i] = true;
    if (!live[i]) continue;
    for (const NodeId operand : node.operands) live[static_cast<size_t>(operand)] = true;
  }
  std::vector<NodeId> moved(graph.nodes.size(), -1);
  std::vector<Node> kept;
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    if (!live[i]) continue;
    moved[i] = static_cast<NodeId>(kept.size());
    kept.push_back(std::move(graph.nodes[i]));
    for (NodeId& operand : kept.back().operands) operand = moved[static_cast<size_t>(operand)];
  }
  graph.nodes = std::move(kept);
  graph.result = moved[static_cast<size_t>(graph.result)];
  for (Graph::Extra& extra : graph.extras) extra.node = moved[static_cast<size_t>(extra.node)];
}

}  // namespace mlc::graph
