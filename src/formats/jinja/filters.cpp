// SPDX-License-Identifier: Apache-2.0
// Jinja's filters, with `tojson` as transformers defines it. Left out, since no prompt needs them:
// pprint, random, striptags, urlize, wordwrap, xmlattr. Filters that give generators in Jinja work
// at once here.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

// soft_str(value), where methods of str are wanted.
std::optional<std::string> text_of(Machine& machine, Value value) {
  std::optional<std::string> text = str(machine, value);
  if (text && !machine.spend_on_text(text->size())) return std::nullopt;
  return text;
}

// The text methods as filters: those of str(value).
Value call_text_method(Machine& machine, Value value, std::string_view method,
                       std::vector<Value> positional) {
  const std::optional<std::string> text = text_of(machine, value);
  if (!text) return Value::failure();
  const Value self = machine.text(*text);
  if (self.failed()) return self;
  return call_builtin(machine, *find_method(self, method), self,
                      {.positional = std::move(positional), .named = {}});
}

Value upper(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return call_text_method(machine, value, "upper", {});
}
Value lower(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return call_text_method(machine, value, "lower", {});
}
Value capitalize(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  return call_text_method(machine, value, "capitalize", {});
}
Value trim(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  return call_text_method(machine, value, "strip",
                          bound[0].is_absent() ? std::vector<Value>{} : std::vector{bound[0]});
}
Value center(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  return call_text_method(machine, value, "center",
                          {bound[0].is_absent() ? Value::integer(80) : bound[0]});
}

Value title(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::string> text = text_of(machine, value);
  if (!text) return Value::failure();
  std::string result;
  const auto is_boundary = [](uint32_t c) {
    return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
  };
  for (size_t i = 0; i < text->size();) {
    const std::string_view rest = std::string_view(*text).substr(i);
    size_t end = 0;
    while (end < rest.size() && !is_boundary(character_at(rest, end).code)) {
      end += character_at(rest, end).bytes;
    }
    if (end == 0) {  // the boundary itself
      const size_t bytes = character_at(rest, 0).bytes;
      result += rest.substr(0, bytes);
      i += bytes;
    } else {
      const size_t first = character_at(rest, 0).bytes;
      result += upper_text(rest.substr(0, first));
      result += lower_text(rest.substr(first, end - first));
      i += end;
    }
  }
  return machine.text(std::move(result));
}

Value to_string(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.is_string()) return value;
  const std::optional<std::string> text = text_of(machine, value);
  return text ? machine.text(*text) : Value::failure();
}

Value escape(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::string> text = text_of(machine, value);
  if (!text) return Value::failure();
  std::string result;
  for (const char c : *text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '\'':
        result += "&#39;";
        break;
      case '"':
        result += "&#34;";
        break;
      default:
        result += c;
    }
  }
  return machine.text(std::move(result));
}

Value replace(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  std::vector<Value> arguments;
  for (const Value& part : {bound[0], bound[1]}) {
    const std::optional<std::string> text = str(machine, part);
    if (!text) return Value::failure();
    arguments.push_back(machine.text(*text));
    if (arguments.back().failed()) return Value::failure();
  }
  if (!bound[2].is_absent() && !bound[2].is_none()) arguments.push_back(bound[2]);
  return call_text_method(machine, value, "replace", std::move(arguments));
}

Value indent(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const Value width = bound[0];
  std::string indention(4, ' ');
  if (width.is_string()) {
    indention = width.text();
  } else if (!width.is_absent()) {
    const std::optional<int64_t> count = index_of(machine, width);
    if (!count || !machine.has_room(*count)) return Value::failure();
    indention.assign(static_cast<size_t>(std::max<int64_t>(0, *count)), ' ');
  }
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (!value.is_string()) {
    return machine.fail(
        "TypeError", cat("unsupported operand type(s) for +=: '", type_name(value), "' and 'str'"));
  }
  const std::string text = std::string(value.text()) + "\n";
  std::string result = truth(bound[1]) ? indention : "";
  bool first = true;
  for (const std::string_view line : split_lines(text, false)) {
    if (!first) result += '\n';
    if (!first && (truth(bound[2]) || !line.empty())) result += indention;
    first = false;
    result += line;
    if (!machine.has_room(static_cast<int64_t>(result.size()))) return Value::failure();
  }
  return machine.text(std::move(result));
}

