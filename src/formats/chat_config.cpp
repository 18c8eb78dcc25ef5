// SPDX-License-Identifier: Apache-2.0
#include "formats/chat_config.h"

#include <initializer_list>

#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

// The first of `keys` that `object` has with a value other than null: the field's name of today,
// then older ones.
const Json* find_any(const Json& object, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const Json* value = object.find(key);
    if (value != nullptr && !value->is_null()) return value;
  }
  return nullptr;
}

// Leaves `out` as it is where neither the file nor its model_config has one of the keys.
Result<void> read_count(const Json& object, std::initializer_list<std::string_view> keys,
                        std::string_view where, int64_t minimum, int64_t& out) {
  const Json* value = find_any(object, keys);
  if (value == nullptr) {
    const Json* model_config = object.find("model_config");
    if (model_config != nullptr) value = find_any(*model_config, keys);
  }
  if (value == nullptr) return {};
  const std::string place = cat(where, ": ", *keys.begin());
  if (!value->is_int()) return user_error(place, cat("is ", value->kind_name()), "an integer");
  if (value->as_int() < minimum || value->as_int() > INT32_MAX) {
    return user_error(place, cat("is ", value->as_int()),
                      cat("an integer from ", minimum, " to ", INT32_MAX));
  }
  out = value->as_int();
  return {};
}

Result<void> read_text(const Json& object, std::initializer_list<std::string_view> keys,
                       std::string_view where, std::string& out) {
  const Json* value = find_any(object, keys);
  if (value == nullptr) return {};
  if (!value->is_string()) {
    return user_error(cat(where, ": ", *keys.begin()), cat("is ", value->kind_name()), "a string");
  }
  out = value->as_string();
  return {};
}

Result<void> read_number(const Json& object, std::string_view key, std::string_view where,
                         Json& out) {
  const Json* value = find_any(object, {key});
  if (value == nullptr) return {};
  if (!value->is_number()) {
    return user_error(cat(where, ": ", key), cat("is ", value->kind_name()), "a number");
  }
  out = *value;
  return {};
}

Result<void> read_token_id(const Json& object, std::string_view key, std::string_view where,
                           Json& out) {
  const Json* value = find_any(object, {key});
  if (value == nullptr) return {};
  bool valid = value->is_int();
  if (value->is_array()) {
    valid = true;
    for (const Json& id : value->as_array()) valid = valid && id.is_int();
  }
  if (!valid) {
    return user_error(cat(where, ": ", key), cat("is ", value->kind_name()),
                      "a token id or a list of token ids");
  }
  out = *value;
  return {};
}

Result<void> read_tokenizer_info(const Json& object, std::string_view where, TokenizerInfo& out) {
  // Files of early 2024 have the method alone.
  MLC_RETURN_IF_ERROR(
      read_text(object, {"token_table_postproc_method"}, where, out.token_postproc_method));
  const Json* info = find_any(object, {"tokenizer_info"});
  if (info == nullptr) return {};
  const std::string place = cat(where, ": tokenizer_info");
  if (!info->is_object()) return user_error(place, cat("is ", info->kind_name()), "an object");
  MLC_RETURN_IF_ERROR(
      read_text(*info, {"token_postproc_method"}, place, out.token_postproc_method));
  for (const auto& [key, value] :
       {std::pair{"prepend_space_in_encode", &out.prepend_space_in_encode},
        std::pair{"strip_space_in_decode", &out.strip_space_in_decode}}) {
    const Json* flag = find_any(*info, {key});
    if (flag == nullptr) continue;
    if (!flag->is_bool()) {
      return user_error(cat(place, ".", key), cat("is ", flag->kind_name()), "true or false");
    }
    *value = flag->as_bool();
  }
  return {};
}

Result<void> read_conversation(const Json& object, std::string_view where, Conversation& out) {
  const std::string place = cat(where, ": conv_template");
  MLC_ASSIGN_OR_RETURN(const Json* value, json_member(object, "conv_template", where));
  if (!value->is_string()) {
    MLC_ASSIGN_OR_RETURN(out, Conversation::from_json(*value, place));
    return {};
  }
  const Conversation* known = find_builtin_conversation(value->as_string());
  if (known == nullptr) {
    return unknown_name_error(ErrorKind::kUser, place, "conversation template", value->as_string(),
                              builtin_conversation_names());
  }
  if (object.contains("conv_config")) {
    log_warning(cat(where, ": conv_config is of an old form and is ignored; the template ",
                    value->as_string(), " is used as it is built in"));
  }
  out = *known;
  return {};
}

