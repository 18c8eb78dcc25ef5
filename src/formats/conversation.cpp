// SPDX-License-Identifier: Apache-2.0
// Conversation from and to JSON, and the built-in templates.
#include "formats/conversation.h"

#include <algorithm>

#include "formats/embedded.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

Error wrong_kind(std::string_view where, const Json& value, std::string expected) {
  return user_error(std::string(where), cat("is ", value.kind_name()), std::move(expected));
}

// The readers leave `out` as it is where the key is absent.
Result<void> read(const Json& object, std::string_view key, std::string_view where,
                  std::string& out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (!value->is_string()) return wrong_kind(cat(where, ".", key), *value, "a string");
  out = value->as_string();
  return {};
}

Result<void> read(const Json& object, std::string_view key, std::string_view where, bool& out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (!value->is_bool()) return wrong_kind(cat(where, ".", key), *value, "true or false");
  out = value->as_bool();
  return {};
}

Result<void> read(const Json& object, std::string_view key, std::string_view where,
                  std::vector<std::string>& out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return wrong_kind(cat(where, ".", key), *value, "a list of strings");
  out.clear();
  for (const Json& item : value->as_array()) {
    if (!item.is_string()) return wrong_kind(cat(where, ".", key), item, "a list of strings only");
    out.push_back(item.as_string());
  }
  return {};
}

Result<void> read(const Json& object, std::string_view key, std::string_view where,
                  std::vector<int64_t>& out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (!value->is_array()) return wrong_kind(cat(where, ".", key), *value, "a list of token ids");
  out.clear();
  for (const Json& item : value->as_array()) {
    if (!item.is_int()) return wrong_kind(cat(where, ".", key), item, "a list of token ids only");
    if (item.as_int() < 0 || item.as_int() > INT32_MAX) {
      return user_error(cat(where, ".", key), cat("has the token id ", item.as_int()),
                        "ids from 0 to 2147483647");
    }
    out.push_back(item.as_int());
  }
  return {};
}

void set_text(Conversation::Texts& texts, std::string_view role, std::string text) {
  for (auto& [known, value] : texts) {
    if (known == role) {
      value = std::move(text);
      return;
    }
  }
  texts.emplace_back(role, std::move(text));
}

Result<void> read(const Json& object, std::string_view key, std::string_view where,
                  Conversation::Texts& out) {
  const Json* value = object.find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) return wrong_kind(cat(where, ".", key), *value, "an object role: text");
  for (const auto& [role, text] : value->as_object()) {
    if (!text.is_string()) return wrong_kind(cat(where, ".", key, ".", role), text, "a string");
    set_text(out, role, text.as_string());
  }
  return {};
}

Json texts_to_json(const Conversation::Texts& texts) {
  Json object = Json::object();
  for (const auto& [role, text] : texts) object.set(role, text);
  return object;
}

template <class T>
Json list_to_json(const std::vector<T>& items) {
  Json list = Json::array();
  for (const T& item : items) list.push_back(item);
  return list;
}

Result<ContentPart> part_from_json(const Json& value, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const std::string type, json_string(value, "type", where));
  if (type == "text") {
    MLC_ASSIGN_OR_RETURN(std::string text, json_string(value, "text", where));
    return ContentPart{ContentPart::Kind::kText, std::move(text)};
  }
  if (type == "image_url") {
    MLC_ASSIGN_OR_RETURN(const Json* url, json_member(value, "image_url", where));
    if (url->is_object()) {
      MLC_ASSIGN_OR_RETURN(url, json_member(*url, "url", cat(where, ".image_url")));
    }
    if (!url->is_string()) return wrong_kind(cat(where, ".image_url"), *url, "a string or {url}");
    return ContentPart{ContentPart::Kind::kImage, url->as_string()};
  }
  return unknown_name_error(ErrorKind::kUser, std::string(where), "content type", type,
                            {"text", "image_url"});
}

}  // namespace

