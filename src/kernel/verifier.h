// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernel/ir.h"

namespace mlc::kernel {

// Throws IrError naming the kernel and the first thing that breaks the rules of docs/ir.md: a name used
// outside its scope, operands of wrong type, a store to a read-only space, an index of a register buffer that
// is no constant after unrolling, tasks anywhere but at the top.
void verify(const Kernel& kernel);

}  // namespace mlc::kernel
