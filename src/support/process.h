// SPDX-License-Identifier: Apache-2.0
// This process: id, environment, memory, clock, warnings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlc {

int64_t process_id();
std::optional<std::string> environment(const char* name);  // unset and empty are the same: nothing
uint64_t peak_memory_bytes();  // VmHWM; 0 where the system does not tell
int64_t physical_cores();      // cores of this process's affinity, hyperthreads counted once
double now_seconds();          // a monotonic clock
double thread_seconds();       // CPU time of this thread: other programs do not count

// "warning: TEXT" and TEXT on standard error, a line each.
void log_warning(std::string_view text);
void log_info(std::string_view text);

}  // namespace mlc
