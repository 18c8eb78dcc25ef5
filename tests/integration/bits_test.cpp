// SPDX-License-Identifier: Apache-2.0
// The logits of a sequence are the same bits however it is chunked, batched, threaded, and on every
// CPU level.
#include <algorithm>

#include "target/amx_emulator.h"
#include "tests/integration/tiny_model.h"

namespace mlc {
namespace {

using runtime::SequenceTokens;
using runtime::WantedLogits;

std::vector<float> run_chunked(const TinyModel& model, std::span<const int32_t> tokens,
                               int64_t chunk, int64_t threads) {
  const auto session = model.open(threads);
  session->set_chunk_tokens(chunk);
  std::vector<float> logits;
  const auto result = session->feed(
      session->cache().add_sequence(), tokens, static_cast<int64_t>(tokens.size()),
      WantedLogits::kAll,
      [&](std::span<const float> row) { logits.insert(logits.end(), row.begin(), row.end()); });
  EXPECT_TRUE(result.ok());
  return logits;
}

// "q4f16_1", or "q4f16_1_int8_cache" for that mode with an int8 KV cache.
TinyModelSpec spec(const std::string& mode, const std::string& level = {}) {
  TinyModelSpec s;
  const size_t cache = mode.find("_int8_cache");
  s.quantization = mode.substr(0, cache);
  if (cache != std::string::npos) s.kv_cache_dtype = "int8";
  s.config = mode.find("awq") == std::string::npos ? tiny_llama_config() : tiny_awq_config();
  // Whole blocks of eight groups, and a rest.
  if (mode.find("awq") == std::string::npos) s.config.set("intermediate_size", 300);
  s.level = level;
  return s;
}

class Bits : public testing::TestWithParam<std::string> {};

TEST_P(Bits, DependOnNeitherChunksNorThreads) {
  const TinyModel model(spec(GetParam()));
  const std::vector<int32_t> tokens = test_tokens(530, kTinyVocab);
  const std::vector<float> want = run_chunked(model, tokens, 512, 1);
  ASSERT_EQ(want.size(), 530u * kTinyVocab);
  for (const int64_t chunk : {1, 5, 16, 65, 512}) {
    for (const int64_t threads : {1, 2, 3}) {
      EXPECT_TRUE(run_chunked(model, tokens, chunk, threads) == want)
          << chunk << " tokens at a time, " << threads << " threads";
    }
  }
}

TEST_P(Bits, DoNotDependOnTheBatch) {
  const TinyModel model(spec(GetParam()));
  const std::vector<int32_t> tokens = test_tokens(300, kTinyVocab);
  const std::span<const int32_t> all(tokens);
  const std::vector<float> alone = run_chunked(model, all.first(200), 64, 2);
  // The same sequence in steps of 40 and then single tokens, among others at other lengths that
  // come and go.
  const auto session = model.open(2);
  const auto watched = session->cache().add_sequence();
  const auto other = session->cache().add_sequence();
  const auto third = session->cache().add_sequence();
  std::vector<float> together;
  int64_t at = 0;
  int64_t other_at = 0;
  for (int step = 0; at < 200; ++step) {
    const int64_t count = std::min<int64_t>(step < 4 ? 40 : 1, 200 - at);
    const int64_t other_count = step % 3 == 0 ? 7 : 1;
    std::vector<SequenceTokens> batch;
    if (other_at + other_count <= 300) {
      batch.push_back({other,
                       all.subspan(static_cast<size_t>(other_at), static_cast<size_t>(other_count)),
                       300, WantedLogits::kAll});
      other_at += other_count;
    }
    const size_t rows_before = batch.empty() ? 0 : batch[0].tokens.size();
    batch.push_back({watched, all.subspan(static_cast<size_t>(at), static_cast<size_t>(count)), 200,
                     WantedLogits::kAll});
    if (step % 2 == 0)
      batch.push_back({third, all.subspan(static_cast<size_t>(step), 1), 300, WantedLogits::kNone});
    const auto logits = session->step(batch);
    ASSERT_TRUE(logits.ok()) << logits.error().to_string();
    const auto own =
        logits->subspan(rows_before * kTinyVocab, static_cast<size_t>(count) * kTinyVocab);
    together.insert(together.end(), own.begin(), own.end());
    at += count;
  }
  EXPECT_TRUE(together == alone);
}

TEST_P(Bits, AreEqualOnEveryCpuLevel) {
  const std::vector<int32_t> tokens = test_tokens(60, kTinyVocab);
  std::vector<float> want;
  for (const std::string& level : runnable_levels()) {
    const TinyModel model(spec(GetParam(), level));
    const int64_t emulated = target::AmxEmulator::emulated();
    // Whole and cut tiles of 16 rows, a row more than a tile, a few rows, and two (60 - 2 * 29).
    for (const int64_t chunk : {29, 16, 17, 5}) {
      const std::vector<float> got = run_chunked(model, tokens, chunk, 2);
      if (want.empty()) want = got;
      EXPECT_TRUE(got == want) << level << ", " << chunk << " tokens at a time";
    }
    EXPECT_EQ(target::AmxEmulator::emulated() > emulated,
              is_emulated(level) && GetParam() != "q0f16");
  }
}

INSTANTIATE_TEST_SUITE_P(Quantizations, Bits,
                         testing::Values("q4f16_1", "q4f32_1", "q0f16", "q3f16_1", "q4f16_0",
                                         "q4f16_awq", "q4f16_1_int8_cache"),
                         [](const auto& info) { return info.param; });

TEST(KvCacheBits, AForkGoesOnAsItsParentWould) {
  const TinyModel model(spec("q4f16_1"));
  const std::vector<int32_t> tokens = test_tokens(150, kTinyVocab);
  const std::span<const int32_t> all(tokens);
  const std::vector<float> want = run_chunked(model, tokens, 512, 2);
  const auto session = model.open(2);
  const auto parent = session->cache().add_sequence();
  const auto ignore = [](std::span<const float>) {};
  ASSERT_TRUE(session->feed(parent, all.first(110), 150, WantedLogits::kNone, ignore).ok());
  const auto child = session->cache().fork(parent, 100);
  ASSERT_TRUE(child.has_value());
  // What the parent does afterwards is nothing to the child.
  ASSERT_TRUE(session->feed(parent, all.first(30), 150, WantedLogits::kNone, ignore).ok());
  session->cache().remove(parent);
  std::vector<float> got;
  ASSERT_TRUE(
      session
          ->feed(*child, all.subspan(100), 150, WantedLogits::kAll,
                 [&](std::span<const float> row) { got.insert(got.end(), row.begin(), row.end()); })
          .ok());
  EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin() + 100 * kTinyVocab));
}

