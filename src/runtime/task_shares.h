// SPDX-License-Identifier: Apache-2.0
// The tasks of a launch among threads. Each thread begins with a run of tasks of its own, so that
// it reads one stream of weights and its counter stays in its cache; a thread that is done takes
// from the end of the others' runs, so that one that is slowed down does not hold the rest up.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace mlc::runtime {

class TaskShares {
 public:
  struct Range {
    int64_t begin;
    int64_t end;  // nothing is left where it equals `begin`
  };

  explicit TaskShares(int64_t threads);

  // Divides tasks 0 .. tasks - 1. All tasks that were taken before must be done; a thread that asks
  // meanwhile gets tasks of the new launch or none. What was written before is seen by who gets
  // any.
  void set(int64_t tasks);
  // The next tasks for a thread.
  Range take(int64_t thread);

 private:
  // Chunks of tasks, [begin, end) in the lower two quarters. The upper half counts launches: a
  // thread that was held up between reading and taking must not take a later launch's chunk for the
  // one that it saw.
  struct alignas(64) Share {
    std::atomic<uint64_t> chunks{0};
  };

  int64_t threads_;
  uint32_t launch_ = 0;
  // Of the launch at hand: read by who has taken chunks of it, so that it can't end meanwhile.
  int64_t tasks_ = 0;
  int64_t chunk_tasks_ = 1;
  std::unique_ptr<Share[]> shares_;
};

}  // namespace mlc::runtime
