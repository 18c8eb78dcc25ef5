// SPDX-License-Identifier: Apache-2.0
// A small model with random weights, made in memory by our own converter and compiler: for tests
// that need both columns.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/session.h"
#include "graph/interpreter.h"
#include "models/model.h"
#include "support/testing.h"

namespace mlc {

struct TinyModelSpec {
  std::string model_type = "llama";
  std::string quantization = "q4f16_1";
  std::string opt = "O2";
  std::string kv_cache_dtype;  // as --overrides has it; empty: the mode's
  std::string level;           // CPU level to compile for; empty: this CPU
  Json config;                 // config.json as Hugging Face has it
  uint64_t seed = 1;
};

constexpr int64_t kTinyVocab = 203;  // of all of these
// Sizes whose K is ragged to groups and words of every mode, with grouped queries.
Json tiny_llama_config();
// The same with K that AWQ can hold (a multiple of 128), and 192 rows of q, k and v.
Json tiny_awq_config();
Json tiny_gpt_neox_config();

class TinyModel {
 public:
  explicit TinyModel(const TinyModelSpec& spec);

  const std::string& directory() const { return directory_.path(); }
  std::string library() const { return directory_.file("model.so"); }
  // The float graph, and the values of its parameters as the stored weights stand for them.
  const graph::Graph& graph() const { return model_.graph; }
  std::vector<float> parameter(const graph::Node& node) const;
  // The library, also where its level is one that the tests emulate.
  runtime::ModelLibrary open_library() const;
  std::unique_ptr<engine::Session> open(int64_t threads, int64_t max_tokens = 4096) const;

 private:
  void convert(const TinyModelSpec& spec);

  TemporaryDirectory directory_;
  models::Model model_;
  std::string quantization_;
};

// True where code of this level executes instructions that are emulated here, which
// target::AmxEmulator counts.
bool is_emulated(const std::string& level);

// CPU levels that this machine can run, emulated instructions included, from the baseline on.
std::vector<std::string> runnable_levels();

// Token ids that repeat nowhere soon.
std::vector<int32_t> test_tokens(int64_t count, int64_t vocab_size);

}  // namespace mlc
