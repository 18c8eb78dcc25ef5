// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/unicode.h"

#include <utf8proc.h>

#include <algorithm>

#include "support/strings.h"

namespace mlc::jinja {
namespace {

constexpr uint32_t kEscapedByte = 0xDC00;

utf8proc_category_t category(uint32_t code) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(code));
}

// Characters whose upper case is longer than one character (SpecialCasing.txt, those of Latin).
struct LongUpper {
  uint32_t code;
  const char* upper;
  const char* title;
};
constexpr LongUpper kLongUpper[] = {
    {0xDF, "SS", "Ss"},     {0x149, "\u02BCN", "\u02BCN"}, {0x1F0, "J\u030C", "J\u030C"},
    {0xFB00, "FF", "Ff"},   {0xFB01, "FI", "Fi"},          {0xFB02, "FL", "Fl"},
    {0xFB03, "FFI", "Ffi"}, {0xFB04, "FFL", "Ffl"},        {0xFB05, "ST", "St"},
    {0xFB06, "ST", "St"},
};

const LongUpper* find_long_upper(uint32_t code) {
  for (const LongUpper& entry : kLongUpper) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

template <class Function>
void for_each_character(std::string_view text, const Function& function) {
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    function(c, text.substr(i, c.bytes));
    i += c.bytes;
  }
}

bool is_cased(uint32_t code) { return is_upper(code) || is_lower(code) || is_title(code); }

// Characters that stand between a letter and a sigma without parting them.
bool is_case_ignored(uint32_t code) {
  const utf8proc_category_t c = category(code);
  return c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || c == UTF8PROC_CATEGORY_CF ||
         c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_SK || code == '\'' || code == '.' ||
         code == ':' || code == 0xB7 || code == 0x2019;
}

// The bytes of the character that ends before `end`.
size_t bytes_before(std::string_view text, size_t end) {
  for (size_t bytes = std::min<size_t>(4, end); bytes > 1; --bytes) {
    if (character_at(text, end - bytes).bytes == bytes) return bytes;
  }
  return 1;
}

bool letter_precedes(std::string_view text, size_t end) {
  while (end > 0) {
    end -= bytes_before(text, end);
    const Character c = character_at(text, end);
    if (!is_case_ignored(c.code)) return is_cased(c.code);
  }
  return false;
}

bool letter_follows(std::string_view text, size_t offset) {
  while (offset < text.size()) {
    const Character c = character_at(text, offset);
    if (!is_case_ignored(c.code)) return is_cased(c.code);
    offset += c.bytes;
  }
  return false;
}

}  // namespace

Character character_at(std::string_view text, size_t offset) {
  const auto first = static_cast<unsigned char>(text[offset]);
  if (first < 0x80) return {first, 1};
  const int length = utf8_sequence_length(text, offset);
  if (length == 0) return {kEscapedByte + first, 1};
  uint32_t code = first & (0x7Fu >> length);
  for (int i = 1; i < length; ++i) {
    code = code << 6 | (static_cast<unsigned char>(text[offset + static_cast<size_t>(i)]) & 0x3Fu);
  }
  return {code, static_cast<size_t>(length)};
}

