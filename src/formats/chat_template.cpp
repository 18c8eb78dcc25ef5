// SPDX-License-Identifier: Apache-2.0
#include "formats/chat_template.h"

#include <algorithm>

#include "formats/gguf.h"
#include "formats/gguf_tokenizer.h"
#include "support/file.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

using NamedTemplates = std::vector<std::pair<std::string, std::string>>;

constexpr std::string_view kDefault = "default";
constexpr std::string_view kToolUse = "tool_use";
constexpr const char* kSpecialTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                          "pad_token", "cls_token", "mask_token"};

// A text, or a list of {"name", "template"}.
Result<NamedTemplates> read_templates(const Json& value, const std::string& where) {
  NamedTemplates templates;
  if (value.is_string()) {
    templates.emplace_back(kDefault, value.as_string());
    return templates;
  }
  if (!value.is_array()) {
    return user_error(where, cat("is ", value.kind_name()),
                      "a text, or a list of {\"name\", \"template\"}");
  }
  for (const Json& item : value.as_array()) {
    if (!item.is_object()) {
      return user_error(where, cat("has ", item.kind_name(), " in its list"),
                        "objects {\"name\", \"template\"}");
    }
    MLC_ASSIGN_OR_RETURN(std::string name, json_string(item, "name", where));
    MLC_ASSIGN_OR_RETURN(std::string text, json_string(item, "template", where));
    templates.emplace_back(std::move(name), std::move(text));
  }
  return templates;
}

// A token is written as its text, or as an object with `content`.
std::optional<std::string> token_text(const Json* value) {
  if (value != nullptr && value->is_object()) value = value->find("content");
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->as_string();
}

void add_special_tokens(const Json& source, Json& tokens) {
  for (const char* name : kSpecialTokens) {
    const std::optional<std::string> text = token_text(source.find(name));
    if (text && !tokens.contains(name)) tokens.set(name, *text);
  }
  const Json* additional = source.find("additional_special_tokens");
  if (additional == nullptr || !additional->is_array() ||
      tokens.contains("additional_special_tokens")) {
    return;
  }
  Json texts = Json::array();
  for (const Json& token : additional->as_array()) {
    if (const std::optional<std::string> text = token_text(&token)) texts.push_back(*text);
  }
  tokens.set("additional_special_tokens", std::move(texts));
}

Result<Json> read_object(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(Json object, read_json_file(path));
  if (!object.is_object()) return user_error(path, cat("is ", object.kind_name()), "an object");
  return object;
}

// The files of a folder as one tokenizer_config.json.
Result<std::optional<ChatTemplate>> load_folder(const std::string& folder) {
  const auto path = [&](const char* name) { return path_join(folder, name); };
  Json config = Json::object();
  std::string where = path("tokenizer_config.json");
  if (file_exists(where)) {
    MLC_ASSIGN_OR_RETURN(config, read_object(where));
  }
  // Older models have special tokens in a file of their own.
  if (file_exists(path("special_tokens_map.json"))) {
    MLC_ASSIGN_OR_RETURN(const Json map, read_object(path("special_tokens_map.json")));
    for (const auto& [name, value] : map.as_object()) {
      if (!config.contains(name)) config.set(name, value);
    }
  }
  std::optional<std::string> jinja;
  if (file_exists(path("chat_template.jinja"))) {
    where = path("chat_template.jinja");
    MLC_ASSIGN_OR_RETURN(jinja, read_file(where));
  } else if (!config.contains("chat_template") && file_exists(path("chat_template.json"))) {
    where = path("chat_template.json");
    MLC_ASSIGN_OR_RETURN(const Json processor, read_object(where));
    if (const Json* value = processor.find("chat_template")) config.set("chat_template", *value);
  }
  return ChatTemplate::from_config(config, jinja, where);
}

Result<std::optional<ChatTemplate>> load_gguf(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::open(path));
  MLC_ASSIGN_OR_RETURN(const std::vector<NamedText> texts, gguf_tokenizer_files(file));
  for (const NamedText& text : texts) {
    if (text.name != "tokenizer_config.json") continue;
    MLC_ASSIGN_OR_RETURN(const Json config, parse_json(text.text, path));
    return ChatTemplate::from_config(config, std::nullopt, path);
  }
  return std::optional<ChatTemplate>();
}

}  // namespace

Result<std::optional<ChatTemplate>> ChatTemplate::load(const std::string& path) {
  if (path.ends_with(".gguf")) return load_gguf(path);
  if (!is_directory(path)) {
    return user_error(path, file_exists(path) ? "is no folder" : "does not exist",
                      "a folder with tokenizer_config.json, or a .gguf file");
  }
  return load_folder(path);
}

