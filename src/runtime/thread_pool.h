// SPDX-License-Identifier: Apache-2.0
// Threads that run one function together. Within a run they meet at barriers by spinning; between
// runs they spin a short while and then sleep.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

namespace mlc::runtime {

class ThreadPool {
 public:
  explicit ThreadPool(int64_t threads);
  ~ThreadPool();

  int64_t size() const { return size_; }
  // Calls function(context, thread) for thread 0 .. size() - 1, thread 0 on the caller's, and
  // returns when all did.
  void run(void (*function)(void* context, int64_t thread), void* context);
  // Inside a run: returns when every thread of the pool has called it as often. The last thread to
  // come calls `last` before the others go on.
  void barrier(void (*last)(void* context), void* context);

 private:
  struct Workers;
  int64_t size_;
  std::unique_ptr<Workers> workers_;
  alignas(64) std::atomic<int64_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> phase_{
      0};  // on a line of its own: the waiting threads read it all the time
};

}  // namespace mlc::runtime
