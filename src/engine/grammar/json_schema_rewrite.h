// SPDX-License-Identifier: Apache-2.0
// Keywords that other keywords can say: if and then, what depends on a property, and not. What is
// left of `not` is what strings, numbers and constants can be kept from as they are written.
#pragma once

#include <string>
#include <vector>

#include "engine/grammar/json_schema_values.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::engine::grammar {

// The schema without if, then, else, dependentRequired and dependentSchemas, and with `not` of
// exclusions alone. Errors name what cannot be excluded.
Result<Json> rewritten(const Json& schema, const ResolveReference& resolve, const std::string& at);

// Adds to `not`, beside what stands there.
void exclude(Json& schema, const Json& what);

// What `not` excludes, each of one of three forms: {"enum": [...]}, {"pattern": ...} for strings,
// and {"type": "integer"} for numbers.
std::vector<Json> exclusions_of(const Json& schema);

}  // namespace mlc::engine::grammar