Value truncate(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const auto number = [&](Value given, int64_t otherwise) {
    return given.is_absent() || given.is_none() ? std::optional(otherwise)
                                                : index_of(machine, given);
  };
  const std::optional<int64_t> limit = number(bound[0], 255);
  const std::optional<int64_t> leeway = number(bound[3], 5);
  const std::optional<std::string> end =
      bound[2].is_absent() ? std::optional<std::string>("...") : str(machine, bound[2]);
  const std::optional<int64_t> size = length(machine, value);
  if (!limit || !leeway || !end || !size) return Value::failure();
  const int64_t end_size = count_characters(*end);
  if (*limit < end_size || *leeway < 0) {
    return machine.fail("AssertionError", cat("expected length >= ", end_size, ", got ", *limit));
  }
  if (*size <= *limit || *size - *limit <= *leeway) return value;
  Slice slice;
  slice.stop = Value::integer(*limit - end_size);
  const Value part = get_slice(machine, value, slice);
  if (part.failed()) return part;
  if (!part.is_string()) return machine.fail("TypeError", "can only truncate text");
  std::string_view text = part.text();
  if (!truth(bound[1])) text = text.substr(0, text.rfind(' '));
  return machine.text(std::string(text) + *end);
}

Value wordcount(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::string> text = text_of(machine, value);
  if (!text) return Value::failure();
  int64_t words = 0;
  bool in_word = false;
  for (size_t i = 0; i < text->size();) {
    const Character c = character_at(*text, i);
    if (is_word(c.code) && !in_word) ++words;
    in_word = is_word(c.code);
    i += c.bytes;
  }
  return Value::integer(words);
}

std::string url_quoted(std::string_view text, bool for_query) {
  std::string result;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                       c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !for_query);
    if (plain) {
      result += c;
    } else if (c == ' ' && for_query) {
      result += '+';
    } else {
      result += '%';
      for (const char digit : hex(byte, 2)) {
        result += static_cast<char>(digit >= 'a' ? digit - 'a' + 'A' : digit);
      }
    }
  }
  return result;
}

Value urlencode(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.is_string() || !is_iterable(value)) {
    const std::optional<std::string> text = text_of(machine, value);
    return text ? machine.text(url_quoted(*text, false)) : Value::failure();
  }
  std::vector<std::pair<Value, Value>> pairs;
  if (value.is_dict()) {
    pairs = value.dict().entries();
  } else {
    const std::optional<std::vector<Value>> items = iterate(machine, value);
    if (!items) return Value::failure();
    for (const Value& item : *items) {
      const std::optional<std::vector<Value>> parts = iterate(machine, item);
      if (!parts) return Value::failure();
      if (parts->size() != 2) {
        return machine.fail("ValueError", "not enough values to unpack (expected 2)");
      }
      pairs.emplace_back((*parts)[0], (*parts)[1]);
    }
  }
  std::string result;
  for (const auto& [key, item] : pairs) {
    const std::optional<std::string> name = text_of(machine, key);
    const std::optional<std::string> text = name ? text_of(machine, item) : std::nullopt;
    if (!text) return Value::failure();
    if (!result.empty()) result += '&';
    result += url_quoted(*name, true) + "=" + url_quoted(*text, true);
  }
  return machine.text(std::move(result));
}

Value format_filter(Machine& machine, Value value, const BoundArguments&,
                    const CallArguments& arguments) {
  if (!arguments.positional.empty() && !arguments.named.empty()) {
    return machine.fail("FilterArgumentError",
                        "can't handle positional and keyword arguments at the same time");
  }
  const std::optional<std::string> text = text_of(machine, value);
  if (!text) return Value::failure();
  if (arguments.named.empty()) {
    const Value values = machine.tuple(arguments.positional);
    return values.failed() ? values : percent_format(machine, *text, values);
  }
  const Value values = machine.new_dict();
  for (const auto& [name, item] : arguments.named) {
    if (!machine.set_item(values.dict(), name, item)) return Value::failure();
  }
  return percent_format(machine, *text, values);
}

