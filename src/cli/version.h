// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mlc::cli {

const char* version();  // "0.1.0"

}  // namespace mlc::cli
