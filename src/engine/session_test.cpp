// SPDX-License-Identifier: Apache-2.0
#include "engine/session.h"

#include <gtest/gtest.h>

#include "engine/fake_model.h"

namespace mlc::engine {
namespace {

using runtime::SequenceTokens;
using runtime::WantedLogits;

std::vector<int32_t> ids(size_t count) {
  std::vector<int32_t> result;
  for (size_t i = 0; i < count; ++i) result.push_back(static_cast<int32_t>(i * 37 % 250));
  return result;
}

std::vector<float> feed_all(Session& session, std::span<const int32_t> tokens,
                            WantedLogits wanted) {
  std::vector<float> rows;
  const auto id = session.cache().add_sequence();
  EXPECT_TRUE(session
                  .feed(id, tokens, static_cast<int64_t>(tokens.size()), wanted,
                        [&](std::span<const float> row) {
                          rows.insert(rows.end(), row.begin(), row.end());
                        })
                  .ok());
  session.cache().remove(id);
  return rows;
}

TEST(Session, ChunksDoNotChangeTheLogits) {
  const FakeModel model;
  const std::vector<int32_t> tokens = ids(70);
  const std::vector<float> expected =
      feed_all(*model.session({.threads = 1}), tokens, WantedLogits::kAll);
  ASSERT_EQ(expected.size(), 70u * 272);
  for (const int64_t chunk : {1, 5, 16, 64}) {
    const auto session = model.session({.threads = 2, .chunk_tokens = chunk});
    EXPECT_EQ(session->chunk_tokens(), chunk);
    EXPECT_EQ(feed_all(*session, tokens, WantedLogits::kAll), expected);
    const std::vector<float> last = feed_all(*session, tokens, WantedLogits::kLast);
    EXPECT_EQ(last, std::vector<float>(expected.end() - 272, expected.end()));
  }
}

TEST(Session, LimitsComeFromTheLibraryAndMayOnlyShrink) {
  const FakeModel model({.context_window_size = 200, .prefill_chunk_size = 100});
  EXPECT_EQ(model.session()->context_tokens(), 200);
  EXPECT_EQ(model.session()->max_tokens(), 200);
  EXPECT_EQ(model.session()->chunk_tokens(), 100);
  const auto larger = model.session({.context_tokens = 999, .chunk_tokens = 999});
  EXPECT_EQ(larger->context_tokens(), 200);
  EXPECT_EQ(larger->chunk_tokens(), 100);
  const auto smaller = model.session({.context_tokens = 50, .chunk_tokens = 10});
  EXPECT_EQ(smaller->context_tokens(), 50);
  EXPECT_EQ(smaller->chunk_tokens(), 10);
  const FakeModel wide({.context_window_size = -1, .prefill_chunk_size = 8192});
  EXPECT_EQ(wide.session({.max_tokens = 64})->context_tokens(), 64);
  EXPECT_EQ(wide.session({.max_tokens = 64})->chunk_tokens(), 512);
}

TEST(Session, AStepWithoutRoomChangesNothing) {
  const FakeModel model;
  const auto session = model.session({.max_tokens = 16});
  const std::vector<int32_t> tokens = ids(12);
  const auto a = session->cache().add_sequence();
  const auto b = session->cache().add_sequence();
  const std::vector<SequenceTokens> both = {{a, tokens, 12, WantedLogits::kLast},
                                            {b, tokens, 12, WantedLogits::kLast}};
  const auto result = session->step(both);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(
      result.error().to_string(),
      "error: KV cache: has no room for 12 more tokens after 0\n  expected at most 16 tokens\n"
      "  use a larger context_window_size or a shorter text");
  EXPECT_EQ(session->cache().length(a), 0);
  EXPECT_TRUE(session->step(std::span(both).first(1)).ok());
}

TEST(Session, RefusesIdsThatTheModelLacks) {
  const FakeModel model;
  const auto session = model.session();
  const std::vector<int32_t> tokens = {1, 272};
  const SequenceTokens batch{session->cache().add_sequence(), tokens, 2, WantedLogits::kLast};
  EXPECT_EQ(session->step({&batch, 1}).error().to_string(),
            "error: tokens: hold the id 272\n  expected ids from 0 to 271");
}

}  // namespace
}  // namespace mlc::engine
