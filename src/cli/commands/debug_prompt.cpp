// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/debug_prompt.h"

#include <cstdio>
#include <string>

#include "cli/arguments.h"
#include "formats/chat_config.h"
#include "support/throw.h"

namespace mlc::cli {

int run_debug_prompt(Arguments arguments) {
  std::string model;
  std::string input;
  ArgumentParser parser(
      "debug prompt", "Prints the prompt that the model's conversation template makes of messages.",
      {"mlc_llm debug prompt dist/llama --input messages.json"});
  parser.positional("MODEL_DIR", &model, "folder with mlc-chat-config.json");
  parser.required_option("--input", &input,
                         "JSON file: {\"messages\": [[role, content], ...]}, also "
                         "\"system_message\", \"function_string\" and, for the checkpoint's own "
                         "template, \"template_arguments\"");
  if (!parser.parse(arguments)) return 0;
  const formats::ChatConfig config = or_throw(formats::read_chat_config(model));
  const formats::PromptInput messages =
      or_throw(formats::prompt_input_from_json(or_throw(read_json_file(input)), input));
  const std::string prompt = or_throw(formats::render_prompt(config.conv_template, messages));
  std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  return 0;
}

}  // namespace mlc::cli
