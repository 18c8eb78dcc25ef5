// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "engine/fake_model.h"
#include "engine/random.h"

namespace mlc::engine {
namespace {

std::vector<int32_t> bytes_of(std::string_view text) {
  std::vector<int32_t> ids;
  for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
  return ids;
}

std::unique_ptr<Engine> make_engine(const FakeModel& model,
                                    EngineOptions options = {.max_sequences = 4},
                                    SessionOptions session = {}) {
  return std::make_unique<Engine>(model.session(session), fake_tokenizer(), options);
}

struct Answer {
  std::string text;
  std::vector<int32_t> tokens;
  std::optional<FinishReason> finish;
  std::optional<Error> error;
  Usage usage;
};

// Takes what has come out so far.
void take(Engine& engine, std::map<RequestId, Answer>& answers) {
  for (Output& output : engine.take_outputs()) {
    Answer& answer = answers[output.request];
    EXPECT_FALSE(answer.finish.has_value()) << "an output after the last";
    EXPECT_EQ(escape_invalid_utf8(output.text), output.text);
    answer.text += output.text;
    answer.tokens.insert(answer.tokens.end(), output.tokens.begin(), output.tokens.end());
    answer.finish = output.finish;
    answer.error = output.error;
    answer.usage = output.usage;
  }
}

std::map<RequestId, Answer> run_all(Engine& engine) {
  std::map<RequestId, Answer> answers;
  do take(engine, answers);
  while (engine.step() || !engine.idle());
  take(engine, answers);
  return answers;
}

Answer ask(Engine& engine, Request request) {
  const RequestId id = engine.add(std::move(request)).value();
  return run_all(engine)[id];
}

// Requests of many kinds, none of which ends early.
std::vector<Request> mixed_requests(size_t count, int64_t max_tokens = 30) {
  std::vector<Request> requests;
  for (size_t i = 0; i < count; ++i) {
    Request request;
    const auto length = 1 + static_cast<size_t>(uniform_draw(3, i) * 90);
    for (size_t j = 0; j < length; ++j)
      request.prompt.push_back(static_cast<int32_t>(uniform_draw(100 + i, j) * 256));
    request.sampling.seed = i;
    request.sampling.temperature = i % 3 == 0 ? 0 : 0.8;
    if (i % 2 == 1) request.sampling.top_p = 0.9;
    if (i % 5 == 2) request.sampling.frequency_penalty = 0.5;
    request.max_tokens = max_tokens - static_cast<int64_t>(i % 4);
    requests.push_back(std::move(request));
  }
  return requests;
}

// Each alone on a fresh engine.
std::vector<std::vector<int32_t>> alone(const FakeModel& model,
                                        const std::vector<Request>& requests) {
  std::vector<std::vector<int32_t>> tokens;
  for (const Request& request : requests)
    tokens.push_back(ask(*make_engine(model), request).tokens);
  return tokens;
}

TEST(Engine, AnswersWithTheScript) {
  const FakeModel model({.script = bytes_of("hi: hello there")});
  const auto engine = make_engine(model);
  const Answer answer =
      ask(*engine, {.prompt = bytes_of("hi:"), .sampling = {.temperature = 0}, .max_tokens = 6});
  EXPECT_EQ(answer.text, " hello");
  EXPECT_EQ(answer.finish, FinishReason::kMaxTokens);
  EXPECT_EQ(answer.usage.prompt_tokens, 3);
  EXPECT_EQ(answer.usage.completion_tokens, 6);
  EXPECT_EQ(answer.usage.cached_tokens, 0);
  EXPECT_GT(answer.usage.prefill_tokens_per_second(), 0);
  EXPECT_GT(answer.usage.decode_tokens_per_second(), 0);
}

TEST(Engine, AnswersDoNotDependOnTheBatchTheChunksOrTheThreads) {
  const FakeModel model;
  const std::vector<Request> requests = mixed_requests(12);
  const auto expected = alone(model, requests);
  for (const int64_t sequences : {1, 3, 12}) {
    for (const int64_t chunk : {1, 7, 64}) {
      const auto engine =
          make_engine(model, {.max_sequences = sequences, .kept_sequences = 2},
                      {.threads = chunk == 7 ? 3 : 1, .max_tokens = 2000, .chunk_tokens = chunk});
      std::map<RequestId, Answer> answers;
      std::vector<RequestId> ids;
      for (size_t i = 0; i < requests.size(); ++i) {
        ids.push_back(engine->add(requests[i]).value());
        if (i % 3 == 2) engine->step();  // some come while others are under way
      }
      answers = run_all(*engine);
      for (size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(answers[ids[i]].tokens, expected[i])
            << i << " of " << sequences << ", chunk " << chunk;
        EXPECT_EQ(answers[ids[i]].finish, FinishReason::kMaxTokens);
      }
    }
  }
}

TEST(Engine, DecodesAndPrefillsInOneStep) {
  const FakeModel model({.prefill_chunk_size = 16});
  const auto engine = make_engine(model);
  const RequestId first =
      engine->add({.prompt = bytes_of("ab"), .sampling = {.temperature = 0}, .max_tokens = 20})
          .value();
  engine->step();
  const RequestId second = engine
                               ->add({.prompt = std::vector<int32_t>(40, 7),
                                      .sampling = {.temperature = 0},
                                      .max_tokens = 5})
                               .value();
  std::map<RequestId, Answer> answers;
  take(*engine, answers);
  EXPECT_EQ(answers[first].tokens.size(), 1u);
  for (size_t step = 2; step <= 4; ++step) {  // 15 of the 40, 15, 10
    engine->step();
    take(*engine, answers);
    EXPECT_EQ(answers[first].tokens.size(), step)
        << "an answer goes on while the next prompt is read";
    EXPECT_EQ(answers[second].tokens.size(), step == 4 ? 1u : 0u);
  }
}

TEST(Engine, ContinuesAConversationFromTheCacheWithoutAnyDifference) {
  for (const bool window : {false, true}) {
    const FakeModel model({.window = window ? 24 : 0, .sink = window ? 3 : 0});
    const auto engine = make_engine(model, {.max_sequences = 1});
    std::vector<int32_t> prompt = bytes_of("first question");
    for (int turn = 0; turn < 6; ++turn) {
      const Request request{.prompt = prompt, .sampling = {.seed = 9}, .max_tokens = 7};
      const Answer answer = ask(*engine, request);
      EXPECT_EQ(answer.tokens, ask(*make_engine(model), request).tokens) << "turn " << turn;
      // All but the last token of the answer, which was never fed.
      if (turn > 0)
        EXPECT_EQ(answer.usage.cached_tokens, static_cast<int64_t>(prompt.size()) - 6 - 1)
            << "turn " << turn;
      prompt.insert(prompt.end(), answer.tokens.begin(), answer.tokens.end());
      for (const int32_t id : bytes_of(" more?")) prompt.push_back(id);
    }
  }
}

TEST(Engine, TruncatesTheCacheToTheCommonBeginning) {
  const FakeModel model;
  const auto engine = make_engine(model, {.max_sequences = 1});
  ask(*engine, {.prompt = bytes_of("the same beginning, then A"), .max_tokens = 9});
  const Request other{.prompt = bytes_of("the same beginning, then B and more"),
                      .sampling = {.seed = 4},
                      .max_tokens = 9};
  const Answer answer = ask(*engine, other);
  EXPECT_EQ(answer.usage.cached_tokens, 25);
  EXPECT_EQ(answer.tokens, ask(*make_engine(model), other).tokens);
  // The very same prompt again: its last token is computed all the same.
  const Answer again = ask(*engine, other);
  EXPECT_EQ(again.usage.cached_tokens, static_cast<int64_t>(other.prompt.size()) - 1);
  EXPECT_EQ(again.tokens, answer.tokens);
}

TEST(Engine, DoesNotUseACacheWhoseWindowHasMovedOn) {
  const FakeModel model({.window = 16, .sink = 0});
  const auto engine = make_engine(model, {.max_sequences = 1});
  ask(*engine, {.prompt = std::vector<int32_t>(20, 65), .max_tokens = 60});
  const Request request{
      .prompt = std::vector<int32_t>(21, 65), .sampling = {.seed = 1}, .max_tokens = 10};
  const Answer answer = ask(*engine, request);
  EXPECT_EQ(answer.usage.cached_tokens, 0);
  EXPECT_EQ(answer.tokens, ask(*make_engine(model), request).tokens);
}

TEST(Engine, DoesNotUseACacheWithAnglesOfAnotherLength) {
  const FakeModel model({.rope_switch_length = 20});
  const auto engine = make_engine(model, {.max_sequences = 1});
  const auto prompt = [](size_t length) {
    return Request{
        .prompt = std::vector<int32_t>(length, 66), .sampling = {.seed = 2}, .max_tokens = 6};
  };
  ask(*engine, prompt(12));
  EXPECT_EQ(ask(*engine, prompt(20)).usage.cached_tokens, 12) << "both are short";
  const Answer longer = ask(*engine, prompt(24));
  EXPECT_EQ(longer.usage.cached_tokens, 0);
  EXPECT_EQ(longer.tokens, ask(*make_engine(model), prompt(24)).tokens);
}

TEST(Engine, SharesTheBeginningOfAPromptWithASequenceThatRuns) {
  const FakeModel model;
  const auto engine = make_engine(model, {.max_sequences = 4, .kept_sequences = 0});
  const std::string common = "a long system prompt that all requests have in common. ";
  std::vector<Request> requests;
  for (const char* end : {"one", "two", "three"})
    requests.push_back(
        {.prompt = bytes_of(common + end), .sampling = {.seed = 5}, .max_tokens = 12});
  const auto expected = alone(model, requests);
  const RequestId first = engine->add(requests[0]).value();
  engine->step();
  const RequestId second = engine->add(requests[1]).value();
  const RequestId third = engine->add(requests[2]).value();
  auto answers = run_all(*engine);
  EXPECT_EQ(answers[second].usage.cached_tokens, 55);
  EXPECT_EQ(answers[third].usage.cached_tokens, 55);
  EXPECT_EQ(answers[first].tokens, expected[0]);
  EXPECT_EQ(answers[second].tokens, expected[1]);
  EXPECT_EQ(answers[third].tokens, expected[2]);
  EXPECT_EQ(engine->session().cache().free_pages(0), engine->session().cache().total_pages(0) - 1)
      << "all pages came back";
}

TEST(Engine, KeepsBothWhereAPromptSharesOnlyALittleWithAnOldOne) {
  const FakeModel model;
  const auto engine =
      make_engine(model, {.max_sequences = 1, .kept_sequences = 2}, {.max_tokens = 1000});
  const std::string system = "system. ";
  const std::vector<int32_t> one = bytes_of(system + "the first of two conversations, a long one");
  const std::vector<int32_t> two = bytes_of(system + "another");
  ask(*engine, {.prompt = one, .max_tokens = 4});
  EXPECT_EQ(ask(*engine, {.prompt = two, .max_tokens = 4}).usage.cached_tokens, 8);
  EXPECT_EQ(ask(*engine, {.prompt = one, .max_tokens = 4}).usage.cached_tokens,
            static_cast<int64_t>(one.size()) - 1);
}

TEST(Engine, SetsTheYoungestAsideWhenPagesRunShortAndLosesNothing) {
  const FakeModel model;
  std::vector<Request> requests = mixed_requests(6, 60);
  const auto expected = alone(model, requests);
  // Room for about two of them.
  const auto engine =
      make_engine(model, {.max_sequences = 6, .kept_sequences = 2}, {.max_tokens = 260});
  std::vector<RequestId> ids;
  for (const Request& request : requests) ids.push_back(engine->add(request).value());
  auto answers = run_all(*engine);
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(answers[ids[i]].finish, FinishReason::kMaxTokens);
    EXPECT_EQ(answers[ids[i]].tokens, expected[i]) << i;
  }
  engine->drop_kept();
  EXPECT_EQ(engine->session().cache().free_pages(0), engine->session().cache().total_pages(0) - 1);
}

TEST(Engine, StopsAtAStopStringThatSpansTokensAndNeverShowsIt) {
  const FakeModel model({.script = bytes_of("Q:answer STOP behind")});
  const auto engine = make_engine(model);
  const Answer answer = ask(
      *engine,
      {.prompt = bytes_of("Q:"), .sampling = {.temperature = 0}, .stop_strings = {"", " STOP"}});
  EXPECT_EQ(answer.text, "answer");
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.usage.completion_tokens, 11);
}

