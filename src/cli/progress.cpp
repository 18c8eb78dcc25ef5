// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "support/process.h"
#include "support/strings.h"

namespace mlc::cli {

ProgressBar::ProgressBar(std::string label)
    : label_(std::move(label)), terminal_(isatty(2) == 1), begin_(now_seconds()) {}

void ProgressBar::show(int64_t done, int64_t total) {
  const double now = now_seconds();
  const double part = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  const double rate = static_cast<double>(done) / std::max(1e-9, now - begin_);
  const std::string figures =
      cat(fixed(part * 100, 0), " %  ", fixed(static_cast<double>(done) / 1e9, 2), " of ",
          fixed(static_cast<double>(total) / 1e9, 2), " GB  ", fixed(rate / 1e9, 2), " GB/s");
  if (!terminal_) {  // a line each tenth
    const auto step = static_cast<int64_t>(part * 10);
    if (step == last_step_ || (step == 0 && last_step_ < 0)) {
      last_step_ = step;
      return;
    }
    last_step_ = step;
    log_info(cat(label_, ": ", figures));
    return;
  }
  if (now - last_ < 0.1 && done < total) return;
  last_ = now;
  constexpr int kWidth = 30;
  const int filled = static_cast<int>(part * kWidth);
  const double left = rate > 0 ? static_cast<double>(total - done) / rate : 0;
  const std::string line = cat("\r", label_, " [", std::string(static_cast<size_t>(filled), '='),
                               std::string(static_cast<size_t>(kWidth - filled), ' '), "] ",
                               figures, "  ", fixed(left, 0), " s left  ");
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void ProgressBar::finish() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

}  // namespace mlc::cli
