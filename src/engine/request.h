// SPDX-License-Identifier: Apache-2.0
// What the engine is asked for and what it gives back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/grammar.h"
#include "engine/logprobs.h"
#include "engine/sampler.h"
#include "engine/tool_calls.h"
#include "support/error.h"

namespace mlc::engine {

using RequestId = int64_t;

struct Request {
  std::vector<int32_t> prompt{};  // as it goes into the model
  SamplingOptions sampling{};
  int64_t max_tokens = -1;  // at the most so many new tokens; -1: until the context is full
  // A stop string ends the answer and is not shown, wherever tokens cut it; an empty one is
  // ignored. A stop token ends it too.
  std::vector<std::string> stop_strings{};
  std::vector<int32_t> stop_token_ids{};
  bool ignore_eos = false;  // stop tokens end nothing; stop strings do
  // Tokens that would leave the form are not sampled. Stop tokens are allowed where the form is
  // complete; where nothing can follow, the answer ends without one.
  ResponseFormat response_format{};
  bool logprobs = false;     // Output::logprobs for every token
  int64_t top_logprobs = 0;  // with so many of the most probable ones; 0 to 20, needs logprobs
  // So many answers, which share the prompt in the cache. Answer number i is, to the last token,
  // that of a request for one with the seed `sampling.seed + i`.
  int64_t n = 1;
  // With a format the texts are held back until an answer is whole, and its calls are read.
  ToolOptions tools{};
};

constexpr int64_t kMostAnswers = 128;

enum class FinishReason : uint8_t {
  kStop,         // a stop string, a stop token, or the form that was asked for is complete
  kMaxTokens,    // as many tokens as were asked for
  kToolCalls,    // as kStop, with Output::tool_calls
  kContextFull,  // the sequence is as long as the model's context, or as the cache
  kCancelled,
  kError,  // Output::error says why
};
std::string_view finish_reason_name(
    FinishReason reason);  // as in the REST interface: "stop", "length" ...

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;      // of the prompt: what a cache held already
  int64_t completion_tokens = 0;  // with the stop token
  double waiting_seconds = 0;     // until the first step that worked on it
  double prefill_seconds = 0;     // from there to the first token
  double decode_seconds = 0;      // from there to the last
  double grammar_seconds = 0;     // of both: for response_format

  double prefill_tokens_per_second() const;  // 0 where none was computed
  double decode_tokens_per_second() const;   // of the tokens after the first
};

// A piece of an answer. The texts of a request's outputs join to its answer; each is valid UTF-8.
struct Output {
  RequestId request = 0;
  int64_t index = 0;            // of the answer, below Request::n
  std::string text;             // may be empty: a token in the middle of a character, or held back
  std::vector<int32_t> tokens;  // that were sampled since the last output, also one that ended it
  std::vector<TokenLogprobs> logprobs;  // of these tokens, where they were asked for
  std::vector<ToolCall> tool_calls{};   // in an answer's last output
  std::optional<FinishReason> finish;   // nothing follows of this answer
  std::optional<Error> error;
  Usage usage;  // so far
};

}  // namespace mlc::engine
