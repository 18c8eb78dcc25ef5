// SPDX-License-Identifier: Apache-2.0
// Python's operations on values, with Python's errors.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/callable.h"
#include "formats/jinja/machine.h"

namespace mlc::jinja {

enum class Operator : uint8_t { kAdd, kSub, kMul, kDiv, kFloorDiv, kMod, kPow };
enum class Comparison : uint8_t { kEq, kNe, kLt, kLe, kGt, kGe, kIn, kNotIn };

bool truth(Value value);
Value binary(Machine& machine, Operator op, Value a, Value b);
Value negate(Machine& machine, Value value);
Value plus(Machine& machine, Value value);

// Nothing where the comparison failed.
std::optional<bool> equal(Machine& machine, Value a, Value b);
std::optional<bool> compare(Machine& machine, Comparison comparison, Value a, Value b);
std::optional<bool> contains(Machine& machine, Value container, Value item);

// str(value) and repr(value), appended; false after a failure.
bool append_str(Machine& machine, Value value, std::string& out);
bool append_repr(Machine& machine, Value value, std::string& out);
std::optional<std::string> str(Machine& machine, Value value);

// What a loop over the value gets; an iterator is empty afterwards.
std::optional<std::vector<Value>> iterate(Machine& machine, Value value);
bool is_iterable(Value value);
std::optional<int64_t> length(Machine& machine, Value value);

// `object.name` and `object[key]` as Jinja has them: undefined where there is no such thing.
Value get_attribute(Machine& machine, Value object, std::string_view name);
Value get_item(Machine& machine, Value object, Value key);
Value get_slice(Machine& machine, Value object, const Slice& slice);

Value call(Machine& machine, Value callee, const CallArguments& arguments);
// The error that the use of an undefined value raises.
Value fail_undefined(Machine& machine, Value value);

// A value that counts: an int or a bool. Else a TypeError.
std::optional<int64_t> index_of(Machine& machine, Value value);

// repr() of a float.
std::string float_text(double value);
// As json.dumps writes it. `indent`: of one level; none gives one line.
struct JsonOptions {
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::optional<std::string> indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
bool append_json(Machine& machine, Value value, const JsonOptions& options, std::string& out);

// printf-like `format % values`, and str.format(). (format.cpp)
Value percent_format(Machine& machine, std::string_view format, Value values);
Value brace_format(Machine& machine, std::string_view format, const CallArguments& arguments);
// strftime() of Python. (clock.cpp)
Value format_time(Machine& machine, const std::string& format);

}  // namespace mlc::jinja
