// SPDX-License-Identifier: Apache-2.0
#include "runtime/step.h"

#include <algorithm>

#include "support/check.h"

namespace mlc::runtime {
namespace {

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Work items of one sequence's tokens in one cache group.
class ItemCutter {
 public:
  ItemCutter(const formats::PlanCacheGroup& group, StepTables::Group& tables, int64_t* partials)
      : group_(group), tables_(tables), partials_(partials) {}

  // Tokens [first, first + count) at positions from `position` on; `pieces` is how many items one
  // token may become.
  void cut(int64_t first, int64_t count, int64_t position, int64_t pages_begin, int64_t pieces) {
    for (int64_t done = 0; done < count;) {
      const int64_t tokens = std::min(group_.tile_tokens, count - done);
      tile(first + done, tokens, position + done, pages_begin, count == 1 ? pieces : 1);
      done += tokens;
    }
  }

 private:
  void tile(int64_t first, int64_t tokens, int64_t position, int64_t pages_begin, int64_t pieces) {
    const int64_t end = (position + tokens - 1) / group_.block_tokens + 1;
    const int64_t begin = KvCache::first_block(group_, position);
    const int64_t sinks = KvCache::sink_blocks(group_, begin);
    const int64_t blocks = sinks + (end - begin);
    pieces = std::min(pieces, blocks);
    if (pieces <= 1) {
      item(first, tokens, position, pages_begin, begin, end, -1, sinks);
      for (int64_t i = 0; i < tokens; ++i) merge(0, 0);
      return;
    }
    const int64_t base = *partials_;
    // Pieces are runs of the list [sinks | begin .. end); sinks are few, the first piece has them
    // all.
    for (int64_t piece = 0; piece < pieces; ++piece) {
      const int64_t from = piece == 0 ? 0 : std::max(sinks, blocks * piece / pieces);
      const int64_t to = std::max(sinks, blocks * (piece + 1) / pieces);
      if (from == to) continue;
      const int64_t own_sinks = piece == 0 ? sinks : 0;
      item(first, tokens, position, pages_begin, begin + (from + own_sinks - sinks),
           begin + (to - sinks), static_cast<int32_t>(base + from), own_sinks);
    }
    *partials_ += blocks;
    merge(base, blocks);
  }

  void item(int64_t first, int64_t tokens, int64_t position, int64_t pages_begin, int64_t begin,
            int64_t end, int32_t partial, int64_t sinks) {
    for (const int64_t value :
         {first, tokens, position, pages_begin, begin, end, int64_t{partial}, sinks}) {
      tables_.items.push_back(static_cast<int32_t>(value));
    }
  }
  void merge(int64_t first, int64_t count) {
    tables_.merges.push_back(static_cast<int32_t>(first));
    tables_.merges.push_back(static_cast<int32_t>(count));
  }

  const formats::PlanCacheGroup& group_;
  StepTables::Group& tables_;
  int64_t* partials_;
};

}  // namespace

StepTables make_step_tables(const formats::Plan& plan, const KvCache& cache,
                            std::span<const SequenceTokens> batch, int64_t threads) {
  StepTables t;
  t.groups.resize(plan.cache_groups.size());
  t.sizes.assign(formats::kFirstCacheSymbol + 4 * plan.cache_groups.size(), 0);
  std::vector<int64_t> first_positions;
  int64_t single_tokens = 0;
  for (const SequenceTokens& s : batch) {
    const auto count = static_cast<int64_t>(s.tokens.size());
    const int64_t position = cache.length(s.sequence) - count;
    MLC_CHECK(count > 0 && position >= 0) << "a sequence without tokens or without room for them";
    first_positions.push_back(position);
    single_tokens += count == 1;
    for (int64_t i = 0; i < count; ++i) {
      if (s.logits == WantedLogits::kAll || (s.logits == WantedLogits::kLast && i + 1 == count)) {
        t.logit_rows.push_back(static_cast<int32_t>(t.tokens.size()));
      }
      t.tokens.push_back(s.tokens[static_cast<size_t>(i)]);
      t.positions.push_back(static_cast<int32_t>(position + i));
      t.lengths.push_back(static_cast<int32_t>(std::max(s.known_length, position + i + 1)));
    }
  }
  for (size_t g = 0; g < plan.cache_groups.size(); ++g) {
    const formats::PlanCacheGroup& group = plan.cache_groups[g];
    StepTables::Group& tables = t.groups[g];
    // Enough pieces to keep every thread busy, but no more: each costs a partial result.
    const int64_t tasks = std::max<int64_t>(1, single_tokens * group.kv_heads);
    const int64_t pieces = threads == 1 ? 1 : ceil_div(4 * threads, tasks);
    int64_t partials = 0;
    int64_t first = 0;
    ItemCutter cutter(group, tables, &partials);
    for (size_t s = 0; s < batch.size(); ++s) {
      const std::span<const int32_t> pages = cache.pages(batch[s].sequence, static_cast<int>(g));
      const auto count = static_cast<int64_t>(batch[s].tokens.size());
      const auto pages_begin = static_cast<int64_t>(tables.pages.size());
      for (int64_t i = 0; i < count; ++i) {
        const int64_t position = first_positions[s] + i;
        const int64_t page = pages[static_cast<size_t>(position / group.page_tokens)];
        tables.slots.push_back(
            static_cast<int32_t>(page * group.page_tokens + position % group.page_tokens));
      }
      tables.pages.insert(tables.pages.end(), pages.begin(), pages.end());
      cutter.cut(first, count, first_positions[s], pages_begin, pieces);
      first += count;
    }
    t.sizes[formats::plan_symbol(static_cast<int>(g), formats::CacheCount::kItems)] =
        static_cast<int64_t>(tables.items.size()) / 8;
    t.sizes[formats::plan_symbol(static_cast<int>(g), formats::CacheCount::kPartials)] = partials;
  }
  t.sizes[formats::plan_symbol(formats::Symbol::kNumTokens)] =
      static_cast<int64_t>(t.tokens.size());
  t.sizes[formats::plan_symbol(formats::Symbol::kNumSequences)] =
      static_cast<int64_t>(batch.size());
  t.sizes[formats::plan_symbol(formats::Symbol::kNumLogits)] =
      static_cast<int64_t>(t.logit_rows.size());
  t.sizes[formats::plan_symbol(formats::Symbol::kNone)] = 1;
  return t;
}

}  // namespace mlc::runtime
