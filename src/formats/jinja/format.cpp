// SPDX-License-Identifier: Apache-2.0
// Formatting as Python's: "%5.1f" % x, and "{:>8}".format(x).
#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

constexpr int64_t kLargestPrecision = 1000;

// What stands between the % or the colon and the end of a directive.
struct Spec {
  std::string fill = " ";
  char align = 0;  // < > = ^, 0: the type's
  char sign = '-';
  bool alternate = false;
  bool zero = false;
  char grouping = 0;  // , or _
  int64_t width = 0;
  int64_t precision = -1;
  char type = 0;
};

// Digits at `i`, which moves behind them; INT32_MAX for more than fit.
int64_t read_number(std::string_view text, size_t& i) {
  int64_t number = 0;
  while (i < text.size() && is_ascii_digit(text[i])) {
    number = std::min<int64_t>(number * 10 + (text[i++] - '0'), INT32_MAX);
  }
  return number;
}

std::string upper_ascii(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string grouped(const std::string& digits, char separator, size_t every) {
  std::string result;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % every == 0) result += separator;
    result += digits[i];
  }
  return result;
}

// The digits of a magnitude in some base.
std::string digits_of(uint64_t magnitude, unsigned base) {
  std::string digits;
  do {
    digits += "0123456789abcdef"[magnitude % base];
    magnitude /= base;
  } while (magnitude != 0);
  std::reverse(digits.begin(), digits.end());
  return digits;
}

uint64_t magnitude_of(int64_t value) {
  return value < 0 ? uint64_t{0} - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
}

// |value| as C prints it.
std::string float_digits(double value, char type, int64_t precision, bool alternate) {
  value = std::fabs(value);
  if (std::isnan(value) || std::isinf(value)) {
    const std::string text = std::isnan(value) ? "nan" : "inf";
    return std::isupper(static_cast<unsigned char>(type)) != 0 ? upper_ascii(text) : text;
  }
  const std::string format = cat("%", alternate ? "#" : "", ".*", type);
  const int digits = static_cast<int>(precision < 0 ? 6 : precision);
  std::string text(static_cast<size_t>(digits) + 400, '\0');
  const int length = std::snprintf(text.data(), text.size(), format.c_str(), digits, value);
  text.resize(static_cast<size_t>(length));
  return text;
}

std::string sign_text(bool negative, char sign) {
  if (negative) return "-";
  return sign == '-' ? "" : std::string(1, sign);
}

// Puts `prefix` (sign and base) and `body` into the width.
Value padded(Machine& machine, const Spec& spec, char default_align, const std::string& prefix,
             const std::string& body) {
  const int64_t size = count_characters(prefix) + count_characters(body);
  const int64_t missing = std::max<int64_t>(0, spec.width - size);
  if (!machine.has_room(missing * static_cast<int64_t>(spec.fill.size()))) return Value::failure();
  const char align = spec.align != 0 ? spec.align : default_align;
  int64_t left = 0;
  if (align == '>' || align == '=') left = missing;
  if (align == '^') left = missing / 2;
  const auto fill = [&](int64_t count) {
    std::string text;
    text.reserve(static_cast<size_t>(count) * spec.fill.size());
    for (int64_t i = 0; i < count; ++i) text += spec.fill;
    return text;
  };
  if (align == '=') return machine.text(prefix + fill(left) + body);
  return machine.text(fill(left) + prefix + body + fill(missing - left));
}

Value fail_code(Machine& machine, char code, Value value) {
  return machine.fail("ValueError", cat("Unknown format code '", code, "' for object of type '",
                                        type_name(value), "'"));
}

std::string first_characters(std::string_view text, int64_t count) {
  size_t end = 0;
  for (int64_t i = 0; i < count && end < text.size(); ++i) end += character_at(text, end).bytes;
  return std::string(text.substr(0, end));
}

Value format_float(Machine& machine, const Spec& spec, double value) {
  std::string body;
  char type = spec.type;
  if (type == 0 && spec.precision < 0) {
    body = float_text(std::fabs(value));
  } else if (type == '%') {
    body = float_digits(value * 100, 'f', spec.precision, spec.alternate) + "%";
  } else {
    const bool general = type == 0;
    if (general || type == 'n') type = 'g';
    int64_t precision = spec.precision;
    if (precision == 0 && (type == 'g' || type == 'G')) precision = 1;
    body = float_digits(value, type, precision, spec.alternate);
    if (general && body.find_first_of(".einf") == std::string::npos) body += ".0";
  }
  if (spec.grouping != 0) {
    const size_t digits = std::min(body.find_first_not_of("0123456789"), body.size());
    body = grouped(body.substr(0, digits), spec.grouping, 3) + body.substr(digits);
  }
  return padded(machine, spec, '>', sign_text(std::signbit(value) && !std::isnan(value), spec.sign),
                body);
}

