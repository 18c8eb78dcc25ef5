// SPDX-License-Identifier: Apache-2.0
#include "capi/open_options.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::capi {
namespace {

constexpr int64_t kMaxSequences = 1024;
// Tokens of the KV cache that several sequences have without being asked: pages are taken from the
// system when they are first written, so that this is a limit and no cost.
constexpr int64_t kSharedCacheTokens = 32768;

Error wrong_kind(std::string_view where, const Json& found, std::string expected) {
  return user_error(std::string(where), cat("is ", found.kind_name()), std::move(expected));
}

Result<void> read_count(std::string_view key, const Json& value, int64_t minimum, int64_t maximum,
                        int64_t& out) {
  const std::string expected = cat("an integer from ", minimum, " to ", maximum);
  if (!value.is_int()) return wrong_kind(key, value, expected);
  if (value.as_int() < minimum || value.as_int() > maximum)
    return user_error(std::string(key), cat("is ", value.as_int()), expected);
  out = value.as_int();
  return {};
}

Result<std::string> read_text(std::string_view key, const Json& value) {
  if (!value.is_string()) return wrong_kind(key, value, "a text");
  return value.as_string();
}

Result<void> read_option(const std::string& key, const Json& value, OpenOptions& options,
                         std::optional<int64_t>& kept) {
  engine::ModelOptions& model = options.model;
  if (key == "device") {
    MLC_ASSIGN_OR_RETURN(options.device, read_text(key, value));
  } else if (key == "opt") {
    MLC_ASSIGN_OR_RETURN(options.opt, read_text(key, value));
  } else if (key == "overrides") {
    MLC_ASSIGN_OR_RETURN(model.overrides, read_text(key, value));
  } else if (key == "threads") {
    return read_count(key, value, 0, 4096, model.threads);
  } else if (key == "verify") {
    if (!value.is_bool()) return wrong_kind(key, value, "true or false");
    model.verify = value.as_bool();
  } else if (key == "context_window_size") {
    return read_count(key, value, 1, INT32_MAX, model.context_tokens);
  } else if (key == "prefill_chunk_size") {
    return read_count(key, value, 1, INT32_MAX, model.chunk_tokens);
  } else if (key == "max_num_sequence") {
    return read_count(key, value, 1, kMaxSequences, model.engine.max_sequences);
  } else if (key == "max_total_sequence_length") {
    return read_count(key, value, 1, INT32_MAX, model.cache_tokens);
  } else if (key == "kept_sequences") {
    return read_count(key, value, 0, kMaxSequences, kept.emplace());
  } else if (key == "config") {
    options.config_changes = value;
  } else {
    return unknown_name_error(ErrorKind::kUser, "options", "member", key,
                              {"device", "opt", "overrides", "threads", "verify",
                               "context_window_size", "prefill_chunk_size", "max_num_sequence",
                               "max_total_sequence_length", "kept_sequences", "config"});
  }
  return {};
}

}  // namespace

Result<OpenOptions> read_open_options(const std::string& model,
                                      const std::optional<std::string>& library,
                                      const Json& options) {
  OpenOptions result;
  result.model.model = model;
  result.library = library;
  result.model.engine.max_sequences = 4;
  result.model.shared_cache_tokens = kSharedCacheTokens;
  std::optional<int64_t> kept;
  if (!options.is_null() && !options.is_object())
    return wrong_kind("options", options, "an object");
  if (options.is_object()) {
    for (const auto& [key, value] : options.as_object()) {
      if (!value.is_null()) MLC_RETURN_IF_ERROR(read_option(key, value, result, kept));
    }
  }
  result.model.engine.kept_sequences = kept.value_or(result.model.engine.max_sequences);
  return result;
}

Result<formats::ChatConfig> changed_config(const formats::ChatConfig& config, const Json& changes) {
  constexpr const char* kWhere = "config";
  if (!changes.is_object()) return wrong_kind(kWhere, changes, "an object");
  Json all = config.to_json();
  Json conversation = config.conv_template.to_json();
  const auto member = [&](std::string_view key) -> const Json* {
    const Json* value = changes.find(key);
    return value != nullptr && !value->is_null() ? value : nullptr;
  };
  const std::vector<std::string> known = {
      "temperature",       "top_p",         "repetition_penalty", "presence_penalty",
      "frequency_penalty", "conv_template", "conv_config"};
  for (const auto& [key, value] : changes.as_object()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return unknown_name_error(ErrorKind::kUser, kWhere, "member", key, known);
    if (!value.is_null() && !key.starts_with("conv_")) all.set(key, value);
  }
  if (const Json* value = member("conv_template")) {
    if (value->is_string()) {
      const auto* builtin = formats::find_builtin_conversation(value->as_string());
      if (builtin == nullptr) {
        return unknown_name_error(ErrorKind::kUser, "conv_template", "conversation template",
                                  value->as_string(), formats::builtin_conversation_names());
      }
      conversation = builtin->to_json();
    } else {
      conversation = *value;
    }
  }
  if (const Json* value = member("conv_config")) {
    if (!value->is_object()) return wrong_kind("conv_config", *value, "an object");
    const Json names = formats::Conversation{}.to_json();
    for (const auto& [key, part] : value->as_object()) {
      if (!names.contains(key) || !conversation.is_object())
        return user_error("conv_config", cat("has the member ", key),
                          "members of a conversation template");
      conversation.set(key, part);
    }
  }
  all.set("conv_template", conversation);
  MLC_ASSIGN_OR_RETURN(formats::ChatConfig result, formats::ChatConfig::from_json(all, kWhere));
  // As it was read, since its errors name the file.
  if (member("conv_template") == nullptr && member("conv_config") == nullptr)
    result.conv_template = config.conv_template;
  return result;
}

}  // namespace mlc::capi
