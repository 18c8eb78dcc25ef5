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

  // Divides tasks 0 .. tasks - 1, below 2^32. No thread may be taking meanwhile.
  void set(int64_t tasks);
  // The next tasks for a thread.
  Range take(int64_t thread);

 private:
  struct alignas(64) Share {
    std::atomic<uint64_t> range{0};  // begin in the upper half, end in the lower one
  };
  static Range take_from(Share& share, int64_t chunk, bool from_end);

  int64_t threads_;
  int64_t chunk_ = 1;
  std::unique_ptr<Share[]> shares_;
};

}  // namespace mlc::runtime
