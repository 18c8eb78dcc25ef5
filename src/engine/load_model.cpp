// SPDX-License-Identifier: Apache-2.0
#include "engine/load_model.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine {

Result<formats::ChatConfig> read_model_config(const std::string& model) {
  if (model.starts_with("HF://") || model.starts_with("https://") || model.starts_with("http://")) {
    return user_error("MODEL", cat(model, " is no folder"),
                      "a folder with mlc-chat-config.json and weights",
                      "models are not downloaded by this version: download it and give the folder");
  }
  MLC_ASSIGN_OR_RETURN(formats::ChatConfig config, formats::read_chat_config(model));
  if (config.tensor_parallel_shards > 1) {
    return user_error(model,
                      cat("tensor_parallel_shards is ", config.tensor_parallel_shards,
                          ", which is not implemented"),
                      "1");
  }
  return config;
}

Result<void> apply_overrides(const std::string& overrides, const runtime::ModelLibrary& library,
                             ModelOptions& options) {
  constexpr const char* kRemedy = "leave out --model-lib, and a library is compiled for it";
  const Json& metadata = library.metadata();
  for (const std::string& part : split(overrides, ';')) {
    const std::string_view item = strip(part);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    std::string key(strip(item.substr(0, equals)));
    if (key == "sliding_window") key = "sliding_window_size";
    const auto value = equals == std::string_view::npos
                           ? std::nullopt
                           : parse_int64(strip(item.substr(equals + 1)));
    const bool limit = key == "context_window_size" || key == "prefill_chunk_size";
    const Json* compiled = metadata.find(key);
    if (!value || compiled == nullptr) {
      return user_error("--overrides", cat(key, " is compiled into ", library.path()), "", kRemedy);
    }
    const int64_t known = compiled->is_int() ? compiled->as_int() : -1;
    if (limit ? *value < 1 || (known > 0 && *value > known) : *value != known) {
      return user_error(
          "--overrides", cat(key, " is ", *value),
          cat(limit ? "at most " : "", known, ", as ", library.path(), " was compiled"), kRemedy);
    }
    if (key == "context_window_size") options.context_tokens = *value;
    if (key == "prefill_chunk_size") options.chunk_tokens = *value;
  }
  return {};
}

Result<LoadedModel> load_model(ModelOptions options, formats::ChatConfig config,
                               const TokenizerSource& tokenizer) {
  if (!options.overrides.empty()) {
    MLC_ASSIGN_OR_RETURN(const runtime::ModelLibrary library,
                         runtime::ModelLibrary::open(options.library));
    MLC_RETURN_IF_ERROR(apply_overrides(options.overrides, library, options));
  }
  const auto limit = [](int64_t asked, int64_t configured) {
    return asked > 0 ? asked : std::max<int64_t>(0, configured);
  };
  SessionOptions session;
  session.model_directory = options.model;
  session.library = options.library;
  session.threads = options.threads;
  session.verify = options.verify;
  session.max_tokens = options.cache_tokens;
  session.context_tokens = limit(options.context_tokens, config.context_window_size);
  session.chunk_tokens = limit(options.chunk_tokens, config.prefill_chunk_size);
  if (session.max_tokens == 0 && session.context_tokens > 0 &&
      session.context_tokens < options.shared_cache_tokens) {
    session.max_tokens = std::min(options.engine.max_sequences * session.context_tokens,
                                  options.shared_cache_tokens);
  }
  MLC_ASSIGN_OR_RETURN(std::unique_ptr<Session> opened, Session::open(session));
  MLC_ASSIGN_OR_RETURN(std::unique_ptr<tokenizers::Tokenizer> loaded, tokenizer());
  LoadedModel model;
  model.config = std::move(config);
  model.engine = std::make_unique<Engine>(std::move(opened), std::move(loaded), options.engine);
  return model;
}

}  // namespace mlc::engine
