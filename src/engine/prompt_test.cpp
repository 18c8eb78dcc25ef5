// SPDX-License-Identifier: Apache-2.0
#include "engine/prompt.h"

#include <gtest/gtest.h>

#include "engine/fake_model.h"
#include "engine/history.h"

namespace mlc::engine {
namespace {

formats::Conversation make_conversation() {
  formats::Conversation c = *formats::find_builtin_conversation("chatml_nosystem");
  return c;
}

formats::PromptInput one_message(const std::string& text) { return History().with(text); }

TEST(PromptIds, PutsThePrefixIdsInFrontAndRecognisesSpecialTokens) {
  formats::Conversation conversation = make_conversation();
  conversation.roles = {{"user", "U:"}, {"assistant", "A:"}};
  conversation.role_content_sep = "";
  conversation.role_empty_sep = "";
  conversation.seps = {"<|end|>"};
  const auto tokenizer = fake_tokenizer();
  EXPECT_EQ(prompt_ids(conversation, *tokenizer, one_message("hi")).value(),
            (std::vector<int32_t>{'U', ':', 'h', 'i', 256, 'A', ':'}));
  conversation.system_prefix_token_ids = {5, 260};
  EXPECT_EQ(prompt_ids(conversation, *tokenizer, one_message("é")).value(),
            (std::vector<int32_t>{5, 260, 'U', ':', 0xc3, 0xa9, 256, 'A', ':'}));
}

TEST(PromptIds, RefusesWhatIsNoPrompt) {
  formats::Conversation conversation = make_conversation();
  conversation.roles = {{"user", ""}, {"assistant", ""}};
  conversation.role_content_sep = conversation.role_empty_sep = "";
  conversation.seps = {""};
  const auto tokenizer = fake_tokenizer();
  EXPECT_EQ(prompt_ids(conversation, *tokenizer, one_message("")).error().to_string(),
            "error: prompt: is empty\n  expected at least one token\n  write a message");
  conversation.system_prefix_token_ids = {-4};
  EXPECT_EQ(prompt_ids(conversation, *tokenizer, one_message("a")).error().to_string(),
            "error: conv_template: system_prefix_token_ids: hold -4\n  expected token ids");
  formats::PromptInput input;
  input.messages.push_back({"nobody", std::string("hi")});
  EXPECT_FALSE(prompt_ids(conversation, *tokenizer, input).ok());
}

TEST(StopLists, AreTheTemplates) {
  formats::Conversation conversation;
  conversation.stop_str = {"", "###"};
  conversation.stop_token_ids = {2, 128001, -1};
  const StopLists lists = stop_lists(conversation);
  EXPECT_EQ(lists.strings, (std::vector<std::string>{"", "###"}));
  EXPECT_EQ(lists.token_ids, (std::vector<int32_t>{2, 128001}));
}

std::string texts(const formats::PromptInput& input) {
  std::string text;
  for (const formats::Message& m : input.messages)
    text += cat(m.role[0], ":", std::get<std::string>(m.content), " ");
  return text;
}

TEST(History, HoldsAllTurns) {
  History history;
  EXPECT_TRUE(history.empty());
  EXPECT_EQ(texts(history.with("q1")), "u:q1 ");
  history.add_turn("q1", "a1");
  EXPECT_EQ(texts(history.with("q2")), "u:q1 a:a1 u:q2 ");
  EXPECT_EQ(history.turns(), 1);
  history.clear();
  EXPECT_EQ(texts(history.with("q3")), "u:q3 ");
}

TEST(History, IsWrittenAndReadAsMessages) {
  History history;
  history.set_system("s");
  history.add_turn("q1", "a1");
  const std::string text =
      R"([{"role": "system", "content": "s"}, {"role": "user", "content": "q1"}, )"
      R"({"role": "assistant", "content": "a1"}])";
  EXPECT_EQ(history.to_json().dump(), text);
  for (const std::string& form : {text, cat("{\"messages\": ", text, "}")}) {
    const auto read = History::from_json(parse_json(form, "f").value(), "f");
    ASSERT_TRUE(read.ok()) << read.error().to_string();
    EXPECT_EQ(read.value().system(), "s");
    EXPECT_EQ(texts(read.value().with("q2")), "u:q1 a:a1 u:q2 ");
    EXPECT_EQ(read.value().with("q2").system_message, "s");
  }
  history.clear();
  EXPECT_EQ(history.with("q").system_message, "s");
  EXPECT_EQ(History().with("q").system_message, std::nullopt);
}

TEST(History, RefusesOtherMessagesByPlace) {
  const std::pair<const char*, const char*> cases[] = {
      {"3", "f: is an integer"},
      {"{}", "f: is an object without messages"},
      {R"([{"role": "assistant", "content": "x"}])",
       "f: message 0: has the role assistant\n  expected user"},
      {R"([{"role": "user", "content": "x"}, {"role": "system", "content": "x"}])",
       "f: message 1: has the role system\n  expected assistant"},
      {R"([{"role": "user", "content": [1]}])",
       "f: message 0: content: is a list\n  expected a string"},
      {R"([{"role": "user"}])", "f: message 0: lacks the key \"content\""},
      {R"([{"role": "user", "content": "x"}])", "f: ends with a message of the user"},
  };
  for (const auto& [text, message] : cases) {
    const auto read = History::from_json(parse_json(text, "f").value(), "f");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_NE(read.error().to_string().find(message), std::string::npos)
        << read.error().to_string();
  }
}

TEST(History, DropsTheOlderHalfRoundedUp) {
  for (const auto& [turns, left] :
       {std::pair{0, 0}, {1, 0}, {2, 1}, {3, 1}, {4, 2}, {5, 2}, {6, 3}, {7, 3}}) {
    History history;
    for (int i = 0; i < turns; ++i) history.add_turn(cat("q", i), "a");
    history.drop_older_half();
    EXPECT_EQ(history.turns(), left) << turns;
    if (left > 0)
      EXPECT_TRUE(texts(history.with("x")).starts_with(cat("u:q", turns - left))) << turns;
  }
}

}  // namespace
}  // namespace mlc::engine
