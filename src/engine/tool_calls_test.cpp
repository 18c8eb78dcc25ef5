// SPDX-License-Identifier: Apache-2.0
#include "engine/tool_calls.h"

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/fake_model.h"
#include "engine/request.h"

namespace mlc::engine {
namespace {

// "content|name(arguments)|…"
std::string calls_in(const char* text, ToolFormat format) {
  const ToolAnswer answer = parse_tool_calls(text, {format, {"f", "g"}});
  std::string all = answer.content;
  for (const ToolCall& call : answer.calls) {
    EXPECT_EQ(call.id.size(), 9u);
    all += "|" + call.name + "(" + call.arguments + ")";
  }
  return all;
}

TEST(ToolCalls, OfHermes) {
  const auto calls = [](const char* text) { return calls_in(text, ToolFormat::kHermes); };
  EXPECT_EQ(calls("<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"}ü\"}}\n</tool_call>"),
            "|f({\"a\": \"}ü\"})");
  EXPECT_EQ(calls("Well.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>\n"
                  "<tool_call>{\"arguments\":{\"b\":[1]},\"name\":\"g\"}</tool_call>"),
            "Well.|f({})|g({\"b\": [1]})");
  for (const char* text :
       {"no call ", "<tool_call>", "<tool_call>{\"name\": \"f\", \"arguments\": {}",
        "<tool_call>{\"name\": \"f\", \"arguments\": {}}", "<tool_call>{}</tool_call>",
        "<tool_call>[1]</tool_call>", "<tool_call>{\"name\": \"h\", \"arguments\": {}}</tool_call>",
        "<tool_call>{\"name\": \"f\", \"arguments\": \"x\"}</tool_call>", ""}) {
    EXPECT_EQ(calls(text), text);
  }
  // One that is none beside one that is.
  EXPECT_EQ(calls("<tool_call>x<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>"),
            "<tool_call>x|f({})");
}

TEST(ToolCalls, OfLlama) {
  const auto calls = [](const char* text) { return calls_in(text, ToolFormat::kLlama); };
  EXPECT_EQ(calls(" {\"name\": \"f\", \"parameters\": {\"a\": 1}}\n"), "|f({\"a\": 1})");
  EXPECT_EQ(calls("<|python_tag|>{\"name\":\"f\",\"parameters\":{}}; "
                  "{\"name\":\"g\",\"parameters\":{}}"),
            "|f({})|g({})");
  for (const char* text :
       {"{\"name\": \"f\"}", "{\"name\": \"f\", \"arguments\": {}}", "say {\"name\":\"f\"}",
        "{\"name\": \"f\", \"parameters\": {}} and", "{\"name\": \"h\", \"parameters\": {}}"}) {
    EXPECT_EQ(calls(text), text);
  }
}

TEST(ToolCalls, OfMistral) {
  const auto calls = [](const char* text) { return calls_in(text, ToolFormat::kMistral); };
  EXPECT_EQ(calls("[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"a\": 1}}, "
                  "{\"name\": \"g\", \"arguments\": {}}]"),
            "|f({\"a\": 1})|g({})");
  EXPECT_EQ(calls("[{\"name\": \"f\", \"arguments\": {}}]"), "|f({})");
  EXPECT_EQ(calls("So:[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}]"), "So:|f({})");
  for (const char* text : {"[]", "[1]", "[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {}}",
                           "[{\"name\": \"f\", \"arguments\": {}}, 1]"}) {
    EXPECT_EQ(calls(text), text);
  }
}

formats::ChatTemplate with_text(const std::string& text) {
  return formats::ChatTemplate::from_json(Json::Object{{"template", text}}, "t").value();
}

TEST(ToolCalls, TheTemplateSaysTheFormat) {
  EXPECT_EQ(tool_format(with_text("<tool_call>")), ToolFormat::kHermes);
  EXPECT_EQ(tool_format(with_text("<tool_call>f<arg_key>")), ToolFormat::kNone);
  EXPECT_EQ(tool_format(with_text("<tool_call><function=f>")), ToolFormat::kNone);
  EXPECT_EQ(tool_format(with_text("[TOOL_CALLS]")), ToolFormat::kMistral);
  EXPECT_EQ(tool_format(with_text("[TOOL_CALLS]f[ARGS]")), ToolFormat::kNone);
  EXPECT_EQ(tool_format(with_text("{\"name\": function name, \"parameters\": dictionary}")),
            ToolFormat::kLlama);
  EXPECT_EQ(tool_format(with_text("tools")), ToolFormat::kNone);
}

TEST(ToolCalls, TheFormatsOfRealTemplates) {
  MLC_NEEDS_SHARED();
  const std::pair<const char*, ToolFormat> cases[] = {
      {"hermes3", ToolFormat::kHermes},       {"qwen2_5", ToolFormat::kHermes},
      {"qwen3", ToolFormat::kHermes},         {"llama3_1_8b", ToolFormat::kLlama},
      {"mistral_nemo", ToolFormat::kMistral}, {"glm4_6", ToolFormat::kNone},
      {"gpt_oss", ToolFormat::kNone},         {"phi3_5_mini", ToolFormat::kNone}};
  for (const auto& [name, format] : cases) {
    const Json file =
        read_json_file(shared_path(cat("conformance/chat_templates/cases/", name, ".json")))
            .value();
    EXPECT_EQ(tool_format(with_text(file.find("template")->as_string())), format) << name;
  }
}

TEST(ToolCalls, AFormAllowsACallAndNothingElse) {
  const std::vector<Json> functions = {
      parse_json(R"({"name": "f", "parameters": {"type": "object", "required": ["a"],
                     "properties": {"a": {"$ref": "#/$defs/x"}}, "additionalProperties": false,
                     "$defs": {"x": {"enum": ["y", "z"]}}}})",
                 "t")
          .value(),
      Json(Json::Object{{"name", "g"}})};
  std::vector<std::string> bytes(256);
  for (int i = 0; i < 256; ++i)
    bytes[static_cast<size_t>(i)] = std::string(1, static_cast<char>(i));
  const auto vocabulary = std::make_shared<const GrammarVocabulary>(bytes);
  const auto matches = [&](ToolFormat format, const std::string& text) {
    GrammarMatcher matcher(Grammar::compile(call_form(format, functions), vocabulary).value());
    return matcher.accept_bytes(text) && matcher.finished();
  };
  const std::string f = R"({"name": "f", "arguments": {"a": "z"}})";
  EXPECT_TRUE(matches(ToolFormat::kHermes, "<tool_call>\n" + f + "\n</tool_call>"));
  EXPECT_FALSE(matches(ToolFormat::kHermes, f));
  EXPECT_FALSE(matches(ToolFormat::kHermes, "<tool_call>\n" + f));
  EXPECT_TRUE(matches(ToolFormat::kMistral, "[" + f + "]"));
  EXPECT_TRUE(matches(ToolFormat::kLlama, R"({"name": "g", "parameters": {"any": [1]}})"));
  EXPECT_FALSE(matches(ToolFormat::kLlama, R"({"name": "f", "parameters": {"a": "x"}})"));
  EXPECT_FALSE(matches(ToolFormat::kLlama, R"({"name": "h", "parameters": {}})"));
  // What the form allows is read as the call.
  EXPECT_EQ(calls_in(("[" + f + "]").c_str(), ToolFormat::kMistral), "|f({\"a\": \"z\"})");
}