Value format_integer(Machine& machine, const Spec& spec, Value value) {
  const int64_t number = value.as_int();
  if (spec.precision >= 0) {
    return machine.fail("ValueError", "Precision not allowed in integer format specifier");
  }
  if (spec.type == 'c') {
    if (number < 0 || number > 0x10FFFF) {
      return machine.fail("OverflowError", "%c arg not in range(0x110000)");
    }
    std::string body;
    append_character(body, static_cast<uint32_t>(number));
    return padded(machine, spec, '<', "", body);
  }
  const unsigned base = spec.type == 'b'                         ? 2
                        : spec.type == 'o'                       ? 8
                        : (spec.type == 'x' || spec.type == 'X') ? 16
                                                                 : 10;
  std::string body = digits_of(magnitude_of(number), base);
  std::string prefix = sign_text(number < 0, spec.sign);
  if (spec.alternate && base != 10) prefix += cat("0", spec.type);
  if (spec.type == 'X') body = upper_ascii(body);
  if (spec.grouping != 0) body = grouped(body, spec.grouping, base == 10 ? 3 : 4);
  return padded(machine, spec, '>', prefix, body);
}

bool parse_spec(Machine& machine, std::string_view text, Spec& spec) {
  size_t i = 0;
  const auto is_align = [](char c) { return c == '<' || c == '>' || c == '=' || c == '^'; };
  if (!text.empty()) {
    const size_t first = character_at(text, 0).bytes;
    if (first < text.size() && is_align(text[first])) {
      spec.fill = text.substr(0, first);
      spec.align = text[first];
      i = first + 1;
    } else if (is_align(text[0])) {
      spec.align = text[0];
      i = 1;
    }
  }
  if (i < text.size() && (text[i] == '+' || text[i] == '-' || text[i] == ' '))
    spec.sign = text[i++];
  if (i < text.size() && text[i] == '#') spec.alternate = text[i++] == '#';
  if (i < text.size() && text[i] == '0') {
    spec.zero = true;
    if (spec.align == 0) {
      spec.fill = "0";
      spec.align = '=';
    }
    ++i;
  }
  spec.width = read_number(text, i);
  if (i < text.size() && (text[i] == ',' || text[i] == '_')) spec.grouping = text[i++];
  if (i < text.size() && text[i] == '.') {
    ++i;
    if (i == text.size() || !is_ascii_digit(text[i])) {
      machine.fail("ValueError", "Format specifier missing precision");
      return false;
    }
    spec.precision = read_number(text, i);
  }
  if (i < text.size()) spec.type = text[i++];
  if (i < text.size()) {
    machine.fail("ValueError", cat("Invalid format specifier ", quoted(text)));
    return false;
  }
  return true;
}

// format(value, spec)
Value format_value(Machine& machine, Value value, std::string_view text) {
  Spec spec;
  if (!parse_spec(machine, text, spec)) return Value::failure();
  const auto is_type = [&](std::string_view types) {
    return spec.type != 0 && types.find(spec.type) != std::string_view::npos;
  };
  if (value.is_number() && (value.kind() != Kind::kBool || !text.empty())) {
    const bool as_float = is_type("eEfFgG%") || (value.kind() == Kind::kFloat && is_type("n"));
    if (as_float || (value.kind() == Kind::kFloat && spec.type == 0)) {
      if (spec.precision > kLargestPrecision) {
        return machine.fail("ValueError", "precision too big");
      }
      return format_float(machine, spec, value.as_double());
    }
    if (value.is_integral() && (spec.type == 0 || is_type("bcdnoxX"))) {
      return format_integer(machine, spec, value);
    }
    return fail_code(machine, spec.type, value);
  }
  if (!value.is_string() && !text.empty() && value.kind() != Kind::kUndefined) {
    return machine.fail(
        "TypeError", cat("unsupported format string passed to ", type_name(value), ".__format__"));
  }
  if (spec.type != 0 && spec.type != 's') return fail_code(machine, spec.type, value);
  if (spec.align == '=') {
    // A zero before the width of a text fills it from the right.
    if (!spec.zero) {
      return machine.fail("ValueError", "'=' alignment not allowed in string format specifier");
    }
    spec.align = '<';
  }
  std::optional<std::string> body = str(machine, value);
  if (!body) return Value::failure();
  if (spec.precision >= 0) body = first_characters(*body, spec.precision);
  return padded(machine, spec, '<', "", *body);
}