Value filesizeformat(Machine& machine, Value value, const BoundArguments& bound,
                     const CallArguments&) {
  if (!value.is_number()) {
    return machine.fail("TypeError",
                        cat("float() argument must be a number, not '", type_name(value), "'"));
  }
  const bool is_binary = truth(bound[0]);
  const double bytes = value.as_double();
  const double base = is_binary ? 1024 : 1000;
  if (bytes == 1) return machine.text("1 Byte");
  if (bytes < base) return machine.text(fixed(std::trunc(bytes), 0) + " Bytes");
  double unit = base;
  std::string_view prefix;
  for (const char* name : {"k", "M", "G", "T", "P", "E", "Z", "Y"}) {
    prefix = name;
    unit *= base;
    if (bytes < unit) break;
  }
  const std::string letter = is_binary && prefix == "k" ? "K" : std::string(prefix);
  return machine.text(cat(fixed(base * bytes / unit, 1), " ", letter, is_binary ? "iB" : "B"));
}

// ---- numbers

Value absolute(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.kind() == Kind::kFloat) return Value::floating(std::fabs(value.as_double()));
  if (value.is_integral()) {
    return value.as_int() < 0 ? negate(machine, value) : Value::integer(value.as_int());
  }
  return machine.fail("TypeError", cat("bad operand type for abs(): '", type_name(value), "'"));
}

// Python's float(str).
std::optional<double> parse_float(std::string_view text) {
  std::string digits;
  text = strip_text(text, nullptr, StripSide::kBoth);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto is_digit_at = [&](size_t k) {
      return k < text.size() && text[k] >= '0' && text[k] <= '9';
    };
    if (text[i] == '_') {
      if (i == 0 || !is_digit_at(i - 1) || !is_digit_at(i + 1)) return std::nullopt;
      continue;
    }
    digits += text[i];
  }
  const std::string word = to_lower(digits);
  const std::string_view name =
      std::string_view(word).substr(!word.empty() && (word[0] == '+' || word[0] == '-') ? 1 : 0);
  const double sign = word.starts_with('-') ? -1 : 1;
  if (name == "inf" || name == "infinity") return sign * HUGE_VAL;
  if (name == "nan") return std::nan("");
  if (name.empty() || name.find_first_not_of("0123456789.e+-") != std::string_view::npos) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  if (end != digits.c_str() + digits.size()) return std::nullopt;
  return number;
}

int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

// Python's int(str, base).
std::optional<int64_t> parse_integer(std::string_view text, int64_t base) {
  text = strip_text(text, nullptr, StripSide::kBoth);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 1 && text[0] == '0') {
    const char letter = static_cast<char>(text[1] | 0x20);
    const int64_t named = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (named != 0 && (base == 0 || base == named)) {
      text.remove_prefix(2);
      base = named;
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36 || text.empty()) return std::nullopt;
  int64_t number = 0;
  bool after_digit = false;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    const int digit = digit_value(c);
    if (digit >= base || __builtin_mul_overflow(number, base, &number) ||
        __builtin_sub_overflow(number, digit, &number)) {
      return std::nullopt;
    }
    after_digit = true;
  }
  if (!after_digit) return std::nullopt;
  if (!negative && number == INT64_MIN) return std::nullopt;
  return negative ? number : -number;
}

std::optional<int64_t> whole(double number) {
  if (!(std::fabs(number) < 9.2e18)) return std::nullopt;
  return static_cast<int64_t>(number);
}

Value to_int(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const Value otherwise = bound[0].is_absent() ? Value::integer(0) : bound[0];
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (value.is_integral()) return Value::integer(value.as_int());
  std::optional<int64_t> number;
  if (value.kind() == Kind::kFloat) {
    number = whole(value.as_double());
  } else if (value.is_string()) {
    if (!machine.spend_on_text(value.text().size())) return Value::failure();
    const int64_t base = bound[1].is_integral() ? bound[1].as_int() : 10;
    number = parse_integer(value.text(), base);
    if (!number) {
      const std::optional<double> real = parse_float(value.text());
      if (real) number = whole(*real);
    }
  }
  return number ? Value::integer(*number) : otherwise;
}

