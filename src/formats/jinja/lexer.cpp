// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/lexer.h"

#include <algorithm>
#include <cstdlib>

#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

bool is_hex_char(char c) {
  return is_ascii_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// "\r\n" and "\r" as "\n"; one newline at the very end is dropped.
std::string normalized(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r') {
      if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
      result += '\n';
    } else {
      result += text[i];
    }
  }
  if (result.ends_with('\n')) result.pop_back();
  return result;
}

class Lexer {
 public:
  Lexer(std::string_view text, Problem& problem) : source_(normalized(text)), problem_(problem) {}

  // False after a failure.
  bool run() {
    text_ = source_;
    while (position_ < text_.size()) {
      if (!root()) return false;
    }
    add(TokenKind::kEnd);
    return true;
  }
  std::vector<Token> take() { return std::move(tokens_); }

 private:
  bool fail(std::string message) {
    problem_ = {"TemplateSyntaxError", std::move(message), line_};
    return false;
  }

  Token& add(TokenKind kind, std::string text = {}) {
    tokens_.push_back({.kind = kind, .text = std::move(text), .line = line_});
    return tokens_.back();
  }

  void advance(size_t to) {
    line_ += static_cast<int>(std::count(text_.begin() + static_cast<int64_t>(position_),
                                         text_.begin() + static_cast<int64_t>(to), '\n'));
    position_ = to;
  }

  size_t skip_spaces(size_t i) const {
    while (i < text_.size()) {
      const Character c = character_at(text_, i);
      if (!is_space(c.code)) break;
      i += c.bytes;
    }
    return i;
  }

  bool has(size_t i, std::string_view what) const { return text_.substr(i).starts_with(what); }

  // The text up to a tag whose opening has this sign and kind.
  std::string_view before_tag(std::string_view data, char sign, bool is_variable) const {
    if (sign == '-') return strip_text(data, nullptr, StripSide::kRight);
    if (sign == '+' || is_variable) return data;
    const size_t newline = data.rfind('\n');
    const size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if (begin == 0 && !line_starting_) return data;
    const std::string_view blanks = data.substr(begin);
    return strip_text(blanks, nullptr, StripSide::kLeft).empty() ? data.substr(0, begin) : data;
  }

  // Behind the end of a tag that is `end` ("%}"), or npos where none is at `i`. Sets `closes_line`.
  size_t after_end(size_t i, std::string_view end, bool trims) const {
    if (has(i, "-") && has(i + 1, end)) return skip_spaces(i + 1 + end.size());
    if (trims && has(i, "+") && has(i + 1, end)) return i + 1 + end.size();
    if (!has(i, end)) return std::string_view::npos;
    i += end.size();
    return trims && has(i, "\n") ? i + 1 : i;
  }

  void pass(size_t to) {
    advance(to);
    line_starting_ = to > 0 && text_[to - 1] == '\n';
  }

  // The end of `{% raw %}` at `i`, or npos where the tag is none.
  size_t raw_begin(size_t i) const {
    i = skip_spaces(i);
    if (!has(i, "raw")) return std::string_view::npos;
    i = skip_spaces(i + 3);
    if (has(i, "-%}")) return skip_spaces(i + 3);
    return has(i, "%}") ? i + 2 : std::string_view::npos;
  }

  // Data, and the tag that follows it.
  bool root() {
    size_t tag = position_;
    while (true) {
      tag = text_.find('{', tag);
      if (tag == std::string_view::npos || tag + 1 >= text_.size()) {
        add(TokenKind::kData, std::string(text_.substr(position_)));
        advance(text_.size());
        return true;
      }
      const char kind = text_[tag + 1];
      if (kind == '{' || kind == '%' || kind == '#') break;
      ++tag;
    }
    const char kind = text_[tag + 1];
    size_t inside = tag + 2;
    char sign = 0;
    if (inside < text_.size() && (text_[inside] == '-' || text_[inside] == '+')) {
      sign = text_[inside++];
    }
    const std::string_view data =
        before_tag(text_.substr(position_, tag - position_), sign, kind == '{');
    if (!data.empty()) add(TokenKind::kData, std::string(data));
    advance(tag);
    if (kind == '#') return comment(inside);
    if (kind == '%') {
      const size_t raw = raw_begin(inside);
      if (raw != std::string_view::npos) return raw_block(raw);
    }
    add(kind == '{' ? TokenKind::kVariableBegin : TokenKind::kBlockBegin);
    pass(inside);
    return kind == '{' ? tag_tokens("}}", TokenKind::kVariableEnd)
                       : tag_tokens("%}", TokenKind::kBlockEnd);
  }

