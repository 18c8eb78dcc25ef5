// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/operations.h"

#include <algorithm>
#include <cmath>

#include "formats/jinja/loop.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

constexpr std::string_view kOperatorTexts[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

Value fail_operands(Machine& machine, Operator op, Value a, Value b) {
  return machine.fail("TypeError",
                      cat("unsupported operand type(s) for ", kOperatorTexts[static_cast<int>(op)],
                          ": '", type_name(a), "' and '", type_name(b), "'"));
}

Value fail_overflow(Machine& machine) {
  return machine.fail("OverflowError", "an integer is beyond 64 bits");
}

double floor_mod(double a, double b) {
  double rest = std::fmod(a, b);
  if (rest != 0) {
    if ((b < 0) != (rest < 0)) rest += b;
  } else {
    rest = std::copysign(0.0, b);
  }
  return rest;
}

Value integer_power(Machine& machine, int64_t base, int64_t exponent) {
  if (exponent < 0) {
    if (base == 0) {
      return machine.fail("ZeroDivisionError", "0.0 cannot be raised to a negative power");
    }
    return Value::floating(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
  int64_t result = 1;
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      return fail_overflow(machine);
    }
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return fail_overflow(machine);
  }
  return Value::integer(result);
}

Value integer_binary(Machine& machine, Operator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return fail_overflow(machine);
      return Value::integer(result);
    case Operator::kSub:
      if (__builtin_sub_overflow(a, b, &result)) return fail_overflow(machine);
      return Value::integer(result);
    case Operator::kMul:
      if (__builtin_mul_overflow(a, b, &result)) return fail_overflow(machine);
      return Value::integer(result);
    case Operator::kDiv:
      if (b == 0) return machine.fail("ZeroDivisionError", "division by zero");
      return Value::floating(static_cast<double>(a) / static_cast<double>(b));
    case Operator::kFloorDiv:
    case Operator::kMod: {
      if (b == 0) {
        return machine.fail("ZeroDivisionError", "integer division or modulo by zero");
      }
      if (b == -1) {  // the one quotient that may not fit
        if (op == Operator::kMod) return Value::integer(0);
        return integer_binary(machine, Operator::kSub, 0, a);
      }
      int64_t quotient = a / b;
      int64_t rest = a % b;
      if (rest != 0 && (rest < 0) != (b < 0)) {
        rest += b;
        --quotient;
      }
      return Value::integer(op == Operator::kMod ? rest : quotient);
    }
    case Operator::kPow:
      return integer_power(machine, a, b);
  }
  return {};
}

Value float_binary(Machine& machine, Operator op, double a, double b) {
  switch (op) {
    case Operator::kAdd:
      return Value::floating(a + b);
    case Operator::kSub:
      return Value::floating(a - b);
    case Operator::kMul:
      return Value::floating(a * b);
    case Operator::kDiv:
      if (b == 0) return machine.fail("ZeroDivisionError", "float division by zero");
      return Value::floating(a / b);
    case Operator::kFloorDiv: {
      if (b == 0) return machine.fail("ZeroDivisionError", "float floor division by zero");
      const double quotient = (a - floor_mod(a, b)) / b;
      return Value::floating(quotient == 0 ? std::copysign(0.0, a / b) : std::round(quotient));
    }
    case Operator::kMod:
      if (b == 0) return machine.fail("ZeroDivisionError", "float modulo");
      return Value::floating(floor_mod(a, b));
    case Operator::kPow: {
      if (a == 0 && b < 0) {
        return machine.fail("ZeroDivisionError", "0.0 cannot be raised to a negative power");
      }
      const double power = std::pow(a, b);
      if (std::isinf(power) && std::isfinite(a) && std::isfinite(b)) {
        return machine.fail("OverflowError", "(34, 'Numerical result out of range')");
      }
      return Value::floating(power);
    }
  }
  return {};
}

bool is_repeatable(Value value) {
  return value.is_string() || value.kind() == Kind::kList || value.kind() == Kind::kTuple;
}

