// SPDX-License-Identifier: Apache-2.0
#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <vector>

#include "runtime/task_shares.h"
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

constexpr int64_t kSpinsBeforeSleep = 20000;  // some hundred microseconds

}  // namespace

struct ThreadPool::Workers {
  struct Start {
    Workers* workers;
    int64_t thread;
  };

  explicit Workers(int64_t threads) : shares(threads) {}

  std::vector<pthread_t> threads;
  std::vector<Start> starts;
  TaskShares shares;
  // Of the run at hand. Read by those who have tasks of it in hand, so that it can't end meanwhile.
  Work* work = nullptr;
  alignas(64) std::atomic<int64_t> left{0};  // tasks of the launch at hand that are not done
  // Counts launches and ends of runs; on a line of its own: who waits reads it all the time.
  alignas(64) std::atomic<uint32_t> changes{0};
  std::atomic<bool> running{false};
  std::atomic<bool> stop{false};

  void publish() {
    changes.fetch_add(1, std::memory_order_seq_cst);
    changes.notify_all();
  }

  void begin(int64_t tasks) {
    left.store(tasks, std::memory_order_relaxed);
    shares.set(tasks);
    publish();
  }

  // Takes tasks for as long as there are any, and begins the next launch where it finished one.
  void help(int64_t thread) {
    while (true) {
      int64_t done = 0;
      for (auto taken = shares.take(thread); taken.begin < taken.end; taken = shares.take(thread)) {
        work->run_tasks(thread, taken.begin, taken.end);
        done += taken.end - taken.begin;
      }
      if (done == 0 || left.fetch_sub(done, std::memory_order_acq_rel) != done) return;
      const int64_t tasks = work->next_launch(thread);
      if (tasks == 0) {
        running.store(false, std::memory_order_release);
        publish();
        return;
      }
      begin(tasks);
    }
  }

  // Returns when `changes` is no longer `seen`. Spins for a while before it sleeps, and yields the
  // core now and then, for there may be more threads than cores.
  void wait(uint32_t seen) {
    for (int64_t i = 1; i <= kSpinsBeforeSleep; ++i) {
      if (changes.load(std::memory_order_acquire) != seen) return;
      if (i % 1024 == 0) {
        sched_yield();
      } else {
        pause_cpu();
      }
    }
    changes.wait(seen, std::memory_order_acquire);
  }

  static void* enter(void* argument) {
    const Start start = *static_cast<Start*>(argument);
    Workers& self = *start.workers;
    while (!self.stop.load(std::memory_order_relaxed)) {
      const uint32_t seen = self.changes.load(std::memory_order_acquire);
      self.help(start.thread);
      self.wait(seen);
    }
    return nullptr;
  }
};

ThreadPool::ThreadPool(int64_t threads)
    : size_(std::max<int64_t>(1, threads)), workers_(std::make_unique<Workers>(size_)) {
  workers_->starts.resize(static_cast<size_t>(size_));
  for (int64_t i = 1; i < size_; ++i) {
    Workers::Start& start = workers_->starts[static_cast<size_t>(i)];
    start = {workers_.get(), i};
    pthread_t thread;
    if (pthread_create(&thread, nullptr, Workers::enter, &start) != 0) {
      size_ = i;  // go on with those there are
      break;
    }
    workers_->threads.push_back(thread);
  }
}

ThreadPool::~ThreadPool() {
  workers_->stop = true;
  workers_->publish();
  for (const pthread_t thread : workers_->threads) pthread_join(thread, nullptr);
}

void ThreadPool::run(Work& work, int64_t tasks) {
  if (size_ == 1) {
    for (; tasks > 0; tasks = work.next_launch(0)) work.run_tasks(0, 0, tasks);
    return;
  }
  workers_->work = &work;
  workers_->running.store(true, std::memory_order_relaxed);
  workers_->begin(tasks);
  while (true) {
    const uint32_t seen = workers_->changes.load(std::memory_order_acquire);
    workers_->help(0);
    if (!workers_->running.load(std::memory_order_acquire)) return;
    workers_->wait(seen);
  }
}

}  // namespace mlc::runtime
