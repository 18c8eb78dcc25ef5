// SPDX-License-Identifier: Apache-2.0
#include "engine/tool_calls.h"

#include <algorithm>
#include <optional>
#include <random>

#include "engine/request.h"
#include "support/check.h"
#include "support/json_cursor.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

constexpr std::string_view kHermesBegin = "<tool_call>";
constexpr std::string_view kHermesEnd = "</tool_call>";
constexpr std::string_view kMistralBegin = "[TOOL_CALLS]";
constexpr std::string_view kLlamaBegin = "<|python_tag|>";

std::string_view without_blanks(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

const char* arguments_key(ToolFormat format) {
  return format == ToolFormat::kLlama ? "parameters" : "arguments";
}

std::string new_id() {
  constexpr std::string_view kDigits =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::random_device random;
  std::string id;
  for (int i = 0; i < 9; ++i) id += kDigits[random() % kDigits.size()];
  return id;
}

// Appends the call that an object is; false if it is none.
bool add_call(const Json& object, const ToolOptions& options, std::vector<ToolCall>& calls) {
  if (!object.is_object()) return false;
  const Json* name = object.find("name");
  const Json* arguments = object.find(arguments_key(options.format));
  if (name == nullptr || !name->is_string() || arguments == nullptr || !arguments->is_object())
    return false;
  const bool known = std::find(options.names.begin(), options.names.end(), name->as_string()) !=
                     options.names.end();
  if (!known) return false;
  calls.push_back({new_id(), name->as_string(), arguments->dump(-1, /*ensure_ascii=*/false)});
  return true;
}

// Takes the JSON value that the text begins with; nothing where there is none.
std::optional<Json> take_value(std::string_view& text) {
  text = without_blanks(text);
  JsonCursor cursor(text, "call");
  const std::string_view value = cursor.skip();
  if (cursor.failed() || value.empty()) return {};
  Result<Json> parsed = parse_json(value, "call");
  if (!parsed.ok()) return {};
  text = without_blanks(text.substr(cursor.offset()));
  return std::move(parsed).value();
}

ToolAnswer parse_hermes(std::string_view text, const ToolOptions& options) {
  ToolAnswer answer;
  std::string content;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = std::min(text.find(kHermesBegin, at), text.size());
    content += text.substr(at, begin - at);
    if (begin == text.size()) break;
    std::string_view rest = text.substr(begin + kHermesBegin.size());
    const std::optional<Json> value = take_value(rest);
    if (value && rest.starts_with(kHermesEnd) && add_call(*value, options, answer.calls)) {
      at = static_cast<size_t>(rest.data() - text.data()) + kHermesEnd.size();
    } else {
      content += kHermesBegin;
      at = begin + kHermesBegin.size();
    }
  }
  answer.content = answer.calls.empty() ? content : std::string(without_blanks(content));
  return answer;
}

// Objects one after the other, which are the whole text.
ToolAnswer parse_llama(std::string_view text, const ToolOptions& options) {
  ToolAnswer answer;
  std::string_view rest = without_blanks(text);
  if (rest.starts_with(kLlamaBegin)) rest.remove_prefix(kLlamaBegin.size());
  do {
    const std::optional<Json> value = take_value(rest);
    if (!value || !add_call(*value, options, answer.calls)) return {std::string(text), {}};
    if (rest.starts_with(';')) rest.remove_prefix(1);
  } while (!rest.empty());
  return answer;
}

// A list, with the marker where the tokenizer shows it; a text may stand before the marker.
ToolAnswer parse_mistral(std::string_view text, const ToolOptions& options) {
  const ToolAnswer plain = {std::string(text), {}};
  const size_t marker = text.find(kMistralBegin);
  std::string_view rest =
      marker == std::string_view::npos ? text : text.substr(marker + kMistralBegin.size());
  const std::optional<Json> list = take_value(rest);
  if (!list || !list->is_array() || list->as_array().empty() || !rest.empty()) return plain;
  ToolAnswer answer;
  if (marker != std::string_view::npos) answer.content = without_blanks(text.substr(0, marker));
  for (const Json& item : list->as_array()) {
    if (!add_call(item, options, answer.calls)) return plain;
  }
  return answer;
}