TEST(Engine, HoldsBackTextUntilItIsNoStopString) {
  const FakeModel model({.script = bytes_of("Q:a ST b")});
  const auto engine = make_engine(model);
  engine
      ->add({.prompt = bytes_of("Q:"),
             .sampling = {.temperature = 0},
             .max_tokens = 6,
             .stop_strings = {" STOP"}})
      .value();
  std::vector<std::string> pieces;
  bool more = true;
  while (more) {
    more = engine->step();
    for (const Output& output : engine->take_outputs()) pieces.push_back(output.text);
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "", "", "", " ST", " b"}));
}

TEST(Engine, ReleasesHeldBackTextAtTheEnd) {
  const FakeModel model({.script = bytes_of("Q:a ST")});
  const Answer answer = ask(*make_engine(model), {.prompt = bytes_of("Q:"),
                                                  .sampling = {.temperature = 0},
                                                  .max_tokens = 4,
                                                  .stop_strings = {" STOP"}});
  EXPECT_EQ(answer.text, "a ST");
}

TEST(Engine, StopsAtAStopTokenWithoutItsText) {
  std::vector<int32_t> script = bytes_of("Q:done");
  script.push_back(256);
  script.push_back('x');
  const FakeModel model({.script = script});
  const Request request{.prompt = bytes_of("Q:"), .sampling = {.temperature = 0}, .max_tokens = 50};
  Request stopped = request;
  stopped.stop_token_ids = {7, 256};
  const Answer answer = ask(*make_engine(model), stopped);
  EXPECT_EQ(answer.text, "done");
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.tokens.back(), 256);
  // Templates that name the special token's text as a stop string.
  Request by_text = request;
  by_text.stop_strings = {"<|end|>"};
  EXPECT_EQ(ask(*make_engine(model), by_text).text, "done");
}

