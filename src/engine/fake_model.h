// SPDX-License-Identifier: Apache-2.0
// For tests only: a model library whose kernels are plain functions, so that runtime and engine run
// without the compiler. Its logits are pseudo-random and depend on every token that the sequence
// has, read back from the pages of the KV cache; they may favour a script.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/session.h"
#include "support/testing.h"
#include "tokenizers/tokenizer.h"

namespace mlc::engine {

struct FakeModelOptions {
  int64_t vocab_size = 272;
  int64_t context_window_size = 256;  // -1: none
  int64_t prefill_chunk_size = 64;
  int64_t window = 0;  // of the cache's only group; 0: full
  int64_t sink = 0;
  int64_t rope_switch_length = 0;  // tokens of longer sequences leave other keys behind
  int64_t arena_bytes_per_token = 4;
  // The token at position p is script[p]; behind its end, or where it has -1, a pseudo-random one.
  std::vector<int32_t> script{};
};

inline constexpr int64_t kFakePageTokens = 4;

class FakeModel {
 public:
  explicit FakeModel(FakeModelOptions options = {});

  const std::string& directory() const { return directory_.path(); }
  Result<std::unique_ptr<Session>> open(SessionOptions options = {}) const;
  std::unique_ptr<Session> session(SessionOptions options = {}) const {
    return open(options).value();
  }
  const MlcModelLibrary& library() const { return *library_; }

 private:
  TemporaryDirectory directory_;
  std::shared_ptr<MlcModelLibrary> library_;
};

// A byte-level tokenizer: token i is byte i, 256 is the special "<|end|>", 257 and 258 are added
// tokens " the" and
// "[x]"; 259 is none; 260 is "<last>", which no text gives.
std::unique_ptr<tokenizers::Tokenizer> fake_tokenizer();

}  // namespace mlc::engine
