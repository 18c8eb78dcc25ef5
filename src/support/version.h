// SPDX-License-Identifier: Apache-2.0
// The version of the program, of its C interface and of the Python package: CMakeLists.txt has it.
#pragma once

namespace mlc {

const char* version();  // "0.1.0"

}  // namespace mlc
