// SPDX-License-Identifier: Apache-2.0
// Runs a graph with the reference implementation of every operator: slow, obvious, f32 values, f64
// sums.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "graph/ops/rules.h"

namespace mlc::graph {

// The values of a parameter, [shape] in C order, dequantized.
using ParameterValues = std::function<std::vector<float>(const Node& parameter)>;

// One step over a ragged batch: tokens of several sequences, one sequence's tokens in order.
struct Step {
  std::vector<int32_t> tokens;
  std::vector<int32_t> positions;
  std::vector<int32_t> lengths;     // see rope_table
  std::vector<int32_t> sequences;   // the sequence of each token
  std::vector<int32_t> logit_rows;  // tokens whose logits are wanted
};

// Keeps parameters and the KV cache between steps.
class Interpreter {
 public:
  Interpreter(const Graph& graph, const ParameterValues& parameters);
  // The graph's result: [logit_rows, vocab]. With `trace`, every node's value is given to it.
  Tensor run(const Step& step, const std::function<void(NodeId, const Tensor&)>& trace = {});

 private:
  const Graph& graph_;
  std::vector<Tensor> parameters_;  // by node id
  ReferenceCache cache_;
};

}  // namespace mlc::graph
