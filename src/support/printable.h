// SPDX-License-Identifier: Apache-2.0
// Text that may be shown.
#pragma once

#include <string>
#include <string_view>

namespace mlc {

// Control characters but newline and tab, and bytes that are no valid UTF-8, become \xNN: a name in
// a hostile file must neither cut a message off nor steer a terminal.
std::string escape_unprintable(std::string_view text);

}  // namespace mlc
