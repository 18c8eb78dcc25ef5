// SPDX-License-Identifier: Apache-2.0
// The text form of graphs that no one writes by hand: everything a graph can hold, printed, read and printed again. What
// the parser refuses is in tests/ir/graph/.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "graph/builder.h"
#include "graph/graph.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::graph {
namespace {

void expect_round_trip(const Graph& graph) {
  const std::string text = to_text(graph);
  const Graph read = parse_graph(text, "test");
  EXPECT_EQ(to_text(read), text);
  ASSERT_EQ(read.nodes.size(), graph.nodes.size());
  // Inputs and parameters come first in a text, but may stand anywhere in a graph.
  EXPECT_EQ(read.cache, graph.cache);
  EXPECT_EQ(read.node(read.result).type, graph.node(graph.result).type);
}

TEST(GraphText, AllOfALayerReadsBack) {
  GraphBuilder b;
  const NodeId tokens = b.input("tokens", DType::kI32, {Symbol::kNumTokens});
  const NodeId positions = b.input("positions", DType::kI32, {Symbol::kNumTokens});
  const NodeId lengths = b.input("lengths", DType::kI32, {Symbol::kNumTokens});
  const NodeId table = b.add_node(Op::kRopeTable, {positions, lengths, b.constant({1.0, 0.1})},
                                  {{Attr::kMultiplier, 1.25}, {Attr::kSwitchLength, int64_t{4096}}, {Attr::kNtkFactor, 2.0}});
  NodeId x = b.add_node(Op::kEmbedding, {tokens, b.parameter("embed.weight", DType::kF16, {50, 16}, ParameterKind::kEmbedding)});
  const NodeId norm = b.parameter("norm.weight", DType::kF32, {16});
  x = b.add_node(Op::kRmsNorm, {x, norm}, {{Attr::kEps, 1e-6}});
  NodeId qkv = b.add_node(Op::kMatmul, {x, b.parameter("qkv.weight", DType::kBF16, {16, 16}, ParameterKind::kLinear)});
  qkv = b.add_node(Op::kRope, {qkv, table}, {{Attr::kHeads, int64_t{3}}, {Attr::kHeadDim, int64_t{4}}, {Attr::kRotaryDim, int64_t{4}}, {Attr::kStyle, std::string("half")}});
  Attrs heads = {{Attr::kLayer, int64_t{7}}, {Attr::kHeads, int64_t{2}}, {Attr::kKvHeads, int64_t{1}}, {Attr::kHeadDim, int64_t{4}}};
  const NodeId q = b.add_node(Op::kKvAppend, {qkv}, heads);
  heads.set(Attr::kScaleFactor, 0.3535533905932738);
  x = b.add_node(Op::kAttention, {q}, heads);
  expect_round_trip(b.finish(x, {{.kind = CacheGroup::Kind::kWindow, .window = 1024, .sink = 4, .kv_heads = 1, .head_dim = 4, .dtype = DType::kBF16, .layers = {7}}}));
}

TEST(GraphText, FloatsReadBackExactly) {
  for (const double value : {0.1, 1e-45, 1.0 / 3, -0.0, 1e300, 12345678901234567.0, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()}) {
    GraphBuilder b;
    const Graph graph = b.finish(b.constant({value, 1.0}), {});
    const Graph read = parse_graph(to_text(graph), "test");
    const double got = read.node(read.result).attrs.floats_of(Attr::kValues)[0];
    EXPECT_EQ(got, value);
    EXPECT_EQ(std::signbit(got), std::signbit(value));
  }
}

TEST(GraphText, AttributesArePrintedInOneOrder) {
  Attrs a;
  a.set(Attr::kHeadDim, int64_t{4});
  a.set(Attr::kLayer, int64_t{1});
  a.set(Attr::kHeadDim, int64_t{8});
  const Attrs b = {{Attr::kLayer, int64_t{1}}, {Attr::kHeadDim, int64_t{8}}};
  EXPECT_EQ(a, b);
  EXPECT_EQ(a.int_of(Attr::kHeadDim), 8);
  EXPECT_EQ(a.int_or(Attr::kHeads, 3), 3);
  EXPECT_THROW(a.int_of(Attr::kHeads), IrError);
  EXPECT_THROW(a.set(Attr::kEps, int64_t{1}), InternalError) << "an attribute has one kind";
}

TEST(GraphText, EveryOperatorAndAttributeHasOneName) {
#define GRAPH_OP(enumerator, name, operands, properties) EXPECT_EQ(parse_op(name), Op::enumerator) << name;
#include "graph/ops.def"
#undef GRAPH_OP
#define GRAPH_ATTR(enumerator, name, kind) EXPECT_EQ(parse_attr(name), Attr::enumerator) << name;
#include "graph/attrs.def"
#undef GRAPH_ATTR
  EXPECT_FALSE(parse_op("matmull").has_value());
  EXPECT_FALSE(parse_attr("").has_value());
}

// Cuts a text at every place: an error of the text's, never one of ours and never a crash.
TEST(GraphText, EveryPrefixIsRefusedAsTheUsersText) {
  const std::string text =
      "cache @0 {kind = window, window = 8, sink = 1, kv_heads = 1, head_dim = 8, dtype = f16, layers = [0, 1]}\n"
      "func @main(%x: f32[num_tokens, 32], %w: q4[32, 32] {group = 32, scale = f16, order = columns} linear \"a\" u32[4, 32] \"b\" f16[1, 32]) -> f32[num_tokens, 16] {\n"
      "  %0 = quantize %x {group = 32, bits = 4}\n"
      "  %1 = matmul %0, %w {epilogue = [scale {value = 0.5}, kv_append {layer = 1, heads = 2, kv_heads = 1, head_dim = 8}]}\n  return %1\n}";
  ASSERT_NO_THROW(parse_graph(text, "test"));
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_THROW(parse_graph(text.substr(0, length), "test"), UserError) << length;
  }
  // And with one character replaced it is either read or refused.
  for (size_t i = 0; i < text.size(); ++i) {
    for (const char c : {'{', '-', '0', '9', '%', '"'}) {
      std::string changed = text;
      changed[i] = c;
      try {
        parse_graph(changed, "test");
      } catch (const UserError& error) {
        EXPECT_TRUE(std::string_view(error.what()).starts_with("error: test")) << error.what();
      }
    }
  }
}