TEST(Engine, ShowsWholeCharactersOnly) {
  const FakeModel model({.script = bytes_of("Q:é€😀!")});
  const auto engine = make_engine(model);
  engine->add({.prompt = bytes_of("Q:"), .sampling = {.temperature = 0}, .max_tokens = 10}).value();
  std::vector<std::string> pieces;
  bool more = true;
  while (more) {
    more = engine->step();
    for (const Output& output : engine->take_outputs()) {
      if (!output.text.empty()) pieces.push_back(output.text);
    }
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"é", "€", "😀", "!"}));
  // An answer that ends inside a character.
  EXPECT_EQ(ask(*make_engine(model),
                {.prompt = bytes_of("Q:"), .sampling = {.temperature = 0}, .max_tokens = 4})
                .text,
            "é\ufffd");
}

TEST(Engine, NeverSamplesIdsThatTheTokenizerLacks) {
  std::vector<int32_t> script = bytes_of("Q:");
  for (const int32_t id : {259, 261, 271}) script.push_back(id);
  const FakeModel model({.script = script});
  const Answer greedy =
      ask(*make_engine(model),
          {.prompt = bytes_of("Q:"), .sampling = {.temperature = 0}, .max_tokens = 3});
  const Answer sampled =
      ask(*make_engine(model),
          {.prompt = bytes_of("Q:"), .sampling = {.temperature = 5, .seed = 3}, .max_tokens = 200});
  for (const Answer& answer : {greedy, sampled}) {
    for (const int32_t token : answer.tokens) EXPECT_TRUE(token <= 258 || token == 260) << token;
  }
}

