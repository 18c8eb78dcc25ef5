// SPDX-License-Identifier: Apache-2.0
#include "formats/conversation.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/testing.h"

namespace mlc::formats {
namespace {

Conversation conversation_of(std::string_view text) {
  return Conversation::from_json(parse_json(text, "test").value(), "test").value();
}

std::string conversation_error(std::string_view text) {
  const auto result = Conversation::from_json(parse_json(text, "test").value(), "test");
  return result.ok() ? "no error" : result.error().to_string();
}

// user and assistant without decoration: "U:...|" and "A:...|".
Conversation simple() {
  return conversation_of(
      R"({"roles": {"user": "U", "assistant": "A"}, "seps": ["|"], "role_content_sep": ":",
                   "role_empty_sep": ":"})");
}

Message message(std::string role, std::string text) { return {std::move(role), std::move(text)}; }

std::string render(const Conversation& conversation, std::vector<Message> messages,
                   std::optional<std::string> system = {}) {
  return render_prompt(conversation, {system, {}, std::move(messages)}).value();
}

TEST(Prompt, EndsWithTheBeginningOfTheAnswer) {
  EXPECT_EQ(render(simple(), {message("user", "hi")}), "U:hi|A:");
}

TEST(Prompt, SecondSeparatorFollowsTheAssistantOnly) {
  Conversation c = simple();
  c.seps = {"1", "2"};
  EXPECT_EQ(render(c, {message("user", "a"), message("assistant", "b"), message("user", "c")}),
            "U:a1A:b2U:c1A:");
}

TEST(Prompt, OnlyTheFirstMessageAfterASystemTextLosesItsRole) {
  Conversation c = simple();
  c.add_role_after_system_message = false;
  const std::vector<Message> two = {message("user", "a"), message("user", "b")};
  EXPECT_EQ(render(c, two, "S"), "Sa|U:b|A:");
  EXPECT_EQ(render(c, two, ""), "U:a|U:b|A:");
}

TEST(Prompt, RequestsSystemMessageReplacesTheTemplates) {
  Conversation c = simple();
  c.system_template = "<{system_message}>";
  c.system_message = "default";
  EXPECT_EQ(render(c, {}), "<default>A:");
  EXPECT_EQ(render(c, {}, "mine"), "<mine>A:");
  EXPECT_EQ(render(c, {}, ""), "<>A:");
}

TEST(Prompt, PresetHistoryComesFirst) {
  Conversation c = simple();
  c.messages = {message("user", "old"), message("assistant", "yes")};
  EXPECT_EQ(render(c, {message("user", "new")}), "U:old|A:yes|U:new|A:");
}

TEST(Prompt, TextPartsAreJoinedEachInTheRolesTemplate) {
  Conversation c = simple();
  c.role_templates = {{"user", "[{user_message}]"}, {"assistant", "{assistant_message}"}};
  const std::vector<ContentPart> parts = {{ContentPart::Kind::kText, "a"},
                                          {ContentPart::Kind::kText, "b"}};
  EXPECT_EQ(render(c, {{"user", parts}}), "U:[a][b]|A:");
}

TEST(Prompt, ContentIsNotSearchedForPlaceholdersOfMessages) {
  EXPECT_EQ(render(simple(), {message("user", "{user_message}{system_message}")}),
            "U:{user_message}{system_message}|A:");
}

TEST(Prompt, OnlyTheLastFunctionPlaceholderIsFilled) {
  Conversation c = simple();
  c.role_templates = {{"user", "{function_string}{user_message}"}, {"assistant", ""}};
  const PromptInput input{{}, "F{function_string}", {message("user", "a"), message("user", "b")}};
  EXPECT_EQ(render_prompt(c, input).value(), "U:a|U:Fb|A:");
  EXPECT_EQ(render(c, {message("user", "a")}), "U:a|A:");
}

TEST(Prompt, ReasoningIsStrippedFromEarlierAnswersOnly) {
  Conversation c = simple();
  c.strip_reasoning_in_history = true;
  const std::string thought = "<think>x</think>\n\n y</think>\nanswer";
  EXPECT_EQ(render(c, {message("assistant", thought), message("user", "q")}), "A:answer|U:q|A:");
  EXPECT_EQ(render(c, {message("user", "q"), message("assistant", thought)}),
            "U:q|A:" + thought + "|A:");
  EXPECT_EQ(render(c, {message("assistant", "</think>\n\n"), message("user", "q")}), "A:|U:q|A:");
}

TEST(Prompt, UnknownRoleIsAnErrorThatNamesTheKnownOnes) {
  Conversation c = simple();
  c.name = "plain";
  const auto result = render_prompt(c, {{}, {}, {message("tool", "3")}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().to_string(),
            "error: conversation template plain: has no role tool\n"
            "  expected one of user, assistant\n"
            "  leave the message out, or choose another template");
}

TEST(Prompt, RoleWithoutATemplateIsAnError) {
  Conversation c = simple();
  c.roles.emplace_back("critic", "C");
  const auto result = render_prompt(c, {{}, {}, {message("critic", "3")}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().to_string(),
            "error: conversation template without a name: role critic has no role template\n"
            "  expected messages of user, assistant or tool");
}

TEST(Prompt, ImagesAreRefusedByName) {
  const std::vector<ContentPart> parts = {{ContentPart::Kind::kImage, "data:"}};
  const auto result = render_prompt(simple(), {{}, {}, {{"user", parts}}});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().to_string(),
            "error: conversation template without a name: a message holds an image_url\n"
            "  expected text only: images are not supported yet");
}

TEST(ContentFromJson, ReadsTextPartsAndBothFormsOfImages) {
  const Json value = parse_json(R"([{"type": "text", "text": "a"},
                                    {"type": "image_url", "image_url": "b"},
                                    {"type": "image_url", "image_url": {"url": "c"}}])",
                                "x")
                         .value();
  const MessageContent content = content_from_json(value, "x").value();
  const auto& parts = std::get<std::vector<ContentPart>>(content);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].text + parts[1].text + parts[2].text, "abc");
  EXPECT_EQ(parts[2].kind, ContentPart::Kind::kImage);
  EXPECT_EQ(content_to_json(content).dump(),
            R"([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": "b"}, )"
            R"({"type": "image_url", "image_url": "c"}])");
}

