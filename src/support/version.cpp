// SPDX-License-Identifier: Apache-2.0
#include "support/version.h"

namespace mlc {

const char* version() { return MLC_VERSION; }

}  // namespace mlc
