// SPDX-License-Identifier: Apache-2.0
// input, parameter, constant.
#include "graph/ops/rules.h"
#include "support/check.h"

namespace mlc::graph {

const OpRule kLeafRule = {
    [](const std::vector<Type>&, const Attrs&) -> Type { MLC_UNREACHABLE() << "the type of a leaf is given"; },
    [](EvalContext&, const std::vector<const Tensor*>&, const Attrs&) -> Tensor {
      MLC_UNREACHABLE() << "the value of a leaf is given";
    },
};

const OpRule kConstantRule = {
    [](const std::vector<Type>&, const Attrs& attrs) -> Type {
      MLC_IR_CHECK(!attrs.floats_of(Attr::kValues).empty()) << "constant without values";
      return {.dtype = DType::kF32, .shape = {static_cast<int64_t>(attrs.floats_of(Attr::kValues).size())},
              .layout = {}, .grouped = {}};
    },
    [](EvalContext&, const std::vector<const Tensor*>&, const Attrs& attrs) -> Tensor {
      Tensor result;
      for (const double value : attrs.floats_of(Attr::kValues)) result.floats.push_back(static_cast<float>(value));
      result.shape = {static_cast<int64_t>(result.floats.size())};
      return result;
    },
};

}  // namespace mlc::graph
