// SPDX-License-Identifier: Apache-2.0
// Fields of the small parts of a tokenizer.json, with errors that name the part and the key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "support/error.h"
#include "support/json.h"

namespace mlc::tokenizers {

// The `type` of a part; an error too if it lies deeper than any real file's (parts are read by
// recursion).
Result<std::string> type_field(const Json& part, const std::string& where, int depth);
// A boolean; where it is absent or null, `fallback`, or an error if there is none.
Result<bool> bool_field(const Json& part, std::string_view key, const std::string& where,
                        std::optional<bool> fallback = std::nullopt);
Result<const Json::Array*> list_field(const Json& part, std::string_view key,
                                      const std::string& where);
// A text of one character.
Result<char32_t> character_field(const Json& part, std::string_view key, const std::string& where);
// An integer >= 0; `fallback` where it is absent or null.
Result<int64_t> size_field(const Json& part, std::string_view key, const std::string& where,
                           std::optional<int64_t> fallback = std::nullopt);

Result<std::string> decode_base64(std::string_view text, const std::string& where);

}  // namespace mlc::tokenizers
