// SPDX-License-Identifier: Apache-2.0
// JSON values that keep what Python's json module keeps: the order of keys and the difference
// between 1 and 1.0.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "support/error.h"

namespace mlc {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() = default;                                             // null
  Json(std::nullptr_t) {}                                       // NOLINT: implicit
  Json(bool value) : value_(value) {}                           // NOLINT: implicit
  Json(double value) : value_(value) {}                         // NOLINT: implicit
  Json(int64_t value) : value_(value) {}                        // NOLINT: implicit
  Json(int value) : value_(static_cast<int64_t>(value)) {}      // NOLINT: implicit
  Json(std::string value) : value_(std::move(value)) {}         // NOLINT: implicit
  Json(std::string_view value) : value_(std::string(value)) {}  // NOLINT: implicit
  Json(const char* value) : value_(std::string(value)) {}       // NOLINT: implicit
  Json(Array value) : value_(std::move(value)) {}               // NOLINT: implicit
  Json(Object value) : value_(std::move(value)) {}              // NOLINT: implicit
  static Json array() { return Json(Array{}); }
  static Json object() { return Json(Object{}); }

  bool is_null() const { return std::holds_alternative<std::monostate>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  bool is_int() const { return std::holds_alternative<int64_t>(value_); }
  bool is_float() const { return std::holds_alternative<double>(value_); }
  bool is_number() const { return is_int() || is_float(); }
  bool is_string() const { return std::holds_alternative<std::string>(value_); }
  bool is_array() const { return std::holds_alternative<Array>(value_); }
  bool is_object() const { return std::holds_alternative<Object>(value_); }
  std::string_view kind_name() const;  // "an integer", "an object", ... for messages

  // Each requires the kind that its name says (as_double takes integers too).
  bool as_bool() const;
  int64_t as_int() const;
  double as_double() const;
  const std::string& as_string() const;
  const Array& as_array() const;
  Array& as_array();
  const Object& as_object() const;
  Object& as_object();

  // The member of an object, or null if there is none or this is no object. Where a key stands
  // twice the last one counts, as in Python. Linear time.
  const Json* find(std::string_view key) const;
  Json* find(std::string_view key);
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  // Replaces or appends a member of an object.
  void set(std::string_view key, Json value);
  void erase(std::string_view key);
  void push_back(Json value) { as_array().push_back(std::move(value)); }

  bool operator==(const Json& other) const = default;

  // As json.dumps: indent < 0 writes one line with ", " and ": ".
  std::string dump(int indent = -1, bool ensure_ascii = true) const;

 private:
  std::variant<std::monostate, bool, int64_t, double, std::string, Array, Object> value_;
};

// Errors name `where` (a file), the line and the column. NaN and Infinity are read as Python reads
// them.
Result<Json> parse_json(std::string_view text, std::string_view where);
Result<Json> read_json_file(const std::string& path);

// Required or optional members of an object, with an error that names where, the key and what was
// found.
Result<const Json*> json_member(const Json& object, std::string_view key, std::string_view where);
Result<int64_t> json_int(const Json& object, std::string_view key, std::string_view where);
Result<double> json_double(const Json& object, std::string_view key, std::string_view where);
Result<std::string> json_string(const Json& object, std::string_view key, std::string_view where);

}  // namespace mlc
