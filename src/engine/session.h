// SPDX-License-Identifier: Apache-2.0
// A model with its KV cache: feeds tokens of sequences, in chunks, and gives logits. Everything that computes goes
// through it: chat, bench, debug.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "runtime/model.h"

namespace mlc::engine {

struct SessionOptions {
  std::string model_directory;  // holds the shards
  std::string library;          // path
  int64_t threads = 0;          // 0: one for each physical core
  int64_t max_tokens = 0;       // positions that the KV cache has room for; 0: the library's context window
  int64_t chunk_tokens = 0;     // of a prefill step; 0: the library's chunk, at most 512
  bool verify = false;          // check the md5 of the shards first
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> open(const SessionOptions& options);

  runtime::Model& model() { return *model_; }
  runtime::KvCache& cache() { return cache_; }
  int64_t vocab_size() const { return model_->vocab_size(); }
  int64_t chunk_tokens() const { return chunk_tokens_; }
  int64_t max_tokens() const { return max_tokens_; }

  // One step. Extends the caches of the sequences first; an error where there is no room.
  Result<std::span<const float>> step(std::span<const runtime::SequenceTokens> batch);

  // Feeds `tokens` to one sequence in chunks. `row` gets the logits of every wanted token in order; the span lives
  // until it returns. `known_length` as in SequenceTokens.
  Result<void> feed(runtime::SequenceId sequence, std::span<const int32_t> tokens, int64_t known_length, runtime::WantedLogits wanted,
                    const std::function<void(std::span<const float>)>& row);
  void set_chunk_tokens(int64_t tokens) { chunk_tokens_ = tokens; }

 private:
  Session() = default;
  Result<void> check_tokens(std::span<const int32_t> tokens) const;

  std::unique_ptr<runtime::Model> model_;
  runtime::KvCache cache_ = runtime::KvCache::empty();
  int64_t chunk_tokens_ = 512;
  int64_t max_tokens_ = 0;
};

}  // namespace mlc::engine
