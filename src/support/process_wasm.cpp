// SPDX-License-Identifier: Apache-2.0
#include "support/process.h"

namespace mlc {

int64_t process_id() { return 1; }
uint64_t peak_memory_bytes() { return 0; }
int64_t physical_cores() { return 1; }

}  // namespace mlc
