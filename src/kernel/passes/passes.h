// SPDX-License-Identifier: Apache-2.0
// Passes over one kernel. Their order stands in compiler/pipeline.cpp.
#pragma once

#include "kernel/ir.h"

namespace mlc::kernel {

// Expands exp, exp2, log2, tanh, erf, sin, cos into arithmetic (kernel/passes/lower_math.cpp states
// the error of each).
Kernel lower_math(const Kernel& kernel);

}  // namespace mlc::kernel
