// SPDX-License-Identifier: Apache-2.0
// Passes over a graph. Their order, and why, stands in compiler/pipeline.cpp.
#pragma once

#include "graph/graph.h"

namespace mlc::graph {

// Puts `quantize` before every matmul with group-quantized weights, once for matmuls of equal input
// and grouping.
void quantize_activations(Graph& graph);
// Moves what is done to the result of a node alone into the node's epilogue.
void fuse_epilogues(Graph& graph);
// Removes nodes whose value nobody uses.
void remove_dead_nodes(Graph& graph);

}  // namespace mlc::graph
