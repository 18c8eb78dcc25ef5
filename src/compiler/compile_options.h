// SPDX-License-Identifier: Apache-2.0
// The texts of --opt, --overrides and --host, read into plain structs.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/gen_config_model.h"
#include "quantization/quantization.h"
#include "support/dtype.h"
#include "target/target.h"

namespace mlc::compiler {

struct OptFlags {
  std::string text;  // as resolved: "int8_activations=1;fixed_order=1"
  bool int8_activations = false;
  bool fixed_order = true;
  std::vector<std::string> without_effect;  // vendor knobs that change nothing on this device
};

// "O2", or knobs "name=0|1;…" that may follow a preset. Throws UserError of kind kUsage for
// anything else.
OptFlags parse_opt(std::string_view text, const quantization::Quantization& quantization);

struct CompileOverrides {
  ModelConfigOverrides config;
  std::optional<DType> kv_cache_dtype;
};

// "key=value;key=value". Throws UserError of kind kUsage.
CompileOverrides parse_overrides(std::string_view text);

// The CPU targets that code is made for, best first: this very CPU for "auto", else every level of
// the triple's architecture. Throws UserError.
std::vector<target::Target> parse_host(const std::string& host);
// Refuses devices that this version has no code for. Throws UserError.
void check_device(const std::string& device);

}  // namespace mlc::compiler