TEST(ContentFromJson, RefusesWhatIsNoContent) {
  const auto error = [](std::string_view text) {
    const auto result = content_from_json(parse_json(text, "x").value(), "content");
    return result.ok() ? "no error" : result.error().to_string();
  };
  EXPECT_EQ(error("3"),
            "error: content: is an integer\n  expected null, a string or a list of parts");
  EXPECT_EQ(error(R"([{"type": "audio"}])"),
            "error: content[0]: unknown content type audio\n  expected one of text, image_url");
  EXPECT_EQ(error(R"([{"type": "text"}])"), "error: content[0]: lacks the key \"text\"");
  EXPECT_EQ(error(R"([{"type": "image_url", "image_url": 1}])"),
            "error: content[0].image_url: is an integer\n  expected a string or {url}");
  EXPECT_EQ(error(R"(["a"])"), "error: content[0]: is a string\n  expected an object");
}

TEST(MessageFromJson, WantsAPair) {
  const auto result = message_from_json(parse_json(R"(["user"])", "x").value(), "m");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().to_string(),
            "error: m: is no message\n  expected a list [role, content]");
}

TEST(PromptInputFromJson, ReadsMessagesAndWhatGoesBeforeThem) {
  const PromptInput input =
      prompt_input_from_json(parse_json(R"({"system_message": "S", "function_string": null,
          "messages": [["user", "a"], ["assistant", null]], "prompt": "ignored"})",
                                        "x")
                                 .value(),
                             "x")
          .value();
  EXPECT_EQ(input.system_message, "S");
  EXPECT_FALSE(input.function_string.has_value());
  ASSERT_EQ(input.messages.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<std::monostate>(input.messages[1].content));
}

