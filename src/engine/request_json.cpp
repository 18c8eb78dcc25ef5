// SPDX-License-Identifier: Apache-2.0
#include "engine/request_json.h"

#include <algorithm>
#include <random>

#include "engine/prompt.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

const std::vector<std::string> kKeys = {"messages",
                                        "prompt",
                                        "max_tokens",
                                        "max_completion_tokens",
                                        "temperature",
                                        "top_p",
                                        "top_k",
                                        "min_p",
                                        "repetition_penalty",
                                        "presence_penalty",
                                        "frequency_penalty",
                                        "logit_bias",
                                        "seed",
                                        "stop",
                                        "stop_token_ids",
                                        "ignore_eos",
                                        "tools",
                                        "tool_choice",
                                        "chat_template_kwargs",
                                        "n",
                                        "logprobs",
                                        "top_logprobs",
                                        "response_format"};

// The member, or nothing where it is absent or null.
const Json* given(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

Error wrong_kind(std::string where, const Json& found, std::string expected) {
  return user_error(std::move(where), cat("is ", found.kind_name()), std::move(expected));
}

Result<void> read_number(const Json& object, std::string_view key, double& out) {
  const Json* value = given(object, key);
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_kind(std::string(key), *value, "a number");
  out = value->as_double();
  return {};
}

Result<void> read_integer(const Json& object, std::string_view key, int64_t& out) {
  const Json* value = given(object, key);
  if (value == nullptr) return {};
  if (!value->is_int()) return wrong_kind(std::string(key), *value, "an integer");
  out = value->as_int();
  return {};
}

Result<void> read_bool(const Json& object, std::string_view key, bool& out) {
  const Json* value = given(object, key);
  if (value == nullptr) return {};
  if (!value->is_bool()) return wrong_kind(std::string(key), *value, "true or false");
  out = value->as_bool();
  return {};
}

Result<std::vector<int32_t>> token_ids(const Json& list, std::string_view key) {
  std::vector<int32_t> ids;
  for (const Json& item : list.as_array()) {
    if (!item.is_int() || item.as_int() < 0 || item.as_int() > INT32_MAX) {
      return user_error(std::string(key), "holds something that is no token id",
                        "a list of token ids");
    }
    ids.push_back(static_cast<int32_t>(item.as_int()));
  }
  return ids;
}

Result<void> check_members(const Json& object, const std::string& where,
                           const std::vector<std::string>& known) {
  if (!object.is_object()) return wrong_kind(where, object, "an object");
  for (const auto& [key, value] : object.as_object()) {
    if (std::find(known.begin(), known.end(), key) == known.end())
      return unknown_name_error(ErrorKind::kUser, where, "member", key, known);
  }
  return {};
}

// A JSON schema: an object, or its text.
Result<ResponseFormat> schema_format(const Json& schema, const std::string& where) {
  if (schema.is_object()) return ResponseFormat{ResponseFormat::Kind::kJsonSchema, schema.dump()};
  if (!schema.is_string())
    return wrong_kind(where, schema, "a JSON schema: an object, or its text");
  return ResponseFormat{ResponseFormat::Kind::kJsonSchema, schema.as_string()};
}

// OpenAI's {"name", "description", "schema", "strict"}. Whatever `strict` says, what is generated
// is valid for the schema; names and descriptions are not shown to the model, as in OpenAI's own.
Result<ResponseFormat> json_schema_format(const Json& format) {
  const std::string where = "response_format: json_schema";
  const Json* object = given(format, "json_schema");
  if (object == nullptr) {
    return user_error("response_format", "has no json_schema",
                      "an object with the schema: {\"schema\": {...}}");
  }
  MLC_RETURN_IF_ERROR(check_members(*object, where, {"name", "description", "schema", "strict"}));
  for (const char* key : {"name", "description"}) {
    const Json* text = given(*object, key);
    if (text != nullptr && !text->is_string())
      return wrong_kind(cat(where, ": ", key), *text, "a text");
  }
  const Json* strict = given(*object, "strict");
  if (strict != nullptr && !strict->is_bool())
    return wrong_kind(where + ": strict", *strict, "true or false");
  const Json* schema = given(*object, "schema");
  if (schema == nullptr) return user_error(where, "has no schema", "a JSON schema");
  return schema_format(*schema, where + ": schema");
}

// {"type": "text"}; {"type": "json_object"}, with MLC LLM's "schema"; OpenAI's {"type":
// "json_schema", "json_schema": {...}}; {"type": "regex", "regex": "..."}; web-llm's {"type":
// "grammar", "grammar": "..."}. What the sources say is read by Engine::add().
Result<ResponseFormat> read_response_format(const Json& object) {
  const Json* format = given(object, "response_format");
  if (format == nullptr) return ResponseFormat{};
  const std::string where = "response_format";
  if (!format->is_object()) return wrong_kind(where, *format, "an object with a type");
  using Kind = ResponseFormat::Kind;
  struct Type {
    Kind kind;
    const char* source;  // the member beside the type, or none
  };
  static const std::vector<std::pair<std::string, Type>> types = {
      {"text", {Kind::kText, nullptr}},
      {"json_object", {Kind::kJsonObject, "schema"}},
      {"json_schema", {Kind::kJsonSchema, "json_schema"}},
      {"regex", {Kind::kRegex, "regex"}},
      {"grammar", {Kind::kEbnf, "grammar"}}};
  std::vector<std::string> names;
  for (const auto& [name, type] : types) names.push_back(name);
  MLC_ASSIGN_OR_RETURN(const std::string name, json_string(*format, "type", where));
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return unknown_name_error(ErrorKind::kUser, where, "type", name, names);
  const auto [kind, member] = types[static_cast<size_t>(found - names.begin())].second;
  std::vector<std::string> known = {"type"};
  if (member != nullptr) known.emplace_back(member);
  MLC_RETURN_IF_ERROR(check_members(*format, where, known));
  if (kind == Kind::kText) return ResponseFormat{};
  if (kind == Kind::kJsonSchema) return json_schema_format(*format);
  const Json* source = given(*format, member);
  if (kind == Kind::kJsonObject) {
    if (source == nullptr) return ResponseFormat{kind};
    return schema_format(*source, "response_format: schema");
  }
  MLC_ASSIGN_OR_RETURN(std::string text, json_string(*format, member, where));
  return ResponseFormat{kind, std::move(text)};
}

// Of chats: `logprobs` is true or false, and `top_logprobs` a number. OpenAI's completions have
// the number itself as `logprobs`; a prompt may be given with either.
Result<void> read_logprobs(const Json& object, Request& request) {
  const Json* logprobs = given(object, "logprobs");
  const bool prompt = given(object, "prompt") != nullptr;
  if (logprobs == nullptr || !logprobs->is_int() || !prompt) {
    if (logprobs != nullptr && !logprobs->is_bool()) {
      return wrong_kind("logprobs", *logprobs,
                        prompt ? "true, false or an integer" : "true or false");
    }
    MLC_RETURN_IF_ERROR(read_bool(object, "logprobs", request.logprobs));
    return read_integer(object, "top_logprobs", request.top_logprobs);
  }
  if (logprobs->as_int() < 0 || logprobs->as_int() > kMostTopLogprobs) {
    return user_error("logprobs", cat("is ", logprobs->as_int()),
                      cat("true, false or a number from 0 to ", kMostTopLogprobs));
  }
  if (given(object, "top_logprobs") != nullptr) {
    return user_error("top_logprobs", cat("is beside logprobs ", logprobs->as_int()),
                      "logprobs to be true, or no top_logprobs");
  }
  request.logprobs = true;
  request.top_logprobs = logprobs->as_int();
  return {};
}

Result<void> read_sampling(const Json& object, SamplingOptions& sampling) {
  MLC_RETURN_IF_ERROR(read_number(object, "temperature", sampling.temperature));
  MLC_RETURN_IF_ERROR(read_number(object, "top_p", sampling.top_p));
  MLC_RETURN_IF_ERROR(read_integer(object, "top_k", sampling.top_k));
  MLC_RETURN_IF_ERROR(read_number(object, "min_p", sampling.min_p));
  MLC_RETURN_IF_ERROR(read_number(object, "repetition_penalty", sampling.repetition_penalty));
  MLC_RETURN_IF_ERROR(read_number(object, "presence_penalty", sampling.presence_penalty));
  MLC_RETURN_IF_ERROR(read_number(object, "frequency_penalty", sampling.frequency_penalty));
  if (const Json* bias = given(object, "logit_bias")) {
    constexpr const char* kExpected = "an object of token ids and numbers";
    if (!bias->is_object()) return wrong_kind("logit_bias", *bias, kExpected);
    for (const auto& [key, value] : bias->as_object()) {
      const auto id = parse_int64(key);
      if (!id || *id < 0 || *id > INT32_MAX || !value.is_number())
        return user_error("logit_bias", cat("has the member ", key), kExpected);
      sampling.logit_bias.emplace_back(static_cast<int32_t>(*id), value.as_double());
    }
  }
  int64_t seed = 0;
  if (given(object, "seed") != nullptr) {
    MLC_RETURN_IF_ERROR(read_integer(object, "seed", seed));
  } else {
    std::random_device random;
    seed = static_cast<int64_t>(uint64_t{random()} << 32 | random());
  }
  sampling.seed = static_cast<uint64_t>(seed);
  return {};
}

Result<void> read_stops(const Json& object, const formats::Conversation& conversation,
                        Request& request) {
  bool ignore_eos = false;
  MLC_RETURN_IF_ERROR(read_bool(object, "ignore_eos", ignore_eos));
  if (!ignore_eos) {
    StopLists stops = stop_lists(conversation);
    request.stop_strings = std::move(stops.strings);
    request.stop_token_ids = std::move(stops.token_ids);
  }
  if (const Json* stop = given(object, "stop")) {
    const Json::Array texts = stop->is_array() ? stop->as_array() : Json::Array{*stop};
    for (const Json& text : texts) {
      if (!text.is_string()) return wrong_kind("stop", text, "a text or a list of texts");
      request.stop_strings.push_back(text.as_string());
    }
  }
  if (const Json* ids = given(object, "stop_token_ids")) {
    if (!ids->is_array()) return wrong_kind("stop_token_ids", *ids, "a list of token ids");
    MLC_ASSIGN_OR_RETURN(const std::vector<int32_t> more, token_ids(*ids, "stop_token_ids"));
    request.stop_token_ids.insert(request.stop_token_ids.end(), more.begin(), more.end());
  }
  return {};
}

// OpenAI's calls, whose arguments are a JSON text, as templates take them: an object.
Result<Json> read_tool_calls(const Json& list, const std::string& where) {
  constexpr const char* kForm =
      "{\"id\": …, \"type\": \"function\", \"function\": {\"name\": …, \"arguments\": …}}";
  if (!list.is_array()) return wrong_kind(where, list, "a list of calls");
  Json calls = Json::array();
  for (const Json& item : list.as_array()) {
    const Json* function = item.is_object() ? given(item, "function") : nullptr;
    const Json* name =
        function != nullptr && function->is_object() ? given(*function, "name") : nullptr;
    const Json* arguments = name != nullptr ? given(*function, "arguments") : nullptr;
    if (name == nullptr || !name->is_string())
      return user_error(where, "holds something that is no call", kForm);
    Json parsed = Json::object();
    if (arguments != nullptr) {
      parsed = *arguments;
      if (arguments->is_string()) {
        MLC_ASSIGN_OR_RETURN(parsed, parse_json(arguments->as_string(), cat(where, ": arguments")));
      }
      if (!parsed.is_object())
        return wrong_kind(cat(where, ": arguments"), parsed, "an object, or its JSON text");
    }
    Json call = item;
    call.set("function", Json::Object{{"name", *name}, {"arguments", std::move(parsed)}});
    calls.push_back(std::move(call));
  }
  return calls;
}

// A message of the list, but for a system message.
Result<formats::Message> message_from_object(const Json& object, const std::string& where) {
  formats::Message message;
  MLC_ASSIGN_OR_RETURN(message.role, json_string(object, "role", where));
  for (const auto& [key, value] : object.as_object()) {
    if (key == "role" || key == "content" || value.is_null()) continue;
    if (key == "tool_calls" && value.is_array() && value.as_array().empty()) continue;
    if (key == "tool_calls" && message.role == "assistant") {
      MLC_ASSIGN_OR_RETURN(Json calls, read_tool_calls(value, cat(where, ": tool_calls")));
      message.extra.set(key, std::move(calls));
    } else if ((key == "tool_call_id" || key == "name") && message.role == "tool") {
      if (!value.is_string()) return wrong_kind(cat(where, ": ", key), value, "a text");
      message.extra.set(key, value);
    } else {
      return user_error(where, cat("of the role ", message.role, " has the member ", key),
                        "role and content; tool_calls of an assistant; tool_call_id and name of a "
                        "tool");
    }
  }
  const Json* content = given(object, "content");
  if (content == nullptr && message.extra.contains("tool_calls")) {
    message.content = std::string();  // as templates expect a text
    return message;
  }
  if (content == nullptr) return user_error(where, "has no content", "a text");
  MLC_ASSIGN_OR_RETURN(message.content, formats::content_from_json(*content, where + ": content"));
  if (message.role != "user" && !std::holds_alternative<std::string>(message.content)) {
    return user_error(where + ": content", cat("of the role ", message.role, " is a list"),
                      "a text: only messages of the user may have parts");
  }
  return message;
}

Result<formats::PromptInput> read_messages(const Json& messages) {
  if (!messages.is_array()) return wrong_kind("messages", messages, "a list of messages");
  if (messages.as_array().empty())
    return user_error("messages", "is an empty list", "at least one message");
  formats::PromptInput input;
  for (size_t i = 0; i < messages.as_array().size(); ++i) {
    const Json& item = messages.as_array()[i];
    const std::string where = cat("messages[", i, "]");
    if (!item.is_object()) return wrong_kind(where, item, "an object with role and content");
    MLC_ASSIGN_OR_RETURN(formats::Message message, message_from_object(item, where));
    if (message.role != "system") {
      input.messages.push_back(std::move(message));
      continue;
    }
    if (i > 0) {
      return user_error(where, "is of the role system", "a system message at the beginning only");
    }
    input.system_message = *std::get_if<std::string>(&message.content);
  }
  return input;
}

// The object that names and describes a tool: `function` of OpenAI's, or the tool itself.
const Json& function_of(const Json& tool) {
  const Json* function = tool.find("function");
  return function != nullptr && function->is_object() ? *function : tool;
}

// Which calls an answer may have.
struct ToolChoice {
  enum class Kind { kNone, kAuto, kRequired };
  Kind kind = Kind::kAuto;
  std::string name;  // of kRequired: only that tool; empty: any
};

Result<ToolChoice> read_tool_choice(const Json& object) {
  using Kind = ToolChoice::Kind;
  const Json* choice = given(object, "tool_choice");
  if (choice == nullptr || *choice == Json("auto")) return ToolChoice{};
  if (*choice == Json("none")) return ToolChoice{Kind::kNone, ""};
  if (*choice == Json("required")) return ToolChoice{Kind::kRequired, ""};
  const Json* name = choice->is_object() ? function_of(*choice).find("name") : nullptr;
  if (name == nullptr || !name->is_string()) {
    return user_error("tool_choice", cat("is ", choice->dump()),
                      "\"none\", \"auto\", \"required\" or {\"type\": \"function\", \"function\": "
                      "{\"name\": …}}");
  }
  return ToolChoice{Kind::kRequired, name->as_string()};
}

// The tools of the list that may be called.
Result<Json::Array> chosen_tools(const Json& tools, const ToolChoice& choice) {
  if (!tools.is_array()) return wrong_kind("tools", tools, "a list of tools");
  Json::Array chosen;
  std::vector<std::string> names;
  for (const Json& tool : tools.as_array()) {
    const Json* name = tool.is_object() ? function_of(tool).find("name") : nullptr;
    if (name == nullptr || !name->is_string()) {
      return user_error("tools", "hold something without a name",
                        "{\"type\": \"function\", \"function\": {\"name\": …, \"parameters\": …}}");
    }
    names.push_back(name->as_string());
    if (choice.name.empty() || choice.name == name->as_string()) chosen.push_back(tool);
  }
  if (chosen.empty() && !choice.name.empty()) {
    return unknown_name_error(ErrorKind::kUser, "tool_choice", "tool", choice.name, names);
  }
  return chosen;
}

// The text for a conversation template's place for functions: a list, or the one that was chosen
// (spec: chat_config.md section 4.3).
std::string function_text(const Json::Array& tools, const ToolChoice& choice) {
  Json list = Json::array();
  for (const Json& tool : tools) {
    Json function = Json::object();
    for (const char* key : {"description", "name", "parameters"}) {
      if (const Json* value = function_of(tool).find(key)) function.set(key, *value);
    }
    list.push_back(std::move(function));
  }
  return choice.name.empty() ? list.dump() : list.as_array()[0].dump();
}

// Reads tools and what else goes to the checkpoint's own chat template beside the messages.
Result<void> read_tools(const Json& object, const formats::Conversation& conversation,
                        formats::PromptInput& input, Request& request) {
  if (const Json* kwargs = given(object, "chat_template_kwargs")) {
    if (!kwargs->is_object()) return wrong_kind("chat_template_kwargs", *kwargs, "an object");
    input.template_arguments = *kwargs;
  }
  MLC_ASSIGN_OR_RETURN(const ToolChoice choice, read_tool_choice(object));
  const bool forced = choice.kind == ToolChoice::Kind::kRequired;
  const Json* tools = given(object, "tools");
  const bool none = tools == nullptr || (tools->is_array() && tools->as_array().empty());
  if (none && forced)
    return user_error("tool_choice", "asks for a call, and there are no tools", "tools");
  if (tools == nullptr || choice.kind == ToolChoice::Kind::kNone) return {};
  MLC_ASSIGN_OR_RETURN(const Json::Array chosen, chosen_tools(*tools, choice));
  if (conversation.chat_template) {
    request.tools.format = tool_format(*conversation.chat_template);
    input.template_arguments.set("tools", chosen);
  } else if (conversation.takes_functions()) {
    input.function_string = function_text(chosen, choice);
  } else {
    return user_error("tools", "have no place in the conversation template",
                      "a config with the checkpoint's own chat template",
                      "make it with gen_config without --conv-template");
  }
  std::vector<Json> functions;
  for (const Json& tool : chosen) {
    functions.push_back(function_of(tool));
    request.tools.names.push_back(functions.back().find("name")->as_string());
  }
  if (!forced) return {};
  if (request.tools.format == ToolFormat::kNone) {
    return user_error("tool_choice", "asks for a call, and the template's form of one is not known",
                      "\"auto\" or \"none\"",
                      "known are those of Hermes and Qwen, Llama 3 and Mistral");
  }
  if (request.response_format.kind != ResponseFormat::Kind::kText)
    return user_error("response_format", "does not go with a call that is asked for", "text");
  request.response_format = call_form(request.tools.format, functions);
  return {};
}

Result<std::vector<int32_t>> read_prompt(const Json& object,
                                         const formats::Conversation& conversation,
                                         const tokenizers::Tokenizer& tokenizer, Request& request) {
  const Json* messages = given(object, "messages");
  const Json* prompt = given(object, "prompt");
  if ((messages == nullptr) == (prompt == nullptr)) {
    return user_error(
        "request",
        messages == nullptr ? "has neither messages nor a prompt" : "has messages and a prompt",
        "one of them");
  }
  if (messages != nullptr) {
    MLC_ASSIGN_OR_RETURN(formats::PromptInput input, read_messages(*messages));
    MLC_RETURN_IF_ERROR(read_tools(object, conversation, input, request));
    return prompt_ids(conversation, tokenizer, input);
  }
  for (const char* key : {"tools", "tool_choice", "chat_template_kwargs"}) {
    if (given(object, key) != nullptr)
      return user_error(key, "does not go with a prompt", "messages");
  }
  if (prompt->is_string()) return tokenizer.encode(prompt->as_string());
  if (!prompt->is_array()) return wrong_kind("prompt", *prompt, "a text or a list of token ids");
  return token_ids(*prompt, "prompt");
}

}  // namespace

