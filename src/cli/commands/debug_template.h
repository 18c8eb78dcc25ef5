// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "cli/command.h"

namespace mlc::cli {

// `mlc_llm debug template`: prints what a checkpoint's own chat template makes of a conversation.
int run_debug_template(Arguments arguments);

}  // namespace mlc::cli
