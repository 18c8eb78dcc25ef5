// SPDX-License-Identifier: Apache-2.0
#include "graph/graph.h"

#include <algorithm>

#include "graph/ops/rules.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::graph {
namespace {

struct OpInfo {
  std::string_view name;
  int operands;
  unsigned properties;
};

constexpr OpInfo kOps[] = {
#define GRAPH_OP(enumerator, name, operands, properties) {name, operands, properties},
#include "graph/ops.def"
#undef GRAPH_OP
};

struct AttrInfo {
  std::string_view name;
  AttrKind kind;
};

constexpr AttrInfo kAttrs[] = {
#define GRAPH_ATTR(enumerator, name, kind) {name, AttrKind::kind},
#include "graph/attrs.def"
#undef GRAPH_ATTR
};

}  // namespace

std::string_view op_name(Op op) { return kOps[static_cast<int>(op)].name; }
int op_operand_count(Op op) { return kOps[static_cast<int>(op)].operands; }
unsigned op_properties(Op op) { return kOps[static_cast<int>(op)].properties; }

std::optional<Op> parse_op(std::string_view name) {
  for (int i = 0; i < static_cast<int>(std::size(kOps)); ++i) {
    if (kOps[i].name == name) return static_cast<Op>(i);
  }
  return {};
}

bool is_activation(Op op) {
  return op == Op::kSilu || op == Op::kGelu || op == Op::kGeluTanh || op == Op::kRelu;
}

std::string_view attr_name(Attr attr) { return kAttrs[static_cast<int>(attr)].name; }
AttrKind attr_kind(Attr attr) { return kAttrs[static_cast<int>(attr)].kind; }

std::optional<Attr> parse_attr(std::string_view name) {
  for (int i = 0; i < static_cast<int>(std::size(kAttrs)); ++i) {
    if (kAttrs[i].name == name) return static_cast<Attr>(i);
  }
  return {};
}

Attrs::Attrs(std::initializer_list<std::pair<Attr, AttrValue>> list) {
  for (const auto& [attr, value] : list) set(attr, value);
}

void Attrs::set(Attr attr, AttrValue value) {
  MLC_CHECK(static_cast<int>(attr_kind(attr)) ==
            static_cast<int>(value.index() == 0   ? AttrKind::kInt
                             : value.index() == 1 ? AttrKind::kFloat
                             : value.index() == 2 ? AttrKind::kInts
                             : value.index() == 3 ? AttrKind::kFloats
                             : value.index() == 4 ? AttrKind::kOp
                                                  : AttrKind::kText))
      << attr_name(attr);
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), attr,
                                   [](const auto& entry, Attr a) { return entry.first < a; });
  if (at != entries_.end() && at->first == attr) {
    at->second = std::move(value);
  } else {
    entries_.insert(at, {attr, std::move(value)});
  }
}

const AttrValue* Attrs::find(Attr attr) const {
  for (const auto& [key, value] : entries_) {
    if (key == attr) return &value;
  }
  return nullptr;
}

namespace {

template <class T>
const T& required(const Attrs& attrs, Attr attr) {
  const AttrValue* value = attrs.find(attr);
  MLC_IR_CHECK(value != nullptr) << "attribute " << attr_name(attr) << " is missing";
  return std::get<T>(*value);
}

}  // namespace

int64_t Attrs::int_of(Attr attr) const { return required<int64_t>(*this, attr); }
double Attrs::float_of(Attr attr) const { return required<double>(*this, attr); }
const std::vector<double>& Attrs::floats_of(Attr attr) const {
  return required<std::vector<double>>(*this, attr);
}
Op Attrs::op_of(Attr attr) const { return required<Op>(*this, attr); }
const std::string& Attrs::text_of(Attr attr) const { return required<std::string>(*this, attr); }
int64_t Attrs::int_or(Attr attr, int64_t otherwise) const {
  return find(attr) ? int_of(attr) : otherwise;
}
double Attrs::float_or(Attr attr, double otherwise) const {
  return find(attr) ? float_of(attr) : otherwise;
}

int Node::base_operands() const {
  int count = static_cast<int>(operands.size());
  for (const EpilogueOp& e : epilogue) count -= static_cast<int>(e.operands.size());
  return count;
}

NodeId Graph::add(Node node) {
  nodes.push_back(std::move(node));
  return static_cast<NodeId>(nodes.size()) - 1;
}

int Graph::cache_group_of_layer(int64_t layer) const {
  for (size_t i = 0; i < cache.size(); ++i) {
    const auto& layers = cache[i].layers;
    if (std::find(layers.begin(), layers.end(), layer) != layers.end()) return static_cast<int>(i);
  }
  throw IrError(cat("no cache group has layer ", layer));
}

const CacheGroup& Graph::cache_of_layer(int64_t layer) const {
  return cache[static_cast<size_t>(cache_group_of_layer(layer))];
}

std::vector<NodeId> Graph::parameters() const {
  std::vector<NodeId> ids;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].op == Op::kParameter) ids.push_back(static_cast<NodeId>(i));
  }
  return ids;
}

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.nodes.size(), 0);
  for (const Node& node : graph.nodes) {
    for (const NodeId operand : node.operands) ++uses[static_cast<size_t>(operand)];
  }
  if (graph.result >= 0) ++uses[static_cast<size_t>(graph.result)];
  for (const Graph::Extra& extra : graph.extras) ++uses[static_cast<size_t>(extra.node)];
  return uses;
}

