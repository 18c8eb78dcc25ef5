// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config.h"

#include <cstdint>

#include "compiler/gen_config_conversation.h"

#include "formats/chat_config.h"
#include "formats/gguf.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"
#include "formats/model_presets.h"
#include "formats/quantization_names.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

Json read_object(const std::string& path) {
  Json object = or_throw(read_json_file(path));
  if (!object.is_object()) {
    throw UserError(path, cat("is ", object.kind_name()), "an object, as config.json is");
  }
  return object;
}

ModelSource preset_source(const std::string& name, const Json& config) {
  log_info("model: preset " + name);
  ModelSource source;
  source.where = "preset " + name;
  source.config = config;
  source.config.set("model_preset_tag", name);
  return source;
}

ModelSource folder_source(const std::string& config_path) {
  log_info("model: " + config_path);
  ModelSource source;
  source.where = config_path;
  source.config = read_object(config_path);
  const std::string folder = path_directory(config_path);
  // The second is config.json even where the configuration is in a file of another name.
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::string path = path_join(folder, name);
    if (file_exists(path)) source.generation_configs.emplace_back(name, read_object(path));
  }
  for (const std::string& name : or_throw(list_directory(folder))) {
    const std::string path = path_join(folder, name);
    if (is_tokenizer_source(name) && !is_directory(path)) {
      source.tokenizer_files.push_back({name, path, {}});
    }
  }
  source.chat_template = folder;
  return source;
}

void check_overrides(const ModelConfigOverrides& overrides) {
  const auto check = [](const char* flag, const std::optional<int64_t>& value, int64_t minimum) {
    if (value && (*value < minimum || *value > INT32_MAX)) {
      throw UserError(flag, cat("is ", *value),
                      cat("an integer from ", minimum, " to ", INT32_MAX));
    }
  };
  check("--context-window-size", overrides.context_window_size, -1);
  check("--sliding-window-size", overrides.sliding_window_size, -1);
  check("--prefill-chunk-size", overrides.prefill_chunk_size, 0);
  check("--attention-sink-size", overrides.attention_sink_size, 0);
  check("--max-batch-size", overrides.max_batch_size, 1);
  check("--tensor-parallel-shards", overrides.tensor_parallel_shards, 1);
  check("--pipeline-parallel-stages", overrides.pipeline_parallel_stages, 1);
}

// The batch limit is always given, if only by its default; not every architecture has the field.
ModelConfigOverrides usable(ModelConfigOverrides overrides,
                            const formats::Architecture& architecture) {
  constexpr int64_t kMaxBatchSize = 128;
  if (!overrides.max_batch_size && architecture.has_field("max_batch_size")) {
    overrides.max_batch_size = kMaxBatchSize;
  }
  return overrides;
}

int64_t integer_or(const Json& object, std::string_view key, int64_t otherwise) {
  const Json* value = object.find(key);
  return value != nullptr && value->is_int() ? value->as_int() : otherwise;
}

void set_sizes(formats::ChatConfig& chat) {
  const Json& model = chat.model_config;
  chat.vocab_size = integer_or(model, "vocab_size", 0);
  chat.context_window_size = integer_or(model, "context_window_size", -1);
  chat.sliding_window_size = integer_or(model, "sliding_window_size", -1);
  chat.prefill_chunk_size = integer_or(model, "prefill_chunk_size", -1);
  chat.attention_sink_size = integer_or(model, "attention_sink_size", -1);
  chat.tensor_parallel_shards = integer_or(model, "tensor_parallel_shards", 1);
  chat.pipeline_parallel_stages = integer_or(model, "pipeline_parallel_stages", 1);
  chat.active_vocab_size = chat.vocab_size;
}

// The first file with the key counts; values are taken as they are found.
void set_generation_defaults(formats::ChatConfig& chat, const ModelSource& source) {
  const std::pair<const char*, Json*> fields[] = {{"temperature", &chat.temperature},
                                                  {"presence_penalty", &chat.presence_penalty},
                                                  {"frequency_penalty", &chat.frequency_penalty},
                                                  {"repetition_penalty", &chat.repetition_penalty},
                                                  {"top_p", &chat.top_p},
                                                  {"pad_token_id", &chat.pad_token_id},
                                                  {"bos_token_id", &chat.bos_token_id},
                                                  {"eos_token_id", &chat.eos_token_id}};
  for (const auto& [key, field] : fields) {
    for (const auto& [file, config] : source.generation_configs) {
      const Json* value = config.find(key);
      if (value == nullptr || value->is_null()) continue;
      *field = *value;
      log_info(cat(key, " = ", value->dump(), " (", file, ")"));
      break;
    }
  }
}

