// SPDX-License-Identifier: Apache-2.0
#include "runtime/task_shares.h"

#include <algorithm>

#include "support/check.h"

namespace mlc::runtime {
namespace {

constexpr int64_t kChunksAShare = 8;

uint64_t pack(int64_t begin, int64_t end) {
  return static_cast<uint64_t>(begin) << 32 | static_cast<uint64_t>(end);
}

}  // namespace

TaskShares::TaskShares(int64_t threads)
    : threads_(threads), shares_(std::make_unique<Share[]>(static_cast<size_t>(threads))) {}

void TaskShares::set(int64_t tasks) {
  MLC_CHECK(tasks >= 0 && tasks <= UINT32_MAX) << tasks;
  chunk_ = std::max<int64_t>(1, tasks / (kChunksAShare * threads_));
  for (int64_t t = 0; t < threads_; ++t) {
    shares_[static_cast<size_t>(t)].range.store(
        pack(tasks * t / threads_, tasks * (t + 1) / threads_), std::memory_order_relaxed);
  }
}

TaskShares::Range TaskShares::take_from(Share& share, int64_t chunk, bool from_end) {
  uint64_t packed = share.range.load(std::memory_order_relaxed);
  while (true) {
    const auto begin = static_cast<int64_t>(packed >> 32);
    const auto end = static_cast<int64_t>(packed & UINT32_MAX);
    const int64_t count = std::min(chunk, end - begin);
    if (count == 0) return {begin, begin};
    const Range taken = from_end ? Range{end - count, end} : Range{begin, begin + count};
    const uint64_t rest = from_end ? pack(begin, end - count) : pack(begin + count, end);
    if (share.range.compare_exchange_weak(packed, rest, std::memory_order_relaxed)) return taken;
  }
}

TaskShares::Range TaskShares::take(int64_t thread) {
  for (int64_t i = 0; i < threads_; ++i) {
    const int64_t victim = (thread + i) % threads_;
    const Range taken = take_from(shares_[static_cast<size_t>(victim)], chunk_, victim != thread);
    if (taken.begin < taken.end) return taken;
  }
  return {0, 0};
}

}  // namespace mlc::runtime
