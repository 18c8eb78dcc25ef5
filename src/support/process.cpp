// SPDX-License-Identifier: Apache-2.0
#include "support/process.h"

#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "support/printable.h"
#include "support/strings.h"

namespace mlc {

std::optional<std::string> environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == 0) return {};
  return std::string(value);
}

double now_seconds() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double thread_seconds() {
#if defined(CLOCK_THREAD_CPUTIME_ID)
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
#else
  return now_seconds();
#endif
}

void log_warning(std::string_view text) { log_info(cat("warning: ", text)); }

void log_info(std::string_view text) {
  const std::string line = escape_unprintable(text) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace mlc
