// SPDX-License-Identifier: Apache-2.0
// Gemv of int8 activations with weights whose order is not rows: a row of words holds one k or a
// few of all columns. Memory gives its bandwidth to long runs only (docs/performance.md), so a task
// is one of the chains of the sum (its groups of k) over as many columns as possible, and reads
// whole rows of words. A second kernel sums the chains, and the epilogue follows.
#pragma once

#include "kernel/templates/matmul.h"

namespace mlc::kernel {

// The chains: temporary kColumnChainsTemporary, f32 [row][chain][n].
inline constexpr int kColumnChainsTemporary = 3;
formats::LinearSize column_chains_bytes(const MatmulNode& m);
// One row, or up to kMaxGemvRows.
LoweredKernel column_chains_kernel(const MatmulNode& m, bool single_row);
LoweredKernel column_finish_kernel(const MatmulNode& m, bool single_row);

}  // namespace mlc::kernel
