// SPDX-License-Identifier: Apache-2.0
#include "formats/model_config_fields.h"

#include <algorithm>

#include "formats/embedded.h"
#include "support/check.h"

namespace mlc::formats {
namespace {

constexpr int64_t kPrefillLimit = 8192;

std::vector<std::string> texts(const Json* list) {
  std::vector<std::string> result;
  if (list != nullptr) {
    for (const Json& item : list->as_array()) result.push_back(item.as_string());
  }
  return result;
}

Architecture read_architecture(const std::string& name, const Json& json) {
  Architecture a;
  a.name = name;
  for (const auto& [field, value] : json.find("fields")->as_object()) {
    const bool required = value == Json("REQUIRED");
    a.fields.push_back({field, required ? std::nullopt : std::optional(value)});
  }
  a.hf_keys = texts(json.find("hf_keys"));
  a.context_keys = texts(json.find("context_keys"));
  if (a.context_keys.empty()) a.context_keys = {"max_position_embeddings", "max_sequence_length"};
  a.prefill_limit = kPrefillLimit;
  if (const Json* limit = json.find("prefill_limit")) {
    a.prefill_limit = limit->is_null() ? std::nullopt : std::optional(limit->as_int());
  }
  if (const Json* embedding = json.find("embedding")) a.embedding = *embedding;
  return a;
}

struct Data {
  std::vector<Architecture> architectures;
  std::vector<Architecture> nested;
  Json aliases;
};

const Data& data() {
  static const Data all = [] {
    const Result<Json> json =
        parse_json(embedded_model_config_fields()[0].text, "model_config_fields.json");
    MLC_CHECK(json.ok()) << json.error().to_string();
    Data d;
    for (const auto& [name, value] : json->find("architectures")->as_object()) {
      d.architectures.push_back(read_architecture(name, value));
    }
    for (const auto& [name, value] : json->find("nested")->as_object()) {
      d.nested.push_back(read_architecture(name, value));
    }
    d.aliases = *json->find("aliases");
    return d;
  }();
  return all;
}

const Architecture* find(const std::vector<Architecture>& all, std::string_view name) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Architecture& a) { return a.name == name; });
  return found == all.end() ? nullptr : &*found;
}

}  // namespace

bool Architecture::has_field(std::string_view field) const {
  return std::any_of(fields.begin(), fields.end(),
                     [&](const ModelConfigField& f) { return f.name == field; });
}

const Architecture* find_architecture(std::string_view name) {
  if (const Json* alias = data().aliases.find(name)) name = alias->as_string();
  return find(data().architectures, name);
}

std::vector<std::string> architecture_names() {
  std::vector<std::string> names;
  for (const Architecture& architecture : data().architectures) names.push_back(architecture.name);
  return names;
}

const Architecture& nested_architecture(std::string_view name) {
  const Architecture* found = find(data().nested, name);
  MLC_CHECK(found != nullptr) << name;
  return *found;
}

}  // namespace mlc::formats
