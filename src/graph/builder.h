// SPDX-License-Identifier: Apache-2.0
// How models write graphs: each function adds one operator and infers its type.
#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace mlc::graph {

class GraphBuilder {
 public:
  NodeId input(const std::string& name, DType dtype, std::vector<Dim> shape);
  // A parameter before quantization: one stored tensor of its own name. Asking again for a name
  // gives the same node.
  NodeId parameter(const std::string& name, DType dtype, std::vector<int64_t> shape,
                   ParameterKind kind = ParameterKind::kPlain);
  NodeId constant(std::vector<double> values);
  NodeId add_node(Op op, std::vector<NodeId> operands, Attrs attrs = {});
  Graph finish(NodeId result, std::vector<CacheGroup> cache, std::vector<Graph::Extra> extras = {});
  const Type& type(NodeId id) const { return graph_.node(id).type; }

 private:
  Graph graph_;
};

}  // namespace mlc::graph
