// SPDX-License-Identifier: Apache-2.0
// A folder of a model and a library become an engine: for all that answers requests.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "engine/engine.h"
#include "formats/chat_config.h"

namespace mlc::engine {

struct ModelOptions {
  std::string model;           // folder with mlc-chat-config.json, weights and tokenizer
  std::string library;         // path
  std::string overrides;       // "key=value;…" of the library; see apply_overrides()
  int64_t threads = 0;         // 0: one for each physical core
  bool verify = false;         // check the md5 of the weights first
  int64_t context_tokens = 0;  // of one sequence; 0: the config's context_window_size
  int64_t chunk_tokens = 0;    // of a prefill step; 0: the config's prefill_chunk_size
  // Of all sequences together; 0: enough for one of context_tokens, and for engine.max_sequences of
  // them up to shared_cache_tokens.
  int64_t cache_tokens = 0;
  int64_t shared_cache_tokens = 0;
  EngineOptions engine{};
};

// A model that is loaded.
struct LoadedModel {
  formats::ChatConfig config;
  std::unique_ptr<Engine> engine;
};

// The folder's config. Errors: an address in place of a folder; a model that is split over devices.
Result<formats::ChatConfig> read_model_config(const std::string& model);

// What `overrides` ask of a library that is there already. The limits context_window_size and
// prefill_chunk_size may shrink, and go into `options`; other keys are compiled in and must agree.
Result<void> apply_overrides(const std::string& overrides, const runtime::ModelLibrary& library,
                             ModelOptions& options);

using TokenizerSource = std::function<Result<std::unique_ptr<tokenizers::Tokenizer>>()>;

// `tokenizer` is called when the rest is loaded, so that its work may run meanwhile.
Result<LoadedModel> load_model(ModelOptions options, formats::ChatConfig config,
                               const TokenizerSource& tokenizer);

}  // namespace mlc::engine
