// SPDX-License-Identifier: Apache-2.0
// Passes by equivalence: random graphs of every operator give the same values before and after, to the bit where a pass
// only moves operators. What the passes write is in tests/ir/passes/.
#include "graph/passes/passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "graph/builder.h"
#include "graph/interpreter.h"

namespace mlc::graph {
namespace {

constexpr int64_t kWidth = 24;  // 4 heads of 6
constexpr int64_t kHeadDim = 6;

std::vector<float> random_values(const Node& parameter) {
  std::seed_seq seed(parameter.name.begin(), parameter.name.end());
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  int64_t count = 1;
  for (const Dim& dim : parameter.type.shape) count *= dim.value;
  std::vector<float> values(static_cast<size_t>(count));
  // Matrices neither grow nor shrink what they multiply: the cache holds f16.
  const float size = parameter.kind == ParameterKind::kLinear ? 0.2f : 0.5f;
  for (float& value : values) value = normal(random) * size;
  return values;
}

// A graph of `size` random operators over values of rows of kWidth, with appends and attention in order.
Graph random_graph(uint32_t seed, int size) {
  std::mt19937 random(seed);
  const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
  GraphBuilder b;
  const NodeId tokens = b.input("tokens", DType::kI32, {Symbol::kNumTokens});
  const NodeId positions = b.input("positions", DType::kI32, {Symbol::kNumTokens});
  const NodeId lengths = b.input("lengths", DType::kI32, {Symbol::kNumTokens});
  const NodeId logit_rows = b.input("logit_rows", DType::kI32, {Symbol::kNumLogits});
  const NodeId table = b.add_node(Op::kRopeTable, {positions, lengths, b.constant({1.0, 0.3, 0.1})});
  std::vector<NodeId> values = {b.add_node(Op::kEmbedding, {tokens, b.parameter("embedding", DType::kF32, {10, kWidth}, ParameterKind::kEmbedding)})};
  int64_t layer = 0;
  std::vector<CacheGroup> cache;
  int name = 0;
  const auto linear = [&](NodeId x, int64_t out) {
    return b.add_node(Op::kMatmul, {x, b.parameter("w" + std::to_string(name++), DType::kF32, {out, b.type(x).last()}, ParameterKind::kLinear)});
  };
  for (int i = 0; i < size; ++i) {
    // Mostly the newest value, so that chains appear; sometimes an older one, so that values have several uses.
    const NodeId x = below(4) == 0 ? values[below(values.size())] : values.back();
    const NodeId other = values[below(values.size())];
    const NodeId row = b.parameter("row" + std::to_string(below(3)), DType::kF32, {kWidth});
    NodeId made = -1;
    switch (below(12)) {
      case 0: made = linear(x, kWidth); break;
      case 1: made = b.add_node(Op::kAdd, {x, other}); break;
      case 2: made = b.add_node(Op::kAdd, {other, x}); break;
      case 3: made = b.add_node(Op::kMul, {x, row}); break;
      case 4: made = b.add_node(Op::kScale, {x}, {{Attr::kValue, 0.75}}); break;
      case 5: made = b.add_node(Op::kGelu, {x}); break;
      case 6: made = b.add_node(Op::kRmsNorm, {x, row}, {{Attr::kEps, 1e-5}}); break;
      case 7: made = b.add_node(Op::kLayerNorm, {x, row}, {{Attr::kEps, 1e-5}}); break;
      case 8: made = b.add_node(Op::kGate, {linear(x, 2 * kWidth)}, {{Attr::kActivation, Op::kSilu}}); break;
      case 9: made = b.add_node(Op::kAdd, {linear(x, kWidth), row}); break;
      case 10:
        made = b.add_node(Op::kRope, {linear(x, kWidth), table},
                          {{Attr::kHeads, int64_t{3}}, {Attr::kHeadDim, kHeadDim}, {Attr::kRotaryDim, int64_t{6}}, {Attr::kStyle, std::string("half")}});
        break;
      default: {
        // Heads of q, k, v: 4 + 1 + 1.
        NodeId qkv = linear(x, 6 * kHeadDim);
        if (below(2) == 0) {
          qkv = b.add_node(Op::kRope, {qkv, table}, {{Attr::kHeads, int64_t{5}}, {Attr::kHeadDim, kHeadDim}, {Attr::kRotaryDim, int64_t{6}}, {Attr::kStyle, std::string("pair")}});
        }
        Attrs heads = {{Attr::kLayer, layer}, {Attr::kHeads, int64_t{4}}, {Attr::kKvHeads, int64_t{1}}, {Attr::kHeadDim, kHeadDim}};
        const NodeId q = b.add_node(Op::kKvAppend, {qkv}, heads);
        heads.set(Attr::kScaleFactor, 0.4);
        made = b.add_node(Op::kAttention, {q}, heads);
        CacheGroup group{.kv_heads = 1, .head_dim = kHeadDim, .dtype = DType::kF16, .layers = {layer}};
        if (layer % 2 == 1) group.kind = CacheGroup::Kind::kWindow, group.window = 3, group.sink = 1;
        cache.push_back(group);
        ++layer;
      }
    }
    values.push_back(made);
  }
  const NodeId last = b.add_node(Op::kGatherRows, {values.back(), logit_rows});
  return b.finish(linear(last, 7), cache);
}

// Three steps over two sequences: a prefill of each, then single tokens.
std::vector<Tensor> run(const Graph& graph) {
  Interpreter interpreter(graph, random_values);
  return {interpreter.run({{1, 2, 3, 4, 5}, {0, 1, 2, 0, 1}, {3, 3, 3, 2, 2}, {0, 0, 0, 1, 1}, {2, 4}}),
          interpreter.run({{6, 7}, {3, 2}, {4, 3}, {0, 1}, {0, 1}}), interpreter.run({{8}, {4}, {5}, {0}, {0}})};
}

void expect_same_bits(const std::vector<Tensor>& got, const std::vector<Tensor>& want, uint32_t seed) {
  for (size_t step = 0; step < want.size(); ++step) {
    EXPECT_EQ(got[step].shape, want[step].shape);
    for (size_t i = 0; i < want[step].floats.size(); ++i) {
      ASSERT_FALSE(std::isnan(want[step].floats[i])) << seed;
      ASSERT_EQ(got[step].floats[i], want[step].floats[i]) << "seed " << seed << ", step " << step << ", value " << i;
    }
  }
}

TEST(GraphPasses, FusionChangesNoBit) {
  int fused = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Graph graph = random_graph(seed, 3 + static_cast<int>(seed % 20));
    const std::vector<Tensor> want = run(graph);
    const size_t nodes = graph.nodes.size();
    fuse_epilogues(graph);
    verify(graph);
    fused += static_cast<int>(nodes - graph.nodes.size());
    expect_same_bits(run(graph), want, seed);
    const std::string text = to_text(graph);
    EXPECT_EQ(to_text(parse_graph(text, "test")), text);
  }
  EXPECT_GT(fused, 300) << "the graphs give the pass something to do";
}

TEST(GraphPasses, FusionRunsOutOfWork) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    Graph graph = random_graph(seed, 15);
    remove_dead_nodes(graph);  // whose uses keep values apart, as the pipeline says
    fuse_epilogues(graph);
    const std::string once = to_text(graph);
    fuse_epilogues(graph);
    EXPECT_EQ(to_text(graph), once) << seed;
  }
}

