// SPDX-License-Identifier: Apache-2.0
#include "runtime/kv_cache.h"

#include <gtest/gtest.h>

#include <cstring>

namespace mlc::runtime {
namespace {

constexpr int64_t kPageTokens = 4;
constexpr int64_t kPageBytes = 32;

formats::PlanCacheGroup make_group(int64_t window, int64_t sink, std::vector<int64_t> layers) {
  formats::PlanCacheGroup group;
  group.kind =
      window > 0 ? formats::PlanCacheGroup::Kind::kWindow : formats::PlanCacheGroup::Kind::kFull;
  group.window = window;
  group.sink = sink;
  group.kv_heads = group.head_dim = 1;
  group.dtype = DType::kF32;
  group.page_tokens = kPageTokens;
  group.page_bytes = kPageBytes;
  group.block_tokens = 8;
  group.tile_tokens = 4;
  group.layers = std::move(layers);
  return group;
}

KvCache make_cache(int64_t max_tokens, int64_t window = 0, int64_t sink = 0) {
  formats::Plan plan;
  plan.cache_groups = {make_group(window, sink, {0, 1})};
  plan.cache_layers = 2;
  return KvCache::create(plan, max_tokens).value();
}

// The bytes of a position's page in a layer.
std::byte* page_of(const KvCache& cache, SequenceId sequence, int64_t position, int64_t layer) {
  return cache.layer_data(layer) +
         cache.pages(sequence, 0)[static_cast<size_t>(position / kPageTokens)] * kPageBytes;
}

TEST(KvCache, ExtendTakesPagesAndChangesNothingWithoutEnough) {
  KvCache cache = make_cache(16);
  const SequenceId a = cache.add_sequence();
  EXPECT_TRUE(cache.extend(a, 5));
  EXPECT_EQ(cache.length(a), 5);
  EXPECT_EQ(cache.free_pages(0), 2);
  EXPECT_FALSE(cache.extend(a, 12));
  EXPECT_EQ(cache.length(a), 5);
  EXPECT_EQ(cache.free_pages(0), 2);
  EXPECT_TRUE(cache.extend(a, 11));
  EXPECT_EQ(cache.free_pages(0), 0);
  cache.truncate(a, 4);
  EXPECT_EQ(cache.free_pages(0), 3);
  cache.remove(a);
  EXPECT_EQ(cache.free_pages(0), 4);
  EXPECT_FALSE(cache.contains(a));
}

TEST(KvCache, APageThatIsTakenAgainIsZero) {
  KvCache cache = make_cache(4);
  SequenceId a = cache.add_sequence();
  ASSERT_TRUE(cache.extend(a, 4));
  std::memset(page_of(cache, a, 0, 1), 0xff, kPageBytes);
  cache.remove(a);
  a = cache.add_sequence();
  ASSERT_TRUE(cache.extend(a, 1));
  for (int i = 0; i < kPageBytes; ++i) EXPECT_EQ(page_of(cache, a, 0, 1)[i], std::byte{0});
}

TEST(KvCache, ForksShareWholePagesAndCopyThePartialOne) {
  KvCache cache = make_cache(64);
  const SequenceId parent = cache.add_sequence();
  ASSERT_TRUE(cache.extend(parent, 10));
  for (const int64_t layer : {0, 1}) std::memset(page_of(cache, parent, 8, layer), 7, kPageBytes);
  const std::optional<SequenceId> child = cache.fork(parent, 9);
  ASSERT_TRUE(child.has_value());
  EXPECT_EQ(cache.length(*child), 9);
  EXPECT_EQ(page_of(cache, *child, 0, 0), page_of(cache, parent, 0, 0));
  EXPECT_EQ(page_of(cache, *child, 7, 0), page_of(cache, parent, 7, 0));
  EXPECT_NE(page_of(cache, *child, 8, 0), page_of(cache, parent, 8, 0));
  for (const int64_t layer : {0, 1}) {
    EXPECT_EQ(
        std::memcmp(page_of(cache, *child, 8, layer), page_of(cache, parent, 8, layer), kPageBytes),
        0);
  }
  const int64_t free = cache.free_pages(0);
  cache.remove(parent);
  EXPECT_EQ(cache.free_pages(0), free + 1) << "the shared pages stay";
  cache.remove(*child);
  EXPECT_EQ(cache.free_pages(0), 16);
}

TEST(KvCache, ASharedPageIsCopiedBeforeASequenceGoesOnInTheMiddleOfIt) {
  KvCache cache = make_cache(16);
  const SequenceId parent = cache.add_sequence();
  ASSERT_TRUE(cache.extend(parent, 8));
  std::memset(page_of(cache, parent, 4, 0), 7, kPageBytes);
  const SequenceId child = cache.fork(parent, 8).value();
  cache.truncate(child, 6);
  EXPECT_EQ(page_of(cache, child, 4, 0), page_of(cache, parent, 4, 0));
  EXPECT_EQ(cache.free_pages(0), 2);
  ASSERT_TRUE(cache.extend(child, 1));
  EXPECT_NE(page_of(cache, child, 4, 0), page_of(cache, parent, 4, 0));
  EXPECT_EQ(std::memcmp(page_of(cache, child, 4, 0), page_of(cache, parent, 4, 0), kPageBytes), 0);
  EXPECT_EQ(cache.free_pages(0), 1);
  // The copy counts as a page that is needed.
  const SequenceId other = cache.fork(parent, 8).value();
  cache.truncate(other, 6);
  EXPECT_FALSE(cache.extend(other, 3)) << "a copy and a new page, with one free";
  EXPECT_TRUE(cache.extend(other, 2));
  EXPECT_EQ(cache.free_pages(0), 0);
}

TEST(KvCache, ForkNeedsAPageForThePartialOne) {
  KvCache cache = make_cache(8);
  const SequenceId parent = cache.add_sequence();
  ASSERT_TRUE(cache.extend(parent, 6));
  EXPECT_FALSE(cache.fork(parent, 5).has_value());
  EXPECT_TRUE(cache.fork(parent, 4).has_value());
}

TEST(KvCache, AWindowGivesPagesBackAndKnowsWhichPrefixesAreLeft) {
  KvCache cache = make_cache(64, 16, 2);
  const SequenceId a = cache.add_sequence();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(cache.extend(a, 1));
    cache.release_unseen(a);
  }
  // A query at 40 sees from 27 on, and the sinks: block 0, and blocks from 24 on.
  const auto pages = cache.pages(a, 0);
  EXPECT_NE(pages[0], 0);
  EXPECT_NE(pages[1], 0);
  for (size_t page = 2; page < 6; ++page) EXPECT_EQ(pages[page], 0) << page;
  for (size_t page = 6; page < 10; ++page) EXPECT_NE(pages[page], 0) << page;
  EXPECT_TRUE(cache.holds_prefix(a, 40));
  EXPECT_TRUE(cache.holds_prefix(a, 38)) << "a query at 38 sees from 25 on";
  EXPECT_FALSE(cache.holds_prefix(a, 36)) << "and one at 36 from 23 on";
  EXPECT_FALSE(cache.holds_prefix(a, 41));
  EXPECT_TRUE(cache.holds_prefix(a, 8)) << "the sinks' pages are the beginning";
  EXPECT_FALSE(cache.holds_prefix(a, 9));
  const SequenceId full = cache.add_sequence();
  EXPECT_TRUE(cache.holds_prefix(full, 0));
}

TEST(KvCache, ATruncatedWindowGivesItsPagesBackAgainWhenItGrows) {
  KvCache cache = make_cache(64, 16, 2);
  const SequenceId a = cache.add_sequence();
  const auto grow_to_40 = [&] {
    while (cache.length(a) < 40) {
      ASSERT_TRUE(cache.extend(a, 1));
      cache.release_unseen(a);
    }
  };
  grow_to_40();
  const int64_t free = cache.free_pages(0);
  ASSERT_TRUE(cache.holds_prefix(a, 8));
  cache.truncate(a, 8);
  grow_to_40();
  EXPECT_EQ(cache.free_pages(0), free);
}

TEST(KvCache, GroupsHavePagesOfTheirOwn) {
  formats::Plan plan;
  plan.cache_groups = {make_group(0, 0, {0, 2}), make_group(16, 0, {1})};
  plan.cache_layers = 3;
  KvCache cache = KvCache::create(plan, 64).value();
  const int64_t free[] = {cache.free_pages(0), cache.free_pages(1)};
  const SequenceId a = cache.add_sequence();
  for (int i = 0; i < 40; ++i) {
    ASSERT_TRUE(cache.extend(a, 1));
    cache.release_unseen(a);
  }
  EXPECT_EQ(cache.num_groups(), 2);
  EXPECT_EQ(cache.free_pages(0), free[0] - 10);
  EXPECT_EQ(cache.free_pages(1), free[1] - 4) << "blocks of eight from position 24 on";
  EXPECT_NE(cache.pages(a, 0)[0], 0);
  EXPECT_EQ(cache.pages(a, 1)[0], 0);
  EXPECT_EQ(cache.bytes_per_token(), 3 * kPageBytes / kPageTokens);
}

TEST(KvCache, PagesForAWindowAreBounded) {
  const KvCache full = make_cache(64);
  EXPECT_EQ(full.pages_for(0, 33, 8), 9);
  const KvCache window = make_cache(64, 16, 2);
  EXPECT_EQ(window.pages_for(0, 9, 8), 3);
  EXPECT_EQ(window.pages_for(0, 1000, 8), (16 + 8 + 16) / 4);
}

}  // namespace
}  // namespace mlc::runtime
