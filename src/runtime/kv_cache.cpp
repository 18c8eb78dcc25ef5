// SPDX-License-Identifier: Apache-2.0
#include "runtime/kv_cache.h"

#include <algorithm>
#include <cstring>

#include "support/check.h"

namespace mlc::runtime {
namespace {

int64_t pages_of(int64_t positions, int64_t page_tokens) {
  return (positions + page_tokens - 1) / page_tokens;
}

}  // namespace

Result<KvCache> KvCache::create(const formats::Plan& plan, int64_t max_tokens) {
  KvCache cache;
  cache.layers_.resize(static_cast<size_t>(plan.cache_layers));
  for (const formats::PlanCacheGroup& g : plan.cache_groups) {
    Group group;
    group.plan = g;
    group.pages = pages_of(max_tokens, g.page_tokens) + 1;
    const int64_t layer_bytes = group.pages * g.page_bytes;
    MLC_ASSIGN_OR_RETURN(group.memory,
                         Memory::reserve(layer_bytes * static_cast<int64_t>(g.layers.size())));
    for (size_t i = 0; i < g.layers.size(); ++i) {
      cache.layers_[static_cast<size_t>(g.layers[i])] =
          group.memory.data() + layer_bytes * static_cast<int64_t>(i);
    }
    group.count.assign(static_cast<size_t>(group.pages), 0);
    group.touched.assign(static_cast<size_t>(group.pages), false);
    // Page 0 is nobody's: tables name it where a page was given back.
    for (int64_t page = group.pages - 1; page > 0; --page)
      group.free.push_back(static_cast<int32_t>(page));
    cache.groups_.push_back(std::move(group));
  }
  return cache;
}

std::byte* KvCache::page_data(Group& group, size_t layer, int32_t page) {
  return layers_[static_cast<size_t>(group.plan.layers[layer])] + page * group.plan.page_bytes;
}

int32_t KvCache::take_page(Group& group) {
  const int32_t page = group.free.back();
  group.free.pop_back();
  group.count[static_cast<size_t>(page)] = 1;
  // Positions that were never written are multiplied by zero: they must not be another sequence's
  // infinities.
  if (group.touched[static_cast<size_t>(page)]) {
    for (size_t layer = 0; layer < group.plan.layers.size(); ++layer) {
      std::memset(page_data(group, layer, page), 0, static_cast<size_t>(group.plan.page_bytes));
    }
  }
  group.touched[static_cast<size_t>(page)] = true;
  return page;
}

void KvCache::copy_page(Group& group, int32_t from, int32_t to) {
  for (size_t layer = 0; layer < group.plan.layers.size(); ++layer) {
    std::memcpy(page_data(group, layer, to), page_data(group, layer, from),
                static_cast<size_t>(group.plan.page_bytes));
  }
}

void KvCache::drop_page(Group& group, int32_t page) {
  if (page == 0) return;
  if (--group.count[static_cast<size_t>(page)] == 0) group.free.push_back(page);
}

SequenceId KvCache::add_sequence() {
  Sequence sequence;
  sequence.pages.resize(groups_.size());
  sequence.released.assign(groups_.size(), 0);
  sequences_.emplace(next_, std::move(sequence));
  return next_++;
}

std::optional<SequenceId> KvCache::fork(SequenceId parent_id, int64_t length) {
  const Sequence& parent = sequences_.at(parent_id);
  MLC_CHECK(length <= parent.length) << length << " of " << parent.length;
  for (const Group& group : groups_) {
    if (length % group.plan.page_tokens != 0 && group.free.empty()) return {};
  }
  const SequenceId id = add_sequence();
  Sequence& child = sequences_.at(id);
  child.length = length;
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const int64_t whole = length / group.plan.page_tokens;
    for (int64_t i = 0; i < whole; ++i) {
      const int32_t page = parent.pages[g][static_cast<size_t>(i)];
      if (page != 0) ++group.count[static_cast<size_t>(page)];
      child.pages[g].push_back(page);
    }
    child.released[g] = std::min(parent.released[g], whole);
    if (length % group.plan.page_tokens != 0) {
      const int32_t from = parent.pages[g][static_cast<size_t>(whole)];
      const int32_t to = take_page(group);
      copy_page(group, from, to);
      child.pages[g].push_back(to);
    }
  }
  return id;
}

void KvCache::remove(SequenceId id) {
  Sequence& sequence = sequences_.at(id);
  for (size_t g = 0; g < groups_.size(); ++g) {
    for (const int32_t page : sequence.pages[g]) drop_page(groups_[g], page);
  }
  sequences_.erase(id);
}

int64_t KvCache::length(SequenceId sequence) const { return sequences_.at(sequence).length; }

int64_t KvCache::shared_tail(const Group& group, const Sequence& sequence, size_t g) {
  if (sequence.length % group.plan.page_tokens == 0) return -1;
  const int64_t tail = sequence.length / group.plan.page_tokens;
  return group.count[static_cast<size_t>(sequence.pages[g][static_cast<size_t>(tail)])] > 1 ? tail
                                                                                            : -1;
}

