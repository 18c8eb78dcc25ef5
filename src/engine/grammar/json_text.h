// SPDX-License-Identifier: Apache-2.0
// How JSON is written: the characters of a string, numbers within bounds, any value at all.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/grammar/expression.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::engine::grammar {

// One character of the set inside a JSON string: itself, or the escape that it needs.
Expr json_character(const CodePointSet& set);
// As json_character, and any character at all where the set has all.
Expr json_character_or_any(const CodePointSet& set);
// Any character inside a JSON string, with all of JSON's escapes but lone surrogates.
Expr any_json_character();
// A string with the quotes, of which all is known.
Expr json_literal(const Json& value);
// A string whose text is none of `names`, with the quotes. It may repeat one that came before.
Expr string_other_than(const std::vector<std::string>& names);

// A bound that numbers must not pass, or, if it is exclusive, not reach.
struct Bound {
  Json value;
  bool exclusive = false;
};
// Integers of at most 18 digits, without an exponent; numbers likewise, with at most 16 digits
// behind the point. Nothing where no number lies within the bounds.
Expr integer_between(const std::optional<Bound>& low, const std::optional<Bound>& high);
// Without bounds a number may have an exponent of two digits.
Expr number_between(const std::optional<Bound>& low, const std::optional<Bound>& high);
// Numbers of which more may be said than their bounds; those have no exponents.
struct NumberLimits {
  bool integer = false;
  std::optional<Bound> low{};
  std::optional<Bound> high{};
  const Json* multiple_of = nullptr;  // none
  std::vector<Json> excluded{};       // values, however they are written
  bool no_integer = false;            // integers are excluded, 2.0 included
};
// Errors name `where` and a limit that is too much for an automaton.
Result<Expr> numbers_of(const NumberLimits& limits, const std::string& where);
// Bounds beyond what integer_between and number_between can write.
bool is_too_large(const Json& bound);

// Numbers of the rules for JSON, in a grammar that has them.
struct JsonRules {
  size_t blank;   // nothing, a space, or a new line with at most 20 spaces or tabs
  size_t string;  // any
  size_t object;  // any
  size_t value;   // any
};
JsonRules add_json_rules(Rules& rules);

}  // namespace mlc::engine::grammar
