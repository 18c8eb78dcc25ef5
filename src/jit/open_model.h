// SPDX-License-Identifier: Apache-2.0
// Opens a model, with a library that is given or with one that is compiled for it.
#pragma once

#include <optional>
#include <string>

#include "engine/load_model.h"

namespace mlc::jit {

struct OpenOptions {
  engine::ModelOptions model;          // but for its library
  std::optional<std::string> library;  // absent: one is compiled, with the overrides
  std::string device = "auto";
  std::optional<std::string>
      opt;  // of the library that is compiled; may stand in the overrides too
  std::function<std::shared_ptr<void>()> while_compiling{};  // see JitOptions
};

// Path of the library that open_model() would compile for a model, which is there afterwards.
// Throws UserError.
std::string library_of(OpenOptions options);

// Throws UserError.
engine::LoadedModel open_model(OpenOptions options);

}  // namespace mlc::jit
