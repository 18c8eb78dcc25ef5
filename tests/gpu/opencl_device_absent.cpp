// SPDX-License-Identifier: Apache-2.0
// Where the build found no OpenCL.
#include "tests/gpu/opencl_device.h"

namespace mlc {

std::unique_ptr<OpenClDevice> OpenClDevice::open(std::string* why_not) {
  *why_not = "built without the headers of OpenCL";
  return nullptr;
}

}  // namespace mlc
