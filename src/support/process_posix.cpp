// SPDX-License-Identifier: Apache-2.0
#include <sched.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <set>

#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc {

int64_t process_id() { return getpid(); }

uint64_t peak_memory_bytes() {
  const Result<std::string> status = read_file("/proc/self/status");
  if (!status.ok()) return 0;
  const size_t at = status->find("VmHWM:");
  if (at == std::string::npos) return 0;
  return std::strtoull(status->c_str() + at + 6, nullptr, 10) * 1024;
}

int64_t physical_cores() {
  cpu_set_t affinity;
  if (sched_getaffinity(0, sizeof(affinity), &affinity) != 0) return 1;
  std::set<std::string> cores;
  int64_t logical = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &affinity)) continue;
    ++logical;
    const auto siblings =
        read_file(cat("/sys/devices/system/cpu/cpu", cpu, "/topology/thread_siblings_list"));
    cores.insert(siblings.ok() ? *siblings : cat("cpu", cpu));
  }
  return logical == 0 ? 1 : static_cast<int64_t>(cores.size());
}

}  // namespace mlc
