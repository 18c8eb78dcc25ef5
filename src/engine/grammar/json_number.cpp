// SPDX-License-Identifier: Apache-2.0
// Numbers within bounds, as expressions over their digits: a number lies between two others if,
// from its first digit that differs from a bound's on, it may have any digits.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "engine/grammar/json_schema_values.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/text_set.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int64_t kLargest = 999'999'999'999'999'999;  // of 18 digits
constexpr size_t kSignificantDigits = 16;

Expr digit(int first, int last) {
  Expr e;
  e.kind = Expr::Kind::kBytes;
  for (int d = first; d <= last; ++d) e.bytes.set(static_cast<size_t>('0' + d));
  return e;
}

Expr any_digits(size_t min, size_t max) {
  return repeat(digit(0, 9), static_cast<int64_t>(min), static_cast<int64_t>(max));
}

int digit_at(std::string_view text, size_t i) { return i < text.size() ? text[i] - '0' : 0; }

// Digits from place i on, as many as the bounds have; which bounds the digits before agree with.
Expr equal_length(std::string_view low, std::string_view high, size_t i, bool at_low,
                  bool at_high) {
  const size_t length = low.size();
  if (i == length) return empty();
  if (!at_low && !at_high) return any_digits(length - i, length - i);
  const int first = at_low ? digit_at(low, i) : 0;
  const int last = at_high ? digit_at(high, i) : 9;
  std::vector<Expr> alternatives;
  for (int d = first; d <= last; ++d) {
    const bool low_still = at_low && d == first;
    const bool high_still = at_high && d == last;
    int end = d;
    if (!low_still && !high_still) {
      while (end < last && !(at_high && end + 1 == last)) ++end;
    }
    alternatives.push_back(
        sequence({digit(d, end), equal_length(low, high, i + 1, low_still, high_still)}));
    d = end;
  }
  return choice(std::move(alternatives));
}

// 0 <= low; nothing if high < low.
Expr natural_between(int64_t low, int64_t high) {
  std::vector<Expr> alternatives;
  int64_t first = 0;  // of the numbers with so many digits
  for (int64_t last = 9;; last = last * 10 + 9) {
    const int64_t from = std::max(low, first);
    const int64_t to = std::min(high, last);
    if (from <= to) {
      alternatives.push_back(equal_length(std::to_string(from), std::to_string(to), 0, true, true));
    }
    if (last >= high || last >= kLargest) break;
    first = last + 1;
  }
  return choice(std::move(alternatives));
}

struct Decimal {
  bool negative = false;
  int64_t whole = 0;
  std::string fraction{};
  bool exclusive = false;

  bool is_zero() const { return whole == 0 && fraction.empty(); }
};

Decimal decimal_of(const Bound& bound) {
  std::string text;
  if (bound.value.is_int()) {
    text = std::to_string(bound.value.as_int());
  } else {
    char buffer[400];
    const auto end = std::to_chars(buffer, buffer + sizeof buffer, bound.value.as_double(),
                                   std::chars_format::fixed);
    text.assign(buffer, end.ptr);
  }
  Decimal d;
  d.exclusive = bound.exclusive;
  d.negative = text.starts_with('-');
  if (d.negative) text.erase(0, 1);
  const size_t point = text.find('.');
  d.whole = std::strtoll(text.substr(0, point).c_str(), nullptr, 10);
  if (point != std::string::npos) d.fraction = text.substr(point + 1);
  while (d.fraction.ends_with('0')) d.fraction.pop_back();
  if (d.is_zero()) d.negative = false;
  return d;
}

// What may stand behind the digits before the point: nothing, or a point and digits. `low` and
// `high` are null where those before already decide.
class Fraction {
 public:
  Fraction(const Decimal* low, const Decimal* high, size_t most)
      : low_(low), high_(high), most_(most) {}

  Expr run() const {
    std::vector<Expr> alternatives;
    if (may_end(0, low_ != nullptr, high_ != nullptr)) alternatives.push_back(empty());
    alternatives.push_back(sequence({literal("."), more(0, low_ != nullptr, high_ != nullptr)}));
    return choice(std::move(alternatives));
  }

 private:
  // The zeros that are not written must keep the bounds.
  bool may_end(size_t i, bool at_low, bool at_high) const {
    const bool low_ok = !at_low || (i >= low_->fraction.size() && !low_->exclusive);
    const bool high_ok = !at_high || i < high_->fraction.size() || !high_->exclusive;
    return low_ok && high_ok;
  }

  Expr tail(size_t i, bool at_low, bool at_high) const {
    if (!at_low && !at_high) return any_digits(0, most_ - i);
    if (i == most_) return may_end(i, at_low, at_high) ? empty() : nothing();
    Expr rest = more(i, at_low, at_high);
    return may_end(i, at_low, at_high) ? optional(std::move(rest)) : rest;
  }

