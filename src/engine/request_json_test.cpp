// SPDX-License-Identifier: Apache-2.0
#include "engine/request_json.h"

#include <gtest/gtest.h>

#include "engine/fake_model.h"

namespace mlc::engine {
namespace {

formats::ChatConfig make_config() {
  formats::ChatConfig config;
  config.temperature = 0.5;
  config.top_p = Json(1);
  config.conv_template = *formats::find_builtin_conversation("chatml");
  config.conv_template.system_template = "{system_message}";
  config.conv_template.system_message = "";
  config.conv_template.roles = {{"user", "U:"}, {"assistant", "A:"}, {"tool", "T:"}};
  config.conv_template.role_content_sep = config.conv_template.role_empty_sep = "";
  config.conv_template.seps = {";"};
  config.conv_template.stop_str = {"END"};
  config.conv_template.stop_token_ids = {256};
  return config;
}

Result<Request> read(const std::string& text, const formats::ChatConfig& config = make_config()) {
  static const auto tokenizer = fake_tokenizer();
  return request_from_json(parse_json(text, "test").value(), config, *tokenizer);
}

std::string prompt_of(const std::string& text) {
  const Result<Request> request = read(text);
  if (!request.ok()) return request.error().to_string();
  return fake_tokenizer()->decode(request->prompt);
}

std::string error_of(const std::string& text) {
  const Result<Request> request = read(text);
  return request.ok() ? "none" : request.error().to_string();
}

TEST(RequestFromJson, MessagesBecomeThePromptOfTheTemplate) {
  EXPECT_EQ(prompt_of(R"({"messages": [{"role": "user", "content": "hi"}]})"), "U:hi;A:");
  EXPECT_EQ(prompt_of(R"({"messages": [{"role": "system", "content": "Be short."},
                                       {"role": "user", "content": [{"type": "text", "text": "a"}]},
                                       {"role": "assistant", "content": "b", "tool_calls": []},
                                       {"role": "user", "content": "c", "name": null}]})"),
            "Be short.U:a;A:b;U:c;A:");
}

TEST(RequestFromJson, APromptIsTakenAsItIs) {
  EXPECT_EQ(read(R"({"prompt": "hi<|end|>"})")->prompt, (std::vector<int32_t>{'h', 'i', 256}));
  EXPECT_EQ(read(R"({"prompt": [7, 260]})")->prompt, (std::vector<int32_t>{7, 260}));
}

TEST(RequestFromJson, WhatIsAbsentComesFromTheConfig) {
  const Request request = read(R"({"prompt": "a", "top_p": null})").value();
  EXPECT_EQ(request.sampling.temperature, 0.5);
  EXPECT_EQ(request.sampling.top_p, 1);
  EXPECT_EQ(request.max_tokens, -1);
  EXPECT_EQ(request.stop_strings, std::vector<std::string>{"END"});
  EXPECT_EQ(request.stop_token_ids, std::vector<int32_t>{256});
  EXPECT_NE(request.sampling.seed, read(R"({"prompt": "a"})")->sampling.seed);
}

TEST(RequestFromJson, EveryMemberIsHonoured) {
  const Request request = read(R"({"prompt": "a", "temperature": 0, "top_p": 0.25, "top_k": 3,
      "min_p": 0.1, "repetition_penalty": 1.5, "presence_penalty": 1, "frequency_penalty": -1,
      "logit_bias": {"5": -100, "260": 2.5}, "seed": -1, "stop": ["x", "y"],
      "stop_token_ids": [9], "max_tokens": 12, "n": 1, "logprobs": false, "top_logprobs": 0,
      "response_format": {"type": "text"}})")
                              .value();
  EXPECT_EQ(request.sampling.temperature, 0);
  EXPECT_EQ(request.sampling.top_p, 0.25);
  EXPECT_EQ(request.sampling.top_k, 3);
  EXPECT_EQ(request.sampling.min_p, 0.1);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.5);
  EXPECT_EQ(request.sampling.presence_penalty, 1);
  EXPECT_EQ(request.sampling.frequency_penalty, -1);
  EXPECT_EQ(request.sampling.logit_bias,
            (std::vector<std::pair<int32_t, double>>{{5, -100}, {260, 2.5}}));
  EXPECT_EQ(request.sampling.seed, UINT64_MAX);
  EXPECT_EQ(request.stop_strings, (std::vector<std::string>{"END", "x", "y"}));
  EXPECT_EQ(request.stop_token_ids, (std::vector<int32_t>{256, 9}));
  EXPECT_EQ(request.max_tokens, 12);
  EXPECT_EQ(read(R"({"prompt": "a", "max_completion_tokens": 3})")->max_tokens, 3);
  const Request open = read(R"({"prompt": "a", "ignore_eos": true, "stop": "z"})").value();
  EXPECT_EQ(open.stop_strings, std::vector<std::string>{"z"});
  EXPECT_TRUE(open.stop_token_ids.empty());
}

