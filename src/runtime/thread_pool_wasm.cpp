// SPDX-License-Identifier: Apache-2.0
// No threads: the caller's is the only one.
#include "runtime/thread_pool.h"

namespace mlc::runtime {

struct ThreadPool::Workers {};

ThreadPool::ThreadPool(int64_t) : size_(1) {}
ThreadPool::~ThreadPool() = default;
void ThreadPool::run(Work& work, int64_t tasks) {
  for (; tasks > 0; tasks = work.next_launch(0)) work.run_tasks(0, 0, tasks);
}

}  // namespace mlc::runtime
