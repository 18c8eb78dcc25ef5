// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "formats/jinja/ast.h"
#include "formats/jinja/machine.h"

namespace mlc::jinja {

// Jinja's grammar with the statements `break`, `continue` and `generation`. Texts of constants go
// into `heap`. Nothing, and a TemplateSyntaxError in `problem`, where the template has an error.
std::optional<Body> parse_template(std::string_view text, Heap& heap, Problem& problem);

}  // namespace mlc::jinja
