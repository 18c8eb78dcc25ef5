// SPDX-License-Identifier: Apache-2.0
// `mlc_llm debug WHAT ...`: single parts of the program, for tests and for finding faults.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands/debug_tokenize.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {

namespace {

struct Subcommand {
  const char* name;
  const char* summary;
  int (*run)(Arguments);
};

constexpr Subcommand kSubcommands[] = {
    {"tokenize", "texts to token ids", run_debug_tokenize},
    {"detokenize", "token ids to texts", run_debug_detokenize},
};

}  // namespace

int run_debug(Arguments arguments) {
  std::vector<std::string> names;
  for (const Subcommand& subcommand : kSubcommands) names.push_back(subcommand.name);
  if (arguments.empty() || arguments[0] == "-h" || arguments[0] == "--help") {
    std::string text = cat("usage: mlc_llm debug {", join(names, ","), "} ...\n\n");
    for (const Subcommand& subcommand : kSubcommands) {
      text += cat("  ", subcommand.name,
                  std::string(16 - std::string_view(subcommand.name).size(), ' '),
                  subcommand.summary, "\n");
    }
    std::fwrite(text.data(), 1, text.size(), arguments.empty() ? stderr : stdout);
    return arguments.empty() ? 2 : 0;
  }
  for (const Subcommand& subcommand : kSubcommands) {
    if (arguments[0] == subcommand.name) return subcommand.run(arguments.subspan(1));
  }
  throw UserError(
      unknown_name_error(ErrorKind::kUsage, "debug", "subcommand", arguments[0], names));
}

}  // namespace mlc::cli