Value to_float(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const Value otherwise = bound[0].is_absent() ? Value::floating(0) : bound[0];
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (value.is_number()) return Value::floating(value.as_double());
  if (!value.is_string()) return otherwise;
  if (!machine.spend_on_text(value.text().size())) return Value::failure();
  const std::optional<double> number = parse_float(value.text());
  return number ? Value::floating(*number) : otherwise;
}

Value round_number(Machine& machine, Value value, const BoundArguments& bound,
                   const CallArguments&) {
  const std::optional<int64_t> digits =
      bound[0].is_absent() ? std::optional<int64_t>(0) : index_of(machine, bound[0]);
  if (!digits) return Value::failure();
  const std::string_view method = bound[1].is_string() ? bound[1].text() : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    return machine.fail("FilterArgumentError", "method must be common, ceil or floor");
  }
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (!value.is_number()) {
    return machine.fail("TypeError",
                        cat("type ", type_name(value), " doesn't define __round__ method"));
  }
  constexpr int64_t kMostDigits = 300;
  const int64_t places = std::clamp(*digits, -kMostDigits, kMostDigits);
  if (method == "common") {
    if (value.is_integral() && places >= 0) return Value::integer(value.as_int());
    if (!std::isfinite(value.as_double())) return value;
    // Correctly rounded from the exact decimal value, as Python does it.
    double rounded = 0;
    if (places >= 0) {
      rounded = std::strtod(fixed(value.as_double(), static_cast<int>(places)).c_str(), nullptr);
    } else {
      const double unit = std::pow(10.0, static_cast<double>(-places));
      rounded = std::nearbyint(value.as_double() / unit) * unit;
    }
    if (!value.is_integral()) return Value::floating(rounded);
    const std::optional<int64_t> number = whole(rounded);
    if (number) return Value::integer(*number);
    return machine.fail("OverflowError", "an integer is beyond 64 bits");
  }
  const double unit = std::pow(10.0, static_cast<double>(places));
  const double scaled = value.as_double() * unit;
  return Value::floating((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

// ---- sequences

Value default_value(Machine& machine, Value value, const BoundArguments& bound,
                    const CallArguments&) {
  const bool replaces = value.is_undefined() || (truth(bound[1]) && !truth(value));
  if (!replaces) return value;
  return bound[0].is_absent() ? machine.text("") : bound[0];
}

Value count(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<int64_t> size = length(machine, value);
  return size ? Value::integer(*size) : Value::failure();
}

Value to_list(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  std::optional<std::vector<Value>> items = iterate(machine, value);
  return items ? machine.list(std::move(*items)) : Value::failure();
}

Value items_filter(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.is_undefined()) return machine.iterator({});
  if (!value.is_dict()) {
    return machine.fail("TypeError", "Can only get item pairs from a mapping.");
  }
  std::vector<Value> pairs;
  for (const auto& [key, item] : value.dict().entries()) {
    pairs.push_back(machine.tuple({key, item}));
    if (pairs.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(pairs));
}

Value first(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  if (items->empty()) return machine.undefined("No first item, sequence was empty.");
  return items->front();
}

Value last(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.kind() == Kind::kIterator || !is_iterable(value)) {
    return machine.fail("TypeError", cat("'", type_name(value), "' object is not reversible"));
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  if (items->empty()) return machine.undefined("No last item, sequence was empty.");
  return items->back();
}

Value reverse(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (!is_iterable(value)) {
    return machine.fail("FilterArgumentError", "argument must be iterable");
  }
  if (value.is_string()) {
    Slice slice;
    slice.step = Value::integer(-1);
    return get_slice(machine, value, slice);
  }
  std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::reverse(items->begin(), items->end());
  return machine.iterator(std::move(*items));
}

// An attribute path: "a.b.0". None gives the item itself.
class Attribute {
 public:
  // False after a failure.
  bool parse(Machine& machine, Value path) {
    if (path.is_absent() || path.is_none()) return true;
    if (!path.is_string()) {
      parts_.push_back(path);
      return true;
    }
    for (const std::string& part : split(path.text(), '.')) {
      const bool number =
          !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
      const std::optional<int64_t> index = number ? parse_int64(part) : std::nullopt;
      parts_.push_back(index ? Value::integer(*index) : machine.text(part));
      if (parts_.back().failed()) return false;
    }
    return true;
  }

  Value of(Machine& machine, Value item, Value otherwise = {}) const {
    for (const Value& part : parts_) {
      item = get_item(machine, item, part);
      if (item.failed()) return item;
      if (item.is_undefined() && !otherwise.is_absent() && !otherwise.is_none()) item = otherwise;
    }
    return item;
  }

 private:
  std::vector<Value> parts_;
};

Value lowered(Machine& machine, Value value) {
  return value.is_string() ? machine.text(lower_text(value.text())) : value;
}

Value join_filter(Machine& machine, Value value, const BoundArguments& bound,
                  const CallArguments&) {
  const std::optional<std::string> separator =
      bound[0].is_absent() ? std::optional<std::string>("") : str(machine, bound[0]);
  Attribute attribute;
  if (!separator || !attribute.parse(machine, bound[1])) return Value::failure();
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::string result;
  bool is_first = true;
  for (const Value& item : *items) {
    const Value part = attribute.of(machine, item);
    if (part.failed()) return part;
    if (!is_first) result += *separator;
    is_first = false;
    if (!append_str(machine, part, result) ||
        !machine.has_room(static_cast<int64_t>(result.size()))) {
      return Value::failure();
    }
  }
  return machine.text(std::move(result));
}

// Items with the keys by which they are sorted. Stable; false after a failure.
struct Keyed {
  Value key;
  Value item;
};

bool sort_keyed(Machine& machine, std::vector<Keyed>& items, bool reversed) {
  if (reversed) std::reverse(items.begin(), items.end());  // keeps the order of equals
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (machine.failed()) return false;
    return compare(machine, Comparison::kLt, a.key, b.key).value_or(false);
  });
  if (reversed) std::reverse(items.begin(), items.end());
  return !machine.failed();
}