// One call of str.format().
class BraceFormatter {
 public:
  BraceFormatter(Machine& machine, const CallArguments& arguments)
      : machine_(machine), arguments_(arguments) {}

  // False after a failure.
  bool format(std::string_view text, int nesting, std::string& out) {
    for (size_t i = 0; i < text.size();) {
      const char c = text[i];
      if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
        out += c;
        i += 2;
      } else if (c == '}') {
        return fail("Single '}' encountered in format string");
      } else if (c == '{') {
        const size_t end = end_of_field(text, i);
        if (end == std::string_view::npos) {
          return fail(i + 1 == text.size() ? "Single '{' encountered in format string"
                                           : "expected '}' before end of string");
        }
        if (!field(text.substr(i + 1, end - i - 1), nesting, out)) return false;
        i = end + 1;
      } else {
        out += c;
        ++i;
      }
    }
    return machine_.spend_on_text(text.size());
  }

 private:
  bool fail(std::string message) {
    machine_.fail("ValueError", std::move(message));
    return false;
  }

  static size_t end_of_field(std::string_view text, size_t begin) {
    int open = 0;
    bool in_brackets = false;
    for (size_t i = begin; i < text.size(); ++i) {
      if (open == 1 && text[i] == '[') in_brackets = true;
      if (in_brackets) {
        if (text[i] == ']') in_brackets = false;
        continue;
      }
      if (text[i] == '{') ++open;
      if (text[i] == '}' && --open == 0) return i;
    }
    return std::string_view::npos;
  }

  bool field(std::string_view text, int nesting, std::string& out) {
    if (nesting > 1) return fail("Max string recursion exceeded");
    size_t end = 0;
    bool in_brackets = false;
    while (end < text.size() && (in_brackets || (text[end] != '!' && text[end] != ':'))) {
      if (text[end] == '[') in_brackets = true;
      if (text[end] == ']') in_brackets = false;
      ++end;
    }
    const std::optional<Value> found = lookup(text.substr(0, end));
    if (!found) return false;
    Value value = *found;
    if (end < text.size() && text[end] == '!') {
      const char conversion = end + 1 < text.size() ? text[end + 1] : 0;
      if (conversion != 's' && conversion != 'r') {
        return fail(cat("Unknown conversion specifier '", conversion, "'"));
      }
      std::string converted;
      if (!(conversion == 's' ? append_str : append_repr)(machine_, value, converted)) return false;
      value = machine_.text(std::move(converted));
      if (value.failed()) return false;
      end += 2;
      if (end < text.size() && text[end] != ':') {
        return fail("expected ':' after conversion specifier");
      }
    }
    std::string spec;
    if (end < text.size() && !format(text.substr(end + 1), nesting + 1, spec)) return false;
    const Value formatted = format_value(machine_, value, spec);
    if (formatted.failed()) return false;
    out += formatted.text();
    return machine_.has_room(static_cast<int64_t>(out.size()));
  }

  std::optional<Value> lookup(std::string_view name) {
    const size_t end = std::min(name.find_first_of(".["), name.size());
    const std::string_view first = name.substr(0, end);
    std::optional<Value> value = argument(first);
    std::string_view rest = name.substr(end);
    while (value && !rest.empty()) {
      if (rest[0] == '.') {
        const size_t stop = std::min(rest.find_first_of(".[", 1), rest.size());
        value = checked(get_attribute(machine_, *value, rest.substr(1, stop - 1)));
        rest = rest.substr(stop);
      } else {
        const size_t stop = rest.find(']');
        if (stop == std::string_view::npos || rest[0] != '[') {
          fail("Missing ']' in format string");
          return std::nullopt;
        }
        const std::string_view key = rest.substr(1, stop - 1);
        const std::optional<int64_t> index = parse_int64(key);
        const Value item = index ? Value::integer(*index) : machine_.text(std::string(key));
        if (item.failed()) return std::nullopt;
        value = checked(get_item(machine_, *value, item));
        rest = rest.substr(stop + 1);
      }
    }
    return value;
  }

  // Formatting meets Python's lookups, where nothing is undefined.
  std::optional<Value> checked(Value value) {
    if (value.is_undefined()) fail_undefined(machine_, value);
    if (machine_.failed()) return std::nullopt;
    return value;
  }

  std::optional<Value> argument(std::string_view name) {
    const std::optional<int64_t> number =
        name.empty() ? std::optional<int64_t>(next_++) : parse_int64(name);
    if (number) {
      if (*number < 0 || *number >= static_cast<int64_t>(arguments_.positional.size())) {
        machine_.fail("IndexError", cat("Replacement index ", *number,
                                        " out of range for positional args tuple"));
        return std::nullopt;
      }
      return arguments_.positional[static_cast<size_t>(*number)];
    }
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) return value;
    }
    machine_.fail("KeyError", quoted(name));
    return std::nullopt;
  }

  Machine& machine_;
  const CallArguments& arguments_;
  int64_t next_ = 0;
};

