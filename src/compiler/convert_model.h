// SPDX-License-Identifier: Apache-2.0
// The driver behind `mlc_llm convert_weight`: finds config and weights, asks the model for its
// parameters, converts.
#pragma once

#include <functional>
#include <string>

#include "compiler/convert_weight.h"

namespace mlc::compiler {

struct ConvertModelOptions {
  std::string config;  // folder, config.json, preset
  std::string quantization;
  std::string model_type = "auto";
  std::string source = "auto";
  std::string source_format = "auto";
  std::string output;
  std::function<void(int64_t done, int64_t total)> progress;
};

// Throws UserError; then nothing was written.
ConvertSummary convert_model(const ConvertModelOptions& options);

}  // namespace mlc::compiler
