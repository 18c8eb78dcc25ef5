// SPDX-License-Identifier: Apache-2.0
// The tables of a step: one hand-made batch in full, and for random ones what kernels rely on:
// every token's work items cover the blocks of positions that it sees once each, and partial
// results have places of their own.
#include "runtime/step.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace mlc::runtime {
namespace {

formats::PlanCacheGroup make_group(int64_t window, int64_t sink, int64_t tile_tokens) {
  formats::PlanCacheGroup group;
  group.kind =
      window > 0 ? formats::PlanCacheGroup::Kind::kWindow : formats::PlanCacheGroup::Kind::kFull;
  group.window = window;
  group.sink = sink;
  group.kv_heads = 2;
  group.head_dim = 1;
  group.dtype = DType::kF32;
  group.page_tokens = 4;
  group.page_bytes = 64;
  group.block_tokens = 8;
  group.tile_tokens = tile_tokens;
  return group;
}

formats::Plan make_plan(std::vector<formats::PlanCacheGroup> groups) {
  formats::Plan plan;
  for (formats::PlanCacheGroup& group : groups) group.layers = {plan.cache_layers++};
  plan.cache_groups = std::move(groups);
  return plan;
}

struct Item {
  int32_t first, tokens, position, pages_begin, begin, end, partial, sinks;
};

std::vector<Item> items_of(const StepTables::Group& group) {
  EXPECT_EQ(group.items.size() % 8, 0u);
  std::vector<Item> items;
  for (size_t i = 0; i + 8 <= group.items.size(); i += 8) {
    const int32_t* v = group.items.data() + i;
    items.push_back({v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7]});
  }
  return items;
}

TEST(Step, TablesOfAPrefillAndASingleToken) {
  const formats::Plan plan = make_plan({make_group(0, 0, 4)});
  KvCache cache = KvCache::create(plan, 64).value();
  const SequenceId a = cache.add_sequence();
  const SequenceId b = cache.add_sequence();
  ASSERT_TRUE(cache.extend(a, 9));
  ASSERT_TRUE(cache.extend(b, 3));
  ASSERT_TRUE(cache.extend(a, 1));
  ASSERT_TRUE(cache.extend(b, 6));
  const std::vector<int32_t> one = {70};
  const std::vector<int32_t> six = {10, 11, 12, 13, 14, 15};
  const std::vector<SequenceTokens> batch = {{b, six, 20, WantedLogits::kAll},
                                             {a, one, 0, WantedLogits::kLast}};
  const StepTables t = make_step_tables(plan, cache, batch, 1);
  EXPECT_EQ(t.tokens, (std::vector<int32_t>{10, 11, 12, 13, 14, 15, 70}));
  EXPECT_EQ(t.positions, (std::vector<int32_t>{3, 4, 5, 6, 7, 8, 9}));
  EXPECT_EQ(t.lengths, (std::vector<int32_t>{20, 20, 20, 20, 20, 20, 10}))
      << "known, or what is there";
  EXPECT_EQ(t.logit_rows, (std::vector<int32_t>{0, 1, 2, 3, 4, 5, 6}));
  const std::span<const int32_t> pages_a = cache.pages(a, 0);
  const std::span<const int32_t> pages_b = cache.pages(b, 0);
  const StepTables::Group& g = t.groups[0];
  EXPECT_EQ(g.slots, (std::vector<int32_t>{pages_b[0] * 4 + 3, pages_b[1] * 4, pages_b[1] * 4 + 1,
                                           pages_b[1] * 4 + 2, pages_b[1] * 4 + 3, pages_b[2] * 4,
                                           pages_a[2] * 4 + 1}));
  std::vector<int32_t> pages(pages_b.begin(), pages_b.end());
  pages.insert(pages.end(), pages_a.begin(), pages_a.end());
  EXPECT_EQ(g.pages, pages);
  // Tiles of four tokens: positions 3..6 lie in block 0, 7..8 reach into block 1.
  EXPECT_EQ(g.items, (std::vector<int32_t>{0, 4, 3,  0, 0, 1, -1, 0, 4, 2, 7,  0,
                                           0, 2, -1, 0, 6, 1, 9,  3, 0, 2, -1, 0}));
  EXPECT_EQ(g.merges, std::vector<int32_t>(14, 0));
  EXPECT_EQ(t.sizes[formats::plan_symbol(formats::Symbol::kNumTokens)], 7);
  EXPECT_EQ(t.sizes[formats::plan_symbol(formats::Symbol::kNumSequences)], 2);
  EXPECT_EQ(t.sizes[formats::plan_symbol(formats::Symbol::kNumLogits)], 7);
  EXPECT_EQ(t.sizes[formats::plan_symbol(0, formats::CacheCount::kItems)], 3);
  EXPECT_EQ(t.sizes[formats::plan_symbol(0, formats::CacheCount::kPartials)], 0);
}

