// SPDX-License-Identifier: Apache-2.0
// Entry of the program: picks the command, turns errors into messages and exit statuses.
#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "cli/command.h"
#include "support/file.h"
#include "support/printable.h"
#include "support/strings.h"
#include "support/throw.h"
#include "support/version.h"

namespace mlc::cli {
namespace {

struct Command {
  const char* name;
  const char* summary;
  int (*run)(Arguments);
};

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
#define MLC_COMMAND(name, summary) {#name, summary, run_##name},
#include "cli/commands.def"
#undef MLC_COMMAND
  };
  return all;
}

std::string help() {
  std::vector<std::string> names;
  for (const Command& command : commands()) names.push_back(command.name);
  std::string text =
      "usage: MLC LLM Command Line Interface. [-h] {" + join(names, ",") + "} ...\n\n";
  text += "Runs language models natively: convert the weights once, compile a library, chat.\n\n";
  for (const Command& command : commands()) {
    const std::string name = command.name;
    text += "  " + name + std::string(18 - std::min<size_t>(name.size(), 16), ' ') +
            command.summary + "\n";
  }
  text +=
      "\n  --version         print the version\n"
      "\n`mlc_llm COMMAND --help` lists the options of a command with examples.\n";
  return text;
}

int dispatch(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "-h" || arguments[0] == "--help") {
    const std::string text = help();
    std::fwrite(text.data(), 1, text.size(), arguments.empty() ? stderr : stdout);
    return arguments.empty() ? 2 : 0;
  }
  if (arguments[0] == "--version") {
    std::printf("mlc_llm %s\n", version());
    return 0;
  }
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (arguments[0] == command.name) return command.run(Arguments(arguments).subspan(1));
    names.push_back(command.name);
  }
  throw UserError(unknown_name_error(ErrorKind::kUsage, "", "command", arguments[0], names));
}

void end_by_signal(int signal) {
  remove_unfinished_files();
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

int guarded(const std::vector<std::string>& arguments) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) std::signal(signal, end_by_signal);
#ifdef SIGXFSZ
  std::signal(SIGXFSZ,
              SIG_IGN);  // beyond a limit on the size of files writing fails, and that is reported
#endif
  try {
    const int status = dispatch(arguments);
    if (std::fflush(stdout) != 0) throw UserError("standard output", "cannot write");
    return status;
  } catch (const UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.error().kind == ErrorKind::kUsage ? 2 : 1;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "error: out of memory\n");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr,
                 "internal error: %s\n  mlc_llm %s; this is a bug, please report it with the "
                 "command line\n",
                 escape_unprintable(error.what()).c_str(), version());
    return 3;
  }
}

}  // namespace
}  // namespace mlc::cli

int main(int argc, char** argv) {
  return mlc::cli::guarded(std::vector<std::string>(argv + 1, argv + argc));
}
