// SPDX-License-Identifier: Apache-2.0
// Graph IR: one function over the flat list of the tokens of all sequences of a step. Nodes stand
// in the order of execution; each makes one value. docs/ir.md says what every operator means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/outputs.h"
#include "formats/symbols.h"
#include "graph/bit_layout.h"
#include "support/dtype.h"

namespace mlc::graph {

using formats::Symbol;

enum class Op : uint8_t {
#define GRAPH_OP(enumerator, name, operands, properties) enumerator,
#include "graph/ops.def"
#undef GRAPH_OP
};

enum OpProperties : unsigned { kPure = 1, kElementwise = 2, kEpilogue = 4, kState = 8 };

std::string_view op_name(Op op);
std::optional<Op> parse_op(std::string_view name);
int op_operand_count(Op op);
unsigned op_properties(Op op);
// True for silu, gelu, ...: elementwise with one operand and no attribute.
bool is_activation(Op op);

enum class Attr : uint8_t {
#define GRAPH_ATTR(enumerator, name, kind) enumerator,
#include "graph/attrs.def"
#undef GRAPH_ATTR
};

enum class AttrKind : uint8_t { kInt, kFloat, kInts, kFloats, kOp, kText };
std::string_view attr_name(Attr attr);
AttrKind attr_kind(Attr attr);
std::optional<Attr> parse_attr(std::string_view name);

using AttrValue =
    std::variant<int64_t, double, std::vector<int64_t>, std::vector<double>, Op, std::string>;

// Attributes of a node, sorted by Attr.
class Attrs {
 public:
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<Attr, AttrValue>> list);
  void set(Attr attr, AttrValue value);
  const AttrValue* find(Attr attr) const;
  // Each throws IrError where the attribute is missing.
  int64_t int_of(Attr attr) const;
  double float_of(Attr attr) const;
  const std::vector<double>& floats_of(Attr attr) const;
  Op op_of(Attr attr) const;
  const std::string& text_of(Attr attr) const;
  int64_t int_or(Attr attr, int64_t otherwise) const;
  double float_or(Attr attr, double otherwise) const;
  const std::vector<std::pair<Attr, AttrValue>>& entries() const { return entries_; }
  bool operator==(const Attrs&) const = default;

 private:
  std::vector<std::pair<Attr, AttrValue>> entries_;
};

// A size: a number, or a symbol that is known when a step runs.
struct Dim {
  Symbol symbol = Symbol::kNone;
  int64_t value = 0;

  Dim() = default;
  Dim(int64_t v) : value(v) {}  // NOLINT: implicit
  Dim(Symbol s) : symbol(s) {}  // NOLINT: implicit
  bool is_symbol() const { return symbol != Symbol::kNone; }
  bool operator==(const Dim&) const = default;
};

struct Type {
  DType dtype = DType::kF32;  // of a quantized weight: what its values count as (the scale's dtype)
  std::vector<Dim> shape;
  std::optional<BitLayout> layout;     // weights only
  std::optional<GroupedInt8> grouped;  // activations only; dtype is i8

  int64_t last() const { return shape.back().value; }
  bool operator==(const Type&) const = default;
};

// What the quantizer may do with a parameter.
enum class ParameterKind : uint8_t { kLinear, kEmbedding, kPlain };

// A tensor as it lies in the shards.
struct StoredTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  bool operator==(const StoredTensor&) const = default;
};

// What a stored tensor's bytes are: float32 is kept as bfloat16 on disk (docs/library_format.md),
// and weights are used where they lie.
inline DType memory_dtype(DType declared) {
  return declared == DType::kF32 ? DType::kBF16 : declared;
}

using NodeId = int32_t;

// An operator that is applied to the result of a node before it is stored. Its first operand is
// that result.
struct EpilogueOp {
  Op op = Op::kAdd;
  std::vector<int> operands;  // further operands: positions in the node's list of operands
  Attrs attrs;
  Type type;  // of the result after it
  bool operator==(const EpilogueOp&) const = default;
};

struct Node {
  Op op = Op::kInput;
  std::vector<NodeId> operands;  // of the operator, then those of the epilogue
  Attrs attrs;
  Type type;       // after the epilogue
  Type base_type;  // before it
  std::vector<EpilogueOp> epilogue;
  std::string name;  // kInput, kParameter

  // kParameter:
  ParameterKind kind = ParameterKind::kPlain;
  std::vector<StoredTensor> stored;

  // The number of operands that belong to the operator itself.
  int base_operands() const;
};

// Layers that share pages: their KV cache sees the same positions.
struct CacheGroup {
  enum class Kind : uint8_t { kFull, kWindow };
  Kind kind = Kind::kFull;
  int64_t window = 0;  // kWindow: a query sees itself and the window - 1 positions before it
  int64_t sink = 0;    // kWindow: the first `sink` positions stay visible, inside the window's size
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  DType dtype = DType::kF16;  // f32, f16, bf16, or i8: codes with a scale for each head of a token
  std::vector<int64_t> layers;
  bool operator==(const CacheGroup&) const = default;
};

struct Graph {
  std::string name = "main";
  std::vector<Node> nodes;
  std::vector<CacheGroup> cache;
  NodeId result = -1;  // the logits
  // Other values that a step can be asked for in the place of the result: f32, with the rows of
  // their output. What they alone need is not computed for the result.
  struct Extra {
    formats::Output output;
    NodeId node;
  };
  std::vector<Extra> extras;

  const Node& node(NodeId id) const { return nodes[static_cast<size_t>(id)]; }
  Node& node(NodeId id) { return nodes[static_cast<size_t>(id)]; }
  NodeId add(Node node);
  const CacheGroup& cache_of_layer(int64_t layer) const;
  int cache_group_of_layer(int64_t layer) const;
  std::vector<NodeId> parameters() const;
};

// The number of nodes that use each node's value (the result and each of the extras count as a
// use).
std::vector<int> count_uses(const Graph& graph);

// The type of an operator's result. Throws IrError when the operands do not fit.
Type infer_type(Op op, const std::vector<Type>& operands, const Attrs& attrs);

// Checks every type, order of definition and cache layer; throws IrError.
void verify(const Graph& graph);

// Text form: print(parse(x)) == x. parse throws UserError with line and column.
std::string to_text(const Graph& graph);
std::string to_text(const Type& type);
Graph parse_graph(std::string_view text, std::string_view where);

}  // namespace mlc::graph