  // At least one digit.
  Expr more(size_t i, bool at_low, bool at_high) const {
    if (i >= most_) return nothing();
    if (!at_low && !at_high) return any_digits(1, most_ - i);
    const int first = at_low ? digit_at(low_->fraction, i) : 0;
    const int last = at_high ? digit_at(high_->fraction, i) : 9;
    std::vector<Expr> alternatives;
    const auto add = [&](int from, int to, bool low_still, bool high_still) {
      if (from > to) return;
      alternatives.push_back(sequence({digit(from, to), tail(i + 1, low_still, high_still)}));
    };
    if (at_low && at_high && first == last) {
      add(first, first, true, true);
    } else {
      if (at_low) add(first, first, true, false);
      add(at_low ? first + 1 : first, at_high ? last - 1 : last, false, false);
      if (at_high) add(last, last, false, true);
    }
    return choice(std::move(alternatives));
  }

  const Decimal* low_;
  const Decimal* high_;
  size_t most_;
};

// Numbers that are not negative.
Expr positive_between(const Decimal& low, const std::optional<Decimal>& high) {
  if (high && (high->whole < low.whole)) return nothing();
  size_t most =
      kSignificantDigits -
      std::min(kSignificantDigits - 1, std::to_string(high ? high->whole : low.whole).size());
  most = std::max({most, low.fraction.size(), high ? high->fraction.size() : size_t{0}});
  if (high && high->whole == low.whole) {
    const std::string number = std::to_string(low.whole);
    return sequence({literal(number), Fraction(&low, &*high, most).run()});
  }
  std::vector<Expr> alternatives;
  alternatives.push_back(
      sequence({literal(std::to_string(low.whole)), Fraction(&low, nullptr, most).run()}));
  alternatives.push_back(
      sequence({natural_between(low.whole + 1, high ? high->whole - 1 : kLargest),
                Fraction(nullptr, nullptr, most).run()}));
  if (high) {
    alternatives.push_back(
        sequence({literal(std::to_string(high->whole)), Fraction(nullptr, &*high, most).run()}));
  }
  return choice(std::move(alternatives));
}

Decimal mirrored(Decimal d) {
  d.negative = !d.negative;
  return d;
}

// The least integer that a lower bound allows; `sign` -1 mirrors it for an upper bound.
int64_t nearest_integer(const Bound& bound, int sign) {
  if (bound.value.is_int()) return bound.value.as_int() + (bound.exclusive ? sign : 0);
  const double value = bound.value.as_double();
  const double whole = sign > 0 ? std::ceil(value) : std::floor(value);
  return static_cast<int64_t>(whole) + (bound.exclusive && whole == value ? sign : 0);
}

// The multiples of a number: decimal digits that are one, with as many behind the point as it has
// itself at most.
TextSet multiples_of(const DecimalStep& step, bool integer) {
  // States: the beginning, a sign, a zero that no digit follows, with and without a sign; then for
  // each rest of the digits so far one before the point, and one for each number of digits behind.
  constexpr int64_t kBegin = 0;
  constexpr int64_t kSign = 1;
  constexpr int64_t kZero = 2;
  constexpr int64_t kSignAndZero = 3;
  constexpr int64_t kDigits = 4;
  const int64_t factor = step.factor;
  const int64_t behind = integer ? 0 : step.digits;
  const auto state_of = [&](int64_t rest, int64_t digits_behind) {
    return kDigits + digits_behind * factor + rest;
  };
  // The point itself is a place: digits_behind counts from 1 there.
  const int64_t places = behind > 0 ? behind + 2 : 1;
  std::vector<CodePointSet> classes{{{'-', '-'}}, {{'.', '.'}}};
  for (uint32_t d = '0'; d <= '9'; ++d) classes.push_back({{d, d}});
  const auto next = [&](int64_t state, uint32_t c) -> int64_t {
    if (c == '-') return state == kBegin ? kSign : -1;
    if (c == '.') {
      const bool may = behind > 0 && state != kBegin && state != kSign &&
                       (state < kDigits || state < state_of(0, 1));
      if (!may) return -1;
      return state_of(state < kDigits ? 0 : state - kDigits, 1);
    }
    const int64_t digit = static_cast<int64_t>(c) - '0';
    if (state == kZero || state == kSignAndZero) return -1;
    if (state < kDigits) {
      if (digit == 0) return state == kBegin ? kZero : kSignAndZero;
      return state_of(digit % factor, 0);
    }
    const int64_t place = (state - kDigits) / factor;
    const int64_t rest = ((state - kDigits) % factor * 10 + digit) % factor;
    if (place == 0) return state_of(rest, 0);
    return place + 1 < places ? state_of(rest, place + 1) : -1;
  };
  const auto accepts = [&](int64_t state) {
    if (state == kZero) return true;
    if (state < kDigits) return false;
    const int64_t place = (state - kDigits) / factor;
    if (place == 1) return false;  // a point needs a digit
    int64_t rest = (state - kDigits) % factor;
    for (int64_t i = place == 0 ? 0 : place - 1; i < step.digits; ++i) rest = rest * 10 % factor;
    return rest == 0;
  };
  return TextSet::of_automaton(kDigits + places * factor, classes, next, accepts);
}