TEST(Step, LogitsOfTheTokensThatAreWanted) {
  const formats::Plan plan = make_plan({make_group(0, 0, 4)});
  KvCache cache = KvCache::create(plan, 64).value();
  const std::vector<int32_t> three = {1, 2, 3};
  std::vector<SequenceTokens> batch;
  for (const WantedLogits wanted : {WantedLogits::kLast, WantedLogits::kNone, WantedLogits::kAll}) {
    batch.push_back({cache.add_sequence(), three, 0, wanted});
    ASSERT_TRUE(cache.extend(batch.back().sequence, 3));
  }
  EXPECT_EQ(make_step_tables(plan, cache, batch, 1).logit_rows, (std::vector<int32_t>{2, 6, 7, 8}));
}

TEST(Step, ALongContextIsCutForIdleThreads) {
  const formats::Plan plan = make_plan({make_group(0, 0, 4)});
  KvCache cache = KvCache::create(plan, 256).value();
  const SequenceId a = cache.add_sequence();
  ASSERT_TRUE(cache.extend(a, 101));
  const std::vector<int32_t> one = {1};
  const std::vector<SequenceTokens> batch = {{a, one, 0, WantedLogits::kLast}};
  EXPECT_EQ(items_of(make_step_tables(plan, cache, batch, 1).groups[0]).size(), 1u);
  const StepTables t = make_step_tables(plan, cache, batch, 3);
  // 4 * 3 items for two KV heads: six pieces of 13 blocks.
  EXPECT_EQ(items_of(t.groups[0]).size(), 6u);
  EXPECT_EQ(t.groups[0].merges, (std::vector<int32_t>{0, 13}));
  EXPECT_EQ(t.sizes[formats::plan_symbol(0, formats::CacheCount::kPartials)], 13);
}

// Blocks that an item reads: its sinks' and those of its range.
std::vector<int32_t> blocks_of(const Item& item) {
  std::vector<int32_t> blocks;
  for (int32_t block = 0; block < item.sinks; ++block) blocks.push_back(block);
  for (int32_t block = item.begin; block < item.end; ++block) blocks.push_back(block);
  return blocks;
}

