// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/thread_pool.h"
#include "support/error.h"

namespace mlc::cli {

// Bytes a second that the threads of the pool read together from a buffer of 512 MiB: the best of
// five runs. It is the measure for kernels whose work is to read weights once.
Result<double> read_bandwidth(runtime::ThreadPool& pool);

}  // namespace mlc::cli
