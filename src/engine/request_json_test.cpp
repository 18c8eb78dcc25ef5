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
            "error: tools: do not go with a conversation template\n"
            "  expected a config with the checkpoint's own chat template\n"
            "  make it with gen_config without --conv-template");
}

TEST(RequestFromJson, WhatIsNotImplementedIsRefusedByName) {
  const auto error = [](const std::string& member) {
    return error_of(R"({"prompt": "a", )" + member + "}");
  };
  EXPECT_EQ(error(R"("n": 2)"),
            "error: n: is 2, which is not implemented\n"
            "  expected 1: add the request several times");
  EXPECT_EQ(error(R"("logprobs": true)"),
            "error: logprobs: is true, which is not implemented\n  expected false");
  EXPECT_EQ(error(R"("top_logprobs": 3)"),
            "error: top_logprobs: is 3, which is not implemented\n  expected 0");
  EXPECT_EQ(error(R"("response_format": {"type": "json_object"})"),
            "error: response_format: is {\"type\": \"json_object\"}, which is not implemented\n"
            "  expected {\"type\": \"text\"}");
  EXPECT_EQ(error(R"("response_format": "json")"),
            "error: response_format: is \"json\", which is not implemented\n"
            "  expected {\"type\": \"text\"}");
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
      {R"("tool_choice": "auto")",
       "error: tool_choice: does not go with a prompt\n"
       "  expected messages"},
  };
  for (const auto& [member, message] : cases)
    EXPECT_EQ(error_of(cat(R"({"prompt": "a", )", member, "}")), message);
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
      {R"([{"role": "tool", "content": "a", "tool_call_id": "x"}])",
       "error: messages[0]: has the member tool_call_id, which is not implemented\n"
       "  expected role and content"},
  };
  for (const auto& [messages, message] : cases)
    EXPECT_EQ(error_of(cat(R"({"messages": )", messages, "}")), message);
  EXPECT_NE(
      error_of(R"({"messages": [{"role": "king", "content": "a"}]})").find("has no role king"),
      std::string::npos);
}

}  // namespace
}  // namespace mlc::engine
