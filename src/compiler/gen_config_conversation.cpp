// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_conversation.h"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

// Texts that no template has or changes.
constexpr std::string_view kSystem = "qz1system1zq";
constexpr std::string_view kFirst = "qz2first2zq";
constexpr std::string_view kAnswer = "qz3answer3zq";
constexpr std::string_view kSecond = "qz4second4zq";

using Turns = std::vector<std::pair<std::string_view, std::string_view>>;  // role and text

using Ending = formats::ChatTemplate::Ending;

std::optional<std::string> prompt_of(const formats::ChatTemplate& chat_template, const Turns& turns,
                                     Ending ending) {
  Json messages = Json::array();
  for (const auto& [role, text] : turns) {
    messages.push_back(Json::Object{{"role", role}, {"content", text}});
  }
  Result<std::string> prompt = chat_template.prompt(std::move(messages), Json::object(), ending);
  if (!prompt.ok()) return std::nullopt;
  return std::move(prompt).value();
}

// The text before, between and after the turns' texts, each of which must stand there once.
std::optional<std::vector<std::string>> parts_around(const std::string& prompt,
                                                     const Turns& turns) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (const auto& [role, text] : turns) {
    const size_t found = prompt.find(text, begin);
    if (found == std::string::npos) return std::nullopt;
    parts.push_back(prompt.substr(begin, found - begin));
    begin = found + text.size();
  }
  parts.push_back(prompt.substr(begin));
  for (const auto& [role, text] : turns) {
    if (prompt.find(text) != prompt.rfind(text)) return std::nullopt;
  }
  return parts;
}

std::string common_end(std::string_view a, std::string_view b) {
  size_t size = 0;
  while (size < std::min(a.size(), b.size()) && a[a.size() - 1 - size] == b[b.size() - 1 - size]) {
    ++size;
  }
  return std::string(a.substr(a.size() - size));
}

std::string without_end(const std::string& text, const std::string& end) {
  return text.substr(0, text.size() - end.size());
}

const SourceFile* find(const ModelSource& source, std::string_view name) {
  for (const SourceFile& file : source.tokenizer_files) {
    if (file.name == name) return &file;
  }
  return nullptr;
}

// The id of a special token, as the tokenizer's files list it.
std::optional<int64_t> token_id(const ModelSource& source, const std::string& token) {
  if (const SourceFile* file = find(source, "tokenizer_config.json")) {
    const Json config = or_throw(parse_json(contents(*file), file->path));
    const Json* added = config.find("added_tokens_decoder");
    if (added != nullptr && added->is_object()) {
      for (const auto& [id, entry] : added->as_object()) {
        const Json* content = entry.find("content");
        if (content != nullptr && *content == Json(token)) return parse_int64(id);
      }
    }
  }
  if (const SourceFile* file = find(source, "tokenizer.json")) {
    const Json tokenizer = or_throw(parse_json(contents(*file), file->path));
    const Json* added = tokenizer.find("added_tokens");
    if (added != nullptr && added->is_array()) {
      for (const Json& entry : added->as_array()) {
        const Json* content = entry.find("content");
        const Json* id = entry.find("id");
        if (content != nullptr && *content == Json(token) && id != nullptr && id->is_int()) {
          return id->as_int();
        }
      }
    }
  }
  return std::nullopt;
}

std::vector<int64_t> stop_ids(const ModelSource& source,
                              const formats::ChatTemplate& chat_template) {
  std::vector<int64_t> ids;
  const auto add = [&](int64_t id) {
    const bool valid = id >= 0 && id <= INT32_MAX;
    if (valid && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
  };
  for (const auto& [file, config] : source.generation_configs) {
    const Json* eos = config.find("eos_token_id");
    if (eos == nullptr || eos->is_null()) continue;
    if (eos->is_int()) add(eos->as_int());
    if (eos->is_array()) {
      for (const Json& id : eos->as_array()) {
        if (id.is_int()) add(id.as_int());
      }
    }
    break;
  }
  const std::string eos = chat_template.special_token("eos_token");
  if (!eos.empty()) {
    if (const std::optional<int64_t> id = token_id(source, eos)) add(*id);
  }
  return ids;
}

}  // namespace

