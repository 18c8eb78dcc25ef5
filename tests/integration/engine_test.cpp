// SPDX-License-Identifier: Apache-2.0
// What the engine gets out of compiled libraries: the same bits with a cache that is used again,
// the same tokens in any batch.
#include "engine/engine.h"

#include "tests/integration/tiny_model.h"

namespace mlc {
namespace {

using runtime::SequenceId;
using runtime::WantedLogits;

// A tokenizer that knows all ids but the last three.
std::unique_ptr<tokenizers::Tokenizer> make_tokenizer() {
  Json vocab = Json::object();
  for (int i = 0; i < kTinyVocab - 3; ++i) vocab.set(cat("t", i), i);
  Json model = Json::object();
  model.set("type", "WordLevel");
  model.set("vocab", vocab);
  model.set("unk_token", "t0");
  Json tokenizer = Json::object();
  tokenizer.set("model", model);
  return tokenizers::tokenizer_from_json(tokenizer, "test").value();
}

Json windowed_config() {
  Json config = tiny_llama_config();
  config.set("model_type", "mistral");
  config.set("sliding_window", 96);
  return config;
}

// Longer than 40 tokens: other angles.
Json longrope_config() {
  Json config = tiny_llama_config();
  config.set(
      "rope_scaling",
      parse_json(
          R"({"rope_type": "longrope", "original_max_position_embeddings": 40, "short_factor": [1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
                            "long_factor": [2, 2, 2, 2, 3, 3, 3, 3, 4, 4]})",
          "test")
          .value());
  return config;
}

struct Kind {
  std::string name;
  TinyModelSpec spec;
};

std::vector<Kind> kinds() {
  const auto kind = [](const char* name, const char* model_type, const char* quantization,
                       Json config) {
    TinyModelSpec spec;
    spec.model_type = model_type;
    spec.quantization = quantization;
    spec.config = std::move(config);
    return Kind{name, spec};
  };
  return {kind("q4f16_1", "llama", "q4f16_1", tiny_llama_config()),
          kind("q0f16", "llama", "q0f16", tiny_llama_config()),
          kind("q0f32", "llama", "q0f32", tiny_llama_config()),
          kind("gpt_neox", "gpt_neox", "q0f16", tiny_gpt_neox_config()),
          kind("window", "mistral", "q4f16_1", windowed_config()),
          kind("longrope", "llama", "q0f16", longrope_config())};
}

std::vector<float> logits_of(engine::Session& session, SequenceId sequence,
                             std::span<const int32_t> tokens, int64_t known_length) {
  std::vector<float> logits;
  const auto result = session.feed(
      sequence, tokens, known_length, WantedLogits::kAll,
      [&](std::span<const float> row) { logits.insert(logits.end(), row.begin(), row.end()); });
  EXPECT_TRUE(result.ok()) << result.error().to_string();
  return logits;
}

TEST(CacheReuse, ATruncatedOrForkedSequenceGivesTheLogitsOfAFreshOne) {
  for (const Kind& kind : kinds()) {
    if (kind.name == "longrope") continue;  // the engine does not use such a cache again (below)
    const TinyModel model(kind.spec);
    const auto session = model.open(2);
    const std::vector<int32_t> first = test_tokens(150, kTinyVocab);
    for (const size_t common : {1u, 15u, 16u, 70u, 128u, 149u, 150u}) {
      std::vector<int32_t> second(first.begin(), first.begin() + static_cast<int64_t>(common));
      for (int32_t i = 0; i < 60; ++i) second.push_back(i * 7 % 199);
      const auto length = static_cast<int64_t>(second.size());
      const SequenceId fresh = session->cache().add_sequence();
      std::vector<float> want = logits_of(*session, fresh, second, length);
      want.erase(want.begin(), want.begin() + static_cast<int64_t>(common) * kTinyVocab);
      session->cache().remove(fresh);

      const SequenceId used = session->cache().add_sequence();
      logits_of(*session, used, first, 150);
      if (!session->cache().holds_prefix(used, static_cast<int64_t>(common))) {
        EXPECT_EQ(kind.name, "window");
        session->cache().remove(used);
        continue;
      }
      const std::optional<SequenceId> forked =
          session->cache().fork(used, static_cast<int64_t>(common));
      ASSERT_TRUE(forked.has_value());
      session->cache().truncate(used, static_cast<int64_t>(common));
      const std::span<const int32_t> suffix = std::span(second).subspan(common);
      EXPECT_TRUE(logits_of(*session, used, suffix, length) == want)
          << kind.name << ", truncated to " << common;
      EXPECT_TRUE(logits_of(*session, *forked, suffix, length) == want)
          << kind.name << ", forked at " << common;
      session->cache().remove(used);
      session->cache().remove(*forked);
    }
  }
}

