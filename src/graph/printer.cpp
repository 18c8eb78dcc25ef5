// SPDX-License-Identifier: Apache-2.0
// Prints graphs: names by position, attributes in their order of definition, shortest exact floats.
#include "graph/graph.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::graph {
namespace {

std::string dim_text(const Dim& dim) {
  return dim.is_symbol() ? std::string(formats::symbol_name(dim.symbol))
                         : std::to_string(dim.value);
}

std::string_view order_name(WordOrder order) {
  switch (order) {
    case WordOrder::kRows:
      return "rows";
    case WordOrder::kColumns:
      return "columns";
    case WordOrder::kAwq:
      return "awq";
  }
  return "";
}

std::string value_text(const AttrValue& value) {
  switch (value.index()) {
    case 0:
      return std::to_string(std::get<int64_t>(value));
    case 1:
      return python_float(std::get<double>(value));
    case 2: {
      std::vector<std::string> parts;
      for (const int64_t i : std::get<std::vector<int64_t>>(value))
        parts.push_back(std::to_string(i));
      return "[" + join(parts, ", ") + "]";
    }
    case 3: {
      std::vector<std::string> parts;
      for (const double d : std::get<std::vector<double>>(value)) parts.push_back(python_float(d));
      return "[" + join(parts, ", ") + "]";
    }
    case 4:
      return std::string(op_name(std::get<Op>(value)));
    default:
      return "\"" + std::get<std::string>(value) + "\"";
  }
}

class Printer {
 public:
  explicit Printer(const Graph& graph) : graph_(graph) {
    int number = 0;
    for (const Node& node : graph.nodes) {
      const bool named = node.op == Op::kInput || node.op == Op::kParameter;
      names_.push_back("%" + (named ? node.name : std::to_string(number++)));
    }
  }

  std::string run() {
    std::string text;
    for (size_t i = 0; i < graph_.cache.size(); ++i) text += cache(i) + "\n";
    std::vector<std::string> arguments;
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.op == Op::kInput) {
        arguments.push_back(cat("  ", names_[i], ": ", to_text(node.type)));
      } else if (node.op == Op::kParameter) {
        arguments.push_back(cat("  ", names_[i], ": ", to_text(node.type), parameter(node)));
      }
    }
    text += cat("func @", graph_.name, "(\n", join(arguments, ",\n"), "\n) -> ",
                to_text(graph_.node(graph_.result).type), " {\n");
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (node.op == Op::kInput || node.op == Op::kParameter) continue;
      text += cat("  ", names_[i], " = ", op_name(node.op));
      for (int k = 0; k < node.base_operands(); ++k) {
        text += cat(k == 0 ? " " : ", ", operand(node, k));
      }
      text += attributes(node, node.attrs, &node.epilogue) + "\n";
    }
    text += cat("  return ", names_[static_cast<size_t>(graph_.result)]);
    for (const Graph::Extra& extra : graph_.extras) {
      text += cat(", ", formats::output_name(extra.output), " ",
                  names_[static_cast<size_t>(extra.node)]);
    }
    return text + "\n}\n";
  }

 private:
  std::string operand(const Node& node, int k) const {
    return names_[static_cast<size_t>(node.operands[static_cast<size_t>(k)])];
  }

  std::string attributes(const Node& node, const Attrs& attrs,
                         const std::vector<EpilogueOp>* epilogue) const {
    std::vector<std::string> parts;
    for (const auto& [attr, value] : attrs.entries())
      parts.push_back(cat(attr_name(attr), " = ", value_text(value)));
    if (epilogue != nullptr && !epilogue->empty()) {
      std::vector<std::string> ops;
      for (const EpilogueOp& e : *epilogue) {
        std::string text(op_name(e.op));
        for (size_t k = 0; k < e.operands.size(); ++k)
          text += cat(k == 0 ? " " : ", ", operand(node, e.operands[k]));
        ops.push_back(text + attributes(node, e.attrs, nullptr));
      }
      parts.push_back("epilogue = [" + join(ops, ", ") + "]");
    }
    return parts.empty() ? "" : " {" + join(parts, ", ") + "}";
  }

  static std::string parameter(const Node& node) {
    std::string text;
    switch (node.kind) {
      case ParameterKind::kLinear:
        text = " linear";
        break;
      case ParameterKind::kEmbedding:
        text = " embedding";
        break;
      case ParameterKind::kPlain:
        text = " plain";
        break;
    }
    for (const StoredTensor& t : node.stored) {
      std::vector<std::string> dims;
      for (const int64_t d : t.shape) dims.push_back(std::to_string(d));
      text += cat(" \"", t.name, "\" ", dtype_short_name(t.dtype), "[", join(dims, ", "), "]");
    }
    return text;
  }

  std::string cache(size_t i) const {
    const CacheGroup& g = graph_.cache[i];
    std::vector<std::string> layers;
    for (const int64_t layer : g.layers) layers.push_back(std::to_string(layer));
    std::string text =
        cat("cache @", i, " {kind = ", g.kind == CacheGroup::Kind::kFull ? "full" : "window");
    if (g.kind == CacheGroup::Kind::kWindow)
      text += cat(", window = ", g.window, ", sink = ", g.sink);
    return text + cat(", kv_heads = ", g.kv_heads, ", head_dim = ", g.head_dim,
                      ", dtype = ", dtype_short_name(g.dtype), ", layers = [", join(layers, ", "),
                      "]}");
  }

  const Graph& graph_;
  std::vector<std::string> names_;
};

}  // namespace

std::string to_text(const Type& type) {
  std::vector<std::string> dims;
  for (const Dim& dim : type.shape) dims.push_back(dim_text(dim));
  const std::string shape = "[" + join(dims, ", ") + "]";
  if (type.layout) {
    const BitLayout& l = *type.layout;
    return cat("q", l.bits, shape, " {group = ", l.group_size,
               ", scale = ", dtype_short_name(l.scale),
               l.order == WordOrder::kRows ? "" : cat(", order = ", order_name(l.order)),
               l.stored_zeros ? ", zeros = stored" : "", "}");
  }
  if (type.grouped) {
    return cat(dtype_short_name(type.dtype), shape, " {group = ", type.grouped->group_size,
               ", bits = ", type.grouped->bits, "}");
  }
  return cat(dtype_short_name(type.dtype), shape);
}

std::string to_text(const Graph& graph) { return Printer(graph).run(); }

}  // namespace mlc::graph
