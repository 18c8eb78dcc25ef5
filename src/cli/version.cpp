// SPDX-License-Identifier: Apache-2.0
#include "cli/version.h"

namespace mlc::cli {

const char* version() { return MLC_VERSION; }

}  // namespace mlc::cli
