// SPDX-License-Identifier: Apache-2.0
// Whether a value that is known meets a schema: constants are kept or left out by it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "engine/grammar/text_set.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::engine::grammar {

// What a $ref means.
using ResolveReference = std::function<Result<const Json*>(const std::string&)>;

// Errors name `at` and what cannot be decided: a keyword that is not known, a $ref without end.
Result<bool> is_valid(const Json& value, const Json& schema, const ResolveReference& resolve,
                      const std::string& at);

// As JSON schemas compare: 1 and 1.0 are the same, and the order of members does not matter.
bool same_value(const Json& a, const Json& b);

// A multiple of 10^-digits * factor; nothing where the number has too many digits.
struct DecimalStep {
  int64_t factor = 1;
  int digits = 0;
};
std::optional<DecimalStep> decimal_step(const Json& number);

// The regular expression of a format of strings; empty where it is not known.
std::string_view format_pattern(std::string_view format);

}  // namespace mlc::engine::grammar
