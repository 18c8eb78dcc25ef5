// SPDX-License-Identifier: Apache-2.0
// The members of an object: named ones in their order, then others, as many as there may be.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/grammar/expression.h"

namespace mlc::engine::grammar {

struct Field {
  Expr member;  // its name, a colon and the value
  bool required;
};

// Where they say no more than `required` does they are not counted: 0 and no limit.
struct PropertyCounts {
  int64_t least = 0;
  int64_t most = Expr::kNoLimit;
};

// What follows the opening brace and its blanks, the closing brace included. `extra`: a member
// that is none of the fields; without it there are none. Adds rules, whose names begin with
// `pointer`: two a field and a count, for what follows where no member was written yet, and where
// one was.
Expr json_members(Rules& rules, const Expr& blank, const std::vector<Field>& fields,
                  const std::optional<Expr>& extra, const PropertyCounts& counts,
                  const std::string& pointer);

// Why no object has as many; nothing where one may have. `open`: there are extra members.
std::optional<std::string> contradiction_of(const PropertyCounts& counts,
                                            const std::vector<Field>& fields, bool open);

}  // namespace mlc::engine::grammar
