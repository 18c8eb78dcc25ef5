// SPDX-License-Identifier: Apache-2.0
// Jinja's filters of texts and numbers.
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

// As markupsafe's.
std::string escaped(std::string_view text) {
  std::string result;
  for (const char c : text) {
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
  return result;
}

Value escape(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::string> text = text_of(machine, value);
  return text ? machine.text(escaped(*text)) : Value::failure();
}

// The members of a dict as attributes of an element.
Value xmlattr(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  if (!value.is_dict()) {
    return machine.fail("AttributeError",
                        cat(quoted(type_name(value)), " object has no attribute 'items'"));
  }
  std::string result;
  for (const auto& [key, item] : value.dict().entries()) {
    if (item.is_none() || item.is_undefined()) continue;
    if (!key.is_string()) return machine.fail("TypeError", "expected string or bytes-like object");
    if (key.text().find_first_of(" \t\n\r\f\v/>=") != std::string_view::npos) {
      return machine.fail("ValueError",
                          cat("Invalid character in attribute name: ", quoted(key.text())));
    }
    const std::optional<std::string> text = text_of(machine, item);
    if (!text) return Value::failure();
    result += cat(" ", escaped(key.text()), "=\"", escaped(*text), "\"");
  }
  const bool space = bound[0].is_absent() || truth(bound[0]);
  return machine.text(space || result.empty() ? result : result.substr(1));
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

constexpr Builtin kTextFilters[] = {
    {"abs", "", absolute},
    {"capitalize", "", capitalize},
    {"center", "width?", center},
    {"e", "", escape},
    {"escape", "", escape},
    {"filesizeformat", "binary?", filesizeformat},
    {"float", "default?", to_float},
    {"forceescape", "", escape},
    {"format", "*", format_filter},
    {"indent", "width? first? blank?", indent},
    {"int", "default? base?", to_int},
    {"lower", "", lower},
    {"replace", "old new count?", replace},
    {"round", "precision? method?", round_number},
    {"safe", "", to_string},
    {"string", "", to_string},
    {"title", "", title},
    {"trim", "chars?", trim},
    {"truncate", "length? killwords? end? leeway?", truncate},
    {"upper", "", upper},
    {"urlencode", "", urlencode},
    {"wordcount", "", wordcount},
    {"xmlattr", "autospace?", xmlattr},
};

}  // namespace

const Builtin* find_text_filter(std::string_view name) {
  for (const Builtin& filter : kTextFilters) {
    if (filter.name == name) return &filter;
  }
  return nullptr;
}

}  // namespace mlc::jinja
