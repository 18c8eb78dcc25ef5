// SPDX-License-Identifier: Apache-2.0
#include "engine/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>

#include "engine/fake_model.h"

namespace mlc::engine {
namespace {

std::vector<int32_t> text(size_t count) {
  std::vector<int32_t> ids;
  for (size_t i = 0; i < count; ++i) ids.push_back(static_cast<int32_t>(i * i * 31 % 256));
  return ids;
}

// The definition: one window after the other, one token after the other.
double expected_nll(Session& session, std::span<const int32_t> tokens, size_t window) {
  double sum = 0;
  int64_t scored = 0;
  for (size_t first = 0; first + window <= tokens.size(); first += window) {
    const auto id = session.cache().add_sequence();
    for (size_t i = 0; i + 1 < window; ++i) {
      const int32_t next = tokens[first + i + 1];
      EXPECT_TRUE(session
                      .feed(id, tokens.subspan(first + i, 1), static_cast<int64_t>(window),
                            runtime::WantedLogits::kLast,
                            [&](std::span<const float> row) {
                              double total = 0;
                              for (const float l : row) total += std::exp(static_cast<double>(l));
                              sum -= std::log(
                                  std::exp(static_cast<double>(row[static_cast<size_t>(next)])) /
                                  total);
                              ++scored;
                            })
                      .ok());
    }
    session.cache().remove(id);
  }
  return sum / static_cast<double>(scored);
}

TEST(Perplexity, ScoresAllTokensOfEachWindowButTheFirst) {
  const FakeModel model;
  for (const int64_t window : {2, 7, 16, 50, 100, 200}) {
    const std::vector<int32_t> tokens = text(333);
    const auto session = model.session();  // chunks of 64 tokens
    const Perplexity result = measure_perplexity(*session, tokens, window).value();
    EXPECT_EQ(result.scored, 333 / window * (window - 1));
    EXPECT_NEAR(result.nll, expected_nll(*session, tokens, static_cast<size_t>(window)), 1e-6)
        << window;
    EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(result.nll));
    EXPECT_EQ(session->cache().free_pages(0), session->cache().total_pages(0) - 1);
  }
}

TEST(Perplexity, TakesAsManyWindowsTogetherAsTheCacheHasRoomFor) {
  const FakeModel model({.context_window_size = 12});
  const auto session = model.session();
  EXPECT_EQ(measure_perplexity(*session, text(100), 5).value().scored, 80);
}

TEST(Perplexity, RefusesWhatIsNoWindow) {
  const FakeModel model;
  const auto session = model.session();
  const std::vector<int32_t> tokens = text(20);
  const auto message = [&](int64_t window) {
    return measure_perplexity(*session, tokens, window).error().to_string();
  };
  EXPECT_EQ(message(1), "error: window: is 1\n  expected at least 2 tokens");
  EXPECT_EQ(message(21), "error: text: has 20 tokens\n  expected at least a window of 21");
  EXPECT_EQ(message(257),
            "error: window: is 257\n  expected at most 256, the context that the model has here");
  const std::vector<int32_t> foreign = {1, 2, 3, 272};
  EXPECT_EQ(measure_perplexity(*session, foreign, 4).error().to_string(),
            "error: tokens: hold the id 272\n  expected ids from 0 to 271");
}

}  // namespace
}  // namespace mlc::engine
