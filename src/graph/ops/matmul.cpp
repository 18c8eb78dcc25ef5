// SPDX-License-Identifier: Apache-2.0
// embedding, matmul, gather_rows, and quantize: what the int8 path loses.
#include <cmath>

#include "graph/ops/rules.h"
#include "support/check.h"

namespace mlc::graph {

// Rows of a [vocab, dim] table. An id outside it is the caller's mistake and was refused before.
const OpRule kEmbeddingRule = {
    [](const std::vector<Type>& operands, const Attrs&) -> Type {
      MLC_IR_CHECK(is_index_list(operands[0]) && operands[1].shape.size() == 2 &&
                   is_float(operands[1].dtype))
          << "embedding of " << to_text(operands[0]) << " in " << to_text(operands[1]);
      return {.dtype = DType::kF32,
              .shape = {operands[0].shape[0], operands[1].shape[1]},
              .layout = {},
              .grouped = {}};
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) -> Tensor {
      const Tensor& table = *operands[1];
      Tensor result;
      result.shape = {operands[0]->shape[0], table.last()};
      for (const int32_t id : operands[0]->ints) {
        result.floats.insert(result.floats.end(), table.row(id), table.row(id) + table.last());
      }
      return result;
    },
};

// x [.., K] times the transpose of w [N, K]. The sum is made in f64: the oracle has no order of its
// own.
const OpRule kMatmulRule = {
    [](const std::vector<Type>& operands, const Attrs&) -> Type {
      const bool float_weights = operands[1].shape.size() == 2 && is_float(operands[1].dtype);
      MLC_IR_CHECK(float_weights && operands[0].shape.back() == operands[1].shape[1] &&
                   (is_plain_float(operands[0]) || operands[0].grouped))
          << "matmul of " << to_text(operands[0]) << " by " << to_text(operands[1]);
      MLC_IR_CHECK(
          !operands[0].grouped ||
          (operands[1].layout && activations_for(*operands[1].layout) == *operands[0].grouped))
          << "matmul of int8 activations " << to_text(operands[0]) << " by " << to_text(operands[1])
          << ", which is grouped otherwise";
      Type type{.dtype = DType::kF32, .shape = operands[0].shape, .layout = {}, .grouped = {}};
      type.shape.back() = operands[1].shape[0];
      return type;
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) -> Tensor {
      const Tensor& x = *operands[0];
      const Tensor& w = *operands[1];
      Tensor result;
      result.shape = x.shape;
      result.shape.back() = w.shape[0];
      for (int64_t r = 0; r < x.rows(); ++r) {
        for (int64_t n = 0; n < w.shape[0]; ++n) {
          double sum = 0;
          for (int64_t k = 0; k < x.last(); ++k)
            sum += static_cast<double>(x.row(r)[k]) * w.row(n)[k];
          result.floats.push_back(static_cast<float>(sum));
        }
      }
      return result;
    },
};

const OpRule kGatherRowsRule = {
    [](const std::vector<Type>& operands, const Attrs&) -> Type {
      MLC_IR_CHECK(operands[0].shape.size() == 2 && is_plain_float(operands[0]) &&
                   is_index_list(operands[1]))
          << "gather_rows of " << to_text(operands[0]) << " at " << to_text(operands[1]);
      Type type = operands[0];
      type.shape[0] = operands[1].shape[0];
      return type;
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs&) -> Tensor {
      const Tensor& x = *operands[0];
      Tensor result;
      result.shape = {operands[1]->shape[0], x.last()};
      for (const int32_t row : operands[1]->ints) {
        result.floats.insert(result.floats.end(), x.row(row), x.row(row) + x.last());
      }
      return result;
    },
};

// The values of the codes are kept, so that what follows computes with what the kernels compute
// with.
const OpRule kQuantizeRule = {
    [](const std::vector<Type>& operands, const Attrs& attrs) -> Type {
      MLC_IR_CHECK(operands[0].dtype == DType::kF32 && is_plain_float(operands[0]))
          << "quantize of " << to_text(operands[0]);
      const int64_t group = attrs.int_of(Attr::kGroup);
      const int64_t bits = attrs.int_of(Attr::kBits);
      MLC_IR_CHECK(group > 0 && group <= 4096 && (bits == 3 || bits == 4 || bits == 8))
          << "quantize in groups of " << group << " for " << bits << " bits";
      Type type = operands[0];
      type.dtype = DType::kI8;
      type.grouped = GroupedInt8{static_cast<int>(group), static_cast<int>(bits)};
      return type;
    },
    [](EvalContext&, const std::vector<const Tensor*>& operands, const Attrs& attrs) -> Tensor {
      Tensor result = *operands[0];
      const int64_t group = attrs.int_of(Attr::kGroup);
      for (int64_t r = 0; r < result.rows(); ++r) {
        for (int64_t begin = 0; begin < result.last(); begin += group) {
          const int64_t end = std::min(begin + group, result.last());
          round_to_int8_codes({result.row(r) + begin, result.row(r) + end});
        }
      }
      return result;
    },
};

}  // namespace mlc::graph
