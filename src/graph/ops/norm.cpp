// SPDX-License-Identifier: Apache-2.0
// rms_norm, layer_norm.
#include <cmath>

#include "graph/ops/rules.h"
#include "support/check.h"

namespace mlc::graph {
namespace {

Type norm_type(const std::vector<Type>& operands, const Attrs& attrs) {
  MLC_IR_CHECK(operands.size() >= 1 && operands.size() <= 3) << "layer_norm has " << operands.size() << " operands, not 1 to 3";
  MLC_IR_CHECK(attrs.float_of(Attr::kEps) >= 0) << "eps is " << attrs.float_of(Attr::kEps);
  MLC_IR_CHECK(is_plain_float(operands[0])) << "norm of " << to_text(operands[0]);
  for (size_t i = 1; i < operands.size(); ++i) {
    MLC_IR_CHECK(operands[i].shape.size() == 1 && operands[i].shape[0] == operands[0].shape.back() && is_plain_float(operands[i]))
        << "norm of " << to_text(operands[0]) << " with " << to_text(operands[i]);
  }
  Type type = operands[0];
  type.dtype = DType::kF32;
  return type;
}

}  // namespace

// x / sqrt(mean(x^2) + eps) * weight
const OpRule kRmsNormRule = {
    norm_type,
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      Tensor result = *operands[0];
      const int64_t n = result.last();
      for (int64_t r = 0; r < result.rows(); ++r) {
        float* x = result.row(r);
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
        const double factor = 1 / std::sqrt(sum / static_cast<double>(n) + attrs.float_of(Attr::kEps));
        for (int64_t i = 0; i < n; ++i) {
          x[i] = static_cast<float>(x[i] * factor) * operands[1]->floats[static_cast<size_t>(i)];
        }
      }
      return result;
    },
};

// (x - mean) / sqrt(variance + eps) * weight + bias; weight and bias may be absent.
const OpRule kLayerNormRule = {
    norm_type,
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      Tensor result = *operands[0];
      const int64_t n = result.last();
      for (int64_t r = 0; r < result.rows(); ++r) {
        float* x = result.row(r);
        double sum = 0;
        for (int64_t i = 0; i < n; ++i) sum += x[i];
        const double mean = sum / static_cast<double>(n);
        double squares = 0;
        for (int64_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
        const double factor = 1 / std::sqrt(squares / static_cast<double>(n) + attrs.float_of(Attr::kEps));
        for (int64_t i = 0; i < n; ++i) {
          const auto k = static_cast<size_t>(i);
          x[i] = static_cast<float>((x[i] - mean) * factor);
          if (operands.size() > 1) x[i] *= operands[1]->floats[k];
          if (operands.size() > 2) x[i] += operands[2]->floats[k];
        }
      }
      return result;
    },
};

}  // namespace mlc::graph
