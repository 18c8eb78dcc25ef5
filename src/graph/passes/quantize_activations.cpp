// SPDX-License-Identifier: Apache-2.0
// x, W (codes) -> quantize(x), W: the matmul then multiplies int8 by codes. Changes values by what
// int8 loses, which is what the knob int8_activations asks for.
#include <map>
#include <tuple>

#include "graph/passes/passes.h"

namespace mlc::graph {

void quantize_activations(Graph& graph) {
  std::vector<Node> old = std::move(graph.nodes);
  graph.nodes.clear();
  std::vector<NodeId> moved(old.size());  // old id -> new id
  std::map<std::tuple<NodeId, int, int>, NodeId> made;
  for (size_t i = 0; i < old.size(); ++i) {
    Node node = std::move(old[i]);
    for (NodeId& operand : node.operands) operand = moved[static_cast<size_t>(operand)];
    if (node.op == Op::kMatmul) {
      const NodeId x = node.operands[0];
      const std::optional<BitLayout> layout = graph.node(node.operands[1]).type.layout;
      if (layout && graph.node(x).type.dtype == DType::kF32) {
        const GroupedInt8 grouped = activations_for(*layout);
        const auto key = std::tuple(x, grouped.group_size, grouped.bits);
        auto found = made.find(key);
        if (found == made.end()) {
          Node quantize;
          quantize.op = Op::kQuantize;
          quantize.operands = {x};
          quantize.attrs = {{Attr::kGroup, int64_t{grouped.group_size}},
                            {Attr::kBits, int64_t{grouped.bits}}};
          quantize.type = quantize.base_type =
              infer_type(Op::kQuantize, {graph.node(x).type}, quantize.attrs);
          found = made.emplace(key, graph.add(std::move(quantize))).first;
        }
        node.operands[0] = found->second;
      }
    }
    moved[i] = graph.add(std::move(node));
  }
  graph.result = moved[static_cast<size_t>(graph.result)];
  for (Graph::Extra& extra : graph.extras) extra.node = moved[static_cast<size_t>(extra.node)];
}

}  // namespace mlc::graph
