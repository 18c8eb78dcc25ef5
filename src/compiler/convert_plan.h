// SPDX-License-Identifier: Apache-2.0
// What a conversion will do, checked before anything is read: which parameters from which sources,
// in which order, and what is stored for each.
#pragma once

#include <vector>

#include "compiler/convert_weight.h"
#include "compiler/weight_reader.h"
#include "formats/parameter_index.h"

namespace mlc::compiler {

// One parameter, or one of the three tensors of an AWQ linear.
struct ConvertItem {
  enum class Action {
    kCopy,         // read, cast, store
    kPack,         // read, cast, quantize, store words and scales
    kJoinColumns,  // AWQ: sources side by side
  };
  Action action = Action::kCopy;
  quantization::WeightKind kind = quantization::WeightKind::kPlain;
  ResolvedRule rule;
  bool is_transposed = false;  // kPack: words and scales are stored as [in, out]
  int64_t first_output = 0;    // number of the (first) stored tensor
  int64_t source_bytes = 0;    // for the progress
};

struct ConvertPlan {
  std::vector<ConvertItem> items;               // in the order of the shards
  std::vector<formats::ParameterInfo> outputs;  // what is stored, in the same order
  int64_t source_elements = 0;
  int64_t source_bytes = 0;
  std::vector<std::string> unused_sources;
};

ConvertPlan plan_conversion(const formats::Checkpoint& checkpoint,
                            std::span<const ParameterToConvert> parameters,
                            const quantization::Quantization& quantization,
                            const ConvertOptions& options);

}  // namespace mlc::compiler
