// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "mlc_llm/mlc_llm.h"
#include "support/json.h"
#include "support/testing.h"
#include "tests/integration/tiny_model.h"
#include "tokenizers/byte_alphabet.h"

extern "C" MlcStatus answer_in_c(const char* model, const char* request_json, char* outputs,
                                 size_t bytes);

namespace mlc {
namespace {

// A tokenizer.json whose token i is byte i.
std::string byte_tokenizer() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    tokenizers::append_byte_alphabet(text, std::string(1, static_cast<char>(byte)));
    vocab.set(text, byte);
  }
  const Json byte_level =
      Json::Object{{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}};
  return Json(Json::Object{
                  {"pre_tokenizer", byte_level},
                  {"decoder", byte_level},
                  {"model",
                   Json::Object{{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}}})
      .dump();
}

Json byte_llama_config() {
  Json config = tiny_llama_config();
  config.set("vocab_size", 272);
  config.set("max_position_embeddings", 256);
  return config;
}

// A llama whose tokens are bytes, with a library: made once.
class Capi : public testing::Test {
 public:
  static void SetUpTestSuite() {
    TinyModelSpec spec;
    spec.config = byte_llama_config();
    model_ = new TinyModel(spec);
    EXPECT_TRUE(
        write_file(path_join(model_->directory(), "tokenizer.json"), byte_tokenizer()).ok());
  }
  static void TearDownTestSuite() {
    delete model_;
    model_ = nullptr;
  }

 protected:
  static std::string model() { return model_->directory(); }
  static std::string library() { return model_->library(); }

  // Closed at the end of the test.
  MlcEngine* open(const char* options = nullptr) {
    MlcEngine* engine = nullptr;
    EXPECT_EQ(mlc_engine_open(model().c_str(), library().c_str(), options, &engine), MLC_OK)
        << mlc_last_error();
    engines_.emplace_back(engine, mlc_engine_close);
    return engine;
  }

  static int64_t add(MlcEngine* engine, const std::string& request) {
    int64_t id = 0;
    EXPECT_EQ(mlc_engine_add(engine, request.c_str(), &id), MLC_OK) << mlc_last_error();
    return id;
  }

  static Json outputs(MlcEngine* engine) {
    const char* json = nullptr;
    EXPECT_EQ(mlc_engine_take_outputs(engine, &json), MLC_OK) << mlc_last_error();
    return parse_json(json, "outputs").value();
  }

  struct Answer {
    std::string text;
    Json::Array tokens;
    Json last;
    int64_t steps = 0;
  };
  static std::map<int64_t, Answer> run(MlcEngine* engine) {
    std::map<int64_t, Answer> answers;
    for (int32_t more = 1; more != 0;) {
      EXPECT_EQ(mlc_engine_step(engine, &more), MLC_OK);
      const Json taken = outputs(engine);
      for (const Json& output : taken.as_array()) {
        Answer& answer = answers[output.find("request")->as_int()];
        answer.text += output.find("text")->as_string();
        for (const Json& token : output.find("tokens")->as_array()) answer.tokens.push_back(token);
        answer.last = output;
        ++answer.steps;
      }
    }
    return answers;
  }

  static Json info(MlcEngine* engine) {
    const char* json = nullptr;
    EXPECT_EQ(mlc_engine_info(engine, &json), MLC_OK);
    return parse_json(json, "info").value();
  }