TEST(Engine, EndsWhereTheContextIsFull) {
  const FakeModel model({.context_window_size = 32});
  const auto engine = make_engine(model, {.max_sequences = 1});
  const Answer answer = ask(*engine, {.prompt = std::vector<int32_t>(20, 65), .max_tokens = 100});
  EXPECT_EQ(answer.finish, FinishReason::kContextFull);
  EXPECT_EQ(answer.tokens.size(), 12u);
  // A prompt as long as the context still gives one token.
  const Answer full = ask(*engine, {.prompt = std::vector<int32_t>(32, 65)});
  EXPECT_EQ(full.finish, FinishReason::kContextFull);
  EXPECT_EQ(full.tokens.size(), 1u);
}

TEST(Engine, AWindowNeedsNoRoomForWhatItForgot) {
  const FakeModel model({.context_window_size = -1, .window = 16, .sink = 2});
  const auto engine = make_engine(model, {.max_sequences = 1}, {.max_tokens = 128});
  const Answer answer = ask(*engine, {.prompt = std::vector<int32_t>(300, 65), .max_tokens = 200});
  EXPECT_EQ(answer.finish, FinishReason::kMaxTokens);
  EXPECT_EQ(answer.tokens.size(), 200u);
}

TEST(Engine, CancelEndsARequestWhereItStands) {
  const FakeModel model;
  const auto engine = make_engine(model, {.max_sequences = 1, .kept_sequences = 0});
  const RequestId running = engine->add({.prompt = bytes_of("one")}).value();
  const RequestId waiting = engine->add({.prompt = bytes_of("two")}).value();
  const RequestId last = engine->add({.prompt = bytes_of("three"), .max_tokens = 3}).value();
  for (int i = 0; i < 5; ++i) engine->step();
  engine->cancel(waiting);
  engine->cancel(running);
  engine->cancel(12345);
  auto answers = run_all(*engine);
  EXPECT_EQ(answers[running].finish, FinishReason::kCancelled);
  EXPECT_EQ(answers[running].tokens.size(), 5u);
  EXPECT_EQ(answers[waiting].finish, FinishReason::kCancelled);
  EXPECT_EQ(answers[waiting].tokens.size(), 0u);
  EXPECT_EQ(answers[last].finish, FinishReason::kMaxTokens);
  EXPECT_EQ(engine->session().cache().free_pages(0), engine->session().cache().total_pages(0) - 1);
}

