// SPDX-License-Identifier: Apache-2.0
// `mlc_llm debug library`.
#pragma once

#include "cli/command.h"

namespace mlc::cli {

int run_debug_library(Arguments arguments);

}  // namespace mlc::cli
