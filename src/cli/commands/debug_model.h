// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/command.h"

namespace mlc::cli {

int run_debug_logits(Arguments arguments);
int run_debug_greedy(Arguments arguments);

// A JSON list of ids; throws a UserError for another file.
std::vector<int32_t> read_token_ids(const std::string& path);

}  // namespace mlc::cli
