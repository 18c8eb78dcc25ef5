// SPDX-License-Identifier: Apache-2.0
// `mlc_llm debug tokenize` and `debug detokenize`.
#pragma once

#include "cli/command.h"

namespace mlc::cli {

int run_debug_tokenize(Arguments arguments);
int run_debug_detokenize(Arguments arguments);

}  // namespace mlc::cli