Result<std::optional<ChatTemplate>> ChatTemplate::from_config(
    const Json& config, const std::optional<std::string>& jinja, const std::string& where) {
  ChatTemplate result;
  result.where_ = jinja ? where : cat(where, ": chat_template");
  const Json* value = config.find("chat_template");
  if (jinja) {
    result.templates_.emplace_back(kDefault, *jinja);
  } else if (value == nullptr || value->is_null()) {
    return std::optional<ChatTemplate>();
  } else {
    MLC_ASSIGN_OR_RETURN(result.templates_, read_templates(*value, result.where_));
  }
  add_special_tokens(config, result.special_tokens_);
  MLC_RETURN_IF_ERROR(result.check());
  return std::optional<ChatTemplate>(std::move(result));
}

Result<ChatTemplate> ChatTemplate::from_json(const Json& object, const std::string& where) {
  if (!object.is_object()) return user_error(where, cat("is ", object.kind_name()), "an object");
  ChatTemplate result;
  result.where_ = where;
  MLC_ASSIGN_OR_RETURN(const Json* value, json_member(object, "template", where));
  MLC_ASSIGN_OR_RETURN(result.templates_, read_templates(*value, cat(where, ".template")));
  if (const Json* tokens = object.find("special_tokens")) {
    if (!tokens->is_object()) {
      return user_error(cat(where, ".special_tokens"), cat("is ", tokens->kind_name()),
                        "an object");
    }
    add_special_tokens(*tokens, result.special_tokens_);
  }
  MLC_RETURN_IF_ERROR(result.check());
  return result;
}

Json ChatTemplate::to_json() const {
  Json value;
  if (templates_.size() == 1 && templates_[0].first == kDefault) {
    value = templates_[0].second;
  } else {
    value = Json::array();
    for (const auto& [name, text] : templates_) {
      value.push_back(Json::Object{{"name", name}, {"template", text}});
    }
  }
  return Json::Object{{"template", std::move(value)}, {"special_tokens", special_tokens_}};
}

Result<void> ChatTemplate::check() const {
  MLC_RETURN_IF_ERROR(select(false));
  for (const auto& [name, text] : templates_) {
    MLC_RETURN_IF_ERROR(jinja::Template::parse(
        text, templates_.size() == 1 ? where_ : cat(where_, ": template ", name)));
  }
  return {};
}

Result<std::string_view> ChatTemplate::select(bool with_tools) const {
  std::vector<std::string> names;
  std::string_view chosen;
  bool found = false;
  for (const auto& [name, text] : templates_) {
    names.push_back(name);
    const bool best = name == kDefault || (with_tools && name == kToolUse);
    if (!best || (found && name == kDefault)) continue;
    chosen = text;
    found = true;
  }
  if (found) return chosen;
  if (with_tools || names.empty()) {
    return user_error(where_, "has no template", "a template with the name default");
  }
  return user_error(where_, cat("has templates with the names ", join(names, ", ")),
                    "one with the name default");
}

Result<std::string> ChatTemplate::render(const Json& arguments,
                                         const jinja::RenderOptions& options) const {
  if (!arguments.is_object()) {
    return user_error("conversation", cat("is ", arguments.kind_name()), "an object");
  }
  const Json* tools = arguments.find("tools");
  MLC_ASSIGN_OR_RETURN(const std::string_view text, select(tools != nullptr && !tools->is_null()));
  MLC_ASSIGN_OR_RETURN(const jinja::Template parsed, jinja::Template::parse(text, where_));
  // Templates write these two without asking whether there are any.
  Json all = Json::Object{{"bos_token", ""}, {"eos_token", ""}};
  for (const Json* part : {&special_tokens_, &arguments}) {
    for (const auto& [name, value] : part->as_object()) all.set(name, value);
  }
  return parsed.render(all, options);
}

Result<std::string> ChatTemplate::prompt(Json messages, const Json& arguments,
                                         Ending ending) const {
  Json all = Json::Object{{"messages", std::move(messages)},
                          {"add_generation_prompt", ending == Ending::kAnswerBegins}};
  for (const auto& [name, value] : arguments.as_object()) all.set(name, value);
  Json with_none = all;
  for (const char* name : {"tools", "documents"}) {
    if (!all.contains(name)) with_none.set(name, nullptr);
  }
  Result<std::string> first = render(with_none);
  if (first.ok() || with_none == all) return first;
  Result<std::string> second = render(all);
  return second.ok() ? second : first;
}

std::string_view ChatTemplate::text_with_tools() const {
  const Result<std::string_view> text = select(true);
  return text.ok() ? *text : std::string_view();
}

std::string ChatTemplate::special_token(std::string_view name) const {
  const Json* token = special_tokens_.find(name);
  return token != nullptr && token->is_string() ? token->as_string() : "";
}

}  // namespace mlc::formats
