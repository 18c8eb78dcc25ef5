// SPDX-License-Identifier: Apache-2.0
// Object files into the file that a user names: a shared library now, other kinds by suffix.
#pragma once

#include <span>
#include <string>

#include "target/target.h"

namespace mlc::link {

// Links `objects` (bytes of relocatable files) into a shared library that exports `symbol` alone
// and imports nothing. Returns the file's bytes. Throws UserError when a temporary file cannot be
// written.
std::string link_shared(std::span<const std::string> objects, const std::string& symbol,
                        const target::Target& target);

}  // namespace mlc::link