TEST(ToolCalls, TextsAreHeldBackUntilAnAnswerIsWhole) {
  FakeModelOptions options;
  const std::string answer = R"(<tool_call>{"name": "f", "arguments": {"a": 1}}</tool_call>)";
  options.script = {-1, -1};
  for (const char c : answer) options.script.push_back(static_cast<unsigned char>(c));
  options.script.push_back(256);
  const FakeModel model(options);
  const auto ask = [&](int64_t max_tokens) {
    Engine engine(model.session(), fake_tokenizer(), {});
    Request request;
    request.prompt = {'h', 'i'};
    request.stop_token_ids = {256};
    request.max_tokens = max_tokens;
    request.tools = {ToolFormat::kHermes, {"f"}};
    EXPECT_TRUE(engine.add(request).ok());
    Output whole;
    size_t tokens = 0;
    while (!engine.idle()) {
      engine.step();
      for (Output& output : engine.take_outputs()) {
        tokens += output.tokens.size();
        if (!output.finish) EXPECT_EQ(output.text, "");
        whole = std::move(output);
      }
    }
    EXPECT_EQ(static_cast<int64_t>(tokens), whole.usage.completion_tokens);
    return whole;
  };
  const Output called = ask(-1);
  EXPECT_EQ(called.finish, FinishReason::kToolCalls);
  EXPECT_EQ(called.text, "");
  ASSERT_EQ(called.tool_calls.size(), 1u);
  EXPECT_EQ(called.tool_calls[0].arguments, "{\"a\": 1}");
  const Output cut = ask(20);
  EXPECT_EQ(cut.finish, FinishReason::kMaxTokens);
  EXPECT_EQ(cut.text, answer.substr(0, 20));
  EXPECT_TRUE(cut.tool_calls.empty());
}

}  // namespace
}  // namespace mlc::engine