// The directives of "..." % values.
class PercentFormatter {
 public:
  PercentFormatter(Machine& machine, Value values) : machine_(machine), values_(values) {}

  Value format(std::string_view text) {
    if (!machine_.spend_on_text(text.size())) return Value::failure();
    std::string out;
    for (size_t i = 0; i < text.size();) {
      if (text[i] != '%') {
        out += text[i++];
        continue;
      }
      ++i;
      if (!directive(text, i, out)) return Value::failure();
    }
    // Mappings, and lists as Python sees it, may stay unused.
    const bool may_rest = values_.is_dict() || values_.kind() == Kind::kList ||
                          values_.kind() == Kind::kRange || values_.is_undefined();
    if (is_tuple() ? next_ < values_.items().size() : next_ == 0 && !may_rest) {
      return machine_.fail("TypeError", "not all arguments converted during string formatting");
    }
    return machine_.text(std::move(out));
  }

 private:
  bool is_tuple() const { return values_.kind() == Kind::kTuple; }

  bool fail(std::string_view error, std::string message) {
    machine_.fail(error, std::move(message));
    return false;
  }

  // Absent after a failure.
  Value next_argument() {
    if (is_tuple() && next_ < values_.items().size()) return values_.items()[next_++];
    if (!is_tuple() && next_ == 0) {
      ++next_;
      return values_;
    }
    fail("TypeError", "not enough arguments for format string");
    return {};
  }

  bool number(std::string_view text, size_t& i, int64_t& out) {
    if (i < text.size() && text[i] == '*') {
      ++i;
      const Value value = next_argument();
      if (value.is_absent()) return false;
      if (!value.is_integral()) return fail("TypeError", "* wants int");
      out = std::clamp<int64_t>(value.as_int(), -INT32_MAX, INT32_MAX);
      return true;
    }
    out = read_number(text, i);
    return true;
  }

  bool directive(std::string_view text, size_t& i, std::string& out) {
    std::optional<Value> value;
    if (i < text.size() && text[i] == '(') {
      const size_t end = text.find(')', i);
      if (end == std::string_view::npos) return fail("ValueError", "incomplete format key");
      if (!values_.is_dict()) return fail("TypeError", "format requires a mapping");
      const std::string_view key = text.substr(i + 1, end - i - 1);
      const Value* found = values_.dict().find(key);
      if (found == nullptr) return fail("KeyError", quoted(key));
      value = *found;
      i = end + 1;
    }
    Spec spec;
    bool left = false;
    for (; i < text.size(); ++i) {
      const char c = text[i];
      if (c == '-') {
        left = true;
      } else if (c == '+' || (c == ' ' && spec.sign != '+')) {
        spec.sign = c;
      } else if (c == '#') {
        spec.alternate = true;
      } else if (c == '0') {
        spec.zero = true;
      } else if (c != ' ') {
        break;
      }
    }
    if (!number(text, i, spec.width)) return false;
    if (spec.width < 0) {
      left = true;
      spec.width = -spec.width;
    }
    if (i < text.size() && text[i] == '.') {
      ++i;
      if (!number(text, i, spec.precision)) return false;
      spec.precision = std::max<int64_t>(spec.precision, 0);
    }
    while (i < text.size() && (text[i] == 'h' || text[i] == 'l' || text[i] == 'L')) ++i;
    if (i == text.size()) return fail("ValueError", "incomplete format");
    spec.type = text[i++];
    spec.align = left ? '<' : 0;
    if (spec.type == '%') {
      out += '%';
      return true;
    }
    if (!value) {
      value = next_argument();
      if (value->is_absent()) return false;
    }
    const Value formatted = convert(spec, *value, i - 1);
    if (formatted.failed()) return false;
    out += formatted.text();
    return machine_.has_room(static_cast<int64_t>(out.size()));
  }

