// SPDX-License-Identifier: Apache-2.0
#include "quantization/rewrite.h"

#include "support/throw.h"

namespace mlc::quantization {

Weight weight_of(const graph::Node& parameter) {
  Weight weight;
  weight.name = parameter.name;
  for (const graph::Dim& dim : parameter.type.shape) weight.shape.push_back(dim.value);
  weight.dtype = parameter.type.dtype;
  switch (parameter.kind) {
    case graph::ParameterKind::kLinear:
      weight.kind = WeightKind::kLinear;
      break;
    case graph::ParameterKind::kEmbedding:
      weight.kind = WeightKind::kEmbedding;
      break;
    case graph::ParameterKind::kPlain:
      weight.kind = WeightKind::kPlain;
      break;
  }
  return weight;
}

void quantize_parameters(graph::Graph& graph, const Quantization& quantization) {
  for (const graph::NodeId id : graph.parameters()) {
    graph::Node& node = graph.node(id);
    const Weight weight = weight_of(node);
    node.stored.clear();
    for (const StoredTensor& tensor : or_throw(stored_tensors(quantization, weight))) {
      node.stored.push_back({tensor.name, tensor.dtype, tensor.shape});
    }
    if (!is_quantized(quantization, weight)) continue;
    graph::BitLayout layout;
    layout.bits = quantization.bits;
    layout.group_size = quantization.group_size;
    layout.scale = graph::memory_dtype(quantization.model_dtype);
    const bool linear = weight.kind == WeightKind::kLinear;
    if (quantization.scheme == Scheme::kAwq) {
      layout.order = graph::WordOrder::kAwq;
      layout.stored_zeros = true;
    } else if (linear && quantization.linear_layout == Layout::kKN) {
      layout.order = graph::WordOrder::kColumns;
    }
    node.type.layout = layout;
    node.type.dtype = layout.scale;
    node.base_type = node.type;
  }
}

}  // namespace mlc::quantization