TEST(GraphPasses, RemovingDeadNodesChangesNoBit) {
  size_t removed = 0;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Graph graph = random_graph(seed, 15);
    const std::vector<Tensor> want = run(graph);
    const size_t nodes = graph.nodes.size();
    remove_dead_nodes(graph);
    verify(graph);
    removed += nodes - graph.nodes.size();
    expect_same_bits(run(graph), want, seed);
  }
  EXPECT_GT(removed, 40u);
}

TEST(GraphPasses, QuantizedActivationsLoseNoMoreThanTheirCodesDo) {
  // One matmul: the error of a result is at most the sum of the errors of the activations, half a code each.
  GraphBuilder b;
  const NodeId tokens = b.input("tokens", DType::kI32, {Symbol::kNumTokens});
  const NodeId x = b.add_node(Op::kEmbedding, {tokens, b.parameter("x", DType::kF32, {4, 64}, ParameterKind::kEmbedding)});
  const NodeId w = b.parameter("w", DType::kF32, {16, 64}, ParameterKind::kLinear);
  Graph graph = b.finish(b.add_node(Op::kMatmul, {x, w}), {});
  graph.node(w).type.layout = graph.node(w).base_type.layout = BitLayout{};
  graph.node(w).stored = {{"q", DType::kU32, {16, 8}}, {"s", DType::kF16, {16, 2}}};
  const Step step{{0, 1, 2, 3}, {}, {}, {}, {}};
  const Tensor want = Interpreter(graph, random_values).run(step);
  quantize_activations(graph);
  verify(graph);
  const Tensor got = Interpreter(graph, random_values).run(step);
  const std::vector<float> xs = random_values(graph.node(graph.parameters()[0]));
  const std::vector<float> ws = random_values(graph.node(graph.parameters()[1]));
  double largest = 0;
  for (int64_t r = 0; r < 4; ++r) {
    for (int64_t n = 0; n < 16; ++n) {
      double bound = 0;
      for (int64_t k = 0; k < 64; k += 32) {
        float amax = 0;
        double sum = 0;
        for (int64_t i = k; i < k + 32; ++i) {
          amax = std::max(amax, std::fabs(xs[static_cast<size_t>(r * 64 + i)]));
          sum += std::fabs(ws[static_cast<size_t>(n * 64 + i)]);
        }
        bound += amax / 254 * sum;
      }
      const double error = std::fabs(static_cast<double>(got.row(r)[n]) - want.row(r)[n]);
      EXPECT_LE(error, 1.0001 * bound);
      largest = std::max(largest, error / bound);
    }
  }
  EXPECT_GT(largest, 0.01) << "and it does lose something";
}

}  // namespace
}  // namespace mlc::graph
