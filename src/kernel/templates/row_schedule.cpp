// SPDX-License-Identifier: Apache-2.0
#include "kernel/templates/row_schedule.h"

namespace mlc::kernel {

void RowSchedule::tasks(KernelBuilder& b, const std::string& name, Expr count,
                        const KernelBuilder::LoopBody& body) {
  if (!on_gpu()) {
    b.parallel(name, std::move(count), body);
    return;
  }
  b.gpu_block(name, std::move(count), [&](const Expr& task) {
    b.gpu_thread("thread", threads_, [&](const Expr& thread) {
      thread_ = thread;
      body(task);
    });
  });
}

BufferRef RowSchedule::allocate_row(KernelBuilder& b, const std::string& name, int64_t size) const {
  return b.allocate(name, {DType::kF32, 1}, size, on_gpu() ? Space::kShared : Space::kLocal);
}

void RowSchedule::for_pieces(KernelBuilder& b, const std::string& name, Expr count,
                             const KernelBuilder::LoopBody& body) const {
  if (!on_gpu()) {
    b.serial(name, std::move(count), body);
    return;
  }
  // The threads take turns, so that neighbours touch neighbouring memory.
  const bool even = is_constant(count) && constant_value(count) % threads_ == 0;
  Expr turns = even ? count / threads_ : (count + (threads_ - 1) - thread_) / threads_;
  b.serial(name, std::move(turns), [&](const Expr& i) { body(i * threads_ + thread_); });
}

void RowSchedule::for_elements(KernelBuilder& b, const std::string& name, Expr count, int64_t full,
                               const std::function<void(Expr, int)>& body) const {
  if (on_gpu()) {
    for_pieces(b, name, std::move(count), [&](const Expr& i) { body(b.let("at", i), 1); });
  } else {
    for_vectors_up_to(b, name, std::move(count), full, kLanes, body);
  }
}

void RowSchedule::sync(KernelBuilder& b) const {
  if (on_gpu()) b.barrier();
}

Expr RowSchedule::sum(KernelBuilder& b, Expr v) const {
  if (!on_gpu()) return tree_sum(b, std::move(v));
  const BufferRef partials = b.allocate("partials", {DType::kF32, 1}, threads_, Space::kShared);
  b.store(partials, thread_, std::move(v));
  for (int64_t half = threads_ / 2; half > 0; half /= 2) {
    b.barrier();
    b.if_then(less(thread_, index(half)), [&] {
      b.store(partials, thread_, load(partials, thread_) + load(partials, thread_ + half));
    });
  }
  b.barrier();
  return b.let("sum", load(partials, index(0)));
}

}  // namespace mlc::kernel