// All files appear, or none: they are complete under temporary names before the first gets its own.
void write_all(const std::string& folder, const std::vector<OutputText>& files) {
  or_throw(make_directories(folder));
  std::vector<OutputFile> outputs;
  for (const OutputText& file : files) {
    const std::string path = path_join(folder, file.name);
    if (is_directory(path)) {
      throw UserError(path, "is a directory", "a place for a file", "choose another --output");
    }
    outputs.push_back(or_throw(OutputFile::create(path)));
    or_throw(outputs.back().write(file.text));
    or_throw(outputs.back().close());
  }
  for (OutputFile& output : outputs) or_throw(output.commit());
}

// A GGUF file is config, generation config and tokenizer in one.
ModelSource gguf_source(const std::string& path) {
  const formats::GgufFile file = or_throw(formats::GgufFile::open(path));
  ModelSource source{path, or_throw(formats::gguf_config(file)), {}, {}, path};
  source.generation_configs = {{path, or_throw(formats::gguf_generation_config(file))},
                               {path, source.config}};
  for (formats::NamedText& text : or_throw(formats::gguf_tokenizer_files(file))) {
    source.tokenizer_files.push_back({text.name, cat(path, ": ", text.name), std::move(text.text)});
  }
  return source;
}

}  // namespace

ModelSource load_model_source(const std::string& config) {
  const Json* preset = formats::find_model_preset(config);
  if (preset != nullptr && !file_exists(config)) return preset_source(config, *preset);
  if (is_directory(config)) {
    const std::string path = path_join(config, "config.json");
    if (!file_exists(path)) {
      throw UserError(config, "has no config.json", "the folder of a Hugging Face model",
                      "give the folder, its config.json, or the name of a preset");
    }
    return folder_source(path);
  }
  if (!file_exists(config)) {
    const std::vector<std::string> near = near_matches(config, formats::model_preset_names());
    throw UserError(config, "does not exist and is no preset",
                    "a folder with config.json, a file like it, or the name of a preset",
                    near.empty() ? "" : "did you mean the preset " + join(near, " or ") + "?");
  }
  return config.ends_with(".gguf") ? gguf_source(config) : folder_source(config);
}

void gen_config(const GenConfigOptions& options) {
  const std::optional<std::string> quantization =
      formats::canonical_quantization(options.quantization);
  if (!quantization) {
    throw UserError(unknown_name_error(ErrorKind::kUsage, "--quantization", "quantization",
                                       options.quantization, formats::quantization_names()));
  }
  const formats::Conversation* conversation = nullptr;
  if (options.conv_template) {
    conversation = formats::find_builtin_conversation(*options.conv_template);
    if (conversation == nullptr) {
      throw UserError(unknown_name_error(ErrorKind::kUsage, "--conv-template",
                                         "conversation template", *options.conv_template,
                                         formats::builtin_conversation_names()));
    }
  }
  check_overrides(options.overrides);
  const ModelSource source = load_model_source(options.config);
  const formats::Architecture& architecture =
      select_architecture(options.model_type, source.config, source.where);
  log_info(cat("model type: ", architecture.name));

  formats::ChatConfig chat;
  chat.model_type = architecture.name;
  chat.quantization = *quantization;
  chat.model_config = override_model_config(
      architecture, derive_model_config(architecture, source.config, source.where),
      usable(options.overrides, architecture), source.where);
  if (chat.model_config.find("attention_sink_size") != nullptr) {
    if (integer_or(chat.model_config, "context_window_size", -1) == -1 &&
        integer_or(chat.model_config, "sliding_window_size", -1) == -1) {
      log_warning(
          "the model has neither a context window nor a sliding window\n"
          "  give --context-window-size");
    }
  }
  set_sizes(chat);
  if (!architecture.embedding.is_null()) {
    chat.model_task = "embedding";
    chat.embedding_metadata = architecture.embedding;
  }
  set_generation_defaults(chat, source);
  chat.conv_template = conversation != nullptr ? *conversation : own_conversation(source);

  TokenizerPart tokenizer =
      prepare_tokenizer(source.tokenizer_files, source.config, chat.context_window_size);
  chat.tokenizer_files = tokenizer.listed;
  chat.tokenizer_info = tokenizer.info;
  if (tokenizer.active_vocab_size) {
    chat.active_vocab_size = *tokenizer.active_vocab_size;
    log_info(cat("active_vocab_size = ", chat.active_vocab_size, " (tokens of the tokenizer)"));
  }
  tokenizer.files.push_back({std::string(formats::kChatConfigFile), chat.to_text()});
  write_all(options.output, tokenizer.files);
  log_info("wrote " + path_join(options.output, formats::kChatConfigFile));
}

}  // namespace mlc::compiler
