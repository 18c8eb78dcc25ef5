// SPDX-License-Identifier: Apache-2.0
// The commands of the program: commands.def lists them, commands/<name>.cpp holds run_<name>().
#pragma once

#include <span>
#include <string>

namespace mlc::cli {

using Arguments = std::span<const std::string>;

// Each returns the exit status, or throws UserError (1 or 2) or InternalError (3).
#define MLC_COMMAND(name, summary) int run_##name(Arguments arguments);
#include "cli/commands.def"
#undef MLC_COMMAND

}  // namespace mlc::cli
