// SPDX-License-Identifier: Apache-2.0
#include "runtime/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace mlc::runtime {
namespace {

// Launches of the given numbers of tasks. Counts how often each ran, and that none began before the
// launch before it was done.
class Counting : public ThreadPool::Work {
 public:
  explicit Counting(std::vector<int64_t> launches) : launches_(std::move(launches)) {
    for (const int64_t tasks : launches_) runs_.emplace_back(static_cast<size_t>(tasks));
  }
  virtual ~Counting() = default;

  void run(ThreadPool& pool) {
    at_ = 0;
    pool.run(*this, launches_[0]);
  }
  void run_tasks(int64_t, int64_t begin, int64_t end) override {
    for (int64_t i = begin; i < end; ++i) ++runs_[at_][static_cast<size_t>(i)];
    done_ += end - begin;
  }
  int64_t next_launch(int64_t) override {
    early_ += done_ != launches_[at_];
    done_ = 0;
    return ++at_ < launches_.size() ? launches_[at_] : 0;
  }
  void expect_each(int times) const {
    EXPECT_EQ(early_, 0);
    for (const auto& launch : runs_)
      for (const auto& runs : launch) ASSERT_EQ(runs, times);
  }

 private:
  std::vector<int64_t> launches_;
  size_t at_ = 0;
  std::vector<std::vector<std::atomic<int>>> runs_;
  std::atomic<int64_t> done_{0};
  int64_t early_ = 0;
};

TEST(ThreadPool, RunsEveryTaskOfEveryLaunchOnceInOrder) {
  for (const int64_t threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    Counting work({1, 7, 1000, 1, 1, 33, 2});
    for (int i = 0; i < 200; ++i) work.run(pool);
    work.expect_each(200);
  }
}

TEST(ThreadPool, GoesOnAfterAPause) {
  ThreadPool pool(2);
  Counting work({4, 4});
  for (int i = 0; i < 3; ++i) {
    work.run(pool);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));  // the other thread sleeps by now
  }
  work.expect_each(3);
}

std::atomic<bool> g_hold{false};
std::atomic<bool> g_held{false};

// What keeps a thread from its core: a signal handler that does not return.
class Interrupted final : public ThreadPool::Work {
 public:
  void run_tasks(int64_t thread, int64_t, int64_t) override {
    if (thread == 1) other_ = pthread_self();
    ++come_;
    while (come_ < 2) std::this_thread::yield();
  }
  int64_t next_launch(int64_t) override { return 0; }
  pthread_t other() const { return other_; }

 private:
  std::atomic<int> come_{0};
  pthread_t other_{};
};

TEST(ThreadPool, DoesNotWaitForAThreadWithoutTasks) {
  ThreadPool pool(2);
  Interrupted both;
  pool.run(both, 2);
  struct sigaction action = {};
  action.sa_handler = [](int) {
    g_held = true;
    while (g_hold) {
    }
    g_held = false;
  };
  struct sigaction before = {};
  ASSERT_EQ(sigaction(SIGUSR1, &action, &before), 0);
  g_hold = true;
  ASSERT_EQ(pthread_kill(both.other(), SIGUSR1), 0);
  while (!g_held) std::this_thread::yield();

  Counting work({1, 8, 100, 3});
  std::atomic<bool> returned{false};
  // Lets the thread go where the run hangs for lack of it, so that the test fails and ends.
  std::thread watch([&] {
    for (int i = 0; i < 1000 && !returned; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    g_hold = false;
  });
  work.run(pool);
  EXPECT_TRUE(g_hold) << "the run waited for the thread";
  returned = true;
  watch.join();
  while (g_held) std::this_thread::yield();
  sigaction(SIGUSR1, &before, nullptr);
  work.expect_each(1);
}

}  // namespace
}  // namespace mlc::runtime