  bool comment(size_t i) {
    // The sign belongs to the opening only if it is not the one before the end: `{#-#}`.
    while (true) {
      const size_t end = text_.find("#}", i);
      if (end == std::string_view::npos) return fail("Missing end of comment tag");
      if (end > i && (text_[end - 1] == '-' || text_[end - 1] == '+')) {
        pass(after_end(end - 1, "#}", true));
      } else {
        pass(after_end(end, "#}", true));
      }
      return true;
    }
  }

  bool raw_block(size_t i) {
    pass(i);
    for (size_t tag = text_.find("{%", i); tag != std::string_view::npos;
         tag = text_.find("{%", tag + 1)) {
      size_t inside = tag + 2;
      char sign = 0;
      if (inside < text_.size() && (text_[inside] == '-' || text_[inside] == '+')) {
        sign = text_[inside++];
      }
      inside = skip_spaces(inside);
      if (!has(inside, "endraw")) continue;
      const size_t end = after_end(skip_spaces(inside + 6), "%}", true);
      if (end == std::string_view::npos) continue;
      const std::string_view data = before_tag(text_.substr(i, tag - i), sign, false);
      if (!data.empty()) add(TokenKind::kData, std::string(data));
      pass(end);
      return true;
    }
    return fail("Missing end of raw directive");
  }

  // What is inside of {{ }} or {% %}.
  bool tag_tokens(std::string_view end, TokenKind end_kind) {
    std::string open;  // closing brackets that are waited for
    while (position_ < text_.size()) {
      const size_t blank_end = skip_spaces(position_);
      if (open.empty()) {
        const size_t after = after_end(position_, end, end_kind == TokenKind::kBlockEnd);
        if (after != std::string_view::npos) {
          add(end_kind);
          pass(after);
          return true;
        }
      }
      if (blank_end != position_) {
        pass(blank_end);
        continue;
      }
      if (!token(open)) return false;
    }
    return true;  // the parser misses the end
  }

  bool token(std::string& open) {
    const char c = text_[position_];
    if (is_ascii_digit(c)) return number();
    if (c == '\'' || c == '"') return string(c);
    const Character first = character_at(text_, position_);
    if (is_word(first.code)) return name();
    static constexpr std::string_view kOperators[] = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (const std::string_view op : kOperators) {
      if (!has(position_, op)) continue;
      if (op == "(") open += ')';
      if (op == "[") open += ']';
      if (op == "{") open += '}';
      if (op == ")" || op == "]" || op == "}") {
        if (open.empty()) return fail(cat("unexpected '", op, "'"));
        if (open.back() != op[0]) {
          return fail(cat("unexpected '", op, "', expected '", open.back(), "'"));
        }
        open.pop_back();
      }
      add(TokenKind::kOperator, std::string(op));
      pass(position_ + op.size());
      return true;
    }
    return fail(cat("unexpected char ", quoted(text_.substr(position_, first.bytes)), " at ",
                    count_characters(text_.substr(0, position_))));
  }

  bool name() {
    size_t i = position_;
    bool is_first = true;
    while (i < text_.size()) {
      const Character c = character_at(text_, i);
      if (!is_word(c.code)) break;
      if (is_first && !is_name_start(c.code)) return fail("Invalid character in identifier");
      is_first = false;
      i += c.bytes;
    }
    add(TokenKind::kName, std::string(text_.substr(position_, i - position_)));
    pass(i);
    return true;
  }

  // Digits with single underscores between, from `i`.
  size_t digits_end(size_t i, bool (*is_one)(char)) const {
    while (i < text_.size() && (is_one(text_[i]) || (text_[i] == '_' && i + 1 < text_.size() &&
                                                     is_one(text_[i + 1])))) {
      ++i;
    }
    return i;
  }

