// SPDX-License-Identifier: Apache-2.0
#include "support/json_cursor.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "support/strings.h"

namespace mlc {

namespace {

constexpr uint64_t kOnes = 0x0101010101010101;
constexpr uint64_t kHighs = 0x8080808080808080;

// The high bit of each byte that is zero; a byte above a zero one may be marked too, the lowest
// mark is right.
uint64_t zero_bytes(uint64_t word) { return (word - kOnes) & ~word & kHighs; }

// The high bit of each byte that is zero, and of no other.
uint64_t exact_zero_bytes(uint64_t word) {
  return ~(((word & ~kHighs) + ~kHighs) | word | ~kHighs);
}

uint64_t load_word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void append_code_point(std::string& text, uint32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point);
  } else if (point < 0x800) {
    text += static_cast<char>(0xc0 | (point >> 6));
    text += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    text += static_cast<char>(0xe0 | (point >> 12));
    text += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    text += static_cast<char>(0xf0 | (point >> 18));
    text += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    text += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    text += static_cast<char>(0x80 | (point & 0x3f));
  }
}

bool is_valid_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    if (static_cast<unsigned char>(text[i]) < 0x80) {
      ++i;
      continue;
    }
    const int length = utf8_sequence_length(text, i);
    if (length == 0) return false;
    i += static_cast<size_t>(length);
  }
  return true;
}

}  // namespace

bool JsonCursor::fail(std::string found, std::string expected, std::string remedy) {
  if (failed_) return false;
  failed_ = true;
  const std::string_view before(begin_, offset());
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const size_t newline = before.rfind('\n');
  const size_t column = before.size() - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
  error_ = user_error(cat(where_, ":", line, ":", column), std::move(found), std::move(expected),
                      std::move(remedy));
  at_ = end_;
  return false;
}

// Indented files are half blanks: 8 bytes at a time.
void JsonCursor::skip_blanks() {
  const char* at = at_;
  if (at < end_ && static_cast<unsigned char>(*at) > ' ') return;
  while (end_ - at >= 8 && std::endian::native == std::endian::little) {
    const uint64_t word = load_word(at);
    const uint64_t blanks =
        exact_zero_bytes(word ^ (kOnes * ' ')) | exact_zero_bytes(word ^ (kOnes * '\n')) |
        exact_zero_bytes(word ^ (kOnes * '\r')) | exact_zero_bytes(word ^ (kOnes * '\t'));
    if (blanks != kHighs) {
      at_ = at + std::countr_zero(blanks ^ kHighs) / 8;
      return;
    }
    at += 8;
  }
  while (at < end_ && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) ++at;
  at_ = at;
}

JsonCursor::Kind JsonCursor::peek() {
  skip_blanks();
  if (at_ == end_) return Kind::kNone;
  switch (*at_) {
    case '{':
      return Kind::kObject;
    case '[':
      return Kind::kArray;
    case '"':
      return Kind::kString;
    case 't':
    case 'f':
      return Kind::kBool;
    case 'n':
      return Kind::kNull;
    case '-':
      return Kind::kNumber;
    default:
      return *at_ >= '0' && *at_ <= '9' ? Kind::kNumber : Kind::kNone;
  }
}

bool JsonCursor::wrong_kind(std::string_view expected) {
  const char* found = "the end of the file";
  switch (peek()) {
    case Kind::kObject:
      found = "an object";
      break;
    case Kind::kArray:
      found = "a list";
      break;
    case Kind::kString:
      found = "a string";
      break;
    case Kind::kNumber:
      found = "a number";
      break;
    case Kind::kBool:
      found = "a boolean";
      break;
    case Kind::kNull:
      found = "null";
      break;
    case Kind::kNone:
      if (at_ < end_) found = "no JSON value";
      break;
  }
  return fail(cat("is ", found), std::string(expected));
}

bool JsonCursor::enter_object() {
  if (failed_) return false;
  if (peek() != Kind::kObject) return wrong_kind("an object");
  ++at_;
  first_ = true;
  return true;
}

bool JsonCursor::enter_array() {
  if (failed_) return false;
  if (peek() != Kind::kArray) return wrong_kind("a list");
  ++at_;
  first_ = true;
  return true;
}

