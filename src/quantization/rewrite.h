// SPDX-License-Identifier: Apache-2.0
// The quantization of a graph: its float parameters become what a mode stores for them.
#pragma once

#include "graph/graph.h"
#include "quantization/quantization.h"

namespace mlc::quantization {

// What the converter and the compiler both derive from a parameter of a float graph.
Weight weight_of(const graph::Node& parameter);
// Gives each parameter its bit layout and the tensors that hold it. Throws UserError where the mode
// cannot hold one.
void quantize_parameters(graph::Graph& graph, const Quantization& quantization);

}  // namespace mlc::quantization
