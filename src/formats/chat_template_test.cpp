// SPDX-License-Identifier: Apache-2.0
#include "formats/chat_template.h"

#include <gtest/gtest.h>

#include "formats/conversation.h"
#include "support/strings.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kJinja =
    "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}";

Json conversation(std::string_view text) { return parse_json(text, "conversation").value(); }

class ChatTemplateFolder : public testing::Test {
 protected:
  void add(std::string_view name, std::string_view text) {
    ASSERT_TRUE(write_file(folder_.file(name), text).ok());
  }
  void add_config(std::string_view chat_template, std::string_view more = "") {
    add("tokenizer_config.json", cat("{\"chat_template\": ", chat_template, more, "}"));
  }
  // The prompt, "no template", or "error: ..." with DIR for the folder.
  std::string prompt(std::string_view arguments) {
    const auto loaded = ChatTemplate::load(folder_.path());
    if (!loaded.ok()) return without_folder(loaded.error());
    if (!*loaded) return "no template";
    const auto result = (*loaded)->render(conversation(arguments));
    return result.ok() ? *result : without_folder(result.error());
  }
  std::string without_folder(const Error& error) {
    return replace_all(error.to_string(), folder_.path(), "DIR");
  }
  TemporaryDirectory folder_;
};

TEST_F(ChatTemplateFolder, RendersMessagesWithSpecialTokens) {
  add_config(Json(kJinja).dump(),
             R"(, "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>")");
  EXPECT_EQ(prompt(R"({"messages": [{"role": "user", "content": "hi"}],
                       "add_generation_prompt": true})"),
            "<s>[user]hi</s>[assistant]");
  EXPECT_EQ(prompt(R"({"messages": [], "bos_token": "other"})"), "other");
}

TEST_F(ChatTemplateFolder, SpecialTokensThatAreMissingAreEmpty) {
  add_config(Json(kJinja).dump(), R"(, "bos_token": null)");
  EXPECT_EQ(prompt(R"({"messages": [{"role": "user", "content": "hi"}]})"), "[user]hi");
}

TEST_F(ChatTemplateFolder, SpecialTokensMayBeInAFileOfTheirOwn) {
  add_config(R"("{{ bos_token }}{{ unk_token }}{{ additional_special_tokens }}")",
             R"(, "unk_token": "?")");
  add("special_tokens_map.json", R"({"bos_token": "<b>", "unk_token": "no",
                                     "additional_special_tokens": ["<x>", {"content": "<y>"}]})");
  EXPECT_EQ(prompt(R"({"messages": []})"), "<b>?['<x>', '<y>']");
}

TEST_F(ChatTemplateFolder, FileOfItsOwnComesBeforeTheConfig) {
  add_config("\"config\"");
  EXPECT_EQ(prompt("{}"), "config");
  add("chat_template.jinja", "jinja\n");
  EXPECT_EQ(prompt("{}"), "jinja");
}

TEST_F(ChatTemplateFolder, TemplateOfAProcessorIsTheLastResort) {
  add("chat_template.json", R"({"chat_template": "processor"})");
  EXPECT_EQ(prompt("{}"), "processor");
  add_config("\"config\"");
  EXPECT_EQ(prompt("{}"), "config");
}

TEST_F(ChatTemplateFolder, ToolsChooseTheTemplateForThem) {
  add_config(
      R"([{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "T"}])");
  EXPECT_EQ(prompt("{}"), "plain");
  EXPECT_EQ(prompt(R"({"tools": null})"), "plain");
  EXPECT_EQ(prompt(R"({"tools": []})"), "T");
  add_config(R"([{"name": "default", "template": "plain"}])");
  EXPECT_EQ(prompt(R"({"tools": []})"), "plain");
}

TEST_F(ChatTemplateFolder, FolderWithoutTemplateIsNoError) {
  EXPECT_EQ(prompt("{}"), "no template");
  add("tokenizer_config.json", R"({"chat_template": null})");
  EXPECT_EQ(prompt("{}"), "no template");
}