TEST(RequestFromJson, ToolsGoToTheCheckpointsOwnTemplate) {
  formats::ChatConfig config = make_config();
  config.conv_template.chat_template =
      formats::ChatTemplate::from_json(
          parse_json(R"({"template": "{{ tools[0].name }}{{ mood }}", "special_tokens": {}})", "t")
              .value(),
          "t")
          .value();
  const auto prompt = [&](const std::string& rest) {
    return fake_tokenizer()->decode(
        read(R"({"messages": [{"role": "user", "content": "hi"}], )" + rest + "}", config)->prompt);
  };
  EXPECT_EQ(prompt(R"("tools": [{"name": "f"}], "chat_template_kwargs": {"mood": "!"})"), "f!");
  EXPECT_EQ(prompt(R"("tool_choice": "none", "tools": [{"name": "f"}],
                      "chat_template_kwargs": {"tools": [{"name": "g"}]})"),
            "g");
  EXPECT_EQ(error_of(R"({"messages": [{"role": "user", "content": "hi"}], "tools": []})"),
            "error: tools: have no place in the conversation template\n"
            "  expected a config with the checkpoint's own chat template\n"
            "  make it with gen_config without --conv-template");
}

TEST(RequestFromJson, ToolsGoToAConversationTemplateThatHasAPlaceForThem) {
  formats::ChatConfig config = make_config();
  config.conv_template.system_template = "[{function_string}]";
  const auto prompt = [&](const std::string& choice) {
    return fake_tokenizer()->decode(
        read(R"({"messages": [{"role": "user", "content": "hi"}], "tools": [
                {"type": "function", "function": {"name": "f", "description": "d"}},
                {"type": "function", "function": {"name": "g"}}], "tool_choice": )" +
                 choice + "}",
             config)
            ->prompt);
  };
  EXPECT_EQ(prompt("\"auto\""),
            "[[{\"description\": \"d\", \"name\": \"f\"}, {\"name\": \"g\"}]]U:hi;A:");
  EXPECT_EQ(prompt("\"none\""), "[]U:hi;A:");
  EXPECT_EQ(read(R"({"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "f"}],
                     "tool_choice": "required"})",
                 config)
                .error()
                .to_string(),
            "error: tool_choice: asks for a call, and the template's form of one is not known\n"
            "  expected \"auto\" or \"none\"\n"
            "  known are those of Hermes and Qwen, Llama 3 and Mistral");
}

TEST(RequestFromJson, CallsAndTheirResultsGoToTheCheckpointsOwnTemplate) {
  formats::ChatConfig config = make_config();
  const char* text =
      "{% for m in messages %}{{ m.role }}:{{ m.content }}"
      "{% for c in m.tool_calls %}<tool_call>{{ c.function.arguments.a }}{{ c.id }}{% endfor %}"
      "{{ m.tool_call_id }};{% endfor %}{{ tools | length }}";
  config.conv_template.chat_template =
      formats::ChatTemplate::from_json(Json::Object{{"template", text}}, "t").value();
  const char* messages = R"({"messages": [{"role": "user", "content": "q"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "i", "type": "function",
        "function": {"name": "f", "arguments": "{\"a\": 7}"}}]},
      {"role": "tool", "tool_call_id": "i", "name": "f", "content": "r"}],
      "tools": [{"type": "function", "function": {"name": "f"}},
                {"type": "function", "function": {"name": "g"}}], )";
  const auto ask = [&](const std::string& choice) {
    return read(cat(messages, "\"tool_choice\": ", choice, "}"), config);
  };
  const Request any = ask("\"auto\"").value();
  EXPECT_EQ(fake_tokenizer()->decode(any.prompt), "user:q;assistant:<tool_call>7i;tool:ri;2");
  EXPECT_EQ(any.tools.format, ToolFormat::kHermes);
  EXPECT_EQ(any.tools.names, (std::vector<std::string>{"f", "g"}));
  EXPECT_EQ(any.response_format.kind, ResponseFormat::Kind::kText);
  const Request one = ask(R"({"type": "function", "function": {"name": "g"}})").value();
  EXPECT_TRUE(fake_tokenizer()->decode(one.prompt).ends_with(";1"));
  EXPECT_EQ(one.tools.names, std::vector<std::string>{"g"});
  EXPECT_EQ(one.response_format.before, "<tool_call>\n");
  EXPECT_EQ(ask("\"required\"")->tools.names.size(), 2u);
  EXPECT_EQ(ask("\"none\"")->tools.format, ToolFormat::kNone);
  EXPECT_EQ(ask(R"({"function": {"name": "ff"}})").error().to_string(),
            "error: tool_choice: unknown tool ff\n  expected one of f, g\n  did you mean f?");
  EXPECT_EQ(ask("3").error().to_string(),
            "error: tool_choice: is 3\n  expected \"none\", \"auto\", \"required\" or "
            "{\"type\": \"function\", \"function\": {\"name\": …}}");
  EXPECT_EQ(ask(R"("required", "response_format": {"type": "json_object"})").error().to_string(),
            "error: response_format: does not go with a call that is asked for\n  expected text");
  EXPECT_EQ(error_of(R"({"messages": [{"role": "user", "content": "a"}],
                         "tool_choice": "required"})"),
            "error: tool_choice: asks for a call, and there are no tools\n  expected tools");
}