bool JsonCursor::next(char close) {
  if (failed_) return false;
  skip_blanks();
  if (at_ == end_) return fail("is not valid JSON: ends inside an object or a list");
  const bool first = first_;
  first_ = false;
  if (*at_ == close) {
    ++at_;
    return false;
  }
  if (first) return true;
  if (*at_ != ',') return fail("is not valid JSON", cat("',' or '", close, "'"));
  ++at_;
  skip_blanks();
  return true;
}

bool JsonCursor::next_member(std::string_view* key) {
  if (!next('}')) return false;
  if (at_ == end_ || *at_ != '"') return fail("is not valid JSON", "the name of a member");
  if (!read_string_body(key)) return false;
  skip_blanks();
  if (at_ == end_ || *at_ != ':') return fail("is not valid JSON", "':'");
  ++at_;
  return true;
}

bool JsonCursor::next_element() { return next(']'); }

bool JsonCursor::read_string(std::string_view* value) {
  if (failed_) return false;
  if (peek() != Kind::kString) return wrong_kind("a string");
  return read_string_body(value);
}

bool JsonCursor::read_string_body(std::string_view* value) {
  const char* const start = ++at_;
  const char* at = start;
  uint64_t seen = 0;  // its high bits tell whether there is anything but ASCII
  while (true) {
    if (end_ - at >= 8 && std::endian::native == std::endian::little) {
      const uint64_t word = load_word(at);
      const uint64_t stops = zero_bytes(word ^ (kOnes * '"')) | zero_bytes(word ^ (kOnes * '\\')) |
                             zero_bytes(word & (kOnes * 0xe0));
      if (stops == 0) {
        seen |= word;
        at += 8;
        continue;
      }
      const int bits = std::countr_zero(stops) & ~7;
      if (bits > 0) seen |= word & (~uint64_t{0} >> (64 - bits));
      at += bits / 8;
    }
    if (at == end_) {
      at_ = start;
      return fail("is not valid JSON: a string has no end");
    }
    const char c = *at;
    if (c == '"' || c == '\\') break;
    if (static_cast<unsigned char>(c) < 0x20) {
      at_ = at;
      return fail("is not valid JSON: a control character in a string");
    }
    seen |= static_cast<unsigned char>(c);
    ++at;
  }
  if (*at == '\\') return read_escaped(at, value);
  *value = std::string_view(start, static_cast<size_t>(at - start));
  if ((seen & kHighs) != 0 && !is_valid_utf8(*value)) return fail("has a string that is no UTF-8");
  at_ = at + 1;
  return true;
}