Result<MessageContent> content_from_json(const Json& value, std::string_view where) {
  if (value.is_null()) return MessageContent();
  if (value.is_string()) return MessageContent(value.as_string());
  if (!value.is_array()) return wrong_kind(where, value, "null, a string or a list of parts");
  std::vector<ContentPart> parts;
  for (const Json& item : value.as_array()) {
    MLC_ASSIGN_OR_RETURN(ContentPart part,
                         part_from_json(item, cat(where, "[", parts.size(), "]")));
    parts.push_back(std::move(part));
  }
  return MessageContent(std::move(parts));
}

Json content_to_json(const MessageContent& content) {
  if (const auto* text = std::get_if<std::string>(&content)) return *text;
  const auto* parts = std::get_if<std::vector<ContentPart>>(&content);
  if (parts == nullptr) return nullptr;
  Json list = Json::array();
  for (const ContentPart& part : *parts) {
    const bool image = part.kind == ContentPart::Kind::kImage;
    list.push_back(Json::Object{{"type", image ? "image_url" : "text"},
                                {image ? "image_url" : "text", part.text}});
  }
  return list;
}

Result<Message> message_from_json(const Json& pair, std::string_view where) {
  if (!pair.is_array() || pair.as_array().size() != 2 || !pair.as_array()[0].is_string()) {
    return user_error(std::string(where), "is no message", "a list [role, content]");
  }
  MLC_ASSIGN_OR_RETURN(MessageContent content,
                       content_from_json(pair.as_array()[1], cat(where, "[1]")));
  return Message{pair.as_array()[0].as_string(), std::move(content)};
}

Result<Conversation> Conversation::from_json(const Json& object, std::string_view where) {
  if (!object.is_object()) return wrong_kind(where, object, "an object");
  Conversation c;
  if (const Json* value = object.find("name"); value != nullptr && !value->is_null()) {
    if (!value->is_string()) return wrong_kind(cat(where, ".name"), *value, "a string or null");
    c.name = value->as_string();
  }
  MLC_RETURN_IF_ERROR(read(object, "system_template", where, c.system_template));
  MLC_RETURN_IF_ERROR(read(object, "system_message", where, c.system_message));
  if (const Json* value = object.find("system_prefix_token_ids");
      value != nullptr && !value->is_null()) {
    MLC_RETURN_IF_ERROR(
        read(object, "system_prefix_token_ids", where, c.system_prefix_token_ids.emplace()));
  }
  MLC_RETURN_IF_ERROR(
      read(object, "add_role_after_system_message", where, c.add_role_after_system_message));
  MLC_RETURN_IF_ERROR(json_member(object, "roles", where));
  MLC_RETURN_IF_ERROR(read(object, "roles", where, c.roles));
  c.role_templates = {
      {"user", "{user_message}"}, {"assistant", "{assistant_message}"}, {"tool", "{tool_message}"}};
  MLC_RETURN_IF_ERROR(read(object, "role_templates", where, c.role_templates));
  if (const Json* value = object.find("messages"); value != nullptr) {
    if (!value->is_array()) return wrong_kind(cat(where, ".messages"), *value, "a list");
    for (const Json& item : value->as_array()) {
      MLC_ASSIGN_OR_RETURN(Message message, message_from_json(item, cat(where, ".messages[",
                                                                        c.messages.size(), "]")));
      c.messages.push_back(std::move(message));
    }
  }
  MLC_RETURN_IF_ERROR(json_member(object, "seps", where));
  MLC_RETURN_IF_ERROR(read(object, "seps", where, c.seps));
  if (c.seps.empty() || c.seps.size() > 2) {
    return user_error(cat(where, ".seps"), cat("has ", c.seps.size(), " strings"), "1 or 2");
  }
  MLC_RETURN_IF_ERROR(read(object, "role_content_sep", where, c.role_content_sep));
  MLC_RETURN_IF_ERROR(read(object, "role_empty_sep", where, c.role_empty_sep));
  MLC_RETURN_IF_ERROR(read(object, "stop_str", where, c.stop_str));
  MLC_RETURN_IF_ERROR(read(object, "stop_token_ids", where, c.stop_token_ids));
  MLC_RETURN_IF_ERROR(
      read(object, "strip_reasoning_in_history", where, c.strip_reasoning_in_history));
  MLC_RETURN_IF_ERROR(read(object, "function_string", where, c.function_string));
  MLC_RETURN_IF_ERROR(read(object, "use_function_calling", where, c.use_function_calling));
  if (const Json* value = object.find("chat_template"); value != nullptr && !value->is_null()) {
    MLC_ASSIGN_OR_RETURN(c.chat_template,
                         ChatTemplate::from_json(*value, cat(where, ".chat_template")));
  }
  return c;
}

