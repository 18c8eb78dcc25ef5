// SPDX-License-Identifier: Apache-2.0
#include "formats/model_presets.h"

#include "formats/embedded.h"
#include "support/check.h"

namespace mlc::formats {
namespace {

const Json& presets() {
  static const Json all = [] {
    Result<Json> json = parse_json(embedded_model_presets()[0].text, "model_presets.json");
    MLC_CHECK(json.ok()) << json.error().to_string();
    return std::move(json).value();
  }();
  return all;
}

}  // namespace

const Json* find_model_preset(std::string_view name) { return presets().find(name); }

std::vector<std::string> model_preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, config] : presets().as_object()) names.push_back(name);
  return names;
}

}  // namespace mlc::formats
