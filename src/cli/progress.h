// SPDX-License-Identifier: Apache-2.0
// Progress of long work on standard error: a bar with rate and time left on a terminal, else now
// and then a line.
#pragma once

#include <cstdint>
#include <string>

namespace mlc::cli {

class ProgressBar {
 public:
  explicit ProgressBar(std::string label);
  void show(int64_t done_bytes, int64_t total_bytes);
  void finish();  // clears the bar

 private:
  std::string label_;
  bool terminal_;
  double begin_;
  double last_ = 0;
  int64_t last_step_ = -1;
};

}  // namespace mlc::cli
