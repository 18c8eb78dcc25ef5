// SPDX-License-Identifier: Apache-2.0
#include "runtime/task_shares.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace mlc::runtime {
namespace {

std::vector<int> drain(TaskShares& shares, int64_t thread, int64_t tasks) {
  std::vector<int> seen(static_cast<size_t>(tasks));
  while (true) {
    const TaskShares::Range r = shares.take(thread);
    if (r.begin == r.end) return seen;
    for (int64_t i = r.begin; i < r.end; ++i) ++seen[static_cast<size_t>(i)];
  }
}

TEST(TaskShares, GivesEveryTaskOnceToOneThread) {
  for (const int64_t threads : {1, 2, 3, 8}) {
    TaskShares shares(threads);
    for (const int64_t tasks : {0, 1, 2, 7, 36, 1000}) {
      shares.set(tasks);
      EXPECT_EQ(drain(shares, threads - 1, tasks), std::vector<int>(static_cast<size_t>(tasks), 1))
          << threads << " " << tasks;
    }
  }
}

TEST(TaskShares, GivesAThreadItsOwnTasksInOrderBeforeOthers) {
  TaskShares shares(2);
  shares.set(8);
  for (int64_t i = 4; i < 8; ++i) {
    const TaskShares::Range r = shares.take(1);
    EXPECT_EQ(r.begin, i);
    EXPECT_EQ(r.end, i + 1);
  }
  EXPECT_EQ(shares.take(1).begin, 3);  // the end of the other's
  EXPECT_EQ(shares.take(0).begin, 0);
}

TEST(TaskShares, GivesEveryTaskOnceToThreadsAtOnce) {
  constexpr int64_t kTasks = 20000;
  TaskShares shares(3);
  shares.set(kTasks);
  std::vector<std::vector<int>> seen(3);
  std::vector<std::thread> threads;
  for (int64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] { seen[static_cast<size_t>(t)] = drain(shares, t, kTasks); });
  }
  for (std::thread& t : threads) t.join();
  for (size_t i = 0; i < kTasks; ++i) ASSERT_EQ(seen[0][i] + seen[1][i] + seen[2][i], 1) << i;
}

}  // namespace
}  // namespace mlc::runtime