TEST(KvCacheBits, TruncationForgetsExactlyWhatWasCutOff) {
  const TinyModel model(spec("q4f16_1"));
  const std::vector<int32_t> tokens = test_tokens(150, kTinyVocab);
  const std::span<const int32_t> all(tokens);
  const std::vector<float> want = run_chunked(model, tokens, 512, 2);
  const auto session = model.open(2);
  const auto sequence = session->cache().add_sequence();
  const auto ignore = [](std::span<const float>) {};
  ASSERT_TRUE(session->feed(sequence, all.first(70), 150, WantedLogits::kNone, ignore).ok());
  ASSERT_TRUE(session->feed(sequence, all.first(60), 150, WantedLogits::kNone, ignore).ok());
  session->cache().truncate(sequence, 70);
  std::vector<float> got;
  ASSERT_TRUE(
      session
          ->feed(sequence, all.subspan(70), 150, WantedLogits::kAll,
                 [&](std::span<const float> row) { got.insert(got.end(), row.begin(), row.end()); })
          .ok());
  EXPECT_TRUE(std::equal(got.begin(), got.end(), want.begin() + 70 * kTinyVocab));
}

TEST(SlidingWindow, PagesThatNobodySeesAreGivenBack) {
  TinyModelSpec s;
  s.model_type = "mistral";
  s.config = tiny_llama_config();
  s.config.set("model_type", "mistral");
  s.config.set("sliding_window", 100);
  s.quantization = "q0f16";
  const TinyModel model(s);
  const auto session = model.open(2, 2048);
  const auto sequence = session->cache().add_sequence();
  const int64_t before = session->cache().free_pages(0);
  const std::vector<int32_t> tokens = test_tokens(1500, kTinyVocab);
  const auto ignore = [](std::span<const float>) {};
  ASSERT_TRUE(session->feed(sequence, tokens, 1500, WantedLogits::kLast, ignore).ok());
  // A window of 100 and sinks span at most four blocks of two pages.
  EXPECT_LE(before - session->cache().free_pages(0), 8);
}

}  // namespace
}  // namespace mlc