TEST(PromptInputFromJson, WrongKindsNameTheKey) {
  const auto error = [](std::string_view text) {
    return prompt_input_from_json(parse_json(text, "m.json").value(), "m.json").error().to_string();
  };
  EXPECT_EQ(error("[]"), "error: m.json: is a list\n  expected an object");
  EXPECT_EQ(error("{}"), "error: m.json: lacks the key \"messages\"");
  EXPECT_EQ(error(R"({"messages": {}})"),
            "error: m.json.messages: is an object\n  expected a list of [role, content]");
  EXPECT_EQ(error(R"({"messages": [3]})"),
            "error: m.json.messages[0]: is no message\n  expected a list [role, content]");
  EXPECT_EQ(error(R"({"messages": [], "system_message": 3})"),
            "error: m.json.system_message: is an integer\n  expected a string");
}

TEST(ConversationFromJson, WrongKindsNameTheKey) {
  EXPECT_EQ(conversation_error("[]"), "error: test: is a list\n  expected an object");
  EXPECT_EQ(conversation_error(R"({"seps": [""]})"), "error: test: lacks the key \"roles\"");
  EXPECT_EQ(conversation_error(R"({"roles": {}})"), "error: test: lacks the key \"seps\"");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": ["", "", ""]})"),
            "error: test.seps: has 3 strings\n  expected 1 or 2");
  EXPECT_EQ(conversation_error(R"({"roles": {"user": 1}, "seps": [""]})"),
            "error: test.roles.user: is an integer\n  expected a string");
  EXPECT_EQ(conversation_error(R"({"roles": [], "seps": [""]})"),
            "error: test.roles: is a list\n  expected an object role: text");
  EXPECT_EQ(conversation_error(R"({"name": 3, "roles": {}, "seps": [""]})"),
            "error: test.name: is an integer\n  expected a string or null");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "stop_token_ids": [-1]})"),
            "error: test.stop_token_ids: has the token id -1\n  expected ids from 0 to 2147483647");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "stop_token_ids": ["a"]})"),
            "error: test.stop_token_ids: is a string\n  expected a list of token ids only");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "stop_token_ids": 1})"),
            "error: test.stop_token_ids: is an integer\n  expected a list of token ids");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": "a"})"),
            "error: test.seps: is a string\n  expected a list of strings");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [1]})"),
            "error: test.seps: is an integer\n  expected a list of strings only");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "system_message": null})"),
            "error: test.system_message: is null\n  expected a string");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "use_function_calling": 1})"),
            "error: test.use_function_calling: is an integer\n  expected true or false");
  EXPECT_EQ(conversation_error(R"({"roles": {}, "seps": [""], "messages": 1})"),
            "error: test.messages: is an integer\n  expected a list");
}

TEST(ConversationFromJson, UnknownKeysAreIgnoredAndRoleTemplatesCompleted) {
  const Conversation c = conversation_of(R"({"roles": {"user": "U"}, "seps": [""], "new_key": 1,
                                   "role_templates": {"tool": "T", "user": "<{user_message}>"}})");
  EXPECT_EQ(c.to_json().find("role_templates")->dump(),
            R"({"user": "<{user_message}>", "assistant": "{assistant_message}", "tool": "T"})");
}

TEST(BuiltinConversations, RoundTripThroughJson) {
  EXPECT_EQ(builtin_conversations().size(), builtin_conversation_names().size());
  for (const Conversation& conversation : builtin_conversations()) {
    const Json json = conversation.to_json();
    EXPECT_EQ(Conversation::from_json(json, "x").value().to_json(), json);
    const std::string file =
        source_path(cat("src/formats/conversations/", *conversation.name, ".json"));
    EXPECT_EQ(read_json_file(file).value(), json) << file;
  }
}