Value repeat(Machine& machine, Value what, int64_t times) {
  times = std::max<int64_t>(times, 0);
  if (what.is_string()) {
    const std::string_view text = what.text();
    if (!text.empty() && times > machine.heap().limit_bytes() / static_cast<int64_t>(text.size())) {
      machine.has_room(INT64_MAX);
      return Value::failure();
    }
    std::string result;
    result.reserve(text.size() * static_cast<size_t>(text.empty() ? 0 : times));
    for (int64_t i = 0; i < times && !text.empty(); ++i) result += text;
    return machine.text(std::move(result));
  }
  const std::vector<Value>& items = what.items();
  std::vector<Value> result;
  if (!items.empty()) {
    const auto bytes = static_cast<int64_t>(items.size() * sizeof(Value));
    if (times > machine.heap().limit_bytes() / bytes) {
      machine.has_room(INT64_MAX);
      return Value::failure();
    }
    result.reserve(items.size() * static_cast<size_t>(times));
    for (int64_t i = 0; i < times; ++i) result.insert(result.end(), items.begin(), items.end());
  }
  return machine.sequence(what.kind(), std::move(result));
}

// "dict object": how Jinja names an object's type in its messages.
std::string object_type(Value value) {
  if (value.is_none()) return "None";
  if (value.kind() == Kind::kNamespace) return "jinja2.utils.Namespace object";
  if (value.kind() == Kind::kLoop) return "jinja2.runtime.LoopContext object";
  return cat(type_name(value), " object");
}

Value no_attribute(Machine& machine, Value object, std::string_view name) {
  // Python's own attributes exist, and Jinja's sandbox keeps them from templates.
  if (name.starts_with("__")) {
    return machine.undefined(cat("access to attribute ", quoted(name), " of ",
                                 quoted(type_name(object)), " object is unsafe."),
                             "SecurityError");
  }
  return machine.undefined(cat("'", object_type(object), "' has no attribute ", quoted(name)));
}

// What a sequence or mapping type can do in Python and the sandbox forbids, since it changes it.
bool is_mutating_method(Value object, std::string_view name) {
  const auto is_one_of = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (object.kind() == Kind::kList) {
    return is_one_of({"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"});
  }
  return object.is_dict() && is_one_of({"clear", "pop", "popitem", "setdefault", "update"});
}

struct BoundMethod : Callable {
  BoundMethod(const Builtin& builtin, Value self) : builtin(builtin), self(self) {}
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  std::string repr() const override {
    return cat("<built-in method ", builtin.name, " of ", jinja::type_name(self), " object>");
  }
  Value call(Machine& machine, const CallArguments& arguments) override {
    return call_builtin(machine, builtin, self, arguments);
  }
  const Builtin& builtin;
  Value self;
};

// Absent where the type has no such attribute.
Value type_attribute(Machine& machine, Value object, std::string_view name) {
  if (object.kind() == Kind::kNamespace) {
    const Value* found = object.dict().find(name);
    return found != nullptr ? *found : Value();
  }
  if (object.kind() == Kind::kLoop) return object.loop().attribute(machine, name);
  if (object.kind() == Kind::kCallable) return object.callable().attribute(machine, name);
  if (is_mutating_method(object, name)) {
    return machine.undefined(cat("access to attribute ", quoted(name), " of ",
                                 quoted(type_name(object)), " object is unsafe."),
                             "SecurityError");
  }
  const Builtin* method = find_method(object, name);
  if (method == nullptr) return {};
  return {Kind::kCallable, machine.heap().make<BoundMethod>(*method, object)};
}

Value character(Machine& machine, std::string_view text, int64_t index) {
  if (is_ascii(text)) {
    const auto size = static_cast<int64_t>(text.size());
    if (index < 0) index += size;
    if (index < 0 || index >= size) return {};
    return machine.text(std::string(1, text[static_cast<size_t>(index)]));
  }
  if (!machine.spend_on_text(text.size())) return Value::failure();
  const std::vector<size_t> offsets = character_offsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  if (index < 0) index += size;
  if (index < 0 || index >= size) return {};
  const size_t begin = offsets[static_cast<size_t>(index)];
  return machine.text(
      std::string(text.substr(begin, offsets[static_cast<size_t>(index) + 1] - begin)));
}

