// SPDX-License-Identifier: Apache-2.0
// From a Hugging Face config.json to model_config of mlc-chat-config.json: the fields of the
// architecture (formats/model_config_fields.h) with their defaults derived, then `hf`, the keys
// that no field carries. Options and overrides go over the result by the same rules; that is what
// `compile --overrides` does too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_config_fields.h"
#include "support/json.h"

namespace mlc::compiler {

// Options that change fields; nothing: not given (0 is given).
struct ModelConfigOverrides {
  std::optional<int64_t> context_window_size = {};
  std::optional<int64_t> sliding_window_size = {};
  std::optional<int64_t> prefill_chunk_size = {};
  std::optional<int64_t> attention_sink_size = {};
  std::optional<int64_t> max_batch_size = {};
  std::optional<int64_t> tensor_parallel_shards = {};
  std::optional<int64_t> pipeline_parallel_stages = {};
  std::optional<bool> disaggregation = {};
};

// The architecture of a config.json: `model_type`, or what its own key model_type says for "auto".
// `where` is the file, for messages. Throws UserError with near names for an unknown one.
const formats::Architecture& select_architecture(std::string_view model_type, const Json& config,
                                                 std::string_view where);

// The derived fields and `hf`. Throws UserError that names the key: a missing or absurd value, or
// one that the architecture does not allow.
Json derive_model_config(const formats::Architecture& architecture, const Json& config,
                         std::string_view where);

// The given overrides in a derived model_config, whose rules are applied once more: values that are
// there do not move by themselves (a prefill chunk is cut to a smaller context). Overrides of
// fields that the architecture lacks are left out with a warning. `hf` stays.
Json override_model_config(const formats::Architecture& architecture, const Json& model_config,
                           const ModelConfigOverrides& overrides, std::string_view where);

}  // namespace mlc::compiler
