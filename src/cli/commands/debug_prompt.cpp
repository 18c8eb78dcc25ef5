// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/debug_prompt.h"

#include <cstdio>
#include <string>

#include "cli/arguments.h"
#include "formats/chat_config.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

std::optional<std::string> optional_text(const Json& object, std::string_view key,
                                         const std::string& where) {
  const Json* value = object.find(key);
  if (value == nullptr || value->is_null()) return {};
  if (!value->is_string()) {
    throw UserError(cat(where, ": ", key), cat("is ", value->kind_name()), "a string or null");
  }
  return value->as_string();
}

// {"system_message": text or null, "function_string": text or null, "messages": [[role, content],
// ...]}
formats::PromptInput read_input(const std::string& path) {
  const Json object = or_throw(read_json_file(path));
  const Json& messages = *or_throw(json_member(object, "messages", path));
  if (!messages.is_array()) {
    throw UserError(path + ": messages", cat("is ", messages.kind_name()),
                    "a list of [role, content]");
  }
  formats::PromptInput input;
  input.system_message = optional_text(object, "system_message", path);
  input.function_string = optional_text(object, "function_string", path);
  for (const Json& message : messages.as_array()) {
    input.messages.push_back(or_throw(
        formats::message_from_json(message, cat(path, ": messages[", input.messages.size(), "]"))));
  }
  return input;
}

}  // namespace

int run_debug_prompt(Arguments arguments) {
  std::string model;
  std::string input;
  ArgumentParser parser(
      "debug prompt", "Prints the prompt that the model's conversation template makes of messages.",
      {"mlc_llm debug prompt dist/llama --input messages.json"});
  parser.positional("MODEL_DIR", &model, "folder with mlc-chat-config.json");
  parser.required_option("--input", &input,
                         "JSON file: {\"messages\": [[role, content], ...]}, also "
                         "\"system_message\" and \"function_string\"");
  if (!parser.parse(arguments)) return 0;
  const formats::ChatConfig config = or_throw(formats::read_chat_config(model));
  const std::string prompt =
      or_throw(formats::render_prompt(config.conv_template, read_input(input)));
  std::fwrite(prompt.data(), 1, prompt.size(), stdout);
  return 0;
}

}  // namespace mlc::cli