// Absent where the object has no such item, for whatever reason.
Value subscript(Machine& machine, Value object, Value key) {
  switch (object.kind()) {
    case Kind::kDict: {
      if (!is_hashable(key)) return {};
      const Value* found = object.dict().find(key);
      return found != nullptr ? *found : Value();
    }
    case Kind::kString:
      return key.is_integral() ? character(machine, object.text(), key.as_int()) : Value();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (!key.is_integral()) return {};
      const std::vector<Value>& items = object.items();
      const auto size = static_cast<int64_t>(items.size());
      const int64_t index = key.as_int() < 0 ? key.as_int() + size : key.as_int();
      return index >= 0 && index < size ? items[static_cast<size_t>(index)] : Value();
    }
    default:
      return {};
  }
}

std::optional<bool> equal_items(Machine& machine, const std::vector<Value>& a,
                                const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const std::optional<bool> same = equal(machine, a[i], b[i]);
    if (!same || !*same) return same;
  }
  return true;
}

template <class T>
bool ordered(Comparison comparison, const T& a, const T& b) {
  switch (comparison) {
    case Comparison::kLt:
      return a < b;
    case Comparison::kLe:
      return a <= b;
    case Comparison::kGt:
      return a > b;
    default:
      return a >= b;
  }
}

std::optional<bool> compare_items(Machine& machine, Comparison comparison,
                                  const std::vector<Value>& a, const std::vector<Value>& b) {
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const std::optional<bool> same = equal(machine, a[i], b[i]);
    if (!same) return same;
    if (!*same) return compare(machine, comparison, a[i], b[i]);
  }
  return ordered(comparison, a.size(), b.size());
}

bool append_repr_at(Machine& machine, Value value, std::string& out, int depth);

bool append_entries(Machine& machine, const Dict& dict, std::string& out, int depth) {
  out += '{';
  bool first = true;
  for (const auto& [key, item] : dict.entries()) {
    if (!first) out += ", ";
    first = false;
    if (!append_repr_at(machine, key, out, depth + 1)) return false;
    out += ": ";
    if (!append_repr_at(machine, item, out, depth + 1)) return false;
  }
  out += '}';
  return true;
}

bool append_items(Machine& machine, const std::vector<Value>& items, std::string& out, int depth) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += ", ";
    if (!append_repr_at(machine, items[i], out, depth + 1)) return false;
  }
  return true;
}

bool append_repr_at(Machine& machine, Value value, std::string& out, int depth) {
  if (depth > machine.limits().value_depth) {  // a namespace that holds itself
    machine.fail("RecursionError", "maximum recursion depth exceeded");
    return false;
  }
  // What is shared may be written out often: a list of a list of ... is small and its text is not.
  if (!machine.spend(1) || !machine.has_room(static_cast<int64_t>(out.size()))) return false;
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kAbsent:
    case Kind::kFailure:
      out += "Undefined";
      return true;
    case Kind::kString:
      if (!machine.spend_on_text(value.text().size())) return false;
      out += quoted(value.text());
      return true;
    case Kind::kList:
      out += '[';
      if (!append_items(machine, value.items(), out, depth)) return false;
      out += ']';
      return true;
    case Kind::kTuple:
      out += '(';
      if (!append_items(machine, value.items(), out, depth)) return false;
      out += value.items().size() == 1 ? ",)" : ")";
      return true;
    case Kind::kRange: {
      const Sequence& range = value.sequence();
      out += cat("range(", range.start, ", ", range.stop);
      if (range.step != 1) out += cat(", ", range.step);
      out += ')';
      return true;
    }
    case Kind::kIterator:
      out += "<generator object>";
      return true;
    case Kind::kView:
      out += cat(value.sequence().type_name, "([");
      if (!append_items(machine, value.items(), out, depth)) return false;
      out += "])";
      return true;
    case Kind::kDict:
      return append_entries(machine, value.dict(), out, depth);
    case Kind::kNamespace:
      out += "<Namespace ";
      if (!append_entries(machine, value.dict(), out, depth)) return false;
      out += '>';
      return true;
    case Kind::kCallable:
      out += value.callable().repr();
      return true;
    case Kind::kLoop:
      out += value.loop().repr();
      return true;
    case Kind::kSlice:
      out += "slice";
      return true;
    case Kind::kNone:
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat:
      return append_str(machine, value, out);
  }
  return true;
}

}  // namespace

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return python_float(value);
}

