// SPDX-License-Identifier: Apache-2.0
// A model with its KV cache: feeds tokens of sequences, in chunks, and gives logits. Everything
// that computes goes through it: chat, bench, debug.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "runtime/model.h"

namespace mlc::engine {

struct SessionOptions {
  std::string model_directory{};  // holds the shards
  std::string library{};          // path
  int64_t threads = 0;            // 0: one for each physical core
  int64_t max_tokens =
      0;  // positions that the KV cache has room for; 0: one sequence of context_tokens
  // What the chat config or the user asks for. The library's context window bounds the first, 512
  // the second.
  int64_t context_tokens = 0;  // of one sequence; 0: the library's context window
  int64_t chunk_tokens = 0;    // of a prefill step; 0: the library's chunk
  bool verify = false;         // check the md5 of the shards first
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> open(const SessionOptions& options);
  // Of parts that are in memory already; `options` says how, not what.
  static Result<std::unique_ptr<Session>> create(runtime::ModelLibrary library,
                                                 formats::ParameterShards shards,
                                                 const SessionOptions& options);

  runtime::Model& model() { return *model_; }
  const runtime::Model& model() const { return *model_; }
  runtime::KvCache& cache() { return cache_; }
  const runtime::KvCache& cache() const { return cache_; }
  int64_t vocab_size() const { return model_->vocab_size(); }
  int64_t chunk_tokens() const { return chunk_tokens_; }
  int64_t max_tokens() const { return max_tokens_; }
  // Positions that one sequence may have: bounded by the context window and by the cache.
  int64_t context_tokens() const { return context_tokens_; }
  // Above this length a model turns its positions by other angles (rope scaling "longrope",
  // "dynamic"); 0: it does not.
  int64_t rope_switch_length() const { return rope_switch_length_; }

  // Values of a row of an output; 0: the model does not give it.
  int64_t columns(formats::Output output) const { return model_->plan().columns(output); }

  // One step. Extends the caches of the sequences first; an error where there is no room. Then
  // nothing changed.
  Result<std::span<const float>> step(std::span<const runtime::SequenceTokens> batch,
                                      formats::Output output = formats::Output::kLogits);
  // The same for caches that were extended already; an error takes the extension back.
  Result<std::span<const float>> step_extended(std::span<const runtime::SequenceTokens> batch,
                                               formats::Output output = formats::Output::kLogits);

  // Feeds `tokens` to one sequence in chunks. `row` gets the logits of every wanted token in order,
  // or the row of another output; the span lives until it returns. Embeddings are of all tokens.
  // `known_length` as in SequenceTokens.
  Result<void> feed(runtime::SequenceId sequence, std::span<const int32_t> tokens,
                    int64_t known_length, runtime::WantedLogits wanted,
                    const std::function<void(std::span<const float>)>& row,
                    formats::Output output = formats::Output::kLogits);
  void set_chunk_tokens(int64_t tokens) { chunk_tokens_ = tokens; }

  // An error where an id is none of the model's.
  Result<void> check_tokens(std::span<const int32_t> tokens) const;

 private:
  Session() = default;
  void take_back(std::span<const runtime::SequenceTokens> batch);

  std::unique_ptr<runtime::Model> model_;
  runtime::KvCache cache_ = runtime::KvCache::empty();
  int64_t chunk_tokens_ = 512;
  int64_t max_tokens_ = 0;
  int64_t context_tokens_ = 0;
  int64_t rope_switch_length_ = 0;
};

}  // namespace mlc::engine
