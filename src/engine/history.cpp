// SPDX-License-Identifier: Apache-2.0
#include "engine/history.h"

#include <algorithm>
#include <variant>

#include "support/strings.h"

namespace mlc::engine {

formats::PromptInput History::with(const std::string& message) const {
  formats::PromptInput input;
  input.system_message = system_;
  input.messages = messages_;
  input.messages.push_back({"user", message});
  return input;
}

void History::add_turn(const std::string& message, const std::string& answer) {
  messages_.push_back({"user", message});
  messages_.push_back({"assistant", answer});
}

void History::drop_older_half() {
  const size_t pairs = (messages_.size() + 3) / 4;
  messages_.erase(messages_.begin(),
                  messages_.begin() + static_cast<int64_t>(std::min(2 * pairs, messages_.size())));
}

Json History::to_json() const {
  Json list = Json::array();
  const auto add = [&](const std::string& role, Json content) {
    list.push_back(Json::Object{{"role", role}, {"content", std::move(content)}});
  };
  if (system_) add("system", *system_);
  for (const formats::Message& message : messages_)
    add(message.role, formats::content_to_json(message.content));
  return list;
}

Result<History> History::from_json(const Json& json, const std::string& where) {
  const Json* const list = json.is_object() ? json.find("messages") : &json;
  if (list == nullptr || !list->is_array()) {
    return user_error(where,
                      cat("is ", json.kind_name(), json.is_object() ? " without messages" : ""),
                      "a list of messages with role and content, as /save writes it");
  }
  History history;
  const Json::Array& messages = list->as_array();
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string at = cat(where, ": message ", i);
    MLC_ASSIGN_OR_RETURN(const std::string role, json_string(messages[i], "role", at));
    MLC_ASSIGN_OR_RETURN(std::string content, json_string(messages[i], "content", at));
    if (i == 0 && role == "system") {
      history.system_ = std::move(content);
      continue;
    }
    const char* const expected = history.messages_.size() % 2 == 0 ? "user" : "assistant";
    if (role != expected) return user_error(at, cat("has the role ", role), expected);
    history.messages_.push_back({role, std::move(content)});
  }
  if (history.messages_.size() % 2 != 0) {
    return user_error(where, "ends with a message of the user", "an answer to each",
                      "leave out the last message, and type it");
  }
  return history;
}

}  // namespace mlc::engine