// References to places of a schema that now stands at `base` of another document.
void move_references(Json& schema, const std::string& base) {
  if (schema.is_array()) {
    Json moved = Json::array();
    for (Json item : schema.as_array()) {
      move_references(item, base);
      moved.push_back(std::move(item));
    }
    schema = std::move(moved);
  }
  if (!schema.is_object()) return;
  Json moved = Json::object();
  for (const auto& [key, value] : schema.as_object()) {
    Json member = value;
    const bool is_data = key == "const" || key == "enum" || key == "default" || key == "examples";
    if (key == "$ref" && value.is_string() && value.as_string().starts_with('#')) {
      member = base + value.as_string().substr(1);
    } else if (!is_data) {
      move_references(member, base);
    }
    moved.set(key, std::move(member));
  }
  schema = std::move(moved);
}

}  // namespace

ToolFormat tool_format(const formats::ChatTemplate& chat_template) {
  const std::string_view text = chat_template.text_with_tools();
  const auto has = [&](std::string_view word) { return text.find(word) != std::string_view::npos; };
  // Others use the same markers around XML.
  if (has(kHermesBegin) && !has("<arg_key>") && !has("<function=")) return ToolFormat::kHermes;
  if (has(kMistralBegin) && !has("[ARGS]")) return ToolFormat::kMistral;
  if (has("{\"name\": function name, \"parameters\":")) return ToolFormat::kLlama;
  return ToolFormat::kNone;
}

ToolAnswer parse_tool_calls(std::string_view text, const ToolOptions& options) {
  switch (options.format) {
    case ToolFormat::kNone:
      break;
    case ToolFormat::kHermes:
      return parse_hermes(text, options);
    case ToolFormat::kLlama:
      return parse_llama(text, options);
    case ToolFormat::kMistral:
      return parse_mistral(text, options);
  }
  return {std::string(text), {}};
}

ResponseFormat call_form(ToolFormat format, const std::vector<Json>& functions) {
  MLC_CHECK(format != ToolFormat::kNone) << "a form of no format";
  const char* key = arguments_key(format);
  Json::Array calls;
  for (const Json& function : functions) {
    const Json* given = function.find("parameters");
    Json parameters =
        given != nullptr && !given->is_null() ? *given : Json(Json::Object{{"type", "object"}});
    move_references(parameters, cat("#/anyOf/", calls.size(), "/properties/", key));
    calls.emplace_back(Json::Object{
        {"type", "object"},
        {"properties", Json::Object{{"name", Json::Object{{"const", *function.find("name")}}},
                                    {key, std::move(parameters)}}},
        {"required", Json::Array{"name", key}},
        {"additionalProperties", false}});
  }
  ResponseFormat form{ResponseFormat::Kind::kJsonSchema,
                      Json(Json::Object{{"anyOf", std::move(calls)}}).dump()};
  if (format == ToolFormat::kHermes) {
    form.before = cat(kHermesBegin, "\n");
    form.after = cat("\n", kHermesEnd);
  } else if (format == ToolFormat::kMistral) {
    form.before = "[";
    form.after = "]";
  }
  return form;
}

void ToolCallCollector::begin(int64_t request, int64_t answers, ToolOptions options) {
  held_[request] = {std::move(options), answers, {}};
}

void ToolCallCollector::apply(std::vector<Output>& outputs) {
  for (Output& output : outputs) {
    const auto found = held_.find(output.request);
    if (found == held_.end()) continue;
    Held& held = found->second;
    std::string& text = held.texts[output.index];
    text += output.text;
    output.text.clear();
    if (!output.finish) continue;
    ToolAnswer answer = parse_tool_calls(text, held.options);
    output.text = std::move(answer.content);
    output.tool_calls = std::move(answer.calls);
    if (!output.tool_calls.empty() && output.finish == FinishReason::kStop)
      output.finish = FinishReason::kToolCalls;
    if (--held.open == 0) held_.erase(found);
  }
}

}  // namespace mlc::engine
