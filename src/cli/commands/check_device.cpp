// SPDX-License-Identifier: Apache-2.0
// `mlc_llm check_device`: which devices of a kind this machine has and this program can use.
#include <algorithm>
#include <cstdio>

#include "cli/arguments.h"
#include "cli/command.h"
#include "support/throw.h"
#include "target/target.h"

namespace mlc::cli {

int run_check_device(Arguments arguments) {
  std::string device;
  std::vector<std::string> known;
  for (int i = 0; i <= static_cast<int>(target::DeviceKind::kWebGpu); ++i) {
    known.emplace_back(target::device_name(static_cast<target::DeviceKind>(i)));
  }
  ArgumentParser parser("check_device",
                        "Prints `check_device:` and the numbers of the devices of a kind that are "
                        "there, separated by commas: nothing where there is "
                        "none.",
                        {"mlc_llm check_device cpu"});
  parser.positional("DEVICE", &device, "cpu, cuda, rocm, metal, vulkan, opencl or webgpu");
  if (!parser.parse(arguments)) return 0;
  if (std::find(known.begin(), known.end(), device) == known.end()) {
    throw UserError(unknown_name_error(ErrorKind::kUsage, "DEVICE", "device", device, known));
  }
  const bool present = device == target::device_name(target::DeviceKind::kCpu);
  std::printf("check_device:%s\n", present ? "0" : "");
  return 0;
}

}  // namespace mlc::cli
