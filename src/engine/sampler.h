// SPDX-License-Identifier: Apache-2.0
// From logits to a token. The steps, in their order:
//
// 1. logit_bias is added. Then, for each token that was generated already, count times:
//    presence_penalty + count * frequency_penalty is subtracted, and the logit is divided by
//    repetition_penalty where it is positive, else multiplied by it. Ids that may not be sampled
//    fall out, and those that a mask excludes.
// 2. Temperature 0 takes the largest logit, the lowest id of equals. Else p = softmax(logit / T).
// 3. top_k keeps the k most probable (the lower id of equals), top_p the fewest of those that have
//    this share of their sum, min_p of those the ones that are at least min_p times as probable as
//    the most probable one.
// 4. One of the rest is drawn in proportion to p: the inverse of the cumulative sum by id.
//
// The same logits give the same token on every machine (see softmax.h). The vocabulary is not
// sorted: a few passes over it find the largest logit, the weights, and the few candidates that
// top_k and top_p may keep; those fill a histogram, and one bucket of it is sorted.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <utility>
#include <vector>

#include "support/error.h"

namespace mlc::engine {

struct SamplingOptions {
  double temperature = 1;                                // >= 0
  double top_p = 1;                                      // 0 to 1; 1: all
  int64_t top_k = 0;                                     // 0: all
  double min_p = 0;                                      // 0 to 1
  double repetition_penalty = 1;                         // > 0
  double presence_penalty = 0;                           // -2 to 2
  double frequency_penalty = 0;                          // -2 to 2
  std::vector<std::pair<int32_t, double>> logit_bias{};  // id, -100 to 100
  uint64_t seed = 0;
};

// Errors name the option, with what it is and may be. `vocab_size` bounds the ids of logit_bias.
Result<void> check_sampling_options(const SamplingOptions& options, int64_t vocab_size);

// Which ids may be sampled: those of the model that the tokenizer knows.
struct AllowedIds {
  int64_t end = 0;             // no id from here on
  std::vector<int32_t> holes;  // nor these, rising
};

struct Candidate {
  int32_t id;
  float logit;
  float weight;  // e^((logit - largest) / temperature)
};

// Memory for sampling; one serves any number of samplers, one after the other.
struct SamplerScratch {
  std::vector<float> logits;
  std::vector<float> weights;
  std::vector<float> near_logits;
  std::vector<int32_t> ids;
  std::vector<Candidate> candidates;
  std::vector<Candidate> kept;
};

class Sampler {
 public:
  explicit Sampler(SamplingOptions options);

  // The next token after those that were generated; counts it as generated. `logits`: f32
  // [vocab_size]. `mask`, if it is there, is a bitset: ids without a bit are not sampled, one at
  // least has one (bit id % 64 of word id / 64, words for all ids below allowed.end).
  int32_t sample(std::span<const float> logits, const AllowedIds& allowed, SamplerScratch& scratch,
                 std::span<const uint64_t> mask = {});

  const SamplingOptions& options() const { return options_; }
  int64_t generated() const { return generated_; }

 private:
  bool changes_logits() const;
  double gather_candidates(std::span<const float> logits, float best, float per_unit,
                           SamplerScratch& scratch) const;
  int32_t draw_filtered(std::span<const float> logits, float best, float per_unit, double uniform,
                        SamplerScratch& scratch) const;
  std::span<const float> adjust(std::span<const float> logits, const AllowedIds& allowed,
                                std::span<const uint64_t> mask, SamplerScratch& scratch) const;

  SamplingOptions options_;
  std::map<int32_t, int64_t> counts_;  // of generated tokens, where a penalty needs them
  int64_t generated_ = 0;
};

}  // namespace mlc::engine
