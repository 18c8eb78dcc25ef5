// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace mlc::cli {

int run_debug_logits(Arguments arguments);
int run_debug_greedy(Arguments arguments);

}  // namespace mlc::cli
