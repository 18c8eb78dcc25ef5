// SPDX-License-Identifier: Apache-2.0
// Each operator to its template; the key by which equal nodes share kernels; the buffers of values.
#include "kernel/lowering/lowered.h"
#include "kernel/templates/templates.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::kernel {

using graph::Op;

formats::PlanSymbol row_symbol(const graph::Type& type) {
  MLC_IR_CHECK(type.shape.size() == 2 && type.shape[0].is_symbol()) << graph::to_text(type) << " has no rows of a symbolic number";
  return formats::plan_symbol(type.shape[0].symbol);
}

std::vector<DType> value_buffer_dtypes(const graph::Type& type) {
  if (type.grouped) return {DType::kI8, DType::kF32, DType::kI32};
  return {type.dtype};
}

std::vector<formats::LinearSize> value_buffers(const graph::Type& type) {
  const formats::PlanSymbol rows = row_symbol(type);
  if (type.grouped) {
    const int64_t groups = type.grouped->padded_groups(type.last());
    return {formats::LinearSize::of(rows, type.grouped->row_bytes(type.last())),
            formats::LinearSize::of(rows, 4 * groups), formats::LinearSize::of(rows, 4 * groups)};
  }
  return {formats::LinearSize::of(rows, dtype_bytes(type.dtype) * type.last())};
}

std::string lowering_key(const graph::Graph& graph, graph::NodeId id) {
  const graph::Node& node = graph.node(id);
  const auto attrs_text = [&](const graph::Attrs& attrs) {
    std::string text;
    for (const auto& [attr, value] : attrs.entries()) {
      if (attr == graph::Attr::kLayer) {
        // Code depends on the cache group, not on the layer.
        text += cat(" group=", graph.cache_group_of_layer(std::get<int64_t>(value)));
        continue;
      }
      text += cat(" ", graph::attr_name(attr), "=");
      switch (value.index()) {
        case 0: text += std::to_string(std::get<int64_t>(value)); break;
        case 1: text += python_float(std::get<double>(value)); break;
        case 4: text += graph::op_name(std::get<Op>(value)); break;
        case 5: text += std::get<std::string>(value); break;
        default: MLC_UNREACHABLE() << "a list among the attributes of " << graph::op_name(node.op);
      }
    }
    return text;
  };
  std::string key = cat(graph::op_name(node.op), attrs_text(node.attrs));
  for (const graph::NodeId operand : node.operands) {
    const graph::Node& source = graph.node(operand);
    key += cat(" | ", graph::to_text(source.type));
    for (const graph::StoredTensor& t : source.stored) key += cat(" ", dtype_name(t.dtype));
    if (source.op == Op::kInput || source.op == Op::kConstant) key += cat(" ", graph::op_name(source.op));
  }
  for (const graph::EpilogueOp& e : node.epilogue) {
    key += cat(" ; ", graph::op_name(e.op), attrs_text(e.attrs));
    for (const int operand : e.operands) key += cat(" ", operand);
  }
  return key;
}

LoweredNode lower(const graph::Graph& graph, graph::NodeId id, const target::Target& target) {
  const Op op = graph.node(id).op;
  switch (op) {
    case Op::kEmbedding:
    case Op::kGatherRows:
      return gather_template(graph, id, target);
    case Op::kMatmul:
      return matmul_template(graph, id, target);
    case Op::kRmsNorm:
    case Op::kLayerNorm:
      return norm_template(graph, id, target);
    case Op::kRopeTable:
      return rope_table_template(graph, id, target);
    case Op::kAttention:
      return attention_template(graph, id, target);
    case Op::kAdd:
    case Op::kMul:
    case Op::kScale:
    case Op::kSilu:
    case Op::kGelu:
    case Op::kGeluTanh:
    case Op::kRelu:
    case Op::kGate:
    case Op::kQuantize:
    case Op::kRope:
    case Op::kKvAppend:
      return elementwise_template(graph, id, target);
    case Op::kInput:
    case Op::kParameter:
    case Op::kConstant:
      break;
  }
  MLC_UNREACHABLE() << graph::op_name(op) << " is no computation";
}

}  // namespace mlc::kernel
