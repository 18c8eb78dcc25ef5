// SPDX-License-Identifier: Apache-2.0
// What Python's str knows of characters: text is UTF-8, positions are code points. A byte that
// belongs to no valid sequence counts as one character and is kept as it is.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mlc::jinja {

// The character at `offset`, which must be inside of the text, and its bytes. Bytes of no valid
// sequence give 0xDC00 + byte, as Python's surrogateescape does.
struct Character {
  uint32_t code;
  size_t bytes;
};
Character character_at(std::string_view text, size_t offset);
void append_character(std::string& text, uint32_t code);

bool is_ascii(std::string_view text);
inline bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
int64_t count_characters(std::string_view text);
// The byte at which each character begins, and the text's length at the end.
std::vector<size_t> character_offsets(std::string_view text);

bool is_space(uint32_t code);
bool is_line_end(uint32_t code);
bool is_printable(uint32_t code);
bool is_alpha(uint32_t code);
bool is_decimal(uint32_t code);  // decimal digits of any script
bool is_digit(uint32_t code);    // also superscripts and the like
bool is_numeric(uint32_t code);  // also fractions
bool is_word(uint32_t code);     // \w of Python's re
bool is_upper(uint32_t code);
bool is_lower(uint32_t code);
bool is_title(uint32_t code);
bool is_name_start(uint32_t code);

std::string lower_text(std::string_view text);
std::string lower_character(std::string_view text, size_t offset);  // of one, with its neighbours
std::string upper_text(std::string_view text);
std::string title_character(uint32_t code);  // of one character; may be several
std::string casefold_text(std::string_view text);

// Text without the characters of `characters` at its ends; blanks of any script where it is null.
enum class StripSide : uint8_t { kBoth, kLeft, kRight };
std::string_view strip_text(std::string_view text, const std::string_view* characters,
                            StripSide side);
// As str.splitlines().
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

// repr(str): quoted, with escapes for what can't be printed.
std::string quoted(std::string_view text);

}  // namespace mlc::jinja
