// SPDX-License-Identifier: Apache-2.0
#include "runtime/task_shares.h"

#include <algorithm>

#include "support/check.h"

namespace mlc::runtime {
namespace {

constexpr int64_t kChunksAShare = 8;
constexpr int64_t kMaxThreads = UINT16_MAX / (2 * kChunksAShare);

uint64_t pack(uint64_t launch, int64_t begin, int64_t end) {
  return launch << 32 | static_cast<uint64_t>(begin) << 16 | static_cast<uint64_t>(end);
}

}  // namespace

TaskShares::TaskShares(int64_t threads)
    : threads_(threads), shares_(std::make_unique<Share[]>(static_cast<size_t>(threads))) {
  MLC_CHECK(threads >= 1 && threads <= kMaxThreads) << threads << " threads";
}

void TaskShares::set(int64_t tasks) {
  ++launch_;
  tasks_ = tasks;
  chunk_tasks_ = std::max<int64_t>(1, tasks / (kChunksAShare * threads_));
  const int64_t chunks = (tasks + chunk_tasks_ - 1) / chunk_tasks_;
  for (int64_t t = 0; t < threads_; ++t) {
    shares_[static_cast<size_t>(t)].chunks.store(
        pack(launch_, chunks * t / threads_, chunks * (t + 1) / threads_),
        std::memory_order_release);
  }
}

TaskShares::Range TaskShares::take(int64_t thread) {
  for (int64_t i = 0; i < threads_; ++i) {
    const int64_t victim = (thread + i) % threads_;
    std::atomic<uint64_t>& share = shares_[static_cast<size_t>(victim)].chunks;
    uint64_t seen = share.load(std::memory_order_relaxed);
    while (true) {
      const auto begin = static_cast<int64_t>(seen >> 16 & UINT16_MAX);
      const auto end = static_cast<int64_t>(seen & UINT16_MAX);
      if (begin == end) break;
      const int64_t taken = victim == thread ? begin : end - 1;
      const uint64_t rest =
          victim == thread ? pack(seen >> 32, begin + 1, end) : pack(seen >> 32, begin, end - 1);
      if (share.compare_exchange_weak(seen, rest, std::memory_order_acquire,
                                      std::memory_order_relaxed))
        return {taken * chunk_tasks_, std::min((taken + 1) * chunk_tasks_, tasks_)};
    }
  }
  return {0, 0};
}

}  // namespace mlc::runtime
