// SPDX-License-Identifier: Apache-2.0
// Runs a kernel slowly and obviously: the oracle of generated code. Every access is checked against
// the size of its buffer, and what nobody wrote reads as a pattern. The threads of a GPU block go
// from barrier to barrier together, and touching what another thread has written to shared memory
// since the last barrier is an error.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "kernel/ir.h"

namespace mlc::kernel {

// One entry per parameter: the bytes of a buffer, or a size.
struct Argument {
  std::span<std::byte> bytes;
  int64_t size = 0;
};

// Tasks [begin, end) of the parallel loop, or blocks of a GPU kernel, in order. Throws
// InternalError on an access outside a buffer.
void interpret(const Kernel& kernel, const std::vector<Argument>& arguments, int64_t begin,
               int64_t end);
// The extent of the parallel loop, or of the GPU blocks, for these arguments; 1 where there is
// none.
int64_t task_count(const Kernel& kernel, const std::vector<Argument>& arguments);

}  // namespace mlc::kernel
