// SPDX-License-Identifier: Apache-2.0
// Libraries that are compiled when a model is opened without one, kept in a cache:
// <home>/model_lib/<md5>.so, where the md5 is of all that the library depends on. Home is
// MLC_LLM_HOME, else XDG_CACHE_HOME/mlc_llm, else ~/.cache/mlc_llm. MLC_JIT_POLICY says whether a
// library may be taken from there and whether it may be made.
#pragma once

#include <functional>
#include <memory>
#include <string>

namespace mlc::jit {

struct JitOptions {
  std::string model;  // folder with mlc-chat-config.json
  std::string device = "auto";
  std::string overrides;  // of compile
  std::string opt = "O2";
  // Called when a library is about to be compiled; what it gives lives until that is done.
  std::function<std::shared_ptr<void>()> while_compiling{};
};

// Path of a library that this machine can load. Says on standard error where it is and whether it
// was compiled. Throws UserError.
std::string jit_library(const JitOptions& options);

}  // namespace mlc::jit
