// SPDX-License-Identifier: Apache-2.0
// How a template spreads the work on a row, by the class of the target: over the lanes of vectors,
// a task of one thread (CPU), or over the threads of a block, an element at a time each (GPU). A
// template is written once over these.
#pragma once

#include <functional>
#include <string>

#include "kernel/templates/vector_ops.h"

namespace mlc::kernel {

class RowSchedule {
 public:
  RowSchedule() = default;  // the CPU class
  explicit RowSchedule(const target::Target& target)
      : threads_(target.is_gpu() ? target.block_threads() : 0) {}

  // Lanes of the vectors that for_elements() hands out.
  int lanes() const { return on_gpu() ? 1 : kLanes; }
  // How many of a row's `columns` a task works on: all on a CPU, as many as shared memory holds
  // with ease on a GPU.
  int64_t block_width(int64_t columns) const {
    return on_gpu() ? std::min(columns, 4 * threads_) : columns;
  }

  // The tasks of a kernel, of which the plan launches `count`. Call it once, before anything below.
  void tasks(KernelBuilder& b, const std::string& name, Expr count,
             const KernelBuilder::LoopBody& body);
  // f32 elements that all who work on the row see.
  BufferRef allocate_row(KernelBuilder& b, const std::string& name, int64_t size) const;

  // Calls body(at, lanes) for the elements [0, count); `full` as for_vectors_up_to() has it.
  // Element `at` belongs to the same thread in every such loop, which needs no sync() to find what
  // it left there itself.
  void for_elements(KernelBuilder& b, const std::string& name, Expr count, int64_t full,
                    const std::function<void(Expr at, int lanes)>& body) const;
  // The same for pieces of work of any size, one at a time: body(i).
  void for_pieces(KernelBuilder& b, const std::string& name, Expr count,
                  const KernelBuilder::LoopBody& body) const;
  // What any thread wrote before it is seen by all after it.
  void sync(KernelBuilder& b) const;
  // The sum over the lanes of `v` and over all threads, by halves: i and i + n / 2, until one is
  // left. All threads get it.
  Expr sum(KernelBuilder& b, Expr v) const;

 private:
  bool on_gpu() const { return threads_ > 0; }

  int64_t threads_ = 0;
  Expr thread_;  // GPU: the number of the thread in its block
};

}  // namespace mlc::kernel