  Value convert(Spec& spec, Value value, size_t position) {
    switch (spec.type) {
      case 's':
      case 'r':
      case 'a': {
        std::string body;
        if (!(spec.type == 's' ? append_str : append_repr)(machine_, value, body)) {
          return Value::failure();
        }
        if (spec.precision >= 0) body = first_characters(body, spec.precision);
        return padded(machine_, spec, '>', "", body);
      }
      case 'c': {
        std::string body;
        if (value.is_integral() && value.as_int() >= 0 && value.as_int() <= 0x10FFFF) {
          append_character(body, static_cast<uint32_t>(value.as_int()));
        } else if (value.is_string() && count_characters(value.text()) == 1) {
          body = value.text();
        } else {
          return machine_.fail("TypeError", "%c requires int or char");
        }
        return padded(machine_, spec, '>', "", body);
      }
      case 'd':
      case 'i':
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        return integer(spec, value);
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
        return floating(spec, value);
      default:
        return machine_.fail("ValueError", cat("unsupported format character '", spec.type, "' (0x",
                                               hex(static_cast<unsigned char>(spec.type), 1),
                                               ") at index ", position));
    }
  }

  void fill_with_zeros(Spec& spec) const {
    if (!spec.zero || spec.align == '<') return;
    spec.fill = "0";
    spec.align = '=';
  }

  Value integer(Spec& spec, Value value) {
    const bool decimal = spec.type == 'd' || spec.type == 'i' || spec.type == 'u';
    if (!value.is_number() || (!decimal && !value.is_integral())) {
      if (value.is_undefined()) return fail_undefined(machine_, value);
      return machine_.fail(
          "TypeError", cat("%", spec.type, " format: ", decimal ? "a real number" : "an integer",
                           " is required, not ", type_name(value)));
    }
    int64_t whole = 0;
    if (value.is_integral()) {
      whole = value.as_int();
    } else if (std::fabs(value.as_double()) < 9.2e18) {
      whole = static_cast<int64_t>(value.as_double());
    } else {
      return machine_.fail("OverflowError", "an integer is beyond 64 bits");
    }
    const unsigned base = decimal ? 10 : spec.type == 'o' ? 8 : 16;
    std::string body = digits_of(magnitude_of(whole), base);
    if (spec.type == 'X') body = upper_ascii(body);
    if (spec.precision > kLargestPrecision) return machine_.fail("ValueError", "precision too big");
    if (static_cast<int64_t>(body.size()) < spec.precision) {
      body.insert(0, static_cast<size_t>(spec.precision) - body.size(), '0');
    }
    std::string prefix = sign_text(whole < 0, spec.sign);
    if (spec.alternate && base != 10) prefix += cat("0", spec.type);
    fill_with_zeros(spec);
    return padded(machine_, spec, '>', prefix, body);
  }

  Value floating(Spec& spec, Value value) {
    if (!value.is_number()) {
      if (value.is_undefined()) return fail_undefined(machine_, value);
      return machine_.fail("TypeError", cat("must be real number, not ", type_name(value)));
    }
    if (spec.precision > kLargestPrecision) return machine_.fail("ValueError", "precision too big");
    fill_with_zeros(spec);
    return format_float(machine_, spec, value.as_double());
  }

  Machine& machine_;
  Value values_;
  size_t next_ = 0;
};

}  // namespace

Value percent_format(Machine& machine, std::string_view format, Value values) {
  return PercentFormatter(machine, values).format(format);
}

Value brace_format(Machine& machine, std::string_view format, const CallArguments& arguments) {
  std::string out;
  if (!BraceFormatter(machine, arguments).format(format, 0, out)) return Value::failure();
  return machine.text(std::move(out));
}

}  // namespace mlc::jinja