Value fail_undefined(Machine& machine, Value value) {
  const UndefinedName& name = value.undefined_name();
  return machine.fail(name.error, name.message);
}

bool truth(Value value) {
  switch (value.kind()) {
    case Kind::kAbsent:
    case Kind::kFailure:
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.as_int() != 0;
    case Kind::kFloat:
      return value.as_double() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return !value.items().empty();
    case Kind::kDict:
      return !value.dict().entries().empty();
    case Kind::kIterator:
    case Kind::kNamespace:
    case Kind::kLoop:
    case Kind::kCallable:
    case Kind::kSlice:
      return true;
  }
  return true;
}

Value binary(Machine& machine, Operator op, Value a, Value b) {
  // The left side's % is a text's own; else an undefined side decides.
  if (op == Operator::kMod && a.is_string()) return percent_format(machine, a.text(), b);
  if (a.is_undefined()) return fail_undefined(machine, a);
  if (b.is_undefined()) return fail_undefined(machine, b);
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) {
      return integer_binary(machine, op, a.as_int(), b.as_int());
    }
    return float_binary(machine, op, a.as_double(), b.as_double());
  }
  if (op == Operator::kAdd) {
    if (a.is_string()) {
      if (!b.is_string()) {
        return machine.fail("TypeError",
                            cat("can only concatenate str (not \"", type_name(b), "\") to str"));
      }
      std::string text;
      text.reserve(a.text().size() + b.text().size());
      text += a.text();
      text += b.text();
      return machine.text(std::move(text));
    }
    if (a.kind() == Kind::kList || a.kind() == Kind::kTuple) {
      if (b.kind() != a.kind()) {
        return machine.fail("TypeError", cat("can only concatenate ", type_name(a), " (not \"",
                                             type_name(b), "\") to ", type_name(a)));
      }
      std::vector<Value> items = a.items();
      items.insert(items.end(), b.items().begin(), b.items().end());
      return machine.sequence(a.kind(), std::move(items));
    }
  }
  if (op == Operator::kMul) {
    for (const auto& [what, times] : {std::pair{a, b}, std::pair{b, a}}) {
      if (!is_repeatable(what)) continue;
      if (times.is_integral()) return repeat(machine, what, times.as_int());
      return machine.fail(
          "TypeError", cat("can't multiply sequence by non-int of type '", type_name(times), "'"));
    }
  }
  return fail_operands(machine, op, a, b);
}

Value negate(Machine& machine, Value value) {
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (value.kind() == Kind::kFloat) return Value::floating(-value.as_double());
  if (value.is_integral()) return integer_binary(machine, Operator::kSub, 0, value.as_int());
  return machine.fail("TypeError", cat("bad operand type for unary -: '", type_name(value), "'"));
}

Value plus(Machine& machine, Value value) {
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (value.kind() == Kind::kFloat) return value;
  if (value.is_integral()) return Value::integer(value.as_int());
  return machine.fail("TypeError", cat("bad operand type for unary +: '", type_name(value), "'"));
}

std::optional<bool> equal(Machine& machine, Value a, Value b) {
  if (!machine.spend(1)) return std::nullopt;
  if (a.kind() == b.kind()) {
    if (a.kind() == Kind::kList || a.kind() == Kind::kTuple || a.kind() == Kind::kRange) {
      return equal_items(machine, a.items(), b.items());
    }
    if (a.is_string()) {
      if (a.text().size() == b.text().size() && !machine.spend_on_text(a.text().size())) {
        return std::nullopt;
      }
      return a.text() == b.text();
    }
    if (a.is_dict()) {
      if (a.dict().entries().size() != b.dict().entries().size()) return false;
      for (const auto& [key, item] : a.dict().entries()) {
        const Value* other = b.dict().find(key);
        if (other == nullptr) return false;
        const std::optional<bool> same = equal(machine, item, *other);
        if (!same || !*same) return same;
      }
      return true;
    }
  }
  return equal_keys(a, b);
}