void append_character(std::string& text, uint32_t code) {
  const auto add = [&](uint32_t byte) { text += static_cast<char>(byte); };
  if (code < 0x80) {
    add(code);
  } else if (code < 0x800) {
    add(0xC0 | code >> 6);
    add(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    add(0xE0 | code >> 12);
    add(0x80 | (code >> 6 & 0x3F));
    add(0x80 | (code & 0x3F));
  } else {
    add(0xF0 | code >> 18);
    add(0x80 | (code >> 12 & 0x3F));
    add(0x80 | (code >> 6 & 0x3F));
    add(0x80 | (code & 0x3F));
  }
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

int64_t count_characters(std::string_view text) {
  int64_t count = 0;
  for_each_character(text, [&](Character, std::string_view) { ++count; });
  return count;
}

std::vector<size_t> character_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  for (size_t i = 0; i < text.size(); i += character_at(text, i).bytes) offsets.push_back(i);
  offsets.push_back(text.size());
  return offsets;
}

bool is_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

bool is_line_end(uint32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 ||
         c == 0x2029;
}

bool is_printable(uint32_t code) {
  if (code == ' ') return true;
  switch (category(code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_alpha(uint32_t code) {
  const utf8proc_category_t c = category(code);
  return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT ||
         c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_LO;
}

bool is_decimal(uint32_t code) { return category(code) == UTF8PROC_CATEGORY_ND; }

bool is_digit(uint32_t c) {
  return is_decimal(c) || c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 ||
         (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089) ||
         (c >= 0x2460 && c <= 0x2468) || (c >= 0x2474 && c <= 0x247C) ||
         (c >= 0x2488 && c <= 0x2490) || (c >= 0x24F5 && c <= 0x24FD) ||
         (c >= 0x2776 && c <= 0x277E) || (c >= 0x2780 && c <= 0x2788) ||
         (c >= 0x278A && c <= 0x2792);
}

bool is_numeric(uint32_t c) {
  const utf8proc_category_t kind = category(c);
  return kind == UTF8PROC_CATEGORY_ND || kind == UTF8PROC_CATEGORY_NL ||
         kind == UTF8PROC_CATEGORY_NO;
}

bool is_word(uint32_t c) { return c == '_' || is_alpha(c) || is_numeric(c); }

bool is_upper(uint32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LU || (c >= 0x2160 && c <= 0x216F) ||
         (c >= 0x24B6 && c <= 0x24CF);
}

bool is_lower(uint32_t c) {
  return category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA ||
         (c >= 0x2B0 && c <= 0x2B8) || (c >= 0x2170 && c <= 0x217F) || (c >= 0x24D0 && c <= 0x24E9);
}

bool is_title(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_name_start(uint32_t c) {
  return c == '_' || is_alpha(c) || category(c) == UTF8PROC_CATEGORY_NL;
}

std::string lower_character(std::string_view text, size_t offset) {
  const Character c = character_at(text, offset);
  std::string result;
  if (c.bytes == 1 && c.code >= kEscapedByte) {
    result = text.substr(offset, 1);
  } else if (c.code == 0x3A3) {  // of the two small sigmas one ends words
    const bool ends_word = letter_precedes(text, offset) && !letter_follows(text, offset + c.bytes);
    append_character(result, ends_word ? 0x3C2 : 0x3C3);
  } else if (c.code == 0x130) {
    result = "i\u0307";
  } else {
    append_character(
        result, static_cast<uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c.code))));
  }
  return result;
}

std::string lower_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (size_t i = 0; i < text.size(); i += character_at(text, i).bytes) {
    result += lower_character(text, i);
  }
  return result;
}

std::string upper_text(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for_each_character(text, [&](Character c, std::string_view bytes) {
    if (c.bytes == 1 && c.code >= kEscapedByte) {
      result += bytes;
    } else if (const LongUpper* entry = find_long_upper(c.code)) {
      result += entry->upper;
    } else {
      append_character(
          result, static_cast<uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c.code))));
    }
  });
  return result;
}

std::string title_character(uint32_t code) {
  std::string result;
  if (const LongUpper* entry = find_long_upper(code)) return entry->title;
  append_character(result,
                   static_cast<uint32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(code))));
  return result;
}

std::string casefold_text(std::string_view text) {
  std::string result;
  for_each_character(text, [&](Character c, std::string_view bytes) {
    if (c.code >= kEscapedByte && c.bytes == 1) {
      result += bytes;
      return;
    }
    utf8proc_int32_t folded[8];
    int boundary = 0;
    const utf8proc_ssize_t count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c.code),
                                                           folded, 8, UTF8PROC_CASEFOLD, &boundary);
    if (count < 0 || count > 8) {
      result += bytes;
      return;
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
      append_character(result, static_cast<uint32_t>(folded[i]));
    }
  });
  return result;
}

std::string_view strip_text(std::string_view text, const std::string_view* characters,
                            StripSide side) {
  std::vector<uint32_t> set;
  if (characters != nullptr) {
    for_each_character(*characters, [&](Character c, std::string_view) { set.push_back(c.code); });
  }
  const auto drops = [&](uint32_t code) {
    if (characters == nullptr) return is_space(code);
    return std::find(set.begin(), set.end(), code) != set.end();
  };
  size_t begin = 0;
  size_t end = text.size();
  if (side != StripSide::kRight) {
    while (begin < end) {
      const Character c = character_at(text, begin);
      if (!drops(c.code)) break;
      begin += c.bytes;
    }
  }
  if (side != StripSide::kLeft) {
    while (end > begin) {
      const size_t start = end - bytes_before(text.substr(begin), end - begin);
      if (!drops(character_at(text, start).code)) break;
      end = start;
    }
  }
  return text.substr(begin, end - begin);
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    size_t next = i + c.bytes;
    if (is_line_end(c.code)) {
      if (c.code == '\r' && next < text.size() && text[next] == '\n') ++next;
      lines.push_back(text.substr(begin, (keep_ends ? next : i) - begin));
      begin = next;
    }
    i = next;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string quoted(std::string_view text) {
  const bool double_quotes =
      text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = double_quotes ? '"' : '\'';
  std::string result(1, quote);
  for_each_character(text, [&](Character c, std::string_view bytes) {
    if (c.code == static_cast<uint32_t>(quote) || c.code == '\\') {
      result += '\\';
      result += bytes;
    } else if (c.code == '\n') {
      result += "\\n";
    } else if (c.code == '\r') {
      result += "\\r";
    } else if (c.code == '\t') {
      result += "\\t";
    } else if (is_printable(c.code)) {
      result += bytes;
    } else if (c.code < 0x100) {
      result += "\\x" + hex(c.code, 2);
    } else if (c.code < 0x10000) {
      result += "\\u" + hex(c.code, 4);
    } else {
      result += "\\U" + hex(c.code, 8);
    }
  });
  return result + quote;
}

}  // namespace mlc::jinja
