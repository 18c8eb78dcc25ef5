// SPDX-License-Identifier: Apache-2.0
// What model_config of mlc-chat-config.json holds for each architecture, as data
// (model_config_fields.json):
//   fields         name to default in the order of the file; "REQUIRED" where config.json must have
//   the key hf_keys        keys of config.json that Hugging Face's code reads and that no field
//   carries with the same meaning context_keys   where the context size is found (default:
//   max_position_embeddings, max_sequence_length) prefill_limit  default prefill chunk (default
//   8192); null: the context size embedding      embedding_metadata, for models that embed instead
//   of chatting
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/json.h"

namespace mlc::formats {

struct ModelConfigField {
  std::string name;
  std::optional<Json> default_value;  // nothing: required
};

struct Architecture {
  std::string name;
  std::vector<ModelConfigField> fields;
  std::vector<std::string> hf_keys;
  std::vector<std::string> context_keys;
  std::optional<int64_t> prefill_limit;
  Json embedding;  // null: a chat model

  bool has_field(std::string_view field) const;
};

// By the name that model_type has, or an alias of it ("mixformer-sequential" is phi-msft); null if
// unknown.
const Architecture* find_architecture(std::string_view name);
std::vector<std::string> architecture_names();  // without the aliases

// An object inside a model_config: "gemma3_text_config", "llama4_text_config",
// "clip_vision_config".
const Architecture& nested_architecture(std::string_view name);

}  // namespace mlc::formats