Value dictsort(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::string_view by = bound[1].is_string() ? bound[1].text() : "key";
  if (by != "key" && by != "value") {
    return machine.fail("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  }
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (!value.is_dict()) {
    return machine.fail("AttributeError",
                        cat("'", type_name(value), "' object has no attribute 'items'"));
  }
  std::vector<Keyed> entries;
  for (const auto& [key, item] : value.dict().entries()) {
    const Value pair = machine.tuple({key, item});
    const Value part = by == "key" ? key : item;
    entries.push_back({truth(bound[0]) ? part : lowered(machine, part), pair});
    if (machine.failed()) return Value::failure();
  }
  if (!sort_keyed(machine, entries, truth(bound[2]))) return Value::failure();
  std::vector<Value> result;
  for (const Keyed& entry : entries) result.push_back(entry.item);
  return machine.list(std::move(result));
}

Value sort(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  std::vector<Attribute> attributes;
  const bool by_path = bound[2].is_string();
  for (const std::string& path : split(by_path ? bound[2].text() : "", ',')) {
    attributes.emplace_back();
    const Value text = by_path ? machine.text(path) : bound[2];
    if (text.failed() || !attributes.back().parse(machine, text)) return Value::failure();
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Keyed> keyed;
  for (const Value& item : *items) {
    std::vector<Value> key;
    for (const Attribute& attribute : attributes) {
      key.push_back(attribute.of(machine, item));
      if (!truth(bound[1])) key.back() = lowered(machine, key.back());
      if (machine.failed()) return Value::failure();
    }
    keyed.push_back({machine.list(std::move(key)), item});
    if (machine.failed()) return Value::failure();
  }
  if (!sort_keyed(machine, keyed, truth(bound[0]))) return Value::failure();
  std::vector<Value> result;
  for (const Keyed& entry : keyed) result.push_back(entry.item);
  return machine.list(std::move(result));
}

// The key of each item, lower case where case does not count.
std::optional<std::vector<Keyed>> with_keys(Machine& machine, Value value, Value path,
                                            Value case_sensitive, Value otherwise = {}) {
  Attribute attribute;
  if (!attribute.parse(machine, path)) return std::nullopt;
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return std::nullopt;
  std::vector<Keyed> keyed;
  for (const Value& item : *items) {
    Value key = attribute.of(machine, item, otherwise);
    if (!key.failed() && !truth(case_sensitive)) key = lowered(machine, key);
    if (key.failed()) return std::nullopt;
    keyed.push_back({key, item});
  }
  return keyed;
}

Value unique(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const auto keyed = with_keys(machine, value, bound[1], bound[0]);
  if (!keyed) return Value::failure();
  const Value seen = machine.new_dict();
  std::vector<Value> result;
  for (const Keyed& entry : *keyed) {
    if (is_hashable(entry.key) && seen.dict().find(entry.key) != nullptr) continue;
    if (!machine.set_item(seen.dict(), entry.key, entry.item)) return Value::failure();
    result.push_back(entry.item);
  }
  return machine.iterator(std::move(result));
}

template <Comparison better>
Value extreme(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const auto keyed = with_keys(machine, value, bound[1], bound[0]);
  if (!keyed) return Value::failure();
  if (keyed->empty()) return machine.undefined("No aggregated item, sequence was empty.");
  Keyed best = keyed->front();
  for (size_t i = 1; i < keyed->size(); ++i) {
    const std::optional<bool> is_better = compare(machine, better, (*keyed)[i].key, best.key);
    if (!is_better) return Value::failure();
    if (*is_better) best = (*keyed)[i];
  }
  return best.item;
}

Value groupby(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  auto keyed = with_keys(machine, value, bound[0], bound[2], bound[1]);
  if (!keyed || !sort_keyed(machine, *keyed, false)) return Value::failure();
  Attribute attribute;
  if (!attribute.parse(machine, bound[0])) return Value::failure();
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed->size();) {
    std::vector<Value> members;
    const Value key = (*keyed)[i].key;
    const Value name = attribute.of(machine, (*keyed)[i].item, bound[1]);
    for (; i < keyed->size(); ++i) {
      const std::optional<bool> same = equal(machine, key, (*keyed)[i].key);
      if (!same) return Value::failure();
      if (!*same) break;
      members.push_back((*keyed)[i].item);
    }
    const Value list = machine.list(std::move(members));
    if (machine.failed()) return Value::failure();
    groups.push_back(machine.sequence(Kind::kTuple, {name, list}, "_GroupTuple"));
    if (machine.failed()) return Value::failure();
  }
  return machine.list(std::move(groups));
}

Value sum(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  Attribute attribute;
  if (!attribute.parse(machine, bound[0])) return Value::failure();
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  Value total = bound[1].is_absent() ? Value::integer(0) : bound[1];
  if (total.is_string()) {
    return machine.fail("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  }
  for (const Value& item : *items) {
    const Value part = attribute.of(machine, item);
    if (part.failed()) return part;
    total = binary(machine, Operator::kAdd, total, part);
    if (total.failed()) return total;
  }
  return total;
}

Value batch(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<int64_t> size = index_of(machine, bound[0]);
  const std::optional<std::vector<Value>> items = size ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  std::vector<Value> rows;
  std::vector<Value> row;
  const auto flush = [&] {
    rows.push_back(machine.list(std::move(row)));
    row.clear();
    return !rows.back().failed();
  };
  for (const Value& item : *items) {
    if (static_cast<int64_t>(row.size()) == *size && !flush()) return Value::failure();
    row.push_back(item);
  }
  if (!row.empty()) {
    if (!bound[1].is_absent() && !bound[1].is_none()) {
      if (*size > machine.limits().range_length) {
        return machine.fail("LimitError", cat("batches of ", *size, " items"));
      }
      while (static_cast<int64_t>(row.size()) < *size) row.push_back(bound[1]);
    }
    if (!flush()) return Value::failure();
  }
  return machine.iterator(std::move(rows));
}

Value slice_filter(Machine& machine, Value value, const BoundArguments& bound,
                   const CallArguments&) {
  const std::optional<int64_t> count = index_of(machine, bound[0]);
  const std::optional<std::vector<Value>> items = count ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  if (*count == 0) {
    return machine.fail("ZeroDivisionError", "integer division or modulo by zero");
  }
  if (*count > machine.limits().range_length) {
    return machine.fail("LimitError", cat(*count, " slices"));
  }
  std::vector<Value> columns;
  const auto size = static_cast<int64_t>(items->size());
  int64_t begin = 0;
  for (int64_t i = 0; i < *count; ++i) {
    const bool larger = i < size % *count;
    const int64_t end = begin + size / *count + (larger ? 1 : 0);
    std::vector<Value> column(items->begin() + begin, items->begin() + end);
    if (!bound[1].is_absent() && !bound[1].is_none() && !larger) column.push_back(bound[1]);
    columns.push_back(machine.list(std::move(column)));
    if (columns.back().failed()) return Value::failure();
    begin = end;
  }
  return machine.iterator(std::move(columns));
}

// ---- filters that take filters and tests

// `arguments` without the first positional ones.
CallArguments rest_of(const CallArguments& arguments, size_t skipped) {
  CallArguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<int64_t>(skipped));
  return rest;
}

Value map_attribute(Machine& machine, Value value, const CallArguments& arguments) {
  Value path;
  Value otherwise;
  for (const auto& [name, given] : arguments.named) {
    if (name == "attribute") {
      path = given;
    } else if (name == "default") {
      otherwise = given;
    } else {
      return machine.fail("FilterArgumentError", cat("Unexpected keyword argument ", quoted(name)));
    }
  }
  Attribute attribute;
  const std::optional<std::vector<Value>> items =
      attribute.parse(machine, path) ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    result.push_back(attribute.of(machine, item, otherwise));
    if (result.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(result));
}

Value map_filter(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  if (!truth(value)) return machine.iterator({});
  if (arguments.positional.empty()) {
    const bool by_attribute =
        std::any_of(arguments.named.begin(), arguments.named.end(),
                    [](const auto& argument) { return argument.first == "attribute"; });
    if (by_attribute) return map_attribute(machine, value, arguments);
    return machine.fail("FilterArgumentError", "map requires a filter argument");
  }
  const Value name = arguments.positional[0];
  const Builtin* filter = name.is_string() ? find_filter(name.text()) : nullptr;
  if (filter == nullptr) {
    const std::optional<std::string> text = str(machine, name);
    return machine.fail("TemplateRuntimeError",
                        cat("No filter named ", quoted(text.value_or("")), "."));
  }
  const CallArguments rest = rest_of(arguments, 1);
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    result.push_back(call_builtin(machine, *filter, item, rest));
    if (result.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(result));
}

Value choose(Machine& machine, Value value, const CallArguments& arguments, bool by_attribute,
             bool wanted) {
  if (!truth(value)) return machine.iterator({});
  Attribute attribute;
  if (by_attribute) {
    if (arguments.positional.empty()) {
      return machine.fail("FilterArgumentError", "Missing parameter for attribute name");
    }
    if (!attribute.parse(machine, arguments.positional[0])) return Value::failure();
  }
  const size_t skipped = by_attribute ? 1 : 0;
  const Builtin* test = nullptr;
  CallArguments rest;
  if (arguments.positional.size() > skipped) {
    const Value name = arguments.positional[skipped];
    test = name.is_string() ? find_test(name.text()) : nullptr;
    if (test == nullptr) {
      const std::optional<std::string> text = str(machine, name);
      return machine.fail("TemplateRuntimeError",
                          cat("No test named ", quoted(text.value_or("")), "."));
    }
    rest = rest_of(arguments, skipped + 1);
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    Value judged = attribute.of(machine, item);
    if (!judged.failed() && test != nullptr) judged = call_builtin(machine, *test, judged, rest);
    if (judged.failed()) return judged;
    if (truth(judged) == wanted) result.push_back(item);
  }
  return machine.iterator(std::move(result));
}

Value select(Machine& machine, Value value, const BoundArguments&, const CallArguments& arguments) {
  return choose(machine, value, arguments, false, true);
}
Value reject(Machine& machine, Value value, const BoundArguments&, const CallArguments& arguments) {
  return choose(machine, value, arguments, false, false);
}
Value selectattr(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  return choose(machine, value, arguments, true, true);
}
Value rejectattr(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  return choose(machine, value, arguments, true, false);
}

Value attr(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<std::string> name = str(machine, bound[0]);
  if (!name) return Value::failure();
  // An attribute only, no item.
  if (value.is_dict() && find_method(value, *name) == nullptr) {
    return machine.undefined(cat("'dict object' has no attribute ", quoted(*name)));
  }
  return get_attribute(machine, value, *name);
}

Value tojson(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  JsonOptions options;
  options.ensure_ascii = truth(bound[0]);
  options.sort_keys = truth(bound[3]);
  const Value width = bound[1];
  if (width.is_string()) {
    options.indent = std::string(width.text());
  } else if (!width.is_absent() && !width.is_none()) {
    const std::optional<int64_t> count = index_of(machine, width);
    if (!count || !machine.has_room(*count)) return Value::failure();
    options.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, *count)), ' ');
  }
  if (options.indent) options.item_separator = ",";
  if (!bound[2].is_absent() && !bound[2].is_none()) {
    const std::optional<std::vector<Value>> parts = iterate(machine, bound[2]);
    if (!parts) return Value::failure();
    if (parts->size() != 2 || !(*parts)[0].is_string() || !(*parts)[1].is_string()) {
      return machine.fail("ValueError", "separators must be two strings");
    }
    options.item_separator = (*parts)[0].text();
    options.key_separator = (*parts)[1].text();
  }
  std::string text;
  if (!append_json(machine, value, options, text)) return Value::failure();
  return machine.text(std::move(text));
}