TEST_F(ChatTemplateFolder, BrokenFilesAreNamed) {
  add_config("7");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/tokenizer_config.json: chat_template: is an integer\n"
            "  expected a text, or a list of {\"name\", \"template\"}");
  add_config("[7]");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/tokenizer_config.json: chat_template: has an integer in its list\n"
            "  expected objects {\"name\", \"template\"}");
  add_config("[]");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/tokenizer_config.json: chat_template: has no template\n"
            "  expected a template with the name default");
  add_config(R"([{"name": "rag", "template": "x"}])");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/tokenizer_config.json: chat_template: has templates with the names rag\n"
            "  expected one with the name default");
  add_config("\"{% if %}\"");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/tokenizer_config.json: chat_template: line 1: TemplateSyntaxError: "
            "Expected an expression, got 'end of statement block'");
  add("tokenizer_config.json", "[]");
  EXPECT_EQ(prompt("{}"), "error: DIR/tokenizer_config.json: is a list\n  expected an object");
  add("tokenizer_config.json", "{");
  EXPECT_TRUE(prompt("{}").starts_with("error: DIR/tokenizer_config.json")) << prompt("{}");
}

TEST_F(ChatTemplateFolder, TemplateThatRaisesGivesItsMessage) {
  add("chat_template.jinja", "\n{{ raise_exception('System role not supported') }}");
  EXPECT_EQ(prompt("{}"),
            "error: DIR/chat_template.jinja: line 2: TemplateError: System role not supported");
}

TEST(ChatTemplate, FolderThatIsNotThereIsExplained) {
  EXPECT_EQ(ChatTemplate::load("/no/such/folder").error().to_string(),
            "error: /no/such/folder: does not exist\n"
            "  expected a folder with tokenizer_config.json, or a .gguf file");
}

TEST(ChatTemplate, GoesIntoAConfigAndComesBack) {
  for (const std::string_view config :
       {R"({"chat_template": "{{ bos_token }}x", "bos_token": "<s>"})",
        R"({"chat_template": [{"name": "default", "template": "a"},
                              {"name": "tool_use", "template": "b"}]})"}) {
    const auto made = ChatTemplate::from_config(conversation(config), std::nullopt, "c").value();
    ASSERT_TRUE(made.has_value());
    EXPECT_EQ(ChatTemplate::from_json(made->to_json(), "c").value(), *made);
  }
}

