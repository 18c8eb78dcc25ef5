// SPDX-License-Identifier: Apache-2.0
// The options of mlc_engine_open(), and opening what they ask for.
#pragma once

#include <optional>
#include <string>

#include "engine/load_model.h"

namespace mlc::capi {

struct OpenOptions {
  engine::ModelOptions model;          // but for its library
  std::optional<std::string> library;  // absent: compiled
  std::string device = "auto";
  std::optional<std::string> opt;      // of a library that is compiled
  std::optional<Json> config_changes;  // as of changed_config()
};

// `options`: a JSON object, or null. Errors name the member.
Result<OpenOptions> read_open_options(const std::string& model,
                                      const std::optional<std::string>& library,
                                      const Json& options);

// `config` with the members of `changes` (include/mlc_llm/mlc_llm.h, mlc_engine_configure).
Result<formats::ChatConfig> changed_config(const formats::ChatConfig& config, const Json& changes);

// In open_jit.cpp with the compiler, in open_runtime.cpp without: there an error where no library
// is given. A program links one of the two.
Result<engine::LoadedModel> open_model(OpenOptions options);

}  // namespace mlc::capi