void check_items(const formats::PlanCacheGroup& group, const StepTables& t,
                 const StepTables::Group& tables, int64_t partials) {
  const std::vector<Item> items = items_of(tables);
  std::set<int32_t> taken;  // partial results
  ASSERT_EQ(tables.merges.size(), 2 * t.tokens.size());
  for (size_t row = 0; row < t.tokens.size(); ++row) {
    const int64_t position = t.positions[row];
    std::map<int32_t, int> reads;
    std::set<int32_t> own;
    int found = 0;
    for (const Item& item : items) {
      if (static_cast<int32_t>(row) < item.first ||
          static_cast<int32_t>(row) >= item.first + item.tokens)
        continue;
      ++found;
      EXPECT_LE(item.tokens, group.tile_tokens);
      EXPECT_EQ(item.position + static_cast<int32_t>(row) - item.first, position);
      const std::vector<int32_t> blocks = blocks_of(item);
      EXPECT_FALSE(blocks.empty());
      for (const int32_t block : blocks) {
        ++reads[block];
        // Every page of a block that is read, up to the token, is one of the sequence's.
        for (int64_t p = int64_t{block} * group.block_tokens;
             p < int64_t{block + 1} * group.block_tokens && p <= position; p += group.page_tokens) {
          EXPECT_NE(tables.pages[static_cast<size_t>(item.pages_begin + p / group.page_tokens)], 0)
              << "position " << p << " of a token at " << position;
        }
      }
      if (item.partial < 0) continue;
      EXPECT_EQ(item.tokens, 1);
      for (size_t i = 0; i < blocks.size(); ++i) own.insert(item.partial + static_cast<int32_t>(i));
    }
    for (const auto& [block, times] : reads)
      EXPECT_EQ(times, 1) << "block " << block << " of a token at " << position;
    for (int64_t p = 0; p <= position; ++p) {
      const bool visible = group.kind == formats::PlanCacheGroup::Kind::kFull || p < group.sink ||
                           position - p < group.window - group.sink;
      if (visible)
        EXPECT_EQ(reads.count(static_cast<int32_t>(p / group.block_tokens)), 1u)
            << "position " << p << " of a token at " << position;
    }
    const int32_t base = tables.merges[2 * row];
    const int32_t count = tables.merges[2 * row + 1];
    if (count == 0) {
      EXPECT_EQ(found, 1);
      EXPECT_TRUE(own.empty());
      continue;
    }
    EXPECT_EQ(static_cast<int32_t>(own.size()), count);
    EXPECT_EQ(*own.begin(), base);
    EXPECT_EQ(*own.rbegin(), base + count - 1);
    for (const int32_t place : own)
      EXPECT_TRUE(taken.insert(place).second) << "two results in place " << place;
  }
  EXPECT_EQ(static_cast<int64_t>(taken.size()), partials);
}

TEST(Step, ItemsCoverWhatEachTokenSeesOnce) {
  std::mt19937 random(3);
  const auto between = [&](int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random() % static_cast<uint64_t>(high - low + 1));
  };
  int64_t cut = 0;
  for (int round = 0; round < 150; ++round) {
    const int64_t window = between(2, 60);
    const formats::Plan plan =
        make_plan({make_group(0, 0, between(1, 6)), make_group(window, 0, between(1, 6)),
                   make_group(window, between(1, window - 1), between(1, 6))});
    KvCache cache = KvCache::create(plan, 4096).value();
    std::vector<SequenceId> sequences;
    for (int64_t i = between(1, 4); i > 0; --i) sequences.push_back(cache.add_sequence());
    for (int step = 0; step < 6; ++step) {
      std::vector<std::vector<int32_t>> tokens;
      for (size_t i = 0; i < sequences.size(); ++i)
        tokens.emplace_back(static_cast<size_t>(between(0, 2) == 0 ? between(2, 40) : 1), 1);
      std::vector<SequenceTokens> batch;
      for (size_t i = 0; i < sequences.size(); ++i) {
        cache.release_unseen(sequences[i]);
        ASSERT_TRUE(cache.extend(sequences[i], static_cast<int64_t>(tokens[i].size())));
        batch.push_back({sequences[i], tokens[i], 0, WantedLogits::kLast});
      }
      const StepTables t = make_step_tables(plan, cache, batch, between(1, 4));
      for (size_t g = 0; g < plan.cache_groups.size(); ++g) {
        const int64_t partials =
            t.sizes[formats::plan_symbol(static_cast<int>(g), formats::CacheCount::kPartials)];
        check_items(plan.cache_groups[g], t, t.groups[g], partials);
        cut += partials > 0;
      }
      if (testing::Test::HasFailure()) return;
    }
  }
  EXPECT_GT(cut, 100) << "contexts are long enough to be cut";
}

}  // namespace
}  // namespace mlc::runtime