std::vector<int32_t> run(engine::Engine& engine, engine::Request request,
                         engine::Usage* usage = nullptr) {
  std::vector<int32_t> tokens;
  EXPECT_TRUE(engine.add(std::move(request)).ok());
  while (!engine.idle()) {
    engine.step();
    for (const engine::Output& output : engine.take_outputs()) {
      tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
      if (usage != nullptr) *usage = output.usage;
    }
  }
  return tokens;
}

TEST(Engine, TurnsOfAChatGiveWhatAFreshEngineGives) {
  for (const Kind& kind : kinds()) {
    const TinyModel model(kind.spec);
    engine::Engine engine(model.open(2), make_tokenizer(), {});
    std::vector<int32_t> prompt = test_tokens(20, 200);
    int64_t cached = 0;
    for (int turn = 0; turn < 7; ++turn) {
      engine::Request request{
          .prompt = prompt, .sampling = {.temperature = 0.7, .seed = 3}, .max_tokens = 12};
      engine::Usage usage;
      const std::vector<int32_t> tokens = run(engine, request, &usage);
      engine::Engine fresh(model.open(1), make_tokenizer(), {});
      EXPECT_EQ(tokens, run(fresh, request)) << kind.name << ", turn " << turn;
      cached += usage.cached_tokens;
      prompt.insert(prompt.end(), tokens.begin(), tokens.end());
      for (const int32_t id : {5, 6, 7, 8, 9}) prompt.push_back(id);
    }
    // 31 after the first turn, 17 more after each; with longrope only what stays below the switch.
    EXPECT_EQ(cached, kind.name == "longrope" ? 31 : 31 + 48 + 65 + 82 + 99 + 116) << kind.name;
  }
}

TEST(Engine, AnswersOfALibraryDoNotDependOnTheBatch) {
  for (const Kind& kind : kinds()) {
    const TinyModel model(kind.spec);
    std::vector<engine::Request> requests;
    std::vector<std::vector<int32_t>> want;
    for (uint64_t i = 0; i < 7; ++i) {
      engine::Request request{.prompt = test_tokens(1 + static_cast<int64_t>(i) * 37 % 130, 200),
                              .sampling = {.temperature = 0.9, .top_p = 0.95, .seed = i},
                              .max_tokens = 20};
      request.prompt[0] = static_cast<int32_t>(i);
      engine::Engine alone(model.open(1), make_tokenizer(), {});
      want.push_back(run(alone, request));
      requests.push_back(std::move(request));
    }
    engine::Engine engine(model.open(2, 400), make_tokenizer(),
                          {.max_sequences = 5, .kept_sequences = 2});
    std::map<engine::RequestId, size_t> places;
    for (size_t i = 0; i < requests.size(); ++i) {
      places[engine.add(requests[i]).value()] = i;
      engine.step();
    }
    std::vector<std::vector<int32_t>> got(requests.size());
    while (!engine.idle()) {
      engine.step();
      for (const engine::Output& output : engine.take_outputs()) {
        std::vector<int32_t>& tokens = got[places[output.request]];
        tokens.insert(tokens.end(), output.tokens.begin(), output.tokens.end());
      }
    }
    for (size_t i = 0; i < requests.size(); ++i)
      EXPECT_EQ(got[i], want[i]) << kind.name << ", request " << i;
  }
}

}  // namespace
}  // namespace mlc