using Kind = ResponseFormat::Kind;

TEST(RequestFromJson, SeveralAnswersAndLogprobs) {
  const Request absent = read(R"({"prompt": "a", "n": null, "logprobs": null})").value();
  EXPECT_EQ(absent.n, 1);
  EXPECT_FALSE(absent.logprobs);
  const Request chat = read(R"({"messages": [{"role": "user", "content": "hi"}], "n": 3,
                                "logprobs": true, "top_logprobs": 5})")
                           .value();
  EXPECT_EQ(chat.n, 3);
  EXPECT_TRUE(chat.logprobs);
  EXPECT_EQ(chat.top_logprobs, 5);
  const Request prompt = read(R"({"prompt": "a", "logprobs": 2})").value();
  EXPECT_TRUE(prompt.logprobs);
  EXPECT_EQ(prompt.top_logprobs, 2);
  const Request none = read(R"({"prompt": "a", "logprobs": 0})").value();
  EXPECT_TRUE(none.logprobs);
  EXPECT_EQ(none.top_logprobs, 0);
  const Request like_a_chat =
      read(R"({"prompt": "a", "logprobs": true, "top_logprobs": 1})").value();
  EXPECT_TRUE(like_a_chat.logprobs);
  EXPECT_EQ(like_a_chat.top_logprobs, 1);
}

TEST(RequestFromJson, AResponseFormatInEachOfItsForms) {
  const auto format = [](const std::string& text) {
    return read(cat(R"({"prompt": "a", "response_format": )", text, "}"))->response_format;
  };
  EXPECT_EQ(format("null"), ResponseFormat{});
  EXPECT_EQ(format(R"({"type": "text"})"), ResponseFormat{});
  EXPECT_EQ(format(R"({"type": "json_object", "schema": null})"),
            (ResponseFormat{Kind::kJsonObject}));
  const ResponseFormat number{Kind::kJsonSchema, R"({"type": "number", "minimum": 2.0})"};
  EXPECT_EQ(
      format(R"({"type": "json_object", "schema": "{\"type\": \"number\", \"minimum\": 2.0}"})"),
      number);
  EXPECT_EQ(format(R"({"type": "json_object", "schema": {"type": "number", "minimum": 2.0}})"),
            number);
  EXPECT_EQ(format(R"({"type": "json_schema", "json_schema": {"name": "n", "description": "d",
                       "strict": true, "schema": {"type": "number", "minimum": 2.0}}})"),
            number);
  EXPECT_EQ(format(R"({"type": "regex", "regex": "a+"})"), (ResponseFormat{Kind::kRegex, "a+"}));
  EXPECT_EQ(format(R"({"type": "grammar", "grammar": "root ::= \"a\""})"),
            (ResponseFormat{Kind::kEbnf, "root ::= \"a\""}));
}

TEST(RequestFromJson, WrongResponseFormatsAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {R"("json")", "error: response_format: is a string\n  expected an object with a type"},
      {R"({"type": "json_object", "schema": 3})",
       "error: response_format: schema: is an integer\n"
       "  expected a JSON schema: an object, or its text"},
      {R"({"type": "json_schema"})",
       "error: response_format: has no json_schema\n"
       "  expected an object with the schema: {\"schema\": {...}}"},
      {R"({"type": "json_schema", "json_schema": "{}"})",
       "error: response_format: json_schema: is a string\n  expected an object"},
      {R"({"type": "json_schema", "json_schema": {"name": "n"}})",
       "error: response_format: json_schema: has no schema\n  expected a JSON schema"},
      {R"({"type": "json_schema", "json_schema": {"name": 3, "schema": {}}})",
       "error: response_format: json_schema: name: is an integer\n  expected a text"},
      {R"({"type": "json_schema", "json_schema": {"strict": "yes", "schema": {}}})",
       "error: response_format: json_schema: strict: is a string\n  expected true or false"},
  };
  for (const auto& [format, message] : cases)
    EXPECT_EQ(error_of(cat(R"({"prompt": "a", "response_format": )", format, "}")), message);
  const std::pair<const char*, const char*> beginnings[] = {
      {"{}", "error: response_format: "},
      {R"({"type": "jsno_object"})", "error: response_format: unknown type jsno_object\n"},
      {R"({"type": "text", "schema": {}})", "error: response_format: unknown member schema\n"},
      {R"({"type": "regex"})", "error: response_format: "},
      {R"({"type": "grammar", "grammar": 1})", "error: response_format: "},
      {R"({"type": "json_schema", "json_schema": {"schemas": {}}})",
       "error: response_format: json_schema: unknown member schemas\n"},
  };
  for (const auto& [format, message] : beginnings) {
    const std::string error = error_of(cat(R"({"prompt": "a", "response_format": )", format, "}"));
    EXPECT_TRUE(error.starts_with(message)) << error;
  }
}

