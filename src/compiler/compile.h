// SPDX-License-Identifier: Apache-2.0
// The driver behind `mlc_llm compile`: a chat config to a model library.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compiler/compile_options.h"
#include "compiler/pipeline.h"
#include "formats/chat_config.h"
#include "models/model.h"

namespace mlc::compiler {

struct CompileOptions {
  std::string model;         // mlc-chat-config.json, or its folder
  std::string quantization;  // empty: from the model
  std::string model_type = "auto";
  std::string device = "auto";
  std::string host = "auto";
  std::vector<target::Target> targets;  // best first; empty: those that `host` names
  std::string opt = "O2";
  std::string overrides;
  std::string output;
  std::string debug_dump;
  std::vector<std::string> disabled_passes;
  int64_t threads = 0;       // 0: one for each physical core
  std::string object_cache;  // folder of kernels that were compiled before; empty: none
};

struct CompileReport {
  std::string resolved;  // the resolved arguments, a line each
  std::string memory;    // the memory report
  std::vector<PassTime> times;
  std::string path;  // what was written
};

// The config that a library is compiled for: the file's, with model type, quantization and
// overrides applied. Throws UserError.
formats::ChatConfig resolve_chat_config(const CompileOptions& options);

// The float graph of a config.
models::Model build_model(const formats::ChatConfig& config,
                          const quantization::Quantization& quantization,
                          std::optional<DType> kv_cache_dtype, std::string_view where);

// Throws UserError; then nothing was written.
CompileReport compile(const CompileOptions& options);

}  // namespace mlc::compiler