  bool number() {
    const size_t begin = position_;
    const auto letter = [&](size_t i) {
      return i < text_.size() ? static_cast<char>(text_[i] | 0x20) : '\0';
    };
    if (text_[begin] == '0' &&
        (letter(begin + 1) == 'x' || letter(begin + 1) == 'o' || letter(begin + 1) == 'b')) {
      const char kind = letter(begin + 1);
      bool (*const is_one)(char) = kind == 'x'   ? is_hex_char
                                   : kind == 'o' ? [](char c) { return c >= '0' && c <= '7'; }
                                                 : [](char c) { return c == '0' || c == '1'; };
      const size_t end = digits_end(begin + 2, is_one);
      if (end > begin + 2) {
        return integer(begin + 2, end, kind == 'x' ? 16 : kind == 'o' ? 8 : 2);
      }
    }
    size_t end = digits_end(begin, is_ascii_digit);
    bool is_float = false;
    const bool after_dot = begin > 0 && text_[begin - 1] == '.';
    if (!after_dot) {
      if (end + 1 < text_.size() && text_[end] == '.' && is_ascii_digit(text_[end + 1])) {
        is_float = true;
        end = digits_end(end + 1, is_ascii_digit);
      }
      if (letter(end) == 'e') {
        size_t exponent = end + 1;
        if (exponent < text_.size() && (text_[exponent] == '+' || text_[exponent] == '-')) {
          ++exponent;
        }
        if (exponent < text_.size() && is_ascii_digit(text_[exponent])) {
          is_float = true;
          end = digits_end(exponent, is_ascii_digit);
        }
      }
    }
    if (!is_float) {
      // A number other than zero has no zeros before it: they are a number of their own.
      if (text_[begin] == '0') {
        const size_t rest = std::min(text_.find_first_not_of("0_", begin), text_.size());
        if (rest < end) end = text_[rest - 1] == '_' ? rest - 1 : rest;
      }
      return integer(begin, end, 10);
    }
    const std::string digits = replace_all(text_.substr(begin, end - begin), "_", "");
    add(TokenKind::kFloat).number = std::strtod(digits.c_str(), nullptr);
    pass(end);
    return true;
  }

  bool integer(size_t begin, size_t end, int base) {
    int64_t value = 0;
    for (const char c : text_.substr(begin, end - begin)) {
      if (c == '_') continue;
      const int digit = is_ascii_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10;
      if (__builtin_mul_overflow(value, base, &value) ||
          __builtin_add_overflow(value, digit, &value)) {
        return fail("an integer is beyond 64 bits");
      }
    }
    add(TokenKind::kInteger).integer = value;
    pass(end);
    return true;
  }

  bool string(char quote) {
    std::string value;
    size_t i = position_ + 1;
    while (i < text_.size() && text_[i] != quote) {
      if (text_[i] != '\\') {
        value += text_[i++];
        continue;
      }
      if (i + 1 >= text_.size()) break;
      if (!escape(i, value)) return false;
    }
    if (i >= text_.size()) {
      return fail(cat("unexpected char ", quoted(std::string_view(&quote, 1)), " at ",
                      count_characters(text_.substr(0, position_))));
    }
    add(TokenKind::kString, std::move(value));
    pass(i + 1);
    return true;
  }

  // Python's escapes; `i` is at the backslash and moves behind.
  bool escape(size_t& i, std::string& value) {
    const char c = text_[i + 1];
    i += 2;
    static constexpr std::string_view kLetters = "\\'\"abfnrtv";
    static constexpr std::string_view kValues = "\\'\"\a\b\f\n\r\t\v";
    const size_t letter = kLetters.find(c);
    if (letter != std::string_view::npos) {
      value += kValues[letter];
      return true;
    }
    if (c == '\n') return true;
    if (c >= '0' && c <= '7') {
      uint32_t code = 0;
      --i;
      for (int k = 0; k < 3 && i < text_.size() && text_[i] >= '0' && text_[i] <= '7'; ++k) {
        code = code * 8 + static_cast<uint32_t>(text_[i++] - '0');
      }
      append_character(value, code);
      return true;
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      std::optional<uint32_t> code = hex_code(i, digits);
      if (!code) return fail(cat("truncated \\", c, " escape"));
      i += digits;
      // Two halves of a pair are one character.
      if (*code >= 0xD800 && *code < 0xDC00 && c == 'u' && has(i, "\\u")) {
        const std::optional<uint32_t> low = hex_code(i + 2, 4);
        if (low && *low >= 0xDC00 && *low < 0xE000) {
          code = 0x10000 + ((*code - 0xD800) << 10) + (*low - 0xDC00);
          i += 6;
        }
      }
      if (*code > 0x10FFFF || (*code >= 0xD800 && *code < 0xE000)) {
        return fail("illegal Unicode character");
      }
      append_character(value, *code);
      return true;
    }
    if (c == 'N') return fail("names of characters (\\N) are not supported");
    value += '\\';  // no escape
    value += c;
    return true;
  }

  std::optional<uint32_t> hex_code(size_t i, size_t digits) const {
    if (i + digits > text_.size()) return std::nullopt;
    uint32_t code = 0;
    for (const char c : text_.substr(i, digits)) {
      if (!is_hex_char(c)) return std::nullopt;
      code = code * 16 + static_cast<uint32_t>(is_ascii_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
  }

  std::string source_;
  std::string_view text_;
  Problem& problem_;
  std::vector<Token> tokens_;
  size_t position_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
};

}  // namespace

std::optional<std::vector<Token>> tokenize(std::string_view text, Problem& problem) {
  Lexer lexer(text, problem);
  if (!lexer.run()) return std::nullopt;
  return lexer.take();
}

}  // namespace mlc::jinja
