// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace mlc::cli {

// `mlc_llm debug prompt`: prints what a model's conversation template makes of messages.
int run_debug_prompt(Arguments arguments);

}  // namespace mlc::cli
