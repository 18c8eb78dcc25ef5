// SPDX-License-Identifier: Apache-2.0
// No threads: the caller's is the only one.
#include "runtime/thread_pool.h"

namespace mlc::runtime {

struct ThreadPool::Workers {};

ThreadPool::ThreadPool(int64_t) : size_(1) {}
ThreadPool::~ThreadPool() = default;
void ThreadPool::run(void (*function)(void*, int64_t), void* context) { function(context, 0); }
void ThreadPool::barrier(void (*last)(void*), void* context) { last(context); }

}  // namespace mlc::runtime
