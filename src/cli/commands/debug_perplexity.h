// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace mlc::cli {

// `mlc_llm debug perplexity`: prints how well a model predicts a text.
int run_debug_perplexity(Arguments arguments);

}  // namespace mlc::cli