SamplingOptions default_sampling(const formats::ChatConfig& config) {
  SamplingOptions sampling;
  const auto take = [](const Json& value, double& field) {
    if (value.is_number()) field = value.as_double();
  };
  take(config.temperature, sampling.temperature);
  take(config.top_p, sampling.top_p);
  take(config.repetition_penalty, sampling.repetition_penalty);
  take(config.presence_penalty, sampling.presence_penalty);
  take(config.frequency_penalty, sampling.frequency_penalty);
  return sampling;
}

Result<Request> request_from_json(const Json& object, const formats::ChatConfig& config,
                                  const tokenizers::Tokenizer& tokenizer) {
  MLC_RETURN_IF_ERROR(check_members(object, "request", kKeys));
  Request request;
  request.sampling = default_sampling(config);
  MLC_RETURN_IF_ERROR(read_sampling(object, request.sampling));
  MLC_RETURN_IF_ERROR(read_integer(object, "max_completion_tokens", request.max_tokens));
  MLC_RETURN_IF_ERROR(read_integer(object, "max_tokens", request.max_tokens));
  MLC_RETURN_IF_ERROR(read_integer(object, "n", request.n));
  MLC_RETURN_IF_ERROR(read_logprobs(object, request));
  MLC_ASSIGN_OR_RETURN(request.response_format, read_response_format(object));
  MLC_RETURN_IF_ERROR(read_stops(object, config.conv_template, request));
  MLC_ASSIGN_OR_RETURN(request.prompt,
                       read_prompt(object, config.conv_template, tokenizer, request));
  return request;
}

}  // namespace mlc::engine