bool KvCache::extend(SequenceId id, int64_t tokens) {
  Sequence& sequence = sequences_.at(id);
  const auto missing = [&](size_t g) {
    return pages_of(sequence.length + tokens, groups_[g].plan.page_tokens) -
           static_cast<int64_t>(sequence.pages[g].size());
  };
  for (size_t g = 0; g < groups_.size(); ++g) {
    const int64_t copies = shared_tail(groups_[g], sequence, g) >= 0 ? 1 : 0;
    if (missing(g) + copies > static_cast<int64_t>(groups_[g].free.size())) return false;
  }
  for (size_t g = 0; g < groups_.size(); ++g) {
    if (const int64_t tail = shared_tail(groups_[g], sequence, g); tail >= 0) {
      int32_t& page = sequence.pages[g][static_cast<size_t>(tail)];
      const int32_t own = take_page(groups_[g]);
      copy_page(groups_[g], page, own);
      drop_page(groups_[g], page);
      page = own;
    }
    for (int64_t n = missing(g); n > 0; --n) sequence.pages[g].push_back(take_page(groups_[g]));
  }
  sequence.length += tokens;
  return true;
}

bool KvCache::holds_prefix(SequenceId id, int64_t length) const {
  const Sequence& sequence = sequences_.at(id);
  if (length > sequence.length) return false;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const formats::PlanCacheGroup& plan = groups_[g].plan;
    const int64_t pages_per_block = plan.block_tokens / plan.page_tokens;
    const int64_t first = first_block(plan, length);
    const auto held = [&](int64_t page) {
      return sequence.pages[g][static_cast<size_t>(page)] != 0;
    };
    for (int64_t page = 0; page < sink_blocks(plan, first) * pages_per_block; ++page) {
      if (!held(page)) return false;
    }
    for (int64_t page = first * pages_per_block; page < pages_of(length, plan.page_tokens);
         ++page) {
      if (!held(page)) return false;
    }
  }
  return true;
}

void KvCache::truncate(SequenceId id, int64_t length) {
  Sequence& sequence = sequences_.at(id);
  MLC_CHECK(length <= sequence.length) << length << " of " << sequence.length;
  for (size_t g = 0; g < groups_.size(); ++g) {
    const auto keep = static_cast<size_t>(pages_of(length, groups_[g].plan.page_tokens));
    while (sequence.pages[g].size() > keep) {
      drop_page(groups_[g], sequence.pages[g].back());
      sequence.pages[g].pop_back();
    }
    // Pages that come in the place of those given back are there to be given back again.
    sequence.released[g] = std::min(sequence.released[g], static_cast<int64_t>(keep));
  }
  sequence.length = length;
}

int64_t KvCache::first_block(const formats::PlanCacheGroup& group, int64_t position) {
  if (group.kind == formats::PlanCacheGroup::Kind::kFull) return 0;
  const int64_t first = std::max<int64_t>(0, position - (group.window - group.sink) + 1);
  return first / group.block_tokens;
}

int64_t KvCache::sink_blocks(const formats::PlanCacheGroup& group, int64_t first_block) {
  if (group.kind == formats::PlanCacheGroup::Kind::kFull || group.sink == 0) return 0;
  return std::min(first_block, (group.sink + group.block_tokens - 1) / group.block_tokens);
}

void KvCache::release_unseen(SequenceId id) {
  Sequence& sequence = sequences_.at(id);
  for (size_t g = 0; g < groups_.size(); ++g) {
    Group& group = groups_[g];
    const int64_t first = first_block(group.plan, sequence.length);
    const int64_t pages_per_block = group.plan.block_tokens / group.plan.page_tokens;
    int64_t& released = sequence.released[g];
    released = std::max(released, sink_blocks(group.plan, first) * pages_per_block);
    for (; released < first * pages_per_block; ++released) {
      int32_t& page = sequence.pages[g][static_cast<size_t>(released)];
      drop_page(group, page);
      page = 0;
    }
  }
}

std::span<const int32_t> KvCache::pages(SequenceId sequence, int group) const {
  return sequences_.at(sequence).pages[static_cast<size_t>(group)];
}

int64_t KvCache::pages_for(int g, int64_t length, int64_t step_tokens) const {
  const formats::PlanCacheGroup& plan = group(g);
  int64_t positions = length;
  if (plan.kind == formats::PlanCacheGroup::Kind::kWindow) {
    // A step is written before what it leaves behind is given back; blocks are given back whole.
    positions = std::min(length, plan.window + step_tokens + 2 * plan.block_tokens);
  }
  return pages_of(positions, plan.page_tokens);
}

int64_t KvCache::bytes_per_token() const {
  int64_t bytes = 0;
  for (const Group& group : groups_) {
    bytes += group.plan.page_bytes / group.plan.page_tokens *
             static_cast<int64_t>(group.plan.layers.size());
  }
  return bytes;
}

}  // namespace mlc::runtime