TEST(Engine, AStepThatFailsEndsItsRequestsWithTheError) {
  const FakeModel model({.arena_bytes_per_token = int64_t{1} << 56});
  const auto engine = make_engine(model);
  const Answer answer = ask(*engine, {.prompt = bytes_of("abc")});
  EXPECT_EQ(answer.finish, FinishReason::kError);
  ASSERT_TRUE(answer.error.has_value());
  EXPECT_NE(answer.error->to_string().find("memory: "), std::string::npos)
      << answer.error->to_string();
  EXPECT_TRUE(engine->idle());
  EXPECT_EQ(engine->session().cache().free_pages(0), engine->session().cache().total_pages(0) - 1);
}

TEST(Engine, RefusesWhatCannotBeDoneByName) {
  const FakeModel model({.context_window_size = 32});
  const auto engine = make_engine(model);
  const auto message = [&](Request request) {
    const Result<RequestId> id = engine->add(std::move(request));
    return id.ok() ? "" : id.error().to_string();
  };
  EXPECT_EQ(message({}), "error: prompt: is empty\n  expected at least one token");
  EXPECT_EQ(
      message({.prompt = std::vector<int32_t>(33, 1)}),
      "error: prompt: has 33 tokens\n  expected at most 32, the context that the model has here\n"
      "  use a shorter prompt, or a larger context_window_size");
  EXPECT_EQ(message({.prompt = {272}}),
            "error: tokens: hold the id 272\n  expected ids from 0 to 271");
  EXPECT_EQ(message({.prompt = {-1}}),
            "error: tokens: hold the id -1\n  expected ids from 0 to 271");
  EXPECT_EQ(message({.prompt = {1}, .max_tokens = 0}),
            "error: max_tokens: is 0\n  expected a positive number, or -1 for no limit");
  EXPECT_EQ(message({.prompt = {1}, .sampling = {.top_p = 2}}),
            "error: top_p: is 2.0\n  expected a number from 0 to 1");
  EXPECT_TRUE(engine->idle());
}

