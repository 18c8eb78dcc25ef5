// SPDX-License-Identifier: Apache-2.0
// What values the fields of a model_config may have: kinds and ranges, so that nothing behind
// gen_config meets an absurd size.
#pragma once

#include <cstdint>
#include <string_view>

#include "formats/model_config_fields.h"
#include "support/json.h"

namespace mlc::compiler {

// The widest any size may be. Products of two of them fit into 64 bits.
inline constexpr int64_t kMaxTokens = INT32_MAX;

// The integer at `key` of `fields`. Throws UserError where it is none, or not within ±kMaxTokens.
int64_t integer_field(const Json& fields, std::string_view key, std::string_view where);

// Throws UserError for the first field of a wrong kind or out of its range.
void check_fields(const formats::Architecture& architecture, const Json& fields,
                  std::string_view where);

// Whether check_fields() knows what a field may hold (a test walks over all of them).
bool is_checked_field(std::string_view name);

}  // namespace mlc::compiler