// A number of at most 18 digits before the point and 16 behind it, without an exponent.
Expr any_decimal() {
  const Expr whole = choice({digit(0, 0), sequence({digit(1, 9), any_digits(0, 17)})});
  return sequence({optional(literal("-")), whole,
                   optional(sequence({literal("."), any_digits(1, kSignificantDigits)}))});
}

// All ways to write a number without an exponent: 2, 2.0, 2.00.
TextSet writings_of(const Json& number) {
  const Decimal d = decimal_of({number, false});
  const std::string sign = d.is_zero() ? "-?" : d.negative ? "-" : "";
  const std::string digits = std::to_string(d.whole);
  const std::string zeros = d.fraction.empty() ? "(\\.0+)?" : cat("\\.", d.fraction, "0*");
  const Result<TextSet> set = TextSet::of_pattern(cat("^", sign, digits, zeros, "$"), "number");
  MLC_CHECK(set.ok()) << "a number has a few hundred digits at most";
  return *set;
}

}  // namespace

bool is_too_large(const Json& bound) {
  return bound.is_int() ? bound.as_int() > kLargest - 1 || bound.as_int() < -kLargest + 1
                        : !(std::fabs(bound.as_double()) < static_cast<double>(kLargest));
}

Expr integer_between(const std::optional<Bound>& low, const std::optional<Bound>& high) {
  const int64_t first = low ? nearest_integer(*low, 1) : -kLargest;
  const int64_t last = high ? nearest_integer(*high, -1) : kLargest;
  std::vector<Expr> alternatives;
  if (last >= 0 && first <= last) {
    alternatives.push_back(natural_between(std::max<int64_t>(0, first), last));
  }
  if (first < 0 && first <= last) {
    alternatives.push_back(
        sequence({literal("-"), natural_between(std::max<int64_t>(1, -last), -first)}));
  }
  return choice(std::move(alternatives));
}

Expr number_between(const std::optional<Bound>& low, const std::optional<Bound>& high) {
  if (!low && !high) {
    const Expr exponent = sequence({one_of({{'e', 'e'}, {'E', 'E'}}),
                                    optional(one_of({{'+', '+'}, {'-', '-'}})), any_digits(1, 2)});
    return sequence({any_decimal(), optional(exponent)});
  }
  const std::optional<Decimal> from = low ? std::optional(decimal_of(*low)) : std::nullopt;
  const std::optional<Decimal> to = high ? std::optional(decimal_of(*high)) : std::nullopt;
  std::vector<Expr> alternatives;
  if (!to || !to->negative) {
    const Decimal zero;
    alternatives.push_back(positive_between(from && !from->negative ? *from : zero, to));
  }
  if (!from || from->negative) {
    Decimal above_zero;
    above_zero.exclusive = true;
    alternatives.push_back(sequence(
        {literal("-"), positive_between(to && to->negative ? mirrored(*to) : above_zero,
                                        from ? std::optional(mirrored(*from)) : std::nullopt)}));
  }
  return choice(std::move(alternatives));
}

Result<Expr> numbers_of(const NumberLimits& limits, const std::string& where) {
  constexpr int64_t kMostCharacters = 18;
  const auto& [integer, low, high, multiple, excluded, no_integer] = limits;
  if (multiple == nullptr && excluded.empty() && !no_integer) {
    return integer ? integer_between(low, high) : number_between(low, high);
  }
  std::optional<TextSet> set;
  int64_t longest = Expr::kNoLimit;
  if (multiple != nullptr) {
    const std::optional<DecimalStep> step = decimal_step(*multiple);
    if (!step) {
      return user_error(cat(where, "/multipleOf"), cat("is ", multiple->dump()),
                        "a number of few digits: at most 10000 times a power of ten",
                        "leave it out");
    }
    set = multiples_of(*step, integer);
    longest = kMostCharacters;
  }
  if (!set || low || high) {
    const bool any = !low && !high && !integer;
    MLC_ASSIGN_OR_RETURN(const TextSet bounded, TextSet::of(any       ? any_decimal()
                                                            : integer ? integer_between(low, high)
                                                                      : number_between(low, high),
                                                            where));
    MLC_ASSIGN_OR_RETURN(set, set ? set->both(bounded, where) : Result<TextSet>(bounded));
    longest = Expr::kNoLimit;
  }
  for (const Json& value : excluded) {
    if (value.is_float() && is_too_large(value)) continue;  // no number of so few digits
    MLC_ASSIGN_OR_RETURN(set, set->both(writings_of(value).none_of_these(), where));
  }
  if (no_integer) {
    MLC_ASSIGN_OR_RETURN(const TextSet fractions, TextSet::of_pattern("\\.[0-9]*[1-9]", where));
    MLC_ASSIGN_OR_RETURN(set, set->both(fractions, where));
  }
  return set->expression(one_of, 0, longest, where);
}

}  // namespace mlc::engine::grammar
