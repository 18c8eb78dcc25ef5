// SPDX-License-Identifier: Apache-2.0
// The graph's interpreter is the oracle of kernels; here it is held against values worked out by hand. Values of single
// operators are in tests/ir/graph/; here is what needs several steps and sequences.
#include "graph/interpreter.h"

#include <gtest/gtest.h>

#include <cmath>

#include "support/half.h"
#include "support/throw.h"

namespace mlc::graph {
namespace {

// Values 0, 1, 2, ... of every parameter.
std::vector<float> counting(const Node& parameter) {
  int64_t count = 1;
  for (const Dim& dim : parameter.type.shape) count *= dim.value;
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>(i));
  return values;
}

// Tokens are looked up as rows [q, k, v] of one number each; with a scale of 0 attention gives the mean of what is seen.
Graph mean_of_values(const std::string& cache, double scale = 0) {
  return parse_graph("cache @0 {" + cache + ", kv_heads = 1, head_dim = 1, dtype = f16, layers = [0]}\n" +
                         "func @main(%tokens: i32[num_tokens], %e: f32[100, 3] embedding) -> f32[num_tokens, 1] {\n  %0 = embedding %tokens, %e\n"
                         "  %1 = kv_append %0 {layer = 0, heads = 1, kv_heads = 1, head_dim = 1}\n"
                         "  %2 = attention %1 {layer = 0, heads = 1, kv_heads = 1, head_dim = 1, scale = " + std::to_string(scale) + "}\n  return %2\n}",
                     "test");
}
float value_of(int token) { return static_cast<float>(3 * token + 2); }

TEST(GraphInterpreter, SequencesHaveCachesOfTheirOwn) {
  const Graph graph = mean_of_values("kind = full");
  Interpreter interpreter(graph, counting);
  Tensor y = interpreter.run({{1, 2, 7}, {0, 1, 0}, {}, {0, 0, 5}, {}});
  EXPECT_EQ(y.floats, (std::vector<float>{value_of(1), (value_of(1) + value_of(2)) / 2, value_of(7)}));
  y = interpreter.run({{3, 8}, {2, 1}, {}, {0, 5}, {}});
  EXPECT_EQ(y.floats, (std::vector<float>{(value_of(1) + value_of(2) + value_of(3)) / 3, (value_of(7) + value_of(8)) / 2}));
}

TEST(GraphInterpreter, PrefillAndSingleStepsGiveTheSameBits) {
  for (const char* cache : {"kind = full", "kind = window, window = 3", "kind = window, window = 4, sink = 2"}) {
    const Graph graph = mean_of_values(cache, 0.01);
    const Tensor all = Interpreter(graph, counting).run({{1, 5, 2, 9, 3, 4}, {0, 1, 2, 3, 4, 5}, {}, {0, 0, 0, 0, 0, 0}, {}});
    Interpreter interpreter(graph, counting);
    const int32_t tokens[] = {1, 5, 2, 9, 3, 4};
    for (int32_t i = 0; i < 6; ++i) {
      EXPECT_EQ(interpreter.run({{tokens[i]}, {i}, {}, {0}, {}}).floats[0], all.floats[static_cast<size_t>(i)]) << cache << ", position " << i;
    }
  }
}

TEST(GraphInterpreter, AWindowSeesItsLastPositionsAndItsSinks) {
  const std::vector<int32_t> tokens = {10, 20, 30, 40, 50};
  const Step step{tokens, {0, 1, 2, 3, 4}, {}, {0, 0, 0, 0, 0}, {}};
  const Tensor window = Interpreter(mean_of_values("kind = window, window = 2"), counting).run(step);
  EXPECT_EQ(window.floats[4], (value_of(40) + value_of(50)) / 2);
  const Graph graph = mean_of_values("kind = window, window = 3, sink = 1");
  const Tensor sink = Interpreter(graph, counting).run(step);
  EXPECT_FLOAT_EQ(sink.floats[4], (value_of(10) + value_of(40) + value_of(50)) / 3);
  EXPECT_FLOAT_EQ(sink.floats[1], (value_of(10) + value_of(20)) / 2) << "a sink inside the window counts once";
}

TEST(GraphInterpreter, TheCacheRoundsToItsDtype) {
  const Graph graph = mean_of_values("kind = full");
  Interpreter interpreter(graph, [](const Node& parameter) {
    std::vector<float> values = counting(parameter);
    for (float& value : values) value += 1.0f / 4096;
    return values;
  });
  const float value = value_of(1) + 1.0f / 4096;
  EXPECT_EQ(interpreter.run({{1}, {0}, {}, {0}, {}}).floats[0], f16_to_f32(f32_to_f16(value)));
  EXPECT_NE(f16_to_f32(f32_to_f16(value)), value);
}

TEST(GraphInterpreter, TracesEveryNodeThatComputes) {
  const Graph graph = mean_of_values("kind = full");
  std::vector<NodeId> seen;
  const Tensor y = Interpreter(graph, counting).run({{4}, {0}, {}, {0}, {}}, [&](NodeId id, const Tensor& value) {
    seen.push_back(id);
    EXPECT_EQ(value.rows(), 1) << id;
  });
  EXPECT_EQ(seen, (std::vector<NodeId>{2, 3, 4}));
  EXPECT_EQ(y.shape, (std::vector<int64_t>{1, 1}));
}

TEST(GraphInterpreter, ParametersOfAnotherSizeAreRefused) {
  const Graph graph = mean_of_values("kind = full");
  EXPECT_THROW(Interpreter(graph, [](const Node&) { return std::vector<float>(7); }), InternalError);
}

TEST(GroupedInt8, EveryElementOfAGroupHasOnePlace) {
  for (const GroupedInt8 grouped : {GroupedInt8{32, 4}, GroupedInt8{40, 3}, GroupedInt8{32, 8}}) {
    std::vector<int> places(static_cast<size_t>(grouped.group_size), 0);
    for (int quad = 0; quad < grouped.quads(); ++quad) {
      for (int i = 0; i < 4; ++i) {
        const int element = grouped.element(quad, i);
        ASSERT_LT(element, grouped.group_size);
        if (element >= 0) ++places[static_cast<size_t>(element)];
      }
    }
    for (const int count : places) EXPECT_EQ(count, 1) << grouped.bits;
  }
  const GroupedInt8 grouped{32, 4};
  EXPECT_EQ(grouped.groups(33), 2);
  EXPECT_EQ(grouped.blocks(33), 1);
  EXPECT_EQ(grouped.padded_groups(257), 16);
  EXPECT_EQ(grouped.row_bytes(257), 512);
}

}  // namespace
}  // namespace mlc::graph