Json Conversation::to_json() const {
  Json history = Json::array();
  for (const Message& message : messages) {
    history.push_back(Json::Array{message.role, content_to_json(message.content)});
  }
  Json object = Json::Object{
      {"name", name ? Json(*name) : Json()},
      {"system_template", system_template},
      {"system_message", system_message},
      {"system_prefix_token_ids",
       system_prefix_token_ids ? list_to_json(*system_prefix_token_ids) : Json()},
      {"add_role_after_system_message", add_role_after_system_message},
      {"roles", texts_to_json(roles)},
      {"role_templates", texts_to_json(role_templates)},
      {"messages", std::move(history)},
      {"seps", list_to_json(seps)},
      {"role_content_sep", role_content_sep},
      {"role_empty_sep", role_empty_sep},
      {"stop_str", list_to_json(stop_str)},
      {"stop_token_ids", list_to_json(stop_token_ids)},
      {"strip_reasoning_in_history", strip_reasoning_in_history},
      {"function_string", function_string},
      {"use_function_calling", use_function_calling},
  };
  if (chat_template) object.set("chat_template", chat_template->to_json());
  return object;
}

Result<PromptInput> prompt_input_from_json(const Json& object, std::string_view where) {
  PromptInput input;
  MLC_ASSIGN_OR_RETURN(const Json* messages, json_member(object, "messages", where));
  for (const auto& [key, text] : {std::pair{"system_message", &input.system_message},
                                  std::pair{"function_string", &input.function_string}}) {
    const Json* value = object.find(key);
    if (value == nullptr || value->is_null()) continue;
    MLC_RETURN_IF_ERROR(read(object, key, where, text->emplace()));
  }
  if (!messages->is_array()) {
    return wrong_kind(cat(where, ".messages"), *messages, "a list of [role, content]");
  }
  for (const Json& item : messages->as_array()) {
    MLC_ASSIGN_OR_RETURN(Message message, message_from_json(item, cat(where, ".messages[",
                                                                      input.messages.size(), "]")));
    input.messages.push_back(std::move(message));
  }
  if (const Json* value = object.find("template_arguments")) {
    if (!value->is_object()) {
      return wrong_kind(cat(where, ".template_arguments"), *value, "an object");
    }
    input.template_arguments = *value;
  }
  return input;
}

const std::vector<Conversation>& builtin_conversations() {
  static const std::vector<Conversation> all = [] {
    std::vector<Conversation> conversations;
    for (const EmbeddedFile& file : embedded_conversations()) {
      const Result<Json> json = parse_json(file.text, file.name);
      MLC_CHECK(json.ok()) << json.error().to_string();
      Result<Conversation> conversation = Conversation::from_json(*json, file.name);
      MLC_CHECK(conversation.ok()) << conversation.error().to_string();
      conversations.push_back(std::move(conversation).value());
    }
    return conversations;
  }();
  return all;
}

const Conversation* find_builtin_conversation(std::string_view name) {
  const std::vector<Conversation>& all = builtin_conversations();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Conversation& c) { return c.name == name; });
  return found == all.end() ? nullptr : &*found;
}

std::vector<std::string> builtin_conversation_names() {
  std::vector<std::string> names;
  for (const Conversation& conversation : builtin_conversations()) {
    names.push_back(conversation.name.value_or(""));
  }
  return names;
}

}  // namespace mlc::formats
