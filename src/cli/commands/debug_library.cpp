// SPDX-License-Identifier: Apache-2.0
// `debug library`: the library that chat takes for a model when it is given none. The Python
// package calls it.
#include "cli/commands/debug_library.h"

#include <cstdio>

#include "cli/arguments.h"
#include "jit/open_model.h"

namespace mlc::cli {

int run_debug_library(Arguments arguments) {
  jit::OpenOptions options;
  ArgumentParser parser("debug library",
                        "Prints the path of the library in the cache that chat takes for a model "
                        "when it is given none; compiles it if need be.",
                        {"mlc_llm debug library dist/llama"});
  parser.positional("MODEL", &options.model.model, "folder with mlc-chat-config.json");
  parser.option("--device", &options.device, "where to compute: cpu");
  parser.option("--overrides", &options.model.overrides, "as of chat");
  parser.option("--opt", &options.opt, "as of chat");
  if (!parser.parse(arguments)) return 0;
  std::printf("%s\n", jit::library_of(std::move(options)).c_str());
  return 0;
}

}  // namespace mlc::cli
