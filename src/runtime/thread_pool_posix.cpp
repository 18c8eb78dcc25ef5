// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <vector>

#include "runtime/thread_pool.h"

namespace mlc::runtime {
namespace {

void pause_cpu() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Spins until done() or `spins` tries are over; yields the core now and then, for there may be more
// threads than cores.
template <class F>
bool spin_until(F done, int64_t spins) {
  for (int64_t i = 0; i < spins; ++i) {
    if (done()) return true;
    if (i % 1024 == 1023) {
      sched_yield();
    } else {
      pause_cpu();
    }
  }
  return done();
}

constexpr int64_t kSpinsBeforeSleep = 20000;  // some hundred microseconds

}  // namespace

struct ThreadPool::Workers {
  struct Start {
    ThreadPool* pool;
    int64_t thread;
  };

  std::vector<pthread_t> threads;
  std::vector<Start> starts;
  std::atomic<uint32_t> generation{0};  // counts runs; workers wait for it to change
  std::atomic<int64_t> running{0};
  std::atomic<bool> stop{false};
  void (*function)(void*, int64_t) = nullptr;
  void* context = nullptr;

  static void* enter(void* argument) {
    const Start start = *static_cast<Start*>(argument);
    Workers& self = *start.pool->workers_;
    uint32_t seen = 0;
    while (true) {
      if (!spin_until([&] { return self.generation.load(std::memory_order_acquire) != seen; },
                      kSpinsBeforeSleep)) {
        self.generation.wait(seen, std::memory_order_acquire);
        if (self.generation.load(std::memory_order_acquire) == seen) continue;
      }
      ++seen;
      if (self.stop.load(std::memory_order_relaxed)) return nullptr;
      self.function(self.context, start.thread);
      self.running.fetch_sub(1, std::memory_order_release);
    }
  }
};

ThreadPool::ThreadPool(int64_t threads)
    : size_(std::max<int64_t>(1, threads)), workers_(std::make_unique<Workers>()) {
  workers_->starts.resize(static_cast<size_t>(size_));
  for (int64_t i = 1; i < size_; ++i) {
    workers_->starts[static_cast<size_t>(i)] = {this, i};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Workers::enter,
                       &workers_->starts[static_cast<size_t>(i)]) != 0) {
      size_ = i;  // go on with those there are
      break;
    }
    workers_->threads.push_back(thread);
  }
}

ThreadPool::~ThreadPool() {
  workers_->stop = true;
  workers_->generation.fetch_add(1, std::memory_order_release);
  workers_->generation.notify_all();
  for (const pthread_t thread : workers_->threads) pthread_join(thread, nullptr);
}

void ThreadPool::run(void (*function)(void*, int64_t), void* context) {
  if (size_ == 1) {
    function(context, 0);
    return;
  }
  workers_->function = function;
  workers_->context = context;
  workers_->running.store(size_ - 1, std::memory_order_relaxed);
  workers_->generation.fetch_add(1, std::memory_order_release);
  workers_->generation.notify_all();
  function(context, 0);
  while (!spin_until([&] { return workers_->running.load(std::memory_order_acquire) == 0; },
                     kSpinsBeforeSleep)) {
  }
}

void ThreadPool::barrier(void (*last)(void*), void* context) {
  if (size_ == 1) {
    last(context);
    return;
  }
  const uint32_t phase = phase_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == size_ - 1) {
    last(context);
    arrived_.store(0, std::memory_order_relaxed);
    phase_.store(phase + 1, std::memory_order_release);
    return;
  }
  while (!spin_until([&] { return phase_.load(std::memory_order_acquire) != phase; },
                     kSpinsBeforeSleep)) {
  }
}

}  // namespace mlc::runtime