TEST(Engine, CountsWhatItDid) {
  const FakeModel model({.script = bytes_of("abc, def")});
  const auto engine = make_engine(model);
  ask(*engine, {.prompt = bytes_of("abc"), .sampling = {.temperature = 0}, .max_tokens = 5});
  const std::string text = engine->metrics().prometheus_text();
  for (const char* line :
       {"\nrequests_sum 1\n", "\nprompt_tokens_sum 3\n", "\ncompletion_tokens_sum 5\n",
        "\nprefill_tokens_sum 3\n", "\ndecode_tokens_sum 4\n", "\ncached_tokens_sum 0\n",
        "# TYPE prefill_tokens_per_s gauge\n",
        "\ndecode_time_by_batch_size_count{batch_size=\"1\"} 3\n",
        "\nlast_finished_request_completion_tokens 5\n"}) {
    EXPECT_NE(("\n" + text).find(line), std::string::npos) << line << text;
  }
}

// What an answer must be, with a model whose tokens are bytes and whose logits are random.
TEST(Engine, AnswersInTheFormThatWasAskedFor) {
  const FakeModel model;
  const std::string schema =
      R"({"type":"object","properties":{"a":{"type":"integer","maximum":99},"b":{"enum":["x","yz"]}},
          "required":["a","b"],"additionalProperties":false})";
  const auto check = Grammar::compile({ResponseFormat::Kind::kJsonSchema, schema},
                                      std::make_shared<GrammarVocabulary>(*fake_tokenizer(), 272));
  ASSERT_TRUE(check.ok());
  for (const bool top_p : {false, true}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      const auto engine = make_engine(model);
      const Answer answer =
          ask(*engine, {.prompt = bytes_of("json:"),
                        .sampling = {.top_p = top_p ? 0.9 : 1, .seed = seed},
                        .max_tokens = 200,
                        .response_format = {ResponseFormat::Kind::kJsonSchema, schema}});
      EXPECT_EQ(answer.finish, FinishReason::kStop) << answer.text;
      GrammarMatcher matcher(*check);
      EXPECT_TRUE(matcher.accept_bytes(answer.text) && matcher.finished()) << answer.text;
      EXPECT_GT(answer.usage.grammar_seconds, 0);
    }
  }
}

TEST(Engine, AFormThatMayEndEndsByAStopToken) {
  // The script wants to stop at once, then after three letters.
  std::vector<int32_t> script = bytes_of("p:");
  for (const int32_t id : std::vector<int32_t>{256, 'a', 'a', 256, 'a'}) script.push_back(id);
  const FakeModel model({.script = script});
  const Request request{.prompt = bytes_of("p:"),
                        .sampling = {.temperature = 0},
                        .max_tokens = 20,
                        .stop_token_ids = {256},
                        .response_format = {ResponseFormat::Kind::kRegex, "[a-c]{2,}"}};
  const Answer answer = ask(*make_engine(model), request);
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_EQ(answer.tokens.back(), 256);
  EXPECT_EQ(answer.text.size(), 3u) << answer.text;
  EXPECT_TRUE(answer.text.ends_with("aa")) << answer.text;
  Request ignoring = request;
  ignoring.ignore_eos = true;
  EXPECT_EQ(ask(*make_engine(model), ignoring).finish, FinishReason::kMaxTokens);
}

TEST(Engine, AFormEndsTheAnswerWhereNothingCanFollow) {
  const FakeModel model;
  const Answer answer =
      ask(*make_engine(model), {.prompt = bytes_of("p"),
                                .max_tokens = 50,
                                .response_format = {ResponseFormat::Kind::kRegex, "yes|no"}});
  EXPECT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_TRUE(answer.text == "yes" || answer.text == "no") << answer.text;
  const Answer empty =
      ask(*make_engine(model),
          {.prompt = bytes_of("p"), .response_format = {ResponseFormat::Kind::kRegex, ""}});
  EXPECT_EQ(empty.finish, FinishReason::kStop);
  EXPECT_EQ(empty.text, "");
}

