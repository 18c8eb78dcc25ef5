// SPDX-License-Identifier: Apache-2.0
// The conversion of a checkpoint: reads each parameter by its rule, quantizes it, writes it to
// shards. Row by row, on several threads, in little memory whatever the size of the model.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "models/weight_rule.h"
#include "quantization/quantization.h"

namespace mlc::compiler {

struct ParameterToConvert {
  quantization::Weight weight;  // name, declared shape and dtype, kind
  models::WeightRule rule;      // of the float parameter; for AWQ the names are changed here
};

struct ConvertOptions {
  std::string source;     // for messages: the path of the checkpoint
  std::string directory;  // receives the shards and the index
  // Sources that the model knows and does not need: neither counted nor warned about.
  std::vector<std::string> unused_sources{};
  int64_t threads = 0;  // 0: one for each physical core
  // Bytes of parameters that were read, and of all. Called by one thread at a time.
  std::function<void(int64_t done, int64_t total)> progress{};
};

struct ConvertSummary {
  int64_t stored_tensors = 0;
  int64_t parameter_bytes = 0;  // with a float32 as 4 bytes
  int64_t parameters = 0;       // elements of the source tensors in the files that were used
  double bits_per_parameter = 0;
  std::vector<std::string> warnings;  // unused source tensors; weights with NaN
};

// Order: that in which the checkpoint's tensors first need each parameter. Throws UserError: source
// tensors that are missing (all of them are named), that have another shape or dtype than declared;
// parameters that occur twice; weights that the mode cannot hold; files that cannot be read or
// written. Then nothing is left in the directory.
ConvertSummary convert(const formats::Checkpoint& checkpoint,
                       std::span<const ParameterToConvert> parameters,
                       const quantization::Quantization& quantization,
                       const ConvertOptions& options);

}  // namespace mlc::compiler
