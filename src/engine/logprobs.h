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
#include "support/json.h"
#include "tokenizers/tokenizer.h"

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

// As OpenAI's chat.completion has it: {"token", "logprob", "bytes", "top_logprobs": [{"token",
// "logprob", "bytes"}, ...]}. A token is part of a character where its bytes are no UTF-8; its text
// then has \xNN for each of them, and "bytes" joins. JSON has no -infinity: it is -9999, which is
// OpenAI's number for a token that is very unlikely.
Json to_json(const TokenLogprobs& logprobs, const tokenizers::Tokenizer& tokenizer);

}  // namespace mlc::engine