TEST(RequestFromJson, WrongMembersAreNamed) {
  EXPECT_EQ(error_of("[]"), "error: request: is a list\n  expected an object");
  EXPECT_TRUE(
      error_of(R"({"prompt": "a", "temprature": 1})").ends_with("\n  did you mean temperature?"));
  EXPECT_EQ(error_of("{}"),
            "error: request: has neither messages nor a prompt\n  expected one of them");
  EXPECT_EQ(error_of(R"({"prompt": "a", "messages": []})"),
            "error: request: has messages and a prompt\n  expected one of them");
  const std::pair<const char*, const char*> cases[] = {
      {R"("temperature": "hot")", "error: temperature: is a string\n  expected a number"},
      {R"("top_k": 1.5)", "error: top_k: is a float\n  expected an integer"},
      {R"("ignore_eos": 1)", "error: ignore_eos: is an integer\n  expected true or false"},
      {R"("stop": [1])", "error: stop: is an integer\n  expected a text or a list of texts"},
      {R"("stop_token_ids": [-1])",
       "error: stop_token_ids: holds something that is no token id\n"
       "  expected a list of token ids"},
      {R"("logit_bias": {"x": 1})",
       "error: logit_bias: has the member x\n  expected an object of token ids and numbers"},
      {R"("n": "two")", "error: n: is a string\n  expected an integer"},
      {R"("logprobs": "yes")",
       "error: logprobs: is a string\n  expected true, false or an integer"},
      {R"("logprobs": 21)",
       "error: logprobs: is 21\n  expected true, false or a number from 0 to 20"},
      {R"("logprobs": 2, "top_logprobs": 2)",
       "error: top_logprobs: is beside logprobs 2\n"
       "  expected logprobs to be true, or no top_logprobs"},
      {R"("logprobs": true, "top_logprobs": true)",
       "error: top_logprobs: is a boolean\n  expected an integer"},
      {R"("tool_choice": "auto")",
       "error: tool_choice: does not go with a prompt\n"
       "  expected messages"},
  };
  for (const auto& [member, message] : cases)
    EXPECT_EQ(error_of(cat(R"({"prompt": "a", )", member, "}")), message);
  EXPECT_EQ(error_of(R"({"messages": [{"role": "user", "content": "hi"}], "logprobs": 2})"),
            "error: logprobs: is an integer\n  expected true or false");
  EXPECT_EQ(error_of(R"({"prompt": 3})"),
            "error: prompt: is an integer\n  expected a text or a list of token ids");
}

TEST(RequestFromJson, WrongMessagesAreNamed) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "error: messages: is an empty list\n  expected at least one message"},
      {"[3]", "error: messages[0]: is an integer\n  expected an object with role and content"},
      {R"([{"role": "user"}])", "error: messages[0]: has no content\n  expected a text"},
      {R"([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}])",
       "error: messages[1]: is of the role system\n"
       "  expected a system message at the beginning only"},
      {R"([{"role": "assistant", "content": [{"type": "text", "text": "a"}]}])",
       "error: messages[0]: content: of the role assistant is a list\n"
       "  expected a text: only messages of the user may have parts"},
      {R"([{"role": "user", "content": "a", "tool_call_id": "x"}])",
       "error: messages[0]: of the role user has the member tool_call_id\n"
       "  expected role and content; tool_calls of an assistant; tool_call_id and name of a tool"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{"}}]}])",
       "error: messages[0]: tool_calls: arguments:1:2: is not valid JSON: missing a name for "
       "object "
       "member"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[]"}}]}])",
       "error: messages[0]: tool_calls: arguments: is a list\n"
       "  expected an object, or its JSON text"},
      {R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}])",
       "error: conversation template chatml: has no form for tool_calls of a message\n"
       "  expected a config with the checkpoint's own chat template\n"
       "  make it with gen_config without --conv-template"},
  };
  for (const auto& [messages, message] : cases)
    EXPECT_EQ(error_of(cat(R"({"messages": )", messages, "}")), message);
  EXPECT_NE(
      error_of(R"({"messages": [{"role": "king", "content": "a"}]})").find("has no role king"),
      std::string::npos);
}

}  // namespace
}  // namespace mlc::engine