TEST(ChatTemplate, OfAConfigIsChecked) {
  const auto error = [](std::string_view text) {
    return ChatTemplate::from_json(conversation(text), "conv_template.chat_template")
        .error()
        .to_string();
  };
  EXPECT_EQ(error("7"), "error: conv_template.chat_template: is an integer\n  expected an object");
  EXPECT_EQ(error(R"({"template": "{{"})"),
            "error: conv_template.chat_template: line 1: TemplateSyntaxError: unexpected "
            "'end of template'");
  EXPECT_EQ(error(R"({"template": "x", "special_tokens": 7})"),
            "error: conv_template.chat_template.special_tokens: is an integer\n"
            "  expected an object");
}

// ---- as a conversation template

Conversation with_template(std::string_view text) {
  Conversation c = *find_builtin_conversation("LM");
  c.chat_template =
      ChatTemplate::from_config(Json::Object{{"chat_template", text}, {"bos_token", "<s>"}},
                                std::nullopt, "c")
          .value();
  return c;
}

TEST(ChatTemplateInConversation, MakesThePrompt) {
  const Conversation c = with_template(kJinja);
  PromptInput input;
  input.system_message = "be brief";
  input.messages = {{"user", "hi"}, {"assistant", "yo"}, {"user", "so?"}};
  EXPECT_EQ(render_prompt(c, input).value(),
            "<s>[system]be brief[user]hi[assistant]yo[user]so?[assistant]");
}

TEST(ChatTemplateInConversation, IsCalledAsTransformersDoes) {
  const Conversation c = with_template(
      "{{ tools is none }}{{ documents is none }}{{ add_generation_prompt }}{{ enable_thinking }}");
  PromptInput input;
  EXPECT_EQ(render_prompt(c, input).value(), "TrueTrueTrue");
  input.template_arguments = conversation(R"({"enable_thinking": false, "tools": []})");
  EXPECT_EQ(render_prompt(c, input).value(), "FalseTrueTrueFalse");
}

TEST(ChatTemplateInConversation, TemplateMayWalkOverToolsUnasked) {
  PromptInput input;
  EXPECT_EQ(render_prompt(with_template("{% for t in tools %}{% endfor %}x"), input).value(), "x");
  // The first error is the one that counts.
  const Conversation c = with_template("{{ raise_exception('none') if tools is none else x.y }}");
  EXPECT_EQ(render_prompt(c, input).error().found, "TemplateError: none");
}

TEST(ChatTemplateInConversation, SurvivesTheConfigFile) {
  const Conversation c = with_template(kJinja);
  const Json json = c.to_json();
  EXPECT_EQ(json.as_object().back().first, "chat_template");
  const Conversation again = Conversation::from_json(json, "c").value();
  EXPECT_EQ(again.chat_template, c.chat_template);
  EXPECT_FALSE(find_builtin_conversation("LM")->to_json().contains("chat_template"));
}

TEST(ChatTemplateInConversation, WhatItCannotTakeIsRefused) {
  PromptInput input;
  input.function_string = "f";
  EXPECT_EQ(render_prompt(with_template("x"), input).error().to_string(),
            "error: function_string: does not go with the checkpoint's own chat template\n"
            "  expected tools among the template's arguments");
  input = {};
  input.messages = {{"user", std::vector<ContentPart>{{ContentPart::Kind::kImage, "u"}}}};
  EXPECT_EQ(render_prompt(with_template("x"), input).error().to_string(),
            "error: chat template: a message holds an image_url\n"
            "  expected text only: images are not supported yet");
  input = {};
  input.template_arguments = conversation(R"({"enable_thinking": false})");
  EXPECT_EQ(render_prompt(*find_builtin_conversation("chatml"), input).error().to_string(),
            "error: template_arguments: are given, and the conversation template takes none\n"
            "  expected a config with the checkpoint's own chat template\n"
            "  make it with gen_config without --conv-template");
}

// ---- conformance

class ChatTemplateConformance : public testing::Test {
 protected:
  static Json cases(const std::string& name) {
    return read_json_file(path_join(shared_path("conformance/chat_templates/cases"), name)).value();
  }
};

TEST_F(ChatTemplateConformance, EveryPromptAndErrorIsThatOfTransformers) {
  MLC_NEEDS_SHARED();
  const std::string folder = shared_path("conformance/chat_templates");
  const Json conversations = read_json_file(path_join(folder, "conversations.json")).value();
  size_t prompts = 0;
  size_t errors = 0;
  for (const std::string& name : list_directory(path_join(folder, "cases")).value()) {
    const Json file = cases(name);
    Json config = Json::Object{{"chat_template", *file.find("template")},
                               {"bos_token", *file.find("bos_token")},
                               {"eos_token", *file.find("eos_token")}};
    const auto chat_template = ChatTemplate::from_config(config, std::nullopt, name).value();
    ASSERT_TRUE(chat_template.has_value()) << name;
    for (const Json& item : file.find("cases")->as_array()) {
      Json arguments;
      for (const Json& candidate : conversations.as_array()) {
        if (*candidate.find("id") == *item.find("id")) arguments = candidate;
      }
      ASSERT_TRUE(arguments.is_object()) << item.find("id")->dump();
      arguments.erase("id");
      const auto got = chat_template->render(arguments, {.now = file.find("now")->as_string()});
      const std::string where = cat(name, " ", item.find("id")->as_string());
      if (const Json* prompt = item.find("prompt")) {
        ASSERT_TRUE(got.ok()) << where << "\n" << got.error().to_string();
        EXPECT_EQ(*got, prompt->as_string()) << where;
        ++prompts;
      } else {
        ASSERT_FALSE(got.ok()) << where;
        EXPECT_EQ(got.error().found, item.find("error")->as_string()) << where;
        ++errors;
      }
    }
  }
  EXPECT_GT(prompts, 100u);
  EXPECT_GT(errors, 10u);
}

}  // namespace
}  // namespace mlc::formats
