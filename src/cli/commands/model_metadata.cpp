// SPDX-License-Identifier: Apache-2.0
// `mlc_llm model_metadata`: what is in a library besides its code.
#include <cstdio>

#include "cli/arguments.h"
#include "cli/command.h"
#include "engine/memory_report.h"
#include "formats/chat_config.h"
#include "runtime/model_library.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

// Shapes may name the vocabulary's size instead of giving it.
void resolve_vocab_size(Json& metadata, const std::string& library,
                        const std::string& config_path) {
  const formats::ChatConfig config = or_throw(formats::read_chat_config(config_path));
  const Json* known = metadata.find("vocab_size");
  if (known != nullptr && known->is_int() && known->as_int() != config.vocab_size) {
    throw UserError(config_path, cat("has vocab_size ", config.vocab_size),
                    cat(known->as_int(), ", as ", library, " has it"),
                    "give the config of the model that the library is for");
  }
  Json* params = metadata.find("params");
  if (params == nullptr || !params->is_array()) return;
  for (Json& param : params->as_array()) {
    Json* shape = param.find("shape");
    if (shape == nullptr || !shape->is_array()) continue;
    for (Json& size : shape->as_array()) {
      if (size == Json("vocab_size")) size = config.vocab_size;
    }
  }
}

}  // namespace

int run_model_metadata(Arguments arguments) {
  std::string library_path;
  std::optional<std::string> config;
  bool memory_only = false;
  bool plan = false;
  ArgumentParser parser(
      "model_metadata", "Prints the metadata of a model library as JSON.",
      {"mlc_llm model_metadata dist/llama.so", "mlc_llm model_metadata dist/llama.so --memory-only",
       "mlc_llm model_metadata dist/llama.so --plan"});
  parser.positional("LIB", &library_path, "library that compile made");
  parser.option("--mlc-chat-config", &config,
                "the model's config: gives sizes that the library leaves open");
  parser.flag("--memory-only", &memory_only,
              "print bytes of parameters, of temporary buffers by function, and of the KV cache "
              "for a token");
  parser.flag("--plan", &plan, "print the plan: what runs in a step, in what order");
  if (!parser.parse(arguments)) return 0;
  if (memory_only && plan) throw UserError(usage_error("--plan", "does not go with --memory-only"));
  const runtime::ModelLibrary library =
      or_throw(runtime::ModelLibrary::open_for_reading(library_path));
  Json metadata = library.metadata();
  if (config) resolve_vocab_size(metadata, library_path, *config);
  std::string text;
  if (plan) {
    text = formats::to_text(library.plan());
  } else {
    text =
        (memory_only ? or_throw(engine::memory_report(metadata, library_path)) : metadata).dump(2) +
        "\n";
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  return 0;
}

}  // namespace mlc::cli