std::optional<formats::Conversation> fields_like(const formats::ChatTemplate& chat_template) {
  const Turns all = {
      {"system", kSystem}, {"user", kFirst}, {"assistant", kAnswer}, {"user", kSecond}};
  const Turns two = {{"user", kFirst}, {"assistant", kAnswer}, {"user", kSecond}};
  const Turns one = {{"user", kFirst}};
  const auto parts = [&](const Turns& turns,
                         Ending ending) -> std::optional<std::vector<std::string>> {
    const auto prompt = prompt_of(chat_template, turns, ending);
    return prompt ? parts_around(*prompt, turns) : std::nullopt;
  };
  const auto plain = parts(two, Ending::kAnswerBegins);
  const auto unanswered = parts(two, Ending::kNothing);
  const auto short_one = parts(one, Ending::kAnswerBegins);
  if (!plain || !unanswered || !short_one) return std::nullopt;

  // What follows a user's text up to the answer ends the turn and begins the next one.
  formats::Conversation c;
  const std::string user_end = unanswered->back();
  const std::string& answer_begin = plain->back();
  if (!answer_begin.starts_with(user_end) || !(*plain)[1].starts_with(user_end)) {
    return std::nullopt;
  }
  const std::string assistant = (*plain)[1].substr(user_end.size());
  const std::string empty_assistant = answer_begin.substr(user_end.size());
  if (!empty_assistant.starts_with(assistant)) return std::nullopt;

  // The user's role: what stands before every text of a user.
  std::string user = common_end((*plain)[2], (*short_one)[0]);
  const auto with_system = parts(all, Ending::kAnswerBegins);
  if (with_system) user = common_end(user, (*with_system)[1]);
  // Not from the middle of a special token, nor with the end of the turn before.
  const size_t token = user.find_first_of("<[");
  if (token != std::string::npos) user = user.substr(token);
  if (user.size() > user_end.size() && user.starts_with(user_end))
    user = user.substr(user_end.size());
  c.roles = {{"user", user}, {"assistant", assistant}, {"tool", user}};
  c.role_templates = {
      {"user", "{user_message}"}, {"assistant", "{assistant_message}"}, {"tool", "{tool_message}"}};
  c.seps = {user_end, without_end((*plain)[2], user)};
  c.role_empty_sep = empty_assistant.substr(assistant.size());
  const std::string start = without_end((*short_one)[0], user);  // where there is no system message
  c.system_template = start + "{system_message}";
  if (with_system) {
    const std::string before = with_system->front();
    const std::string after = without_end((*with_system)[1], user);
    c.system_template = before + "{system_message}" + after;
    const bool has_default = start.size() >= before.size() + after.size() &&
                             start.starts_with(before) && start.ends_with(after);
    if (has_default) {
      c.system_message = start.substr(before.size(), start.size() - before.size() - after.size());
    }
  }
  formats::PromptInput input;
  for (const auto& [role, text] : with_system ? all : two) {
    if (role == "system") {
      input.system_message = std::string(text);
    } else {
      input.messages.push_back({std::string(role), std::string(text)});
    }
  }
  const Result<std::string> made = formats::render_prompt(c, input);
  if (!made.ok() ||
      *made != prompt_of(chat_template, with_system ? all : two, Ending::kAnswerBegins)) {
    return std::nullopt;
  }
  return c;
}

formats::Conversation own_conversation(const ModelSource& source) {
  std::optional<formats::ChatTemplate> chat_template;
  if (!source.chat_template.empty()) {
    chat_template = or_throw(formats::ChatTemplate::load(source.chat_template));
  }
  if (!chat_template) {
    throw UserError(usage_error(
        "--conv-template", cat("is not given, and ", source.where, " has no chat template"),
        "one of " + join(formats::builtin_conversation_names(), ", "),
        "give one, or put the model's chat_template.jinja or tokenizer_config.json beside it"));
  }
  std::optional<formats::Conversation> conversation = fields_like(*chat_template);
  if (!conversation) {
    log_warning(
        "the chat template can't be written as the fields of a conversation template\n"
        "  this program does not need them; for others give --conv-template");
    conversation = *formats::find_builtin_conversation("chatml");
    conversation->stop_str.clear();
    conversation->system_message.clear();
  }
  conversation->name = "chat_template";
  conversation->stop_token_ids = stop_ids(source, *chat_template);
  conversation->chat_template = std::move(*chat_template);
  return *conversation;
}

}  // namespace mlc::compiler