TEST(GraphVerify, FindsWhatAPassBroke) {
  const auto refusal = [](const std::function<void(Graph&)>& change) -> std::string {
    Graph graph = parse_graph("func @main(%x: f32[num_tokens, 8], %w: f16[8, 8] linear) -> f32[num_tokens, 8] {\n  %0 = matmul %x, %w\n  %1 = relu %0\n  return %1\n}", "test");
    change(graph);
    try {
      verify(graph);
    } catch (const IrError& error) {
      return error.what();
    }
    return "nothing";
  };
  EXPECT_EQ(refusal([](Graph&) {}), "nothing");
  EXPECT_EQ(refusal([](Graph& g) { g.node(2).operands[0] = 3; }), "node %2 (matmul) uses %3");
  EXPECT_EQ(refusal([](Graph& g) { g.node(3).operands[0] = -1; }), "node %3 (relu) uses %-1");
  EXPECT_EQ(refusal([](Graph& g) { g.node(2).base_type.dtype = DType::kF16; }),
            "node %2 (matmul) has type f16[num_tokens, 8], its rule gives f32[num_tokens, 8]");
  EXPECT_EQ(refusal([](Graph& g) { g.node(3).type.shape[1] = 4; }), "node %3 (relu) has type f32[num_tokens, 4], not f32[num_tokens, 8]");
  EXPECT_EQ(refusal([](Graph& g) { g.node(0).name.clear(); }), "node %0 (input) has no name");
  EXPECT_EQ(refusal([](Graph& g) { g.node(1).stored.clear(); }), "%w has 0 stored tensors, not 1");
  EXPECT_EQ(refusal([](Graph& g) { g.result = 9; }), "no result");
  EXPECT_EQ(refusal([](Graph& g) { g.node(3).epilogue.push_back({Op::kMatmul, {}, {}, {}}); }), "node %3 (relu): epilogue matmul");
  EXPECT_EQ(refusal([](Graph& g) {
              Type wrong = g.node(3).type;
              wrong.dtype = DType::kF16;
              g.node(3).epilogue.push_back({Op::kRelu, {}, {}, wrong});
            }),
            "node %3 (relu): epilogue relu has type f16[num_tokens, 8], its rule gives f32[num_tokens, 8]");
}

}  // namespace
}  // namespace mlc::graph
