// SPDX-License-Identifier: Apache-2.0
#include "support/check.h"

#include <cstdio>
#include <cstdlib>

namespace mlc::detail {

void abort_on_check(const std::string& message) {
  std::fprintf(stderr, "internal error: %s\n  this is a bug of mlc_llm; please report it\n",
               message.c_str());
  std::fflush(nullptr);
  std::_Exit(3);
}

}  // namespace mlc::detail