bool has(const Json& object, std::string_view key, const Json& value) {
  const Json* member = object.find(key);
  return member != nullptr && *member == value;
}

// A tokenizer's decoder or normalizer: the entries of a Sequence, or itself.
std::vector<const Json*> steps(const Json& tokenizer, std::string_view key,
                               std::string_view list_key) {
  const Json* step = tokenizer.find(key);
  if (step == nullptr) return {};
  const Json* list = step->find(list_key);
  if (!has(*step, "type", "Sequence") || list == nullptr || !list->is_array()) return {step};
  std::vector<const Json*> all;
  for (const Json& item : list->as_array()) all.push_back(&item);
  return all;
}

}  // namespace

TokenizerInfo TokenizerInfo::detect(const Json& tokenizer) {
  TokenizerInfo info;
  for (const Json* step : steps(tokenizer, "decoder", "decoders")) {
    if (has(*step, "type", "ByteLevel")) info.token_postproc_method = "byte_level";
    if (has(*step, "type", "ByteFallback")) info.token_postproc_method = "byte_fallback";
    if (has(*step, "type", "Strip") && has(*step, "content", " ") && has(*step, "start", 1) &&
        has(*step, "stop", 0)) {
      info.strip_space_in_decode = true;
    }
  }
  for (const Json* step : steps(tokenizer, "normalizer", "normalizers")) {
    if (has(*step, "type", "Prepend") && has(*step, "prepend", "\u2581")) {
      info.prepend_space_in_encode = true;
    }
  }
  return info;
}

Json TokenizerInfo::to_json() const {
  return Json::Object{{"token_postproc_method", token_postproc_method},
                      {"prepend_space_in_encode", prepend_space_in_encode},
                      {"strip_space_in_decode", strip_space_in_decode}};
}

