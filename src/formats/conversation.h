// SPDX-License-Identifier: Apache-2.0
// Conversation templates: how messages become a prompt, and where an answer stops. Each is an
// object `conv_template` of mlc-chat-config.json; those of conversations/*.json are built in. Plain
// text substitution of placeholders, or the checkpoint's own Jinja template where there is one; the
// renderer is in conversation_prompt.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "formats/chat_template.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::formats {

struct ContentPart {
  enum class Kind { kText, kImage };
  Kind kind = Kind::kText;
  std::string text;  // of an image: its URL
};

// Nothing (the turn that the model is to write), a text, or parts.
using MessageContent = std::variant<std::monostate, std::string, std::vector<ContentPart>>;

struct Message {
  std::string role;
  MessageContent content;
  // Further members for the checkpoint's own template: tool_calls, tool_call_id, name.
  Json extra = Json::object();
};

// null, a string, or a list of {"type": "text", "text": ...} and {"type": "image_url", "image_url":
// URL or
// {"url": URL}}, as in OpenAI's API.
Result<MessageContent> content_from_json(const Json& value, std::string_view where);
Json content_to_json(const MessageContent& content);
// A pair [role, content].
Result<Message> message_from_json(const Json& pair, std::string_view where);

struct Conversation {
  using Texts =
      std::vector<std::pair<std::string, std::string>>;  // role to text, in the file's order

  std::optional<std::string> name;
  std::string system_template = "{system_message}";
  std::string system_message;                                   // where the request has none
  std::optional<std::vector<int64_t>> system_prefix_token_ids;  // before the tokenized prompt
  bool add_role_after_system_message = true;
  Texts roles;
  Texts role_templates;           // always with user, assistant and tool
  std::vector<Message> messages;  // a history that every request begins with
  std::vector<std::string> seps;  // one, or two: after the others' messages, after the assistant's
  std::string role_content_sep;
  std::string role_empty_sep;
  std::vector<std::string>
      stop_str;  // may hold an empty string (template stablelm): it stops nothing
  std::vector<int64_t> stop_token_ids;
  bool strip_reasoning_in_history = false;
  std::string function_string;
  bool use_function_calling = false;
  // Ours, and the last key: makes the prompt in place of the fields above, of which only the stop
  // lists and the history count then. Other programs ignore it and use the fields.
  std::optional<ChatTemplate> chat_template;

  // Unknown keys are ignored, absent ones get their defaults; `roles` and `seps` are required.
  // Errors begin with `where` and name the key.
  static Result<Conversation> from_json(const Json& object, std::string_view where);
  // Whether a prompt has a place for the functions' text.
  bool takes_functions() const;
  // All fields, in the order in which mlc-chat-config.json has them.
  Json to_json() const;
};

// The built-in templates in the order of conversations.def; the pointer is null for an unknown
// name.
const std::vector<Conversation>& builtin_conversations();
const Conversation* find_builtin_conversation(std::string_view name);
std::vector<std::string> builtin_conversation_names();

// What a request brings along.
struct PromptInput {
  std::optional<std::string> system_message;   // replaces the template's
  std::optional<std::string> function_string;  // likewise
  std::vector<Message> messages;               // without the system message
  // For a checkpoint's own template: tools, documents, enable_thinking ... as members.
  Json template_arguments = Json::object();
};

// {"system_message": text or null, "function_string": text or null, "messages": [[role, content],
// ...], "template_arguments": {...}}; only the messages are needed.
Result<PromptInput> prompt_input_from_json(const Json& object, std::string_view where);

// The text of the whole prompt: system message, the template's history, the messages, and the
// beginning of the assistant's turn. Special tokens are spelled out in it; system_prefix_token_ids
// are not part of it. An error where a role is none of the template's, a message holds an image, or
// the checkpoint's own template raises one.
Result<std::string> render_prompt(const Conversation& conversation, const PromptInput& input);

}  // namespace mlc::formats
