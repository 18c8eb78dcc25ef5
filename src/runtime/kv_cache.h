// SPDX-License-Identifier: Apache-2.0
// Which pages hold the keys and values of which sequence. Pages are counted, so that sequences can
// share a prefix; what is in a page is the kernels' business. Every cache group has pages and page
// tables of its own.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "formats/plan.h"
#include "runtime/memory.h"

namespace mlc::runtime {

using SequenceId = int64_t;

class KvCache {
 public:
  // Room for `max_tokens` positions in all.
  static Result<KvCache> create(const formats::Plan& plan, int64_t max_tokens);
  static KvCache empty() { return KvCache(); }
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  SequenceId add_sequence();
  // A copy of the first `length` positions. Full pages are shared, the last partial one is copied.
  // Nothing where there is no free page for that.
  std::optional<SequenceId> fork(SequenceId parent, int64_t length);
  void remove(SequenceId sequence);
  int64_t length(SequenceId sequence) const;
  bool contains(SequenceId sequence) const { return sequences_.count(sequence) > 0; }

  // Makes room for `tokens` more positions; false where pages are short, and then nothing changed.
  // A last page that is shared and partly filled is copied first.
  bool extend(SequenceId sequence, int64_t tokens);
  // True if a sequence that ends at `length` could go on: what later queries see behind it has not
  // been given back.
  bool holds_prefix(SequenceId sequence, int64_t length) const;
  // Forgets positions from `length` on.
  void truncate(SequenceId sequence, int64_t length);
  // Gives back pages whose positions no later query sees (windows).
  void release_unseen(SequenceId sequence);

  int64_t free_pages(int group) const {
    return static_cast<int64_t>(groups_[static_cast<size_t>(group)].free.size());
  }
  int64_t total_pages(int group) const { return groups_[static_cast<size_t>(group)].pages; }
  // Page numbers of a sequence in a group, one for each page_tokens positions; 0 for pages that
  // were given back.
  std::span<const int32_t> pages(SequenceId sequence, int group) const;
  std::byte* layer_data(int64_t layer) const { return layers_[static_cast<size_t>(layer)]; }
  const formats::PlanCacheGroup& group(int g) const { return groups_[static_cast<size_t>(g)].plan; }
  int num_groups() const { return static_cast<int>(groups_.size()); }
  // The first block of positions that a query at `position` sees behind its sinks, and the end of
  // the sinks' blocks.
  static int64_t first_block(const formats::PlanCacheGroup& group, int64_t position);
  static int64_t sink_blocks(const formats::PlanCacheGroup& group, int64_t first_block);
  int64_t bytes_per_token() const;
  // Pages that a sequence of `length` positions holds at the most while it grows by steps of
  // `step_tokens`.
  int64_t pages_for(int group, int64_t length, int64_t step_tokens) const;

 private:
  struct Group {
    formats::PlanCacheGroup plan;
    int64_t pages = 0;
    Memory memory;               // [layers of the group][pages][page_bytes]
    std::vector<int32_t> free;   // numbers, the next one to take at the end
    std::vector<int32_t> count;  // users of each page
    std::vector<bool> touched;   // held something before: zero it when it is taken again
  };
  struct Sequence {
    int64_t length = 0;
    std::vector<std::vector<int32_t>> pages;  // by group
    std::vector<int64_t>
        released;  // pages given back so far, by group, counted from the sinks' end on
  };

  KvCache() = default;
  int32_t take_page(Group& group);
  // The place among a sequence's pages of a partly filled last page that others use too, or -1.
  static int64_t shared_tail(const Group& group, const Sequence& sequence, size_t g);
  void copy_page(Group& group, int32_t from, int32_t to);
  void drop_page(Group& group, int32_t page);
  std::byte* page_data(Group& group, size_t layer, int32_t page);

  std::vector<Group> groups_;
  std::vector<std::byte*> layers_;  // by cache layer
  std::map<SequenceId, Sequence> sequences_;
  SequenceId next_ = 1;
};

}  // namespace mlc::runtime