// From the first escape on; at_ stands at the string's first character.
bool JsonCursor::read_escaped(const char* plain_end, std::string_view* value) {
  unescaped_.assign(at_, plain_end);
  const char* at = plain_end;
  const auto unit = [&]() -> std::optional<uint32_t> {  // behind "\u"
    if (end_ - at < 4) return std::nullopt;
    uint32_t code = 0;
    for (int i = 0; i < 4; ++i) {
      const int digit = hex_digit(*at++);
      if (digit < 0) return std::nullopt;
      code = code * 16 + static_cast<uint32_t>(digit);
    }
    return code;
  };
  while (true) {
    const char* const run = at;
    while (at < end_ && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
    unescaped_.append(run, at);
    if (at == end_) return fail("is not valid JSON: a string has no end");
    if (*at == '"') break;
    if (*at != '\\') {
      at_ = at;
      return fail("is not valid JSON: a control character in a string");
    }
    at_ = at;  // for messages
    if (end_ - ++at < 1) return fail("is not valid JSON: a string has no end");
    switch (*at++) {
      case '"':
        unescaped_ += '"';
        break;
      case '\\':
        unescaped_ += '\\';
        break;
      case '/':
        unescaped_ += '/';
        break;
      case 'b':
        unescaped_ += '\b';
        break;
      case 'f':
        unescaped_ += '\f';
        break;
      case 'n':
        unescaped_ += '\n';
        break;
      case 'r':
        unescaped_ += '\r';
        break;
      case 't':
        unescaped_ += '\t';
        break;
      case 'u': {
        std::optional<uint32_t> code = unit();
        if (!code) return fail("is not valid JSON: a bad escape in a string");
        if (*code >= 0xd800 && *code < 0xdc00 && end_ - at >= 2 && at[0] == '\\' && at[1] == 'u') {
          at += 2;
          const std::optional<uint32_t> low = unit();
          if (!low || *low < 0xdc00 || *low >= 0xe000) {
            return fail("is not valid JSON: half of a surrogate pair in a string");
          }
          code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
        } else if (*code >= 0xd800 && *code < 0xe000) {
          return fail("is not valid JSON: half of a surrogate pair in a string");
        }
        append_code_point(unescaped_, *code);
        break;
      }
      default:
        return fail("is not valid JSON: a bad escape in a string");
    }
  }
  if (!is_valid_utf8(unescaped_)) return fail("has a string that is no UTF-8");
  *value = unescaped_;
  at_ = at + 1;
  return true;
}

std::string_view JsonCursor::number_text() {
  const char* at = at_;
  while (at < end_ && ((*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == '.' ||
                       *at == 'e' || *at == 'E')) {
    ++at;
  }
  return {at_, static_cast<size_t>(at - at_)};
}

bool JsonCursor::read_int(int64_t* value) {
  if (failed_) return false;
  if (peek() != Kind::kNumber) return wrong_kind("an integer");
  const std::string_view text = number_text();
  if (text.size() <= 9 && text[0] != '-') {  // ids: nearly all integers of large files
    int64_t sum = 0;
    bool digits = true;
    for (const char c : text) {
      digits &= c >= '0' && c <= '9';
      sum = sum * 10 + (c - '0');
    }
    if (digits) {
      *value = sum;
      at_ += text.size();
      return true;
    }
  }
  const std::optional<int64_t> parsed = parse_int64(text);
  if (!parsed) return fail(cat("is ", text), "an integer of 64 bits");
  *value = *parsed;
  at_ += text.size();
  return true;
}

bool JsonCursor::read_number(std::string_view* text) {
  if (failed_) return false;
  if (peek() != Kind::kNumber) return wrong_kind("a number");
  *text = number_text();
  if (!parse_double(*text)) return fail(cat("is ", *text), "a number");
  at_ += text->size();
  return true;
}

bool JsonCursor::read_double(double* value) {
  std::string_view text;
  if (!read_number(&text)) return false;
  *value = *parse_double(text);
  return true;
}

bool JsonCursor::literal(std::string_view word) {
  if (!std::string_view(at_, static_cast<size_t>(end_ - at_)).starts_with(word)) {
    return fail("is not valid JSON", std::string(word));
  }
  at_ += word.size();
  return true;
}

bool JsonCursor::read_bool(bool* value) {
  if (failed_) return false;
  if (peek() != Kind::kBool) return wrong_kind("a boolean");
  *value = *at_ == 't';
  return literal(*value ? "true" : "false");
}

bool JsonCursor::read_null() {
  if (failed_) return false;
  if (peek() != Kind::kNull) return wrong_kind("null");
  return literal("null");
}

std::string_view JsonCursor::skip() {
  if (failed_) return {};
  skip_blanks();
  const char* const start = at_;
  size_t depth = 0;
  do {
    if (failed_) return {};
    switch (peek()) {
      case Kind::kObject:
      case Kind::kArray:
        ++depth;
        ++at_;
        break;
      case Kind::kString: {
        std::string_view ignored;
        read_string_body(&ignored);
        break;
      }
      case Kind::kNumber:
        at_ += number_text().size();
        break;
      case Kind::kBool:
        literal(*at_ == 't' ? "true" : "false");
        break;
      case Kind::kNull:
        literal("null");
        break;
      case Kind::kNone:
        // What stands between the values of a skipped container is not checked.
        if (at_ < end_ && depth > 0 && (*at_ == '}' || *at_ == ']')) {
          --depth;
          ++at_;
        } else if (at_ < end_ && depth > 0 && (*at_ == ',' || *at_ == ':')) {
          ++at_;
        } else {
          wrong_kind("a value");
        }
    }
  } while (depth > 0);
  first_ = false;
  return {start, static_cast<size_t>(at_ - start)};
}

bool JsonCursor::finish() {
  if (failed_) return false;
  skip_blanks();
  if (at_ != end_) return fail("is not valid JSON: has more text behind its value");
  return true;
}

}  // namespace mlc
