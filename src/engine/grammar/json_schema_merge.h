// SPDX-License-Identifier: Apache-2.0
// JSON schemas as values: which keywords there are, two schemas that both must hold, and whether a
// value can meet two of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "support/json.h"

namespace mlc::engine::grammar {

// A keyword that says nothing about which values are valid (title, default, $defs ...).
bool is_annotation(std::string_view keyword);
// Errors name a keyword that is not supported, or whose value is of the wrong kind.
Result<void> check_keywords(const Json& schema, const std::string& at);

// The schema that holds where both hold. Subschemas that meet become an allOf of the two.
Result<Json> merged(const Json& a, const Json& b, const std::string& at);

// The types that a schema allows, of the seven names; `integer` beside `number` is left out.
std::vector<std::string> types_of(const Json& schema);
std::string_view type_name(const Json& value);
bool has_type(const Json& value, std::string_view type);

// True if no value meets both, as far as types, constants and required properties tell.
bool are_disjoint(const Json& a, const Json& b);

// The values of const or enum; null where there is neither.
const Json::Array* constants_of(const Json& schema, Json::Array& storage);

}  // namespace mlc::engine::grammar
