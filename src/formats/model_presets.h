// SPDX-License-Identifier: Apache-2.0
// Configurations of known models (model_presets.json), accepted by name wherever a config.json is
// expected.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"

namespace mlc::formats {

// An object as config.json, or null for an unknown name.
const Json* find_model_preset(std::string_view name);
std::vector<std::string> model_preset_names();

}  // namespace mlc::formats
