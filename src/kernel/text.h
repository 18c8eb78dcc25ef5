// SPDX-License-Identifier: Apache-2.0
// The text form of kernels: print(parse(x)) == x. docs/ir.md has the grammar.
#pragma once

#include <string>
#include <string_view>

#include "kernel/ir.h"

namespace mlc::kernel {

std::string to_text(const Kernel& kernel);
std::string to_text(const Expr& expr);
std::string to_text(Type type);

// Throws UserError with `where`, line and column.
Kernel parse_kernel(std::string_view text, std::string_view where);

}  // namespace mlc::kernel
