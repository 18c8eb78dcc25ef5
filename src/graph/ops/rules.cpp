// SPDX-License-Identifier: Apache-2.0
#include "graph/ops/rules.h"

#include <algorithm>
#include <cmath>

#include "support/check.h"

namespace mlc::graph {

int64_t Tensor::rows() const {
  int64_t count = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) count *= shape[i];
  return count;
}

bool is_plain_float(const Type& type) {
  return is_float(type.dtype) && !type.layout && !type.grouped;
}
bool is_index_list(const Type& type) { return type.dtype == DType::kI32 && type.shape.size() == 1; }

void round_to_int8_codes(std::span<float> group) {
  float amax = 0;
  for (const float x : group) amax = std::max(amax, std::fabs(x));
  const float factor = amax > 0 ? 127.0f / amax : 0.0f;
  for (float& x : group) x = std::nearbyint(x * factor) * (amax / 127.0f);
}

const OpRule& rule_of(Op op) {
  switch (op) {
    case Op::kInput:
    case Op::kParameter:
      return kLeafRule;
    case Op::kConstant:
      return kConstantRule;
    case Op::kEmbedding:
      return kEmbeddingRule;
    case Op::kMatmul:
      return kMatmulRule;
    case Op::kRmsNorm:
      return kRmsNormRule;
    case Op::kLayerNorm:
      return kLayerNormRule;
    case Op::kGatherRows:
      return kGatherRowsRule;
    case Op::kAdd:
      return kAddRule;
    case Op::kMul:
      return kMulRule;
    case Op::kScale:
      return kScaleRule;
    case Op::kSilu:
      return kSiluRule;
    case Op::kGelu:
      return kGeluRule;
    case Op::kGeluTanh:
      return kGeluTanhRule;
    case Op::kRelu:
      return kReluRule;
    case Op::kGate:
      return kGateRule;
    case Op::kQuantize:
      return kQuantizeRule;
    case Op::kRopeTable:
      return kRopeTableRule;
    case Op::kRope:
      return kRopeRule;
    case Op::kKvAppend:
      return kKvAppendRule;
    case Op::kAttention:
      return kAttentionRule;
  }
  MLC_UNREACHABLE() << "operator without a rule";
}

}  // namespace mlc::graph