std::optional<bool> contains(Machine& machine, Value container, Value item) {
  switch (container.kind()) {
    case Kind::kUndefined:
      return false;
    case Kind::kString:
      if (!item.is_string()) {
        machine.fail("TypeError",
                     cat("'in <string>' requires string as left operand, not ", type_name(item)));
        return std::nullopt;
      }
      if (!machine.spend_on_text(container.text().size())) return std::nullopt;
      return container.text().find(item.text()) != std::string_view::npos;
    case Kind::kDict:
      if (!is_hashable(item)) {
        machine.fail("TypeError", cat("unhashable type: '", type_name(item), "'"));
        return std::nullopt;
      }
      return container.dict().find(item) != nullptr;
    default: {
      if (!is_iterable(container)) {
        machine.fail("TypeError",
                     cat("argument of type '", type_name(container), "' is not iterable"));
        return std::nullopt;
      }
      const std::optional<std::vector<Value>> items = iterate(machine, container);
      if (!items) return std::nullopt;
      for (const Value& candidate : *items) {
        const std::optional<bool> same = equal(machine, candidate, item);
        if (!same || *same) return same;
      }
      return false;
    }
  }
}

std::optional<bool> compare(Machine& machine, Comparison comparison, Value a, Value b) {
  switch (comparison) {
    case Comparison::kEq:
      return equal(machine, a, b);
    case Comparison::kNe: {
      const std::optional<bool> same = equal(machine, a, b);
      return same ? std::optional(!*same) : same;
    }
    case Comparison::kIn:
      return contains(machine, b, a);
    case Comparison::kNotIn: {
      const std::optional<bool> in = contains(machine, b, a);
      return in ? std::optional(!*in) : in;
    }
    default:
      break;
  }
  for (const Value& side : {a, b}) {
    if (side.is_undefined()) {
      fail_undefined(machine, side);
      return std::nullopt;
    }
  }
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return ordered(comparison, a.as_int(), b.as_int());
    return ordered(comparison, a.as_double(), b.as_double());
  }
  if (a.kind() == b.kind()) {
    if (a.is_string()) {
      // The order of UTF-8 is that of code points.
      if (!machine.spend_on_text(std::min(a.text().size(), b.text().size()))) return std::nullopt;
      return ordered(comparison, a.text(), b.text());
    }
    if (a.kind() == Kind::kList || a.kind() == Kind::kTuple) {
      return compare_items(machine, comparison, a.items(), b.items());
    }
  }
  constexpr std::string_view kTexts[] = {"==", "!=", "<", "<=", ">", ">="};
  machine.fail("TypeError", cat("'", kTexts[static_cast<int>(comparison)],
                                "' not supported between instances of '", type_name(a), "' and '",
                                type_name(b), "'"));
  return std::nullopt;
}

bool append_str(Machine& machine, Value value, std::string& out) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return true;
    case Kind::kNone:
      out += "None";
      return true;
    case Kind::kBool:
      out += value.as_int() != 0 ? "True" : "False";
      return true;
    case Kind::kInt:
      out += std::to_string(value.as_int());
      return true;
    case Kind::kFloat:
      out += float_text(value.as_double());
      return true;
    case Kind::kString:
      out += value.text();
      return machine.has_room(static_cast<int64_t>(out.size()));
    default:
      return append_repr_at(machine, value, out, 0);
  }
}

bool append_repr(Machine& machine, Value value, std::string& out) {
  return append_repr_at(machine, value, out, 0);
}

std::optional<std::string> str(Machine& machine, Value value) {
  std::string text;
  if (!append_str(machine, value, text)) return std::nullopt;
  return text;
}

bool is_iterable(Value value) {
  return value.is_sequence() || value.is_string() || value.is_dict() || value.is_undefined();
}

