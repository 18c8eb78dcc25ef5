// SPDX-License-Identifier: Apache-2.0
// Jinja's tests: what may stand behind `is`.
#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"

namespace mlc::jinja {
namespace {

template <Kind... kinds>
Value is_kind(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(((value.kind() == kinds) || ...));
}

template <Comparison comparison>
Value compares(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<bool> result = compare(machine, comparison, value, bound[0]);
  return result ? Value::boolean(*result) : Value::failure();
}

Value defined(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(!value.is_undefined());
}

Value is_true(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(value.is_bool() && value.as_int() != 0);
}

Value is_false(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(value.is_bool() && value.as_int() == 0);
}

Value divisible(Machine& machine, Value value, Value divisor, int64_t rest) {
  const Value remainder = binary(machine, Operator::kMod, value, divisor);
  if (remainder.failed()) return remainder;
  return compares<Comparison::kEq>(machine, remainder, {Value::integer(rest)}, {});
}

Value divisible_by(Machine& machine, Value value, const BoundArguments& bound,
                   const CallArguments&) {
  return divisible(machine, value, bound[0], 0);
}
Value even(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return divisible(machine, value, Value::integer(2), 0);
}
Value odd(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return divisible(machine, value, Value::integer(2), 1);
}

Value iterable(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(is_iterable(value) || value.kind() == Kind::kLoop);
}

Value same_as(Machine&, Value value, const BoundArguments& bound, const CallArguments&) {
  const Value other = bound[0];
  if (value.kind() != other.kind()) return Value::boolean(false);
  if (value.is_number() || value.is_none()) return Value::boolean(equal_keys(value, other));
  return Value::boolean(value.object() == other.object());
}

// islower() or isupper() of str(value).
Value text_test(Machine& machine, Value value, std::string_view method) {
  const std::optional<std::string> text = str(machine, value);
  if (!text) return Value::failure();
  const Value self = machine.text(*text);
  return self.failed() ? self : call_builtin(machine, *find_method(self, method), self, {});
}
Value lower_test(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return text_test(machine, value, "islower");
}
Value upper_test(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return text_test(machine, value, "isupper");
}

Value never(Machine&, Value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(false);
}

Value is_filter(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(value.is_string() && find_filter(value.text()) != nullptr);
}
Value is_test(Machine&, Value value, const BoundArguments&, const CallArguments&) {
  return Value::boolean(value.is_string() && find_test(value.text()) != nullptr);
}

constexpr Builtin kTests[] = {
    {"!=", "other", compares<Comparison::kNe>},
    {"<", "other", compares<Comparison::kLt>},
    {"<=", "other", compares<Comparison::kLe>},
    {"==", "other", compares<Comparison::kEq>},
    {">", "other", compares<Comparison::kGt>},
    {">=", "other", compares<Comparison::kGe>},
    {"boolean", "", is_kind<Kind::kBool>},
    {"callable", "", is_kind<Kind::kCallable, Kind::kLoop, Kind::kUndefined>},
    {"defined", "", defined},
    {"divisibleby", "num", divisible_by},
    {"eq", "other", compares<Comparison::kEq>},
    {"equalto", "other", compares<Comparison::kEq>},
    {"escaped", "", never},
    {"even", "", even},
    {"false", "", is_false},
    {"filter", "", is_filter},
    {"float", "", is_kind<Kind::kFloat>},
    {"ge", "other", compares<Comparison::kGe>},
    {"greaterthan", "other", compares<Comparison::kGt>},
    {"gt", "other", compares<Comparison::kGt>},
    {"in", "seq", compares<Comparison::kIn>},
    {"integer", "", is_kind<Kind::kInt>},
    {"iterable", "", iterable},
    {"le", "other", compares<Comparison::kLe>},
    {"lessthan", "other", compares<Comparison::kLt>},
    {"lower", "", lower_test},
    {"lt", "other", compares<Comparison::kLt>},
    {"mapping", "", is_kind<Kind::kDict>},
    {"ne", "other", compares<Comparison::kNe>},
    {"none", "", is_kind<Kind::kNone>},
    {"number", "", is_kind<Kind::kInt, Kind::kFloat, Kind::kBool>},
    {"odd", "", odd},
    {"sameas", "other", same_as},
    {"sequence", "",
     is_kind<Kind::kString, Kind::kList, Kind::kTuple, Kind::kRange, Kind::kDict,
             Kind::kUndefined>},
    {"string", "", is_kind<Kind::kString>},
    {"test", "", is_test},
    {"true", "", is_true},
    {"undefined", "", is_kind<Kind::kUndefined>},
    {"upper", "", upper_test},
};

}  // namespace

const Builtin* find_test(std::string_view name) {
  for (const Builtin& test : kTests) {
    if (test.name == name) return &test;
  }
  return nullptr;
}

}  // namespace mlc::jinja
