// SPDX-License-Identifier: Apache-2.0
// How probable the model found a token: log-probabilities of softmax(logits), the logits as the
// model gives them. Temperature, penalties, logit_bias, a grammar and the filters of the sampler
// have no part in it, so that figures of different requests can be compared.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/sampler.h"

namespace mlc::engine {

constexpr int64_t kMostTopLogprobs = 20;

struct TokenLogprobs {
  int32_t token = 0;
  float logprob = 0;  // of the token that was sampled; -infinity where the model rules it out
  std::vector<std::pair<int32_t, float>> top{};  // the most probable ones, falling; equals by id
};

// `logits`: f32 [vocab_size]. Ids that `allowed` excludes have no share.
TokenLogprobs token_logprobs(std::span<const float> logits, const AllowedIds& allowed,
                             int32_t token, int64_t top);

}  // namespace mlc::engine