Type infer_type(Op op, const std::vector<Type>& operands, const Attrs& attrs) {
  const int count = op_operand_count(op);
  MLC_IR_CHECK(count < 0 || count == static_cast<int>(operands.size()))
      << op_name(op) << " has " << operands.size() << " operands, not " << count;
  for (const Type& type : operands) {
    const bool is_row =
        !type.shape.empty() && (!type.shape.back().is_symbol() || is_index_list(type));
    MLC_IR_CHECK(is_row) << op_name(op) << " of " << to_text(type)
                         << ", whose last size is no number";
  }
  return rule_of(op).type(operands, attrs);
}

namespace {

// What reads or writes the cache must have the heads that its layer's group has.
void verify_cache(const Graph& graph, const Attrs& attrs, const std::string& where) {
  const CacheGroup& group = graph.cache_of_layer(attrs.int_of(Attr::kLayer));
  MLC_IR_CHECK(group.kv_heads == attrs.int_of(Attr::kKvHeads) &&
               group.head_dim == attrs.int_of(Attr::kHeadDim))
      << where << " has " << attrs.int_of(Attr::kKvHeads) << " KV heads of "
      << attrs.int_of(Attr::kHeadDim) << ", its cache group " << group.kv_heads << " of "
      << group.head_dim;
}

}  // namespace

void verify(const Graph& graph) {
  for (size_t i = 0; i < graph.cache.size(); ++i) {
    const CacheGroup& g = graph.cache[i];
    MLC_IR_CHECK(g.kv_heads > 0 && g.head_dim > 0)
        << "cache @" << i << " has " << g.kv_heads << " KV heads of " << g.head_dim;
    MLC_IR_CHECK(g.dtype == DType::kF32 || g.dtype == DType::kF16 || g.dtype == DType::kBF16 ||
                 g.dtype == DType::kI8)
        << "cache @" << i << " holds " << dtype_short_name(g.dtype);
    const bool fits = g.kind == CacheGroup::Kind::kFull ? g.window == 0 && g.sink == 0
                                                        : g.sink >= 0 && g.sink < g.window;
    MLC_IR_CHECK(fits) << "cache @" << i << " has a window of " << g.window << " with " << g.sink
                       << " sinks";
  }
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node& node = graph.nodes[i];
    const std::string where = cat("node %", i, " (", op_name(node.op), ")");
    for (const NodeId operand : node.operands) {
      MLC_IR_CHECK(operand >= 0 && operand < static_cast<NodeId>(i))
          << where << " uses %" << operand;
    }
    if (node.op == Op::kInput || node.op == Op::kParameter) {
      MLC_IR_CHECK(!node.name.empty()) << where << " has no name";
      // The weight; or words and scales, and zeros where they are stored.
      const size_t tensors = node.op == Op::kInput            ? 0
                             : !node.type.layout              ? 1
                             : node.type.layout->stored_zeros ? 3
                                                              : 2;
      MLC_IR_CHECK(node.stored.size() == tensors)
          << "%" << node.name << " has " << node.stored.size() << " stored tensors, not "
          << tensors;
      continue;
    }
    std::vector<Type> types;
    for (int k = 0; k < node.base_operands(); ++k) {
      types.push_back(graph.node(node.operands[static_cast<size_t>(k)]).type);
    }
    Type type = infer_type(node.op, types, node.attrs);
    MLC_IR_CHECK(type == node.base_type)
        << where << " has type " << to_text(node.base_type) << ", its rule gives " << to_text(type);
    for (const EpilogueOp& e : node.epilogue) {
      MLC_IR_CHECK(op_properties(e.op) & (kElementwise | kEpilogue))
          << where << ": epilogue " << op_name(e.op);
      types = {type};
      for (const int k : e.operands)
        types.push_back(graph.node(node.operands[static_cast<size_t>(k)]).type);
      type = infer_type(e.op, types, e.attrs);
      MLC_IR_CHECK(type == e.type) << where << ": epilogue " << op_name(e.op) << " has type "
                                   << to_text(e.type) << ", its rule gives " << to_text(type);
      if (e.op == Op::kKvAppend) verify_cache(graph, e.attrs, where);
    }
    MLC_IR_CHECK(type == node.type)
        << where << " has type " << to_text(node.type) << ", not " << to_text(type);
    if (node.op == Op::kKvAppend || node.op == Op::kAttention) {
      verify_cache(graph, node.attrs, where);
    }
  }
  MLC_IR_CHECK(graph.result >= 0 && graph.result < static_cast<NodeId>(graph.nodes.size()))
      << "no result";
  for (const Graph::Extra& extra : graph.extras) {
    MLC_IR_CHECK(extra.node >= 0 && extra.node < static_cast<NodeId>(graph.nodes.size()))
        << formats::output_name(extra.output) << " is no value";
    const Type& type = graph.node(extra.node).type;
    MLC_IR_CHECK(type.dtype == DType::kF32 && type.shape.size() == 2 &&
                 type.shape[0] == Dim(formats::output_rows(extra.output)))
        << formats::output_name(extra.output) << " has type " << to_text(type) << ", not f32["
        << formats::symbol_name(formats::output_rows(extra.output)) << ", a number]";
  }
}

}  // namespace mlc::graph
