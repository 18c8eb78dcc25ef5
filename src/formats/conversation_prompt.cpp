// SPDX-License-Identifier: Apache-2.0
// Renders a conversation as one prompt.
#include <algorithm>

#include "formats/conversation.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kFunctionString = "{function_string}";

const std::string* find_text(const Conversation::Texts& texts, std::string_view role) {
  for (const auto& [known, text] : texts) {
    if (known == role) return &text;
  }
  return nullptr;
}

std::string template_where(const Conversation& conversation) {
  return cat("conversation template ", conversation.name.value_or("without a name"));
}

// What the model thought before earlier answers is left out: of assistant messages before the last
// user message, only what follows the last </think>. Contents in parts are left alone.
void strip_reasoning(std::vector<Message>& messages) {
  constexpr std::string_view kEnd = "</think>";
  size_t last_user = 0;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == "user") last_user = i;
  }
  for (size_t i = 0; i < last_user; ++i) {
    auto* text = std::get_if<std::string>(&messages[i].content);
    if (messages[i].role != "assistant" || text == nullptr) continue;
    const size_t end = text->rfind(kEnd);
    if (end == std::string::npos) continue;
    const size_t answer = text->find_first_not_of('\n', end + kEnd.size());
    *text = answer == std::string::npos ? "" : text->substr(answer);
  }
}

// The role's template around a text.
Result<std::string> in_role_template(const Conversation& conversation, const std::string& role,
                                     std::string_view text) {
  const std::string* role_template = find_text(conversation.role_templates, role);
  if (role_template == nullptr || (role != "user" && role != "assistant" && role != "tool")) {
    return user_error(template_where(conversation), cat("role ", role, " has no role template"),
                      "messages of user, assistant or tool");
  }
  return replace_all(*role_template, cat("{", role, "_message}"), text);
}

// The last placeholder becomes the functions' text and all others, also those in that text,
// nothing.
std::string with_functions(std::string prompt, const std::string& functions) {
  const size_t last = prompt.rfind(kFunctionString);
  if (last == std::string::npos) return prompt;
  prompt.replace(last, kFunctionString.size(), functions);
  return replace_all(prompt, kFunctionString, "");
}

Result<std::string> render_message(const Conversation& conversation, const Message& message,
                                   bool after_system) {
  if (message.extra.contains("tool_calls")) {
    return user_error(template_where(conversation), "has no form for tool_calls of a message",
                      "a config with the checkpoint's own chat template",
                      "make it with gen_config without --conv-template");
  }
  const std::string* role = find_text(conversation.roles, message.role);
  if (role == nullptr) {
    std::vector<std::string> known;
    for (const auto& [name, text] : conversation.roles) known.push_back(name);
    return user_error(template_where(conversation), cat("has no role ", message.role),
                      "one of " + join(known, ", "),
                      "leave the message out, or choose another template");
  }
  if (std::holds_alternative<std::monostate>(message.content)) {
    return *role + conversation.role_empty_sep;
  }
  std::string text;
  if (!after_system || conversation.add_role_after_system_message) {
    text = *role + conversation.role_content_sep;
  }
  if (const auto* content = std::get_if<std::string>(&message.content)) {
    MLC_ASSIGN_OR_RETURN(const std::string body,
                         in_role_template(conversation, message.role, *content));
    text += body;
  } else {
    for (const ContentPart& part : *std::get_if<std::vector<ContentPart>>(&message.content)) {
      if (part.kind == ContentPart::Kind::kImage) {
        return user_error(template_where(conversation), "a message holds an image_url",
                          "text only: images are not supported yet");
      }
      MLC_ASSIGN_OR_RETURN(const std::string body,
                           in_role_template(conversation, message.role, part.text));
      text += body;
    }
  }
  return text +
         (message.role == "assistant" ? conversation.seps.back() : conversation.seps.front());
}

Result<std::string> render_chat_template(const Conversation& conversation,
                                         const PromptInput& input) {
  if (input.function_string && !input.function_string->empty()) {
    return user_error("function_string", "does not go with the checkpoint's own chat template",
                      "tools among the template's arguments");
  }
  Json messages = Json::array();
  const auto add = [&](const std::string& role, Json content, const Json& extra) {
    Json message = Json::Object{{"role", role}, {"content", std::move(content)}};
    for (const auto& [key, value] : extra.as_object()) message.set(key, value);
    messages.push_back(std::move(message));
  };
  if (input.system_message) add("system", *input.system_message, Json::object());
  for (const std::vector<Message>* part : {&conversation.messages, &input.messages}) {
    for (const Message& message : *part) {
      if (const auto* parts = std::get_if<std::vector<ContentPart>>(&message.content)) {
        for (const ContentPart& content : *parts) {
          if (content.kind != ContentPart::Kind::kImage) continue;
          return user_error("chat template", "a message holds an image_url",
                            "text only: images are not supported yet");
        }
      }
      if (!std::holds_alternative<std::monostate>(message.content)) {
        add(message.role, content_to_json(message.content), message.extra);
      }
    }
  }
  return conversation.chat_template->prompt(std::move(messages), input.template_arguments,
                                            ChatTemplate::Ending::kAnswerBegins);
}

}  // namespace

bool Conversation::takes_functions() const {
  if (chat_template) return false;
  const auto has = [](const std::string& text) {
    return text.find(kFunctionString) != std::string::npos;
  };
  return has(system_template) || std::any_of(role_templates.begin(), role_templates.end(),
                                             [&](const auto& entry) { return has(entry.second); });
}

Result<std::string> render_prompt(const Conversation& conversation, const PromptInput& input) {
  if (conversation.chat_template) return render_chat_template(conversation, input);
  if (!input.template_arguments.as_object().empty()) {
    return user_error("template_arguments", "are given, and the conversation template takes none",
                      "a config with the checkpoint's own chat template",
                      "make it with gen_config without --conv-template");
  }
  std::string prompt = replace_all(conversation.system_template, "{system_message}",
                                   input.system_message.value_or(conversation.system_message));
  const bool has_system = !prompt.empty();
  std::vector<Message> messages = conversation.messages;
  messages.insert(messages.end(), input.messages.begin(), input.messages.end());
  messages.push_back({"assistant", {}});
  if (conversation.strip_reasoning_in_history) strip_reasoning(messages);
  for (size_t i = 0; i < messages.size(); ++i) {
    MLC_ASSIGN_OR_RETURN(const std::string text,
                         render_message(conversation, messages[i], has_system && i == 0));
    prompt += text;
  }
  return with_functions(std::move(prompt),
                        input.function_string.value_or(conversation.function_string));
}

}  // namespace mlc::formats
