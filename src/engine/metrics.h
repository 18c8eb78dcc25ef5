// SPDX-License-Identifier: Apache-2.0
// Sums over all requests of an engine (spec: rest_api.md section 7).
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "engine/request.h"

namespace mlc::engine {

class Metrics {
 public:
  // A step with this many tokens of prompts and of sequences that go on, and how long it took.
  void count_step(int64_t prefill_tokens, int64_t decode_tokens, double seconds);
  void count_request(const Usage& usage);

  // In Prometheus's text form.
  std::string prometheus_text() const;

 private:
  struct Times {
    double seconds = 0;
    int64_t steps = 0;
    bool warm = false;  // the first step of a size is left out
  };

  int64_t requests_ = 0;
  int64_t prompt_tokens_ = 0;
  int64_t completion_tokens_ = 0;
  int64_t cached_tokens_ = 0;
  int64_t prefill_tokens_ = 0;
  int64_t decode_tokens_ = 0;
  int64_t decode_only_tokens_ = 0;  // in steps without a prefill: what the rate is made of
  double prefill_seconds_ = 0;      // of steps with some prefill
  double decode_seconds_ = 0;       // of the other steps
  std::map<int64_t, Times> decode_by_batch_size_;
  Usage last_;
};

}  // namespace mlc::engine
