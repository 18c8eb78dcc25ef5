// SPDX-License-Identifier: Apache-2.0
// Threads that work through launches together: a launch is a number of tasks that may run at once,
// and the next one begins when all of them are done. What counts is that the tasks are done, not
// that every thread has come: one that another program keeps from its core holds the others up only
// where it has tasks in hand, and joins whatever launch is at hand when it is back.
#pragma once

#include <cstdint>
#include <memory>

namespace mlc::runtime {

class ThreadPool {
 public:
  // What a run does. Its members see what an earlier launch's tasks wrote.
  class Work {
   public:
    // Tasks [begin, end) of the launch at hand, on one of several threads at once.
    virtual void run_tasks(int64_t thread, int64_t begin, int64_t end) = 0;
    // Called on the thread that finished the launch at hand, when no other runs tasks. Makes the
    // next launch the one at hand and returns how many tasks it has; 0 ends the run.
    virtual int64_t next_launch(int64_t thread) = 0;

   protected:
    ~Work() = default;
  };

  explicit ThreadPool(int64_t threads);
  ~ThreadPool();

  int64_t size() const { return size_; }
  // Runs work's launches, of which the first has `tasks` tasks (more than none), and returns when
  // next_launch did return 0. The caller is thread 0.
  void run(Work& work, int64_t tasks);

 private:
  struct Workers;
  int64_t size_;
  std::unique_ptr<Workers> workers_;
};

}  // namespace mlc::runtime
