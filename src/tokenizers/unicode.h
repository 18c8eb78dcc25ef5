// SPDX-License-Identifier: Apache-2.0
// Code points: UTF-8, classes of characters, normalization forms, letter case. utf8proc's tables
// stay behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlc::tokenizers {

// SentencePiece's mark of a blank: U+2581.
constexpr std::string_view kBlankSymbol = "\xe2\x96\x81";

// Bytes that a valid character takes, from its first byte.
inline size_t utf8_length(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
}
// The character at text[offset] of valid UTF-8; moves the offset behind it.
inline char32_t next_code_point(std::string_view text, size_t& offset) {
  const auto byte = [&](size_t i) {
    return static_cast<char32_t>(static_cast<unsigned char>(text[offset + i]));
  };
  const char32_t first = byte(0);
  if (first < 0x80) {
    offset += 1;
    return first;
  }
  char32_t point;
  if (first < 0xe0) {
    point = ((first & 0x1f) << 6) | (byte(1) & 0x3f);
    offset += 2;
  } else if (first < 0xf0) {
    point = ((first & 0x0f) << 12) | ((byte(1) & 0x3f) << 6) | (byte(2) & 0x3f);
    offset += 3;
  } else {
    point = ((first & 0x07) << 18) | ((byte(1) & 0x3f) << 12) | ((byte(2) & 0x3f) << 6) |
            (byte(3) & 0x3f);
    offset += 4;
  }
  return point;
}
// Offset of the character that ends before `offset` (> 0).
size_t previous_offset(std::string_view text, size_t offset);
size_t count_code_points(std::string_view text);
void append_utf8(std::string& text, char32_t point);

bool is_ascii(std::string_view text);
bool is_valid_utf8(std::string_view text);
// Appends bytes as text: each maximal bad part becomes one U+FFFD (as Python's "replace" and Rust's
// from_utf8_lossy).
void append_lossy_utf8(std::string& text, std::string_view bytes);
// How many bytes at the end begin a character that more bytes could complete: 0 to 3.
size_t unfinished_bytes(std::string_view bytes);

// As in Rust's std and the crates that the tokenizers package uses.
bool is_whitespace(char32_t point);   // White_Space
bool is_numeric(char32_t point);      // Nd, Nl, No
bool is_punctuation(char32_t point);  // P* and ASCII's symbols
bool is_other(char32_t point);        // C*
bool is_mark(char32_t point);         // M*
bool is_nonspacing_mark(char32_t point);
bool is_word(char32_t point);  // \w of a regular expression: letters, marks, digits, connectors
void append_lowercase(std::string& text, char32_t point);

// Characters of a general category ("Lu") or group ("L") that the regular expressions of the
// tokenizers package know and PCRE2 10.42 does not: contents of a class, as
// "\x{1c89}\x{a7cb}-\x{a7cd}".
std::string newer_characters(std::string_view category);
// True if the text has a character of any such category.
bool has_newer_characters(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
// Appends the normal form of valid UTF-8.
void append_normalized(std::string& result, std::string_view text, NormalForm form);
// True if a look at the bytes tells that the text is in this form already.
bool is_surely_normalized(std::string_view text, NormalForm form);

// The end of the extended grapheme cluster that begins at `offset` (< size) of valid UTF-8.
size_t grapheme_end(std::string_view text, size_t offset);

}  // namespace mlc::tokenizers
