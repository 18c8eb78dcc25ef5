// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/json_fields.h"

#include "support/strings.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr int kMaxDepth = 16;

bool is_absent(const Json* value) { return value == nullptr || value->is_null(); }

Error wrong_kind(const std::string& where, std::string_view key, const Json& value,
                 std::string expected) {
  return user_error(cat(where, ".", key), cat("is ", value.kind_name()), std::move(expected));
}

}  // namespace

Result<std::string> type_field(const Json& part, const std::string& where, int depth) {
  if (depth > kMaxDepth) return user_error(where, cat("is nested more than ", kMaxDepth, " deep"));
  return json_string(part, "type", where);
}

Result<bool> bool_field(const Json& part, std::string_view key, const std::string& where,
                        std::optional<bool> fallback) {
  const Json* const value = part.find(key);
  if (is_absent(value) && fallback) return *fallback;
  if (value == nullptr) return user_error(where, cat("lacks the key \"", key, "\""));
  if (!value->is_bool()) return wrong_kind(where, key, *value, "a boolean");
  return value->as_bool();
}

Result<const Json::Array*> list_field(const Json& part, std::string_view key,
                                      const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json* const value, json_member(part, key, where));
  if (!value->is_array()) return wrong_kind(where, key, *value, "a list");
  return &value->as_array();
}

Result<char32_t> character_field(const Json& part, std::string_view key, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const std::string text, json_string(part, key, where));
  size_t end = 0;
  const char32_t c = text.empty() ? 0 : next_code_point(text, end);
  if (text.empty() || end != text.size()) {
    return user_error(cat(where, ".", key), cat("is \"", text, "\""), "a text of one character");
  }
  return c;
}

Result<int64_t> size_field(const Json& part, std::string_view key, const std::string& where,
                           std::optional<int64_t> fallback) {
  const Json* const value = part.find(key);
  if (is_absent(value) && fallback) return *fallback;
  if (value == nullptr) return user_error(where, cat("lacks the key \"", key, "\""));
  if (!value->is_int()) return wrong_kind(where, key, *value, "an integer");
  if (value->as_int() < 0)
    return user_error(cat(where, ".", key), cat("is ", value->as_int()), "0 or more");
  return value->as_int();
}

Result<std::string> decode_base64(std::string_view text, const std::string& where) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  int count = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    int digit;
    if (c >= 'A' && c <= 'Z') {
      digit = c - 'A';
    } else if (c >= 'a' && c <= 'z') {
      digit = c - 'a' + 26;
    } else if (c >= '0' && c <= '9') {
      digit = c - '0' + 52;
    } else if (c == '+') {
      digit = 62;
    } else if (c == '/') {
      digit = 63;
    } else {
      return user_error(where, cat("is no base64: has the character '", std::string(1, c), "'"),
                        "letters, digits, +, / and =");
    }
    bits = (bits << 6) | static_cast<uint32_t>(digit);
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count);
    }
  }
  return bytes;
}

}  // namespace mlc::tokenizers
