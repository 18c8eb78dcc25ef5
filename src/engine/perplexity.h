// SPDX-License-Identifier: Apache-2.0
// How well a model predicts a text.
#pragma once

#include <span>

#include "engine/session.h"

namespace mlc::engine {

struct Perplexity {
  int64_t scored = 0;  // tokens
  double nll = 0;      // mean of -ln p over them

  double perplexity() const;
};

// Cuts the tokens into windows of `window` that do not overlap; what is left at the end is not
// used. Every window begins with an empty cache, and all of its tokens but the first are scored.
// Several windows share a step where there is room. Errors: fewer tokens than a window, a window of
// one token or larger than the context.
Result<Perplexity> measure_perplexity(Session& session, std::span<const int32_t> tokens,
                                      int64_t window);

}  // namespace mlc::engine