  static TinyModel* model_;
  std::vector<std::unique_ptr<MlcEngine, void (*)(MlcEngine*)>> engines_;
};

TinyModel* Capi::model_ = nullptr;

constexpr const char* kGreedy =
    R"({"prompt": "hello", "temperature": 0, "max_tokens": 12, "ignore_eos": true})";

TEST_F(Capi, AnswersARequest) {
  MlcEngine* engine = open();
  const int64_t id = add(engine, kGreedy);
  EXPECT_GT(id, 0);
  const auto answers = run(engine);
  ASSERT_EQ(answers.size(), 1u);
  const Answer& answer = answers.at(id);
  EXPECT_EQ(answer.tokens.size(), 12u);
  EXPECT_EQ(*answer.last.find("finish_reason"), Json("length"));
  const Json& usage = *answer.last.find("usage");
  EXPECT_EQ(*usage.find("prompt_tokens"), Json(5));
  EXPECT_EQ(*usage.find("completion_tokens"), Json(12));
  EXPECT_GT(usage.find("prefill_seconds")->as_double(), 0);
  EXPECT_TRUE(outputs(engine).as_array().empty());
}

TEST_F(Capi, RequestsShareStepsAndChangeNothingOfEachOther) {
  MlcEngine* engine = open();
  const int64_t alone = add(engine, kGreedy);
  const Answer expected = run(engine).at(alone);
  ASSERT_EQ(mlc_engine_forget(engine), MLC_OK);
  const int64_t other = add(engine, R"({"prompt": [1, 2, 3], "seed": 3, "max_tokens": 20})");
  const int64_t same = add(engine, kGreedy);
  int64_t steps = 0;
  int32_t more = 1;
  std::string text;
  int64_t both = 0;
  while (more != 0) {
    mlc_engine_step(engine, &more);
    ++steps;
    bool saw_other = false, saw_same = false;
    const Json taken = outputs(engine);
    for (const Json& output : taken.as_array()) {
      const int64_t request = output.find("request")->as_int();
      saw_other |= request == other;
      saw_same |= request == same;
      if (request == same) text += output.find("text")->as_string();
    }
    both += saw_other && saw_same;
  }
  EXPECT_EQ(text, expected.text);
  EXPECT_GE(both, 11);
  EXPECT_LT(steps, 32);
}

TEST_F(Capi, ACancelledRequestSaysSoAndTheEngineGoesOn) {
  MlcEngine* engine = open();
  const int64_t id = add(engine, R"({"prompt": "a", "max_tokens": 100, "ignore_eos": true})");
  int32_t more = 0;
  ASSERT_EQ(mlc_engine_step(engine, &more), MLC_OK);
  EXPECT_EQ(more, 1);
  mlc_engine_cancel(engine, id);
  mlc_engine_cancel(engine, 12345);
  mlc_engine_cancel(nullptr, 1);
  const Json last = outputs(engine).as_array().back();
  EXPECT_EQ(*last.find("finish_reason"), Json("abort"));
  add(engine, kGreedy);
  EXPECT_EQ(run(engine).size(), 1u);
}

TEST_F(Capi, SeveralAnswersOfARequestHaveAnIndexAndAreThoseOfSeedsInARow) {
  MlcEngine* engine = open();
  constexpr const char* kRest = R"("prompt": "hello", "max_tokens": 8, "ignore_eos": true)";
  const int64_t id = add(engine, cat("{\"n\": 3, \"seed\": 5, ", kRest, "}"));
  std::map<int64_t, Json::Array> tokens;
  int finished = 0;
  for (int32_t more = 1; more != 0;) {
    ASSERT_EQ(mlc_engine_step(engine, &more), MLC_OK);
    const Json taken = outputs(engine);
    for (const Json& output : taken.as_array()) {
      EXPECT_EQ(*output.find("request"), Json(id));
      EXPECT_EQ(output.find("logprobs"), nullptr);
      for (const Json& token : output.find("tokens")->as_array())
        tokens[output.find("index")->as_int()].push_back(token);
      finished += output.contains("finish_reason");
    }
  }
  EXPECT_EQ(finished, 3);
  ASSERT_EQ(tokens.size(), 3u);
  for (int64_t i = 0; i < 3; ++i) {
    const int64_t alone = add(engine, cat("{\"seed\": ", 5 + i, ", ", kRest, "}"));
    EXPECT_EQ(run(engine).at(alone).tokens, tokens.at(i)) << i;
  }
  EXPECT_NE(tokens.at(0), tokens.at(1));
  int64_t none = 0;
  EXPECT_EQ(mlc_engine_add(engine, R"({"prompt": "a", "n": 0})", &none), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: n: is 0\n  expected a number from 1 to 128");
}

TEST_F(Capi, LogprobsStandBesideTheTokens) {
  MlcEngine* engine = open();
  add(engine, R"({"prompt": "hello", "temperature": 0, "max_tokens": 6, "ignore_eos": true,
                  "logprobs": true, "top_logprobs": 3})");
  int64_t count = 0;
  for (int32_t more = 1; more != 0;) {
    ASSERT_EQ(mlc_engine_step(engine, &more), MLC_OK);
    const Json taken = outputs(engine);
    for (const Json& output : taken.as_array()) {
      const Json::Array& tokens = output.find("tokens")->as_array();
      const Json::Array& logprobs = output.find("logprobs")->as_array();
      ASSERT_EQ(logprobs.size(), tokens.size());
      for (size_t i = 0; i < tokens.size(); ++i, ++count) {
        // Tokens are bytes; greedy takes the most probable one.
        EXPECT_EQ(*logprobs[i].find("bytes"), Json(Json::Array{tokens[i]}));
        const Json::Array& top = logprobs[i].find("top_logprobs")->as_array();
        ASSERT_EQ(top.size(), 3u);
        EXPECT_EQ(*top[0].find("logprob"), *logprobs[i].find("logprob"));
        EXPECT_LT(top[0].find("logprob")->as_double(), 0);
        EXPECT_GE(top[1].find("logprob")->as_double(), top[2].find("logprob")->as_double());
      }
    }
  }
  EXPECT_EQ(count, 6);
  int64_t id = 0;
  EXPECT_EQ(mlc_engine_add(engine, R"({"prompt": "a", "top_logprobs": 2})", &id), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(),
               "error: top_logprobs: is 2 without logprobs\n  expected logprobs to be true");
}

TEST_F(Capi, AnAnswerIsInTheFormThatWasAskedFor) {
  MlcEngine* engine = open();
  const auto answer = [&](const std::string& format) {
    const int64_t id =
        add(engine, cat(R"({"prompt": "hello", "seed": 1, "response_format": )", format, "}"));
    return run(engine).at(id);
  };
  const Answer regex = answer(R"({"type": "regex", "regex": "[ab]{3}(yes|no)!"})");
  EXPECT_TRUE(regex.text.ends_with("yes!") || regex.text.ends_with("no!")) << regex.text;
  EXPECT_EQ(*regex.last.find("finish_reason"), Json("stop"));
  EXPECT_EQ(answer(R"({"type": "grammar", "grammar": "root ::= \"x\" \"y\""})").text, "xy");
  EXPECT_EQ(answer(R"({"type": "json_schema", "json_schema": {"schema": {"const": 7}}})").text,
            "7");
  EXPECT_EQ(answer(R"({"type": "json_object", "schema": "{\"enum\": [true]}"})").text, "true");
  int64_t id = 0;
  const char* wrong = R"({"prompt": "a", "response_format": {"type": "regex", "regex": "a("}})";
  EXPECT_EQ(mlc_engine_add(engine, wrong, &id), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: regex, line 1, column 3: has a ( without its )");
}

TEST_F(Capi, LogitsAreThoseThatTheAnswerWasDrawnFrom) {
  MlcEngine* engine = open();
  const int64_t id = add(engine, kGreedy);
  const Answer answer = run(engine).at(id);
  const std::vector<int32_t> ids = {'h', 'e', 'l', 'l', 'o'};
  const int64_t vocab = mlc_engine_vocab_size(engine);
  EXPECT_EQ(vocab, 272);
  std::vector<float> all(static_cast<size_t>(vocab) * ids.size());
  std::vector<float> last(static_cast<size_t>(vocab));
  add(engine, kGreedy);  // one that runs
  int32_t more = 0;
  mlc_engine_step(engine, &more);
  ASSERT_EQ(mlc_engine_logits(engine, ids.data(), 5, MLC_ALL_ROWS, all.data()), MLC_OK)
      << mlc_last_error();
  ASSERT_EQ(mlc_engine_logits(engine, ids.data(), 5, MLC_LAST_ROW, last.data()), MLC_OK);
  EXPECT_TRUE(std::equal(last.begin(), last.end(), all.end() - vocab));
  const auto best = std::max_element(last.begin(), last.end()) - last.begin();
  EXPECT_EQ(answer.tokens.front(), Json(static_cast<int64_t>(best)));
  EXPECT_EQ(run(engine).begin()->second.tokens.size(), 12u);
  EXPECT_EQ(mlc_engine_logits(engine, ids.data(), 0, MLC_LAST_ROW, last.data()), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: tokens: are none\n  expected at least one token");
  const int32_t wrong = 300;
  EXPECT_EQ(mlc_engine_logits(engine, &wrong, 1, MLC_LAST_ROW, last.data()), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: tokens: hold the id 300\n  expected ids from 0 to 271");
}

TEST_F(Capi, VectorsBelongToTheSequenceAndChangeNoAnswer) {
  MlcEngine* engine = open(R"({"prefill_chunk_size": 3})");
  const std::vector<int32_t> ids = {'h', 'e', 'l', 'l', 'o'};
  const int64_t width = mlc_engine_hidden_size(engine);
  ASSERT_EQ(width, tiny_llama_config().find("hidden_size")->as_int());
  const auto vectors = [&](const std::vector<int32_t>& of, MlcVectors what) {
    std::vector<float> values(static_cast<size_t>(width) * (what == MLC_EMBEDDING ? 1 : of.size()));
    EXPECT_EQ(
        mlc_engine_vectors(engine, of.data(), static_cast<int64_t>(of.size()), what, values.data()),
        MLC_OK)
        << mlc_last_error();
    return values;
  };
  const auto row = [&](const std::vector<float>& values, int64_t i) {
    return std::vector<float>(values.begin() + i * width, values.begin() + (i + 1) * width);
  };
  add(engine, kGreedy);  // one that runs
  int32_t more = 0;
  mlc_engine_step(engine, &more);
  // Of a token alone: the two l's have the same; hidden states have seen what is before them.
  const std::vector<float> tokens = vectors(ids, MLC_TOKEN_VECTORS);
  EXPECT_EQ(row(tokens, 2), row(tokens, 3));
  EXPECT_NE(row(tokens, 0), row(tokens, 1));
  const std::vector<float> hidden = vectors(ids, MLC_HIDDEN_STATES);
  EXPECT_NE(row(hidden, 2), row(hidden, 3));
  EXPECT_EQ(row(hidden, 1), row(vectors({'h', 'e'}, MLC_HIDDEN_STATES), 1));
  // The last token's, of length 1.
  const std::vector<float> embedding = vectors(ids, MLC_EMBEDDING);
  double squares = 0;
  for (const float value : row(hidden, 4)) squares += static_cast<double>(value) * value;
  for (int64_t i = 0; i < width; ++i)
    EXPECT_NEAR(embedding[static_cast<size_t>(i)],
                hidden[static_cast<size_t>(4 * width + i)] / std::sqrt(squares), 1e-6);
  EXPECT_EQ(run(engine).begin()->second.tokens, [&] {
    MlcEngine* other = open();
    add(other, kGreedy);
    return run(other).begin()->second.tokens;
  }());
  std::vector<float> none(1);
  EXPECT_EQ(mlc_engine_vectors(engine, ids.data(), 0, MLC_EMBEDDING, none.data()), MLC_USER_ERROR);
  EXPECT_EQ(mlc_engine_vectors(engine, ids.data(), 0, MLC_HIDDEN_STATES, none.data()),
            MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: tokens: are none\n  expected at least one token");
}

TEST_F(Capi, TextAndTokensThereAndBack) {
  MlcEngine* engine = open();
  const int32_t* ids = nullptr;
  int64_t count = 0;
  ASSERT_EQ(mlc_engine_encode(engine, "a\0é", 4, 0, &ids, &count), MLC_OK);
  EXPECT_EQ(std::vector<int32_t>(ids, ids + count), (std::vector<int32_t>{'a', 0, 0xc3, 0xa9}));
  const std::vector<int32_t> copy(ids, ids + count);
  const char* text = nullptr;
  int64_t bytes = 0;
  ASSERT_EQ(mlc_engine_decode(engine, copy.data(), count, 0, &text, &bytes), MLC_OK);
  EXPECT_EQ(std::string(text, static_cast<size_t>(bytes)), std::string("a\0é", 4));
  ASSERT_EQ(mlc_engine_prompt(engine, R"({"messages": [{"role": "user", "content": "hi"}]})", &ids,
                              &count),
            MLC_OK);
  EXPECT_EQ(std::vector<int32_t>(ids, ids + count), (std::vector<int32_t>{1, 'h', 'i'}));
}

TEST_F(Capi, OptionsAreHonoured) {
  const Json plain = info(open());
  EXPECT_EQ(*plain.find("context_window_size"), Json(256));
  EXPECT_EQ(*plain.find("max_total_sequence_length"), Json(1024));
  EXPECT_EQ(*plain.find("library"), Json(library()));
  EXPECT_EQ(*plain.find("version"), Json(mlc_version()));
  const Json json = info(open(R"({"device": "cpu", "threads": 1, "verify": true,
      "context_window_size": 64, "prefill_chunk_size": 16, "max_num_sequence": 2,
      "max_total_sequence_length": 100, "kept_sequences": 0,
      "config": {"temperature": 0.25, "conv_template": "chatml", "conv_config": {"seps": ["|"]}}})"));
  EXPECT_EQ(*json.find("context_window_size"), Json(64));
  EXPECT_EQ(*json.find("prefill_chunk_size"), Json(16));
  EXPECT_EQ(*json.find("max_num_sequence"), Json(2));
  EXPECT_EQ(*json.find("max_total_sequence_length"), Json(100));
  EXPECT_EQ(*json.find("threads"), Json(1));
  EXPECT_EQ(*json.find("config")->find("temperature"), Json(0.25));
  const Json& conversation = *json.find("config")->find("conv_template");
  EXPECT_EQ(*conversation.find("name"), Json("chatml"));
  EXPECT_EQ(*conversation.find("seps"), Json(Json::Array{"|"}));
  EXPECT_EQ(*info(open(R"({"overrides": "context_window_size=32"})")).find("context_window_size"),
            Json(32));
}

TEST_F(Capi, ChangesOfTheConfigCountFromTheNextRequestOn) {
  MlcEngine* engine = open();
  ASSERT_EQ(mlc_engine_configure(engine, R"({"conv_template": "chatml", "temperature": 0})"),
            MLC_OK)
      << mlc_last_error();
  const int32_t* ids = nullptr;
  int64_t count = 0;
  ASSERT_EQ(mlc_engine_prompt(engine, R"({"messages": [{"role": "user", "content": "hi"}]})", &ids,
                              &count),
            MLC_OK);
  EXPECT_GT(count, 20);
  EXPECT_EQ(*info(engine).find("config")->find("temperature"), Json(0));
  EXPECT_EQ(mlc_engine_configure(engine, R"({"heat": 1})"), MLC_USER_ERROR);
  EXPECT_TRUE(std::string(mlc_last_error()).starts_with("error: config: unknown member heat"));
  EXPECT_EQ(mlc_engine_configure(engine, R"({"conv_template": "chatmk"})"), MLC_USER_ERROR);
  EXPECT_TRUE(std::string(mlc_last_error()).ends_with("did you mean chatml?")) << mlc_last_error();
  EXPECT_EQ(mlc_engine_configure(engine, R"({"conv_config": {"sepz": []}})"), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(),
               "error: conv_config: has the member sepz\n"
               "  expected members of a conversation template");
}

TEST_F(Capi, ErrorsAreThoseOfTheProgram) {
  MlcEngine* engine = nullptr;
  EXPECT_EQ(mlc_engine_open("/nowhere", nullptr, nullptr, &engine), MLC_USER_ERROR);
  EXPECT_EQ(engine, nullptr);
  EXPECT_TRUE(std::string(mlc_last_error()).starts_with("error: /nowhere: does not exist\n"))
      << mlc_last_error();
  const std::pair<const char*, const char*> wrong[] = {
      {"{\"device\": \"cuda\"}",
       "error: --device: cuda is not implemented yet\n  expected cpu\n  use --device cpu"},
      {"{\"threads\": -1}", "error: threads: is -1\n  expected an integer from 0 to 4096"},
      {"{\"verify\": 1}", "error: verify: is an integer\n  expected true or false"},
      {"[]", "error: options: is a list\n  expected an object"},
  };
  for (const auto& [options, message] : wrong) {
    EXPECT_EQ(mlc_engine_open(model().c_str(), library().c_str(), options, &engine),
              MLC_USER_ERROR);
    EXPECT_STREQ(mlc_last_error(), message);
  }
  const TemporaryDirectory home;
  setenv("MLC_LLM_HOME", home.path().c_str(), 1);
  EXPECT_EQ(mlc_engine_open(model().c_str(), nullptr, "{\"opt\": \"O9\"}", &engine),
            MLC_USAGE_ERROR);
  unsetenv("MLC_LLM_HOME");
  EXPECT_EQ(mlc_engine_open(model().c_str(), nullptr, "{\"thread\": 1}", &engine), MLC_USER_ERROR);
  EXPECT_TRUE(std::string(mlc_last_error()).ends_with("did you mean threads?"));
  engine = open();
  int64_t id = 0;
  EXPECT_EQ(mlc_engine_add(engine, "{\"prompt\": \"a\", \"top_p\": 2}", &id), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: top_p: is 2.0\n  expected a number from 0 to 1");
  const std::string too_long = cat("{\"prompt\": \"", std::string(300, 'a'), "\"}");
  EXPECT_EQ(mlc_engine_add(engine, too_long.c_str(), &id), MLC_USER_ERROR);
  EXPECT_TRUE(std::string(mlc_last_error()).starts_with("error: prompt: has 300 tokens"));
  EXPECT_EQ(mlc_engine_add(engine, "{", &id), MLC_USER_ERROR);
  EXPECT_EQ(mlc_engine_add(nullptr, "{}", &id), MLC_USER_ERROR);
  EXPECT_STREQ(mlc_last_error(), "error: mlc_engine_add: was given NULL\n  expected a pointer");
}

TEST_F(Capi, AProgramInCCompilesALibraryAndAnswers) {
  const TemporaryDirectory folder;
  const std::string home = folder.file("home");
  setenv("MLC_LLM_HOME", home.c_str(), 1);
  char out[20000];
  EXPECT_EQ(answer_in_c(model().c_str(), kGreedy, out, sizeof(out)), MLC_OK) << mlc_last_error();
  unsetenv("MLC_LLM_HOME");
  EXPECT_NE(std::string(out).find("\"finish_reason\": \"length\""), std::string::npos) << out;
  EXPECT_EQ(list_directory(path_join(home, "model_lib")).value().size(), 1u);
}

TEST_F(Capi, MetricsAndVersions) {
  MlcEngine* engine = open();
  add(engine, kGreedy);
  run(engine);
  const char* text = nullptr;
  ASSERT_EQ(mlc_engine_metrics(engine, &text), MLC_OK);
  EXPECT_NE(std::string(text).find("\ncompletion_tokens_sum 12\n"), std::string::npos);
  EXPECT_EQ(mlc_api_version(), MLC_API_VERSION);
  EXPECT_EQ(mlc_engine_vocab_size(nullptr), 0);
  mlc_engine_close(nullptr);
}

}  // namespace
}  // namespace mlc