TEST(Engine, NamesAFormThatCannotBe) {
  const FakeModel model;
  const auto engine = make_engine(model);
  const auto refused =
      engine->add({.prompt = bytes_of("p"),
                   .response_format = {ResponseFormat::Kind::kJsonSchema, R"({"contains":{}})"}});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().to_string().find("keyword contains"), std::string::npos);
  const FakeModel stubborn({.script = bytes_of("p" + std::string(60, 'a'))});
  const Answer ambiguous =
      ask(*make_engine(stubborn),
          {.prompt = bytes_of("p"),
           .sampling = {.temperature = 0},
           .response_format = {ResponseFormat::Kind::kEbnf,
                               "root ::= \"a\" (root root \"x\" | root \"y\" | root \"z\")?"}});
  EXPECT_EQ(ambiguous.finish, FinishReason::kError);
  ASSERT_TRUE(ambiguous.error.has_value());
  EXPECT_NE(ambiguous.error->to_string().find("too many ways"), std::string::npos);
}

TEST(Engine, IgnoresStopTokensWhereItIsToldTo) {
  std::vector<int32_t> script = bytes_of("p:ab");
  script.push_back(256);
  for (const int32_t id : bytes_of("cd")) script.push_back(id);
  const FakeModel model({.script = script});
  Request request{.prompt = bytes_of("p:"),
                  .sampling = {.temperature = 0},
                  .max_tokens = 5,
                  .stop_token_ids = {256}};
  EXPECT_EQ(ask(*make_engine(model), request).tokens, (std::vector<int32_t>{'a', 'b', 256}));
  request.ignore_eos = true;
  const Answer answer = ask(*make_engine(model), request);
  EXPECT_EQ(answer.tokens, (std::vector<int32_t>{'a', 'b', 256, 'c', 'd'}));
  EXPECT_EQ(answer.finish, FinishReason::kMaxTokens);
  request.stop_strings = {"c"};
  EXPECT_EQ(ask(*make_engine(model), request).finish, FinishReason::kStop);
}

// The tokens of each answer of a request for n.
std::map<std::pair<RequestId, int64_t>, std::vector<int32_t>> run_answers(Engine& engine) {
  std::map<std::pair<RequestId, int64_t>, std::vector<int32_t>> tokens;
  do {
    for (const Output& output : engine.take_outputs()) {
      std::vector<int32_t>& all = tokens[{output.request, output.index}];
      all.insert(all.end(), output.tokens.begin(), output.tokens.end());
      EXPECT_LT(output.usage.cached_tokens, std::max<int64_t>(1, output.usage.prompt_tokens));
    }
  } while (engine.step() || !engine.idle());
  for (const Output& output : engine.take_outputs()) {
    std::vector<int32_t>& all = tokens[{output.request, output.index}];
    all.insert(all.end(), output.tokens.begin(), output.tokens.end());
  }
  return tokens;
}

TEST(Engine, SeveralAnswersAreThoseOfTheSeedsThatFollow) {
  const FakeModel model;
  for (const int64_t sequences : {1, 3, 8}) {
    for (const int64_t chunk : {5, 64}) {
      const auto engine = make_engine(model, {.max_sequences = sequences, .kept_sequences = 2},
                                      {.max_tokens = 2000, .chunk_tokens = chunk});
      std::vector<Request> requests = mixed_requests(4, 12);
      std::vector<RequestId> ids;
      for (Request& request : requests) {
        request.n = 4;
        ids.push_back(engine->add(request).value());
      }
      const auto found = run_answers(*engine);
      for (size_t r = 0; r < requests.size(); ++r) {
        for (int64_t i = 0; i < 4; ++i) {
          Request one = requests[r];
          one.n = 1;
          one.sampling.seed += static_cast<uint64_t>(i);
          EXPECT_EQ(found.at({ids[r], i}), ask(*make_engine(model), one).tokens) << r << " " << i;
        }
      }
    }
  }
}

TEST(Engine, SeveralAnswersShareThePagesOfThePrompt) {
  const FakeModel model;
  const auto engine = make_engine(model, {.max_sequences = 4, .kept_sequences = 0});
  const std::vector<int32_t> prompt = bytes_of(std::string(80, 'p'));
  const int64_t all_pages = engine->session().cache().free_pages(0);
  ASSERT_TRUE(engine->add({.prompt = prompt, .max_tokens = 3, .n = 4}).ok());
  int64_t fewest = all_pages;
  std::map<int64_t, int64_t> cached;
  do {
    fewest = std::min(fewest, engine->session().cache().free_pages(0));
    for (const Output& output : engine->take_outputs()) {
      cached[output.index] = output.usage.cached_tokens;
    }
  } while (engine->step());
  // 80 positions are 20 pages; alone, four answers would have 80 and more.
  EXPECT_LE(all_pages - fewest, 20 + 4 * 2);
  EXPECT_EQ(cached[0], 0);
  for (const int64_t i : {1, 2, 3}) EXPECT_EQ(cached[i], 79);
  EXPECT_EQ(engine->session().cache().free_pages(0), all_pages);
}

