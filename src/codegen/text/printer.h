// SPDX-License-Identifier: Apache-2.0
// Kernels of the GPU class as source text of a language of the C family. Equal kernels give equal
// text.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernel/ir.h"

namespace mlc::codegen {

class Dialect;

struct TextKernel {
  const kernel::Kernel* kernel;
  std::string symbol;
};

// A parameter of the printed function. All buffers of the arena are views of one binding, as are
// all constants; the others have bindings of their own. The bindings that are shared come first,
// then one for each parameter of the kernel.
struct TextParameter {
  enum class Kind : uint8_t {
    kBinding,  // memory
    kOffset,   // i64: where in the binding of its space a buffer begins, in bytes
    kSize,     // i64: the value of a symbolic size
  };
  Kind kind;
  std::string name;
  DType dtype;  // of the elements of a buffer
  kernel::Space space = kernel::Space::kArena;
  int parameter = -1;  // of the kernel; -1 for a shared binding
};
bool is_read_only(const TextParameter& parameter);

// What the host must pass to the printed function, in order.
std::vector<TextParameter> text_parameters(const kernel::Kernel& kernel);

// Kernels must be verified. Throws InternalError where one is not of the GPU class or calls a
// function that the language lacks (pass lower-math).
std::string print_kernels(std::span<const TextKernel> kernels, const Dialect& dialect);

}  // namespace mlc::codegen