TEST(BuiltinConversations, UnknownNameIsNull) {
  EXPECT_EQ(find_builtin_conversation("llama_default"), nullptr);
  ASSERT_NE(find_builtin_conversation("LM"), nullptr);
}

// The conversations that tests/conversations shows for each template.
struct Sample {
  std::string name;
  PromptInput input;
};

std::vector<Sample> samples() {
  const std::vector<ContentPart> parts = {{ContentPart::Kind::kText, "part one, "},
                                          {ContentPart::Kind::kText, "part two"}};
  return {
      {"one question", {{}, {}, {message("user", "Where is Lima?")}}},
      {"own system message, second turn",
       {"Answer in one word.",
        {},
        {message("user", "Where is Lima?"), message("assistant", "Peru."),
         message("user", "And Oslo?")}}},
      {"empty system message, parts", {"", {}, {{"user", parts}}}},
      {"functions", {{}, "[{\"name\": \"add\"}]", {message("user", "2 + 3?")}}},
      {"reasoning in the history",
       {{},
        {},
        {message("user", "2 + 3?"), message("assistant", "<think>\nadd\n</think>\n\n5"),
         message("user", "4 + 5?")}}},
      {"tool",
       {{},
        {},
        {message("user", "2 + 3?"), message("assistant", "add(2, 3)"), message("tool", "5")}}},
  };
}

// Each prompt between lines "=== NAME" and "==="; errors are shown as messages.
std::string golden_text(const Conversation& conversation) {
  std::string text;
  for (const Sample& sample : samples()) {
    const auto prompt = render_prompt(conversation, sample.input);
    text += cat("=== ", sample.name, "\n", prompt.ok() ? *prompt : prompt.error().to_string(),
                "\n===\n");
  }
  return text;
}

// MLC_UPDATE_GOLDENS=1 writes the files anew; they are reviewed like code.
TEST(BuiltinConversations, PromptsAreThoseInTestsConversations) {
  const std::string folder = source_path("tests/conversations");
  const bool update = environment("MLC_UPDATE_GOLDENS").has_value();
  for (const Conversation& conversation : builtin_conversations()) {
    const std::string path = path_join(folder, *conversation.name + ".txt");
    if (update) ASSERT_TRUE(write_file(path, golden_text(conversation)).ok());
    const auto expected = read_file(path);
    ASSERT_TRUE(expected.ok()) << path << ": run base_test with MLC_UPDATE_GOLDENS=1 to write it";
    EXPECT_EQ(*expected, golden_text(conversation)) << path;
  }
  for (const std::string& file : list_directory(folder).value()) {
    const std::string name = file.substr(0, file.size() - std::min<size_t>(file.size(), 4));
    EXPECT_NE(find_builtin_conversation(name), nullptr)
        << folder << "/" << file << " has no template";
  }
}

TEST(BuiltinConversations, PromptsEqualTheReferences) {
  MLC_NEEDS_SHARED();
  const Json all = read_json_file(shared_path("golden/mlc/prompts.json")).value();
  int64_t compared = 0;
  for (const auto& [name, cases] : all.as_object()) {
    const Conversation* conversation = find_builtin_conversation(name);
    ASSERT_NE(conversation, nullptr) << name;
    for (const auto& [id, entry] : cases.as_object()) {
      const PromptInput input = prompt_input_from_json(entry, id).value();
      const auto prompt = render_prompt(*conversation, input);
      const Json& expected = *entry.find("prompt");
      ASSERT_EQ(prompt.ok(), expected.is_string()) << name << " " << id;
      if (prompt.ok()) EXPECT_EQ(*prompt, expected.as_string()) << name << " " << id;
      ++compared;
    }
  }
  EXPECT_GT(compared, 200);
}

}  // namespace
}  // namespace mlc::formats
