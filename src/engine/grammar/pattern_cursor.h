// SPDX-License-Identifier: Apache-2.0
// Reads a pattern code point by code point, and what EBNF and regular expressions have in common:
// escapes that name a code point, and repetition counts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/expression.h"
#include "support/error.h"
#include "support/strings.h"

namespace mlc::engine::grammar {

constexpr int kDeepestNesting = 200;

class PatternCursor {
 public:
  PatternCursor(std::string_view text, const std::string& where)
      : points_(code_points_of(text)), where_(where) {}

  bool done() const { return at_ == points_.size(); }
  // The code point that is `ahead` of the next one; 0 behind the end.
  uint32_t peek(size_t ahead = 0) const {
    return at_ + ahead < points_.size() ? points_[at_ + ahead] : 0;
  }
  uint32_t take() { return points_[at_++]; }
  bool take_if(char c) {
    if (done() || peek() != static_cast<uint32_t>(c)) return false;
    ++at_;
    return true;
  }
  size_t place() const { return at_; }
  void go_back(size_t place) { at_ = place; }

  // The line and column of the next character, from 1.
  Error error(std::string found, std::string expected = {}, std::string remedy = {}) const {
    size_t line = 1;
    size_t column = 1;
    for (size_t i = 0; i < at_; ++i) {
      column = points_[i] == '\n' ? 1 : column + 1;
      line += points_[i] == '\n' ? 1 : 0;
    }
    return user_error(cat(where_, ", line ", line, ", column ", column), std::move(found),
                      std::move(expected), std::move(remedy));
  }

  // `digits` hexadecimal digits.
  Result<uint32_t> hex_digits(int digits) {
    uint32_t value = 0;
    for (int i = 0; i < digits; ++i) {
      const uint32_t c = peek();
      const bool decimal = c >= '0' && c <= '9';
      const bool letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
      if (!decimal && !letter) return error("has a bad escape", cat(digits, " hexadecimal digits"));
      value = value * 16 + (decimal ? c - '0' : (c | 0x20) - 'a' + 10);
      take();
    }
    return value;
  }

  // After a backslash: the code point of \n \r \t \xHH \uHHHH \UHHHHHHHH, or nothing, and nothing
  // is taken.
  Result<std::optional<uint32_t>> common_escape() {
    const uint32_t c = peek();
    const auto after = [&](uint32_t value) {
      take();
      return std::optional<uint32_t>(value);
    };
    if (c == 'n') return after('\n');
    if (c == 'r') return after('\r');
    if (c == 't') return after('\t');
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0 || done()) return std::optional<uint32_t>();
    take();
    MLC_ASSIGN_OR_RETURN(const uint32_t value, hex_digits(digits));
    if (value > kLastCodePoint || (value >= 0xD800 && value <= 0xDFFF)) {
      return error("has an escape of a value that is no character");
    }
    return std::optional<uint32_t>(value);
  }

  std::optional<int64_t> number() {
    const size_t first = at_;
    int64_t value = 0;
    while (peek() >= '0' && peek() <= '9' && value < 10'000'000) value = value * 10 + take() - '0';
    if (at_ == first) return {};
    return value;
  }

  // {m}, {m,} or {m,n} around `child`; nothing, and nothing is taken, where there is none.
  Result<std::optional<Expr>> counts(const Expr& child) {
    const size_t first = at_;
    const auto absent = [&] {
      at_ = first;
      return std::optional<Expr>();
    };
    if (!take_if('{')) return absent();
    const std::optional<int64_t> min = number();
    if (!min) return absent();
    int64_t max = *min;
    if (take_if(',')) {
      const std::optional<int64_t> bound = number();
      max = bound ? *bound : Expr::kNoLimit;
    }
    if (!take_if('}')) return absent();
    if (max != Expr::kNoLimit && max < *min) {
      return error("has a repetition whose maximum is below its minimum");
    }
    return std::optional<Expr>(repeat(child, *min, max));
  }

 private:
  std::vector<uint32_t> points_;
  const std::string& where_;
  size_t at_ = 0;
};

// Alternatives with | between them, each read by `read_sequence`.
template <class ReadSequence>
Result<Expr> read_alternatives(PatternCursor& cursor, int depth, ReadSequence read_sequence) {
  if (depth > kDeepestNesting) {
    return cursor.error("is nested too deeply", cat("at most ", kDeepestNesting, " levels"));
  }
  std::vector<Expr> alternatives;
  do {
    MLC_ASSIGN_OR_RETURN(Expr alternative, read_sequence());
    alternatives.push_back(std::move(alternative));
  } while (cursor.take_if('|'));
  return choice(std::move(alternatives));
}

}  // namespace mlc::engine::grammar
