// SPDX-License-Identifier: Apache-2.0
#include "engine/logprobs.h"

#include <algorithm>
#include <limits>

#include "engine/softmax.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

constexpr double kVeryUnlikely = -9999;

Json token_to_json(int32_t token, float logprob, const tokenizers::Tokenizer& tokenizer) {
  const std::string text = tokenizer.token_bytes(token);
  Json bytes = Json::array();
  for (const char byte : text) bytes.push_back(int{static_cast<unsigned char>(byte)});
  return Json::Object{{"token", escape_invalid_utf8(text)},
                      {"logprob", std::max(kVeryUnlikely, shortest_double(logprob))},
                      {"bytes", std::move(bytes)}};
}

}  // namespace

TokenLogprobs token_logprobs(std::span<const float> all_logits, const AllowedIds& allowed,
                             int32_t token, int64_t top) {
  std::span<const float> logits = all_logits.first(static_cast<size_t>(
      std::clamp<int64_t>(allowed.end, 1, static_cast<int64_t>(all_logits.size()))));
  std::vector<float> without_holes;
  if (!allowed.holes.empty()) {
    without_holes.assign(logits.begin(), logits.end());
    for (const int32_t id : allowed.holes) {
      without_holes[static_cast<size_t>(id)] = -std::numeric_limits<float>::infinity();
    }
    logits = without_holes;
  }
  const double total = log_sum_exp(logits);
  const auto logprob = [&](float logit) { return static_cast<float>(logit - total); };
  TokenLogprobs result;
  result.token = token;
  result.logprob = logprob(logits[static_cast<size_t>(token)]);
  // Few are wanted and few pass the last of those that are there.
  const auto wanted = static_cast<size_t>(std::min<int64_t>(top, std::ssize(logits)));
  for (size_t id = 0; id < logits.size() && wanted > 0; ++id) {
    const float logit = logits[id];
    if (result.top.size() == wanted && !(logit > result.top.back().second)) continue;
    if (!(logit > -std::numeric_limits<float>::infinity())) continue;
    if (result.top.size() == wanted) result.top.pop_back();
    const auto place =
        std::find_if(result.top.begin(), result.top.end(),
                     [&](const std::pair<int32_t, float>& t) { return t.second < logit; });
    result.top.insert(place, {static_cast<int32_t>(id), logit});
  }
  for (auto& [id, value] : result.top) value = logprob(value);
  return result;
}

Json to_json(const TokenLogprobs& logprobs, const tokenizers::Tokenizer& tokenizer) {
  Json object = token_to_json(logprobs.token, logprobs.logprob, tokenizer);
  Json top = Json::array();
  for (const auto& [token, logprob] : logprobs.top)
    top.push_back(token_to_json(token, logprob, tokenizer));
  object.set("top_logprobs", std::move(top));
  return object;
}

}  // namespace mlc::engine