constexpr Builtin kFilters[] = {
    {"abs", "", absolute},
    {"attr", "name", attr},
    {"batch", "linecount fill_with?", batch},
    {"capitalize", "", capitalize},
    {"center", "width?", center},
    {"count", "", count},
    {"d", "default_value? boolean?", default_value},
    {"default", "default_value? boolean?", default_value},
    {"dictsort", "case_sensitive? by? reverse?", dictsort},
    {"e", "", escape},
    {"escape", "", escape},
    {"filesizeformat", "binary?", filesizeformat},
    {"first", "", first},
    {"float", "default?", to_float},
    {"forceescape", "", escape},
    {"format", "*", format_filter},
    {"groupby", "attribute default? case_sensitive?", groupby},
    {"indent", "width? first? blank?", indent},
    {"int", "default? base?", to_int},
    {"items", "", items_filter},
    {"join", "d? attribute?", join_filter},
    {"last", "", last},
    {"length", "", count},
    {"list", "", to_list},
    {"lower", "", lower},
    {"map", "*", map_filter},
    {"max", "case_sensitive? attribute?", extreme<Comparison::kGt>},
    {"min", "case_sensitive? attribute?", extreme<Comparison::kLt>},
    {"reject", "*", reject},
    {"rejectattr", "*", rejectattr},
    {"replace", "old new count?", replace},
    {"reverse", "", reverse},
    {"round", "precision? method?", round_number},
    {"safe", "", to_string},
    {"select", "*", select},
    {"selectattr", "*", selectattr},
    {"slice", "slices fill_with?", slice_filter},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"string", "", to_string},
    {"sum", "attribute? start?", sum},
    {"title", "", title},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson},
    {"trim", "chars?", trim},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"unique", "case_sensitive? attribute?", unique},
    {"upper", "", upper},
    {"urlencode", "", urlencode},
    {"wordcount", "", wordcount},
};

}  // namespace

const Builtin* find_filter(std::string_view name) {
  for (const Builtin& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace mlc::jinja
