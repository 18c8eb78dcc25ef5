// SPDX-License-Identifier: Apache-2.0
// `mlc_llm debug NAME`: single steps of the program, for tests and for comparing with other
// programs.
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/commands/debug_library.h"
#include "cli/commands/debug_model.h"
#include "cli/commands/debug_perplexity.h"
#include "cli/commands/debug_prompt.h"
#include "cli/commands/debug_template.h"
#include "cli/commands/debug_tokenize.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

struct DebugCommand {
  const char* name;
  const char* summary;
  int (*run)(Arguments);
};

constexpr DebugCommand kDebugCommands[] = {
    {"logits", "token ids to logits", run_debug_logits},
    {"greedy", "token ids to the ids that follow", run_debug_greedy},
    {"library", "a model to the library that is compiled for it", run_debug_library},
    {"perplexity", "how well a library predicts a text", run_debug_perplexity},
    {"tokenize", "texts to token ids", run_debug_tokenize},
    {"detokenize", "token ids to texts", run_debug_detokenize},
    {"prompt", "messages and conversation template to a prompt", run_debug_prompt},
    {"template", "messages and the model's own chat template to a prompt", run_debug_template},
};

}  // namespace

int run_debug(Arguments arguments) {
  std::vector<std::string> names;
  std::string help;
  for (const DebugCommand& command : kDebugCommands) {
    names.push_back(command.name);
    help += cat("  ", command.name, std::string(18 - std::string(command.name).size(), ' '),
                command.summary, "\n");
  }
  help = cat("usage: mlc_llm debug {", join(names, ","), "} ...\n\n", help);
  if (arguments.empty() || arguments[0] == "-h" || arguments[0] == "--help") {
    std::fwrite(help.data(), 1, help.size(), arguments.empty() ? stderr : stdout);
    return arguments.empty() ? 2 : 0;
  }
  for (const DebugCommand& command : kDebugCommands) {
    if (arguments[0] == command.name) return command.run(arguments.subspan(1));
  }
  throw UserError(unknown_name_error(ErrorKind::kUsage, "debug", "command", arguments[0], names));
}

}  // namespace mlc::cli