TEST(Engine, GivesLogprobsOfTheModelsOwnDistribution) {
  const FakeModel model;
  const auto engine = make_engine(model);
  // The same logits, from a session of our own.
  const std::vector<int32_t> prompt = bytes_of("logprobs");
  Request request{.prompt = prompt,
                  .sampling = {.temperature = 0.5, .logit_bias = {{65, 3.0}}, .seed = 4},
                  .max_tokens = 6,
                  .logprobs = true,
                  .top_logprobs = 5};
  ASSERT_TRUE(engine->add(request).ok());
  std::vector<TokenLogprobs> found;
  std::vector<int32_t> tokens;
  do {
    for (Output& output : engine->take_outputs()) {
      EXPECT_EQ(output.logprobs.size(), output.tokens.size());
      tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
      found.insert(found.end(), output.logprobs.begin(), output.logprobs.end());
    }
  } while (engine->step() || !engine->idle());
  for (Output& output : engine->take_outputs()) {
    tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
    found.insert(found.end(), output.logprobs.begin(), output.logprobs.end());
  }
  ASSERT_EQ(found.size(), 6u);
  std::vector<int32_t> text = prompt;
  text.insert(text.end(), tokens.begin(), tokens.end() - 1);
  const auto session = model.session();
  const runtime::SequenceId sequence = session->cache().add_sequence();
  size_t position = 0;
  const auto known = fake_tokenizer();
  const Result<void> fed = session->feed(
      sequence, text, static_cast<int64_t>(prompt.size()), runtime::WantedLogits::kAll,
      [&](std::span<const float> logits) {
        if (++position < prompt.size()) return;
        const size_t i = position - prompt.size();
        std::vector<std::pair<double, int32_t>> all;
        double sum = 0;
        for (int32_t id = 0; id <= known->max_id(); ++id) {
          if (!known->token_text(id)) continue;
          all.emplace_back(-static_cast<double>(logits[static_cast<size_t>(id)]), id);
          sum += std::exp(static_cast<double>(logits[static_cast<size_t>(id)]));
        }
        std::sort(all.begin(), all.end());
        const auto logprob = [&](int32_t id) {
          return static_cast<double>(logits[static_cast<size_t>(id)]) - std::log(sum);
        };
        EXPECT_EQ(found[i].token, tokens[i]);
        EXPECT_NEAR(static_cast<double>(found[i].logprob), logprob(tokens[i]), 1e-5);
        ASSERT_EQ(found[i].top.size(), 5u);
        for (size_t k = 0; k < 5; ++k) {
          EXPECT_EQ(found[i].top[k].first, all[k].second);
          EXPECT_NEAR(static_cast<double>(found[i].top[k].second), logprob(all[k].second), 1e-5);
        }
      });
  ASSERT_TRUE(fed.ok());
  EXPECT_EQ(position, text.size());
}

TEST(Engine, NamesWrongNumbersOfAnswersAndLogprobs) {
  const FakeModel model;
  const auto engine = make_engine(model);
  const auto message = [&](Request request) {
    request.prompt = bytes_of("p");
    const auto result = engine->add(std::move(request));
    return result.ok() ? std::string() : result.error().to_string();
  };
  EXPECT_EQ(message({.n = 0}), "error: n: is 0\n  expected a number from 1 to 128");
  EXPECT_EQ(message({.logprobs = true, .top_logprobs = 21}),
            "error: top_logprobs: is 21\n  expected a number from 0 to 20");
  EXPECT_EQ(message({.top_logprobs = 2}),
            "error: top_logprobs: is 2 without logprobs\n  expected logprobs to be true");
}

}  // namespace
}  // namespace mlc::engine