std::optional<std::vector<Value>> iterate(Machine& machine, Value value) {
  if (value.kind() == Kind::kIterator) {
    Sequence& sequence = value.sequence();
    std::vector<Value> rest(sequence.items.begin() + static_cast<int64_t>(std::min(
                                                         sequence.next, sequence.items.size())),
                            sequence.items.end());
    sequence.next = sequence.items.size();
    return rest;
  }
  if (value.is_sequence()) {
    if (!machine.spend(static_cast<int64_t>(value.items().size() / 8))) return std::nullopt;
    return value.items();
  }
  if (value.is_undefined()) return std::vector<Value>();
  if (value.is_dict()) {
    std::vector<Value> keys;
    for (const auto& [key, item] : value.dict().entries()) keys.push_back(key);
    return keys;
  }
  if (value.is_string()) {
    const std::string_view text = value.text();
    std::vector<Value> characters;
    for (size_t i = 0; i < text.size();) {
      const size_t bytes = character_at(text, i).bytes;
      characters.push_back(machine.text(std::string(text.substr(i, bytes))));
      if (characters.back().failed() || !machine.spend(1)) return std::nullopt;
      i += bytes;
    }
    return characters;
  }
  machine.fail("TypeError", cat("'", type_name(value), "' object is not iterable"));
  return std::nullopt;
}

std::optional<int64_t> length(Machine& machine, Value value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      if (!machine.spend_on_text(value.text().size())) return std::nullopt;
      return count_characters(value.text());
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView:
      return static_cast<int64_t>(value.items().size());
    case Kind::kDict:
      return static_cast<int64_t>(value.dict().entries().size());
    case Kind::kLoop:
      return value.loop().length();
    default:
      machine.fail("TypeError", cat("object of type '", type_name(value), "' has no len()"));
      return std::nullopt;
  }
}

Value get_attribute(Machine& machine, Value object, std::string_view name) {
  if (object.is_undefined()) return fail_undefined(machine, object);
  const Value attribute = type_attribute(machine, object, name);
  if (!attribute.is_absent()) return attribute;
  if (object.is_dict()) {
    const Value* found = object.dict().find(name);
    if (found != nullptr) return *found;
  }
  return no_attribute(machine, object, name);
}

Value get_item(Machine& machine, Value object, Value key) {
  if (object.is_undefined()) return fail_undefined(machine, object);
  const Value item = subscript(machine, object, key);
  if (!item.is_absent()) return item;
  if (key.is_string()) {
    const Value attribute = type_attribute(machine, object, key.text());
    return attribute.is_absent() ? no_attribute(machine, object, key.text()) : attribute;
  }
  std::string name;
  if (!append_repr(machine, key, name)) return Value::failure();
  return machine.undefined(cat(object_type(object), " has no element ", name));
}

Value get_slice(Machine& machine, Value object, const Slice& slice) {
  if (object.is_undefined()) return fail_undefined(machine, object);
  const bool sliceable = object.is_string() || object.kind() == Kind::kList ||
                         object.kind() == Kind::kTuple || object.kind() == Kind::kRange;
  if (!sliceable) {
    if (object.is_dict()) return machine.fail("TypeError", "unhashable type: 'slice'");
    return machine.fail("TypeError", cat("'", type_name(object), "' object is not subscriptable"));
  }
  const auto bound = [&](Value value, int64_t otherwise) -> std::optional<int64_t> {
    if (value.is_absent() || value.is_none()) return otherwise;
    if (value.is_integral()) return value.as_int();
    if (value.is_undefined()) {
      machine.fail("TypeError",
                   "slice indices must be integers or None or have an __index__ method");
      return std::nullopt;
    }
    machine.fail("TypeError", "slice indices must be integers or None or have an __index__ method");
    return std::nullopt;
  };
  const std::optional<int64_t> step = bound(slice.step, 1);
  if (!step) return Value::failure();
  if (*step == 0) return machine.fail("ValueError", "slice step cannot be zero");
  const bool is_text = object.is_string();
  std::vector<size_t> offsets;
  if (is_text) {
    if (!machine.spend_on_text(object.text().size())) return Value::failure();
    if (!is_ascii(object.text())) offsets = character_offsets(object.text());
  }
  const int64_t size = static_cast<int64_t>(
      !is_text ? object.items().size()
               : (offsets.empty() ? object.text().size() : offsets.size() - 1));
  // As Python's slice.indices().
  const auto clamp = [&](int64_t index) {
    if (index < 0) index += size;
    if (*step > 0) return std::clamp<int64_t>(index, 0, size);
    return std::clamp<int64_t>(index, -1, size - 1);
  };
  const bool forward = *step > 0;
  int64_t start = forward ? 0 : size - 1;
  int64_t stop = forward ? size : -1;
  if (!slice.start.is_absent() && !slice.start.is_none()) {
    const std::optional<int64_t> given = bound(slice.start, 0);
    if (!given) return Value::failure();
    start = clamp(*given);
  }
  if (!slice.stop.is_absent() && !slice.stop.is_none()) {
    const std::optional<int64_t> given = bound(slice.stop, 0);
    if (!given) return Value::failure();
    stop = clamp(*given);
  }
  std::vector<Value> items;
  std::string text;
  const int64_t stride = forward ? std::min(*step, size + 1) : std::max(*step, -size - 1);
  for (int64_t i = start; forward ? i < stop : i > stop; i += stride) {
    const auto k = static_cast<size_t>(i);
    if (!is_text) {
      items.push_back(object.items()[k]);
    } else if (offsets.empty()) {
      text += object.text()[k];
    } else {
      text += object.text().substr(offsets[k], offsets[k + 1] - offsets[k]);
    }
  }
  if (is_text) return machine.text(std::move(text));
  const Value result = machine.sequence(object.kind(), std::move(items));
  if (!result.failed() && object.kind() == Kind::kRange) {
    const Sequence& range = object.sequence();
    result.sequence().start = range.start + start * range.step;
    result.sequence().stop = range.start + stop * range.step;
    result.sequence().step = range.step * stride;
  }
  return result;
}