Result<ChatConfig> ChatConfig::from_json(const Json& object, std::string_view where) {
  if (!object.is_object()) {
    return user_error(std::string(where), cat("is ", object.kind_name()), "an object");
  }
  ChatConfig c;
  MLC_RETURN_IF_ERROR(read_text(object, {"version"}, where, c.version));
  if (const Json* value = find_any(object, {"model_config"})) {
    if (!value->is_object()) {
      return user_error(cat(where, ": model_config"), cat("is ", value->kind_name()), "an object");
    }
    c.model_config = *value;
  }
  MLC_RETURN_IF_ERROR(read_text(c.model_config, {"model_type"}, where, c.model_type));
  MLC_RETURN_IF_ERROR(read_text(object, {"model_type", "model_category"}, where, c.model_type));
  MLC_RETURN_IF_ERROR(read_text(object, {"quantization"}, where, c.quantization));
  MLC_RETURN_IF_ERROR(read_count(object, {"vocab_size"}, where, 0, c.vocab_size));
  MLC_RETURN_IF_ERROR(read_count(object, {"context_window_size", "max_window_size"}, where, -1,
                                 c.context_window_size));
  MLC_RETURN_IF_ERROR(read_count(object, {"sliding_window_size", "sliding_window"}, where, -1,
                                 c.sliding_window_size));
  MLC_RETURN_IF_ERROR(read_count(object, {"prefill_chunk_size"}, where, -1, c.prefill_chunk_size));
  MLC_RETURN_IF_ERROR(
      read_count(object, {"attention_sink_size"}, where, -1, c.attention_sink_size));
  MLC_RETURN_IF_ERROR(read_count(object, {"tensor_parallel_shards", "num_shards"}, where, 1,
                                 c.tensor_parallel_shards));
  MLC_RETURN_IF_ERROR(
      read_count(object, {"pipeline_parallel_stages"}, where, 1, c.pipeline_parallel_stages));
  c.active_vocab_size = c.vocab_size;
  MLC_RETURN_IF_ERROR(read_count(object, {"active_vocab_size"}, where, 0, c.active_vocab_size));
  MLC_RETURN_IF_ERROR(read_number(object, "temperature", where, c.temperature));
  MLC_RETURN_IF_ERROR(read_number(object, "presence_penalty", where, c.presence_penalty));
  MLC_RETURN_IF_ERROR(read_number(object, "frequency_penalty", where, c.frequency_penalty));
  MLC_RETURN_IF_ERROR(read_number(object, "repetition_penalty", where, c.repetition_penalty));
  MLC_RETURN_IF_ERROR(read_number(object, "top_p", where, c.top_p));
  if (const Json* files = find_any(object, {"tokenizer_files"})) {
    bool valid = files->is_array();
    if (valid) {
      for (const Json& file : files->as_array()) valid = valid && file.is_string();
    }
    if (!valid) {
      return user_error(cat(where, ": tokenizer_files"), "is no list of names",
                        "a list of strings");
    }
    for (const Json& file : files->as_array()) c.tokenizer_files.push_back(file.as_string());
  }
  MLC_RETURN_IF_ERROR(read_tokenizer_info(object, where, c.tokenizer_info));
  MLC_RETURN_IF_ERROR(read_conversation(object, where, c.conv_template));
  MLC_RETURN_IF_ERROR(read_token_id(object, "pad_token_id", where, c.pad_token_id));
  MLC_RETURN_IF_ERROR(read_token_id(object, "bos_token_id", where, c.bos_token_id));
  MLC_RETURN_IF_ERROR(read_token_id(object, "eos_token_id", where, c.eos_token_id));
  MLC_RETURN_IF_ERROR(read_text(object, {"model_task"}, where, c.model_task));
  if (c.model_task != "chat" && c.model_task != "embedding") {
    return unknown_name_error(ErrorKind::kUser, cat(where, ": model_task"), "task", c.model_task,
                              {"chat", "embedding"});
  }
  if (const Json* value = find_any(object, {"embedding_metadata"})) {
    if (!value->is_object()) {
      return user_error(cat(where, ": embedding_metadata"), cat("is ", value->kind_name()),
                        "an object or null");
    }
    c.embedding_metadata = *value;
  }
  return c;
}

Json ChatConfig::to_json() const {
  Json files = Json::array();
  for (const std::string& file : tokenizer_files) files.push_back(file);
  return Json::Object{
      {"version", version},
      {"model_type", model_type},
      {"quantization", quantization},
      {"model_config", model_config},
      {"vocab_size", vocab_size},
      {"context_window_size", context_window_size},
      {"sliding_window_size", sliding_window_size},
      {"prefill_chunk_size", prefill_chunk_size},
      {"attention_sink_size", attention_sink_size},
      {"tensor_parallel_shards", tensor_parallel_shards},
      {"pipeline_parallel_stages", pipeline_parallel_stages},
      {"active_vocab_size", active_vocab_size},
      {"temperature", temperature},
      {"presence_penalty", presence_penalty},
      {"frequency_penalty", frequency_penalty},
      {"repetition_penalty", repetition_penalty},
      {"top_p", top_p},
      {"tokenizer_files", std::move(files)},
      {"tokenizer_info", tokenizer_info.to_json()},
      {"conv_template", conv_template.to_json()},
      {"pad_token_id", pad_token_id},
      {"bos_token_id", bos_token_id},
      {"eos_token_id", eos_token_id},
      {"model_task", model_task},
      {"embedding_metadata", embedding_metadata},
  };
}

std::string ChatConfig::to_text() const { return to_json().dump(2); }

Result<ChatConfig> read_chat_config(const std::string& path) {
  const std::string file = is_directory(path) ? path_join(path, kChatConfigFile) : path;
  if (!file_exists(file)) {
    return user_error(path, is_directory(path) ? cat("has no ", kChatConfigFile) : "does not exist",
                      cat("a folder with ", kChatConfigFile, ", or that file"),
                      "mlc_llm gen_config writes it");
  }
  MLC_ASSIGN_OR_RETURN(const Json object, read_json_file(file));
  return ChatConfig::from_json(object, file);
}

}  // namespace mlc::formats
