// SPDX-License-Identifier: Apache-2.0
#include "graph/builder.h"

#include "support/check.h"

namespace mlc::graph {

NodeId GraphBuilder::input(const std::string& name, DType dtype, std::vector<Dim> shape) {
  Node node;
  node.op = Op::kInput;
  node.name = name;
  node.type = {.dtype = dtype, .shape = std::move(shape), .layout = {}, .grouped = {}};
  node.base_type = node.type;
  return graph_.add(std::move(node));
}

NodeId GraphBuilder::parameter(const std::string& name, DType dtype, std::vector<int64_t> shape,
                               ParameterKind kind) {
  for (const NodeId id : graph_.parameters()) {
    if (graph_.node(id).name == name) return id;
  }
  Node node;
  node.op = Op::kParameter;
  node.name = name;
  node.type.dtype = dtype;
  for (const int64_t d : shape) node.type.shape.emplace_back(d);
  node.base_type = node.type;
  node.kind = kind;
  node.stored = {{name, dtype, std::move(shape)}};
  return graph_.add(std::move(node));
}

NodeId GraphBuilder::constant(std::vector<double> values) {
  return add_node(Op::kConstant, {}, {{Attr::kValues, std::move(values)}});
}

NodeId GraphBuilder::add_node(Op op, std::vector<NodeId> operands, Attrs attrs) {
  std::vector<Type> types;
  for (const NodeId id : operands) types.push_back(graph_.node(id).type);
  Node node;
  node.op = op;
  node.type = infer_type(op, types, attrs);
  node.base_type = node.type;
  node.operands = std::move(operands);
  node.attrs = std::move(attrs);
  return graph_.add(std::move(node));
}

Graph GraphBuilder::finish(NodeId result, std::vector<CacheGroup> cache,
                           std::vector<Graph::Extra> extras) {
  graph_.result = result;
  graph_.cache = std::move(cache);
  graph_.extras = std::move(extras);
  verify(graph_);
  return std::move(graph_);
}

}  // namespace mlc::graph