std::optional<int64_t> index_of(Machine& machine, Value value) {
  if (value.is_integral()) return value.as_int();
  if (value.is_undefined()) {
    fail_undefined(machine, value);
  } else {
    machine.fail("TypeError",
                 cat("'", type_name(value), "' object cannot be interpreted as an integer"));
  }
  return std::nullopt;
}

Value call(Machine& machine, Value callee, const CallArguments& arguments) {
  if (callee.is_undefined()) return fail_undefined(machine, callee);
  if (callee.kind() == Kind::kCallable) return callee.callable().call(machine, arguments);
  if (callee.kind() == Kind::kLoop) return callee.loop().call(machine, arguments);
  return machine.fail("TypeError", cat("'", type_name(callee), "' object is not callable"));
}

bool bind_arguments(Machine& machine, std::string_view function, std::string_view signature,
                    const CallArguments& arguments, BoundArguments& bound) {
  std::vector<std::string_view> names;
  size_t required = 0;
  for (size_t i = 0; i < signature.size();) {
    const size_t end = std::min(signature.find(' ', i), signature.size());
    std::string_view name = signature.substr(i, end - i);
    if (name.ends_with('?')) {
      name.remove_suffix(1);
    } else {
      ++required;
    }
    names.push_back(name);
    i = end + 1;
  }
  if (arguments.positional.size() > names.size()) {
    machine.fail("TypeError", cat(function, "() takes at most ", names.size(), " arguments (",
                                  arguments.positional.size(), " given)"));
    return false;
  }
  bound.assign(names.size(), Value());
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto found = std::find(names.begin(), names.end(), name);
    if (found == names.end()) {
      machine.fail("TypeError",
                   cat(function, "() got an unexpected keyword argument ", quoted(name)));
      return false;
    }
    Value& place = bound[static_cast<size_t>(found - names.begin())];
    if (!place.is_absent()) {
      machine.fail("TypeError",
                   cat(function, "() got multiple values for argument ", quoted(name)));
      return false;
    }
    place = value;
  }
  for (size_t i = 0; i < required; ++i) {
    if (bound[i].is_absent()) {
      machine.fail("TypeError", cat(function, "() missing required argument: ", quoted(names[i])));
      return false;
    }
  }
  return true;
}

Value call_builtin(Machine& machine, const Builtin& builtin, Value self,
                   const CallArguments& arguments) {
  if (!machine.spend(1)) return Value::failure();
  BoundArguments bound;
  if (builtin.signature != "*" &&
      !bind_arguments(machine, builtin.name, builtin.signature, arguments, bound)) {
    return Value::failure();
  }
  return builtin.run(machine, self, bound, arguments);
}

}  // namespace mlc::jinja
