// SPDX-License-Identifier: Apache-2.0
// Elementwise operators: activations and arithmetic, with the second operand broadcast over rows where it is a
// vector.
#include <cmath>

#include "graph/ops/rules.h"
#include "support/check.h"

namespace mlc::graph {
namespace {

Type same_type(const std::vector<Type>& operands, const Attrs&) {
  MLC_IR_CHECK(is_plain_float(operands[0])) << "elementwise operator of " << to_text(operands[0]);
  Type type = operands[0];
  type.dtype = DType::kF32;  // activations are f32 whatever the weights are
  return type;
}

Type binary_type(const std::vector<Type>& operands, const Attrs& attrs) {
  const auto& a = operands[0].shape;
  const auto& b = operands[1].shape;
  const bool suffix = b.size() <= a.size() && std::equal(b.rbegin(), b.rend(), a.rbegin());
  MLC_IR_CHECK(suffix && is_plain_float(operands[1])) << to_text(operands[0]) << " and " << to_text(operands[1]) << " do not go together";
  return same_type(operands, attrs);
}

template <class F>
Tensor map_binary(const std::vector<const Tensor*>& operands, F f) {
  Tensor result = *operands[0];
  const std::vector<float>& b = operands[1]->floats;
  for (size_t i = 0; i < result.floats.size(); ++i) result.floats[i] = f(result.floats[i], b[i % b.size()]);
  return result;
}

template <class F>
Tensor map_unary(const std::vector<const Tensor*>& operands, F f) {
  Tensor result = *operands[0];
  for (float& x : result.floats) x = f(x);
  return result;
}

template <Op op>
constexpr OpRule activation_rule() {
  return {same_type, [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) {
            return map_unary(operands, [](float x) { return apply_activation(op, x); });
          }};
}

}  // namespace

float apply_activation(Op op, float x) {
  switch (op) {
    case Op::kSilu: return x / (1.0f + std::exp(-x));
    case Op::kGelu: return 0.5f * x * (1.0f + std::erf(x * 0.70710678118654752f));
    case Op::kGeluTanh:
      return 0.5f * x * (1.0f + std::tanh(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case Op::kRelu: return x > 0 ? x : 0;
    default: MLC_UNREACHABLE() << op_name(op) << " is no activation";
  }
}

const OpRule kAddRule = {binary_type, [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) {
                           return map_binary(operands, [](float a, float b) { return a + b; });
                         }};
const OpRule kMulRule = {binary_type, [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) {
                           return map_binary(operands, [](float a, float b) { return a * b; });
                         }};
const OpRule kScaleRule = {[](const std::vector<Type>& operands, const Attrs& attrs) {
                             attrs.float_of(Attr::kValue);  // must be there
                             return same_type(operands, attrs);
                           },
                           [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) {
                             const float factor = static_cast<float>(attrs.float_of(Attr::kValue));
                             return map_unary(operands, [&](float x) { return x * factor; });
                           }};
const OpRule kSiluRule = activation_rule<Op::kSilu>();
const OpRule kGeluRule = activation_rule<Op::kGelu>();
const OpRule kGeluTanhRule = activation_rule<Op::kGeluTanh>();
const OpRule kReluRule = activation_rule<Op::kRelu>();

// activation(first half) * second half of each row.
const OpRule kGateRule = {
    [](const std::vector<Type>& operands, const Attrs& attrs) -> Type {
      MLC_IR_CHECK(is_activation(attrs.op_of(Attr::kActivation)))
          << op_name(attrs.op_of(Attr::kActivation)) << " is no activation";
      Type type = same_type(operands, attrs);
      MLC_IR_CHECK(type.last() % 2 == 0) << "gate of " << to_text(type) << ", which has no two halves";
      type.shape.back() = type.last() / 2;
      return type;
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      const Tensor& x = *operands[0];
      const int64_t half = x.last() / 2;
      Tensor result;
      result.shape = x.shape;
      result.shape.back() = half;
      for (int64_t r = 0; r < x.rows(); ++r) {
        for (int64_t i = 0; i < half; ++i) {
          result.floats.push_back(apply_activation(attrs.op_of(Attr::kActivation), x.row(r)[i]) *
                                  x.row(r)[half + i]);
        }
      }
      return result;
    },
};

}  // namespace mlc::graph
