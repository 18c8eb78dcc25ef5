// SPDX-License-Identifier: Apache-2.0
// What every operator means: the type of its result, and its reference implementation in plain f32
// loops, which is the oracle of every kernel. The rules stand in graph/ops/<group>.cpp.
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "graph/graph.h"

namespace mlc::graph {

// A value of the interpreter: floats, or integers (i32 inputs).
struct Tensor {
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<int32_t> ints;

  int64_t rows() const;  // product of all but the last dimension
  int64_t last() const { return shape.back(); }
  const float* row(int64_t r) const { return floats.data() + r * last(); }
  float* row(int64_t r) { return floats.data() + r * last(); }
};

// The KV cache of the interpreter: rows [position, kv_heads * head_dim] of each sequence and layer.
struct ReferenceCache {
  struct Rows {
    std::vector<float> k;
    std::vector<float> v;
  };
  std::map<std::pair<int64_t, int64_t>, Rows> rows;  // (layer, sequence)
};

struct EvalContext {
  const Graph* graph = nullptr;
  std::span<const int32_t> sequence_of_token;  // [num_tokens]
  std::span<const int32_t> positions;          // [num_tokens]
  ReferenceCache* cache = nullptr;
};

struct OpRule {
  Type (*type)(const std::vector<Type>& operands, const Attrs& attrs);
  Tensor (*evaluate)(EvalContext& context, const std::vector<const Tensor*>& operands,
                     const Attrs& attrs);
};

const OpRule& rule_of(Op op);

// f32, f16 or bf16 values, one for each element: no codes of a quantized weight, no int8
// activations.
bool is_plain_float(const Type& type);
// i32 [n]: tokens, positions, numbers of rows.
bool is_index_list(const Type& type);

// Replaces the values of a group by what their int8 codes stand for: code = round_even(x * (127 /
// amax)) in [-127, 127], value = code * (amax / 127).
void round_to_int8_codes(std::span<float> group);

// graph/ops/leaf.cpp
extern const OpRule
    kLeafRule;  // input and parameter: their type is given, their value is the caller's
extern const OpRule kConstantRule;
// graph/ops/elementwise.cpp
extern const OpRule kAddRule;
extern const OpRule kMulRule;
extern const OpRule kScaleRule;
extern const OpRule kSiluRule;
extern const OpRule kGeluRule;
extern const OpRule kGeluTanhRule;
extern const OpRule kReluRule;
extern const OpRule kGateRule;
float apply_activation(Op op, float x);
// graph/ops/matmul.cpp
extern const OpRule kEmbeddingRule;
extern const OpRule kMatmulRule;
extern const OpRule kGatherRowsRule;
extern const OpRule kQuantizeRule;
// graph/ops/norm.cpp
extern const OpRule kRmsNormRule;
extern const OpRule kLayerNormRule;
// graph/ops/attention.cpp
extern const OpRule kRopeTableRule;
extern const OpRule kRopeRule;
extern const OpRule kKvAppendRule;
extern const OpRule kAttentionRule;

}  // namespace mlc::graph
