// SPDX-License-Identifier: Apache-2.0
// The sources of grammars. Errors name `where` and the place in the source.
#pragma once

#include <string>
#include <string_view>

#include "engine/grammar/expression.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::engine::grammar {

// Extended Backus-Naur form as GBNF has it: rules `name ::= expression`, one of them `root`.
Result<Rules> read_ebnf(std::string_view text, const std::string& where);

// A regular expression that matches the whole text.
Result<Rules> read_regex(std::string_view pattern, const std::string& where);

// How one character of a set is written: itself in a text, maybe an escape in a JSON string.
using WriteCharacter = Expr (*)(const CodePointSet&);
enum class RegexMatch : uint8_t {
  kWhole,
  kSomewhere,  // unless ^ and $ say otherwise, as in JSON schemas
};
Result<Expr> regex_expression(std::string_view pattern, RegexMatch match, WriteCharacter write,
                              const std::string& where);

// A text that is JSON and valid for the schema. Keywords that are not known are refused by name.
Result<Rules> read_json_schema(const Json& schema, const std::string& where);

}  // namespace mlc::engine::grammar
