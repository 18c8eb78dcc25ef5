// SPDX-License-Identifier: Apache-2.0
// For tests: compiles OpenCL C and runs a kernel, through the OpenCL API of the machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mlc {

// A buffer, which is copied to the device and back, or an i64.
struct OpenClArgument {
  std::span<std::byte> bytes;
  int64_t size = 0;
};

class OpenClDevice {
 public:
  virtual ~OpenClDevice() = default;
  // The first device whose division, square root and fma round correctly, as the interpreter's do;
  // null with the reason where there is none.
  static std::unique_ptr<OpenClDevice> open(std::string* why_not);

  virtual std::string name() const = 0;
  // Runs `blocks` work-groups of `threads` work-items each. Throws std::runtime_error with the
  // compiler's messages.
  virtual void run(const std::string& source, const std::string& kernel,
                   const std::vector<OpenClArgument>& arguments, int64_t blocks,
                   int64_t threads) = 0;
};

}  // namespace mlc
