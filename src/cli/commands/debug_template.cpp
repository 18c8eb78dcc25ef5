// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/debug_template.h"

#include <cstdio>
#include <optional>
#include <string>

#include "cli/arguments.h"
#include "formats/chat_template.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {

int run_debug_template(Arguments arguments) {
  std::string model;
  std::string input;
  ArgumentParser parser("debug template",
                        "Prints the prompt that the model's own chat template makes of messages.",
                        {"mlc_llm debug template ./Qwen3-0.6B --input conversation.json"});
  parser.positional("TOKENIZER_DIR", &model,
                    "folder with tokenizer_config.json, and chat_template.jinja where the template "
                    "is in a file of its own; or a .gguf file");
  parser.required_option("--input", &input,
                         "JSON file: {\"messages\": [{\"role\": ..., \"content\": ...}, ...]} and "
                         "the template's other arguments, such as add_generation_prompt, tools, "
                         "enable_thinking; \"now\" (ISO time) sets the clock");
  if (!parser.parse(arguments)) return 0;
  const std::optional<formats::ChatTemplate> chat_template =
      or_throw(formats::ChatTemplate::load(model));
  if (!chat_template) {
    throw UserError(model, "has no chat template",
                    "chat_template.jinja, or chat_template in tokenizer_config.json");
  }
  Json conversation = or_throw(read_json_file(input));
  if (!conversation.is_object()) {
    throw UserError(input, cat("is ", conversation.kind_name()), "an object with messages");
  }
  jinja::RenderOptions options;
  if (const Json* now = conversation.find("now"); now != nullptr && now->is_string()) {
    options.now = now->as_string();
    conversation.erase("now");
  }
  const std::string prompt = or_throw(chat_template->render(conversation, options));
  std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  return 0;
}

}  // namespace mlc::cli
