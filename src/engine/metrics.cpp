// SPDX-License-Identifier: Apache-2.0
#include "engine/metrics.h"

#include "support/strings.h"

namespace mlc::engine {
namespace {

double rate(int64_t tokens, double seconds) {
  return tokens > 0 && seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

class Text {
 public:
  void counter(std::string_view name, std::string_view help, double value) {
    metric(name, help, "counter", value);
  }
  void gauge(std::string_view name, std::string_view help, double value) {
    metric(name, help, "gauge", value);
  }
  void head(std::string_view name, std::string_view help, std::string_view type) {
    text_ += cat("# HELP ", name, " ", help, "\n# TYPE ", name, " ", type, "\n");
  }
  void sample(std::string_view name, std::string_view labels, double value) {
    const auto whole = static_cast<int64_t>(value);
    text_ += cat(name, labels, " ",
                 static_cast<double>(whole) == value ? std::to_string(whole) : python_float(value),
                 "\n");
  }
  std::string take() { return std::move(text_); }

 private:
  void metric(std::string_view name, std::string_view help, std::string_view type, double value) {
    head(name, help, type);
    sample(name, "", value);
  }
  std::string text_;
};

}  // namespace

std::string_view finish_reason_name(FinishReason reason) {
  switch (reason) {
    case FinishReason::kStop:
      return "stop";
    case FinishReason::kToolCalls:
      return "tool_calls";
    case FinishReason::kMaxTokens:
      return "length";
    case FinishReason::kContextFull:
      return "length";
    case FinishReason::kCancelled:
      return "abort";
    case FinishReason::kError:
      return "error";
  }
  return "";
}

double Usage::prefill_tokens_per_second() const {
  return rate(prompt_tokens - cached_tokens, prefill_seconds);
}
double Usage::decode_tokens_per_second() const {
  return rate(completion_tokens - 1, decode_seconds);
}

void Metrics::count_step(int64_t prefill_tokens, int64_t decode_tokens, double seconds) {
  prefill_tokens_ += prefill_tokens;
  decode_tokens_ += decode_tokens;
  if (prefill_tokens > 0) {
    prefill_seconds_ += seconds;
    return;
  }
  decode_only_tokens_ += decode_tokens;
  decode_seconds_ += seconds;
  Times& times = decode_by_batch_size_[decode_tokens];
  if (times.warm) {
    times.seconds += seconds;
    ++times.steps;
  }
  times.warm = true;
}

void Metrics::count_request(const Usage& usage) {
  ++requests_;
  prompt_tokens_ += usage.prompt_tokens;
  completion_tokens_ += usage.completion_tokens;
  cached_tokens_ += usage.cached_tokens;
  last_ = usage;
}

std::string Metrics::prometheus_text() const {
  Text text;
  text.counter("requests_sum", "Requests that are over.", static_cast<double>(requests_));
  text.counter("engine_prefill_time_sum", "Seconds of steps with prompt tokens.", prefill_seconds_);
  text.counter("engine_decode_time_sum", "Seconds of steps without prompt tokens.",
               decode_seconds_);
  text.counter("prompt_tokens_sum", "Prompt tokens of requests that are over.",
               static_cast<double>(prompt_tokens_));
  text.counter("completion_tokens_sum", "New tokens of requests that are over.",
               static_cast<double>(completion_tokens_));
  text.counter("cached_tokens_sum",
               "Prompt tokens of requests that are over which the cache held already.",
               static_cast<double>(cached_tokens_));
  text.counter("prefill_tokens_sum", "Prompt tokens that were computed.",
               static_cast<double>(prefill_tokens_));
  text.counter("decode_tokens_sum", "New tokens that were fed back.",
               static_cast<double>(decode_tokens_));
  text.gauge("prefill_tokens_per_s", "Prompt tokens a second.",
             rate(prefill_tokens_, prefill_seconds_));
  text.gauge("decode_tokens_per_s", "New tokens a second, of all sequences together.",
             rate(decode_only_tokens_, decode_seconds_));
  text.gauge("last_finished_request_prompt_tokens", "Prompt tokens of the last request.",
             static_cast<double>(last_.prompt_tokens));
  text.gauge("last_finished_request_completion_tokens", "New tokens of the last request.",
             static_cast<double>(last_.completion_tokens));
  text.gauge("last_finished_request_prefill_tokens_per_s",
             "Prompt tokens a second of the last request.", last_.prefill_tokens_per_second());
  text.gauge("last_finished_request_decode_tokens_per_s",
             "New tokens a second of the last request.", last_.decode_tokens_per_second());
  text.gauge("last_finished_request_ttft_s", "Seconds until the first token of the last request.",
             last_.waiting_seconds + last_.prefill_seconds);
  text.gauge("last_finished_request_end_to_end_latency_s", "Seconds of the last request.",
             last_.waiting_seconds + last_.prefill_seconds + last_.decode_seconds);
  text.head("decode_time_by_batch_size_mean",
            "Mean seconds of a step that feeds back so many tokens, the first one left out.",
            "gauge");
  for (const auto& [size, times] : decode_by_batch_size_) {
    if (times.steps > 0)
      text.sample("decode_time_by_batch_size_mean", cat("{batch_size=\"", size, "\"}"),
                  times.seconds / static_cast<double>(times.steps));
  }
  text.head("decode_time_by_batch_size_count", "Such steps.", "counter");
  for (const auto& [size, times] : decode_by_batch_size_) {
    if (times.steps > 0)
      text.sample("decode_time_by_batch_size_count", cat("{batch_size=\"", size, "\"}"),
                  static_cast<double>(times.steps));
  }
  return text.take();
}

}  // namespace mlc::engine
