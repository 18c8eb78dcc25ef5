// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "support/strings.h"

namespace mlc::tokenizers {

namespace {

struct Range {
  char32_t first, last;
};
struct NewCharacters {
  char32_t first, last;
  const char* category;
};
#include "tokenizers/unicode_exceptions.inc"

template <size_t count>
bool is_in(char32_t point, const Range (&ranges)[count]) {
  const Range* const end = ranges + count;
  const Range* const at = std::lower_bound(
      ranges, end, point, [](const Range& range, char32_t value) { return range.last < value; });
  return at != end && at->first <= point;
}

utf8proc_category_t category(char32_t point) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(point));
}

bool in_categories(char32_t point, utf8proc_category_t first, utf8proc_category_t last) {
  const utf8proc_category_t found = category(point);
  return found >= first && found <= last;
}

uint64_t load_word(const char* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The first byte above 0x7f at or behind `offset`.
size_t skip_ascii(std::string_view text, size_t offset) {
  while (offset + 8 <= text.size() && (load_word(text.data() + offset) & 0x8080808080808080) == 0) {
    offset += 8;
  }
  while (offset < text.size() && static_cast<unsigned char>(text[offset]) < 0x80) ++offset;
  return offset;
}

}  // namespace

size_t previous_offset(std::string_view text, size_t offset) {
  do {
    --offset;
  } while (offset > 0 && (static_cast<unsigned char>(text[offset]) & 0xc0) == 0x80);
  return offset;
}

size_t count_code_points(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

void append_utf8(std::string& text, char32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point);
    return;
  }
  if (point < 0x800) {
    text += static_cast<char>(0xc0 | (point >> 6));
  } else {
    if (point < 0x10000) {
      text += static_cast<char>(0xe0 | (point >> 12));
    } else {
      text += static_cast<char>(0xf0 | (point >> 18));
      text += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    }
    text += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
  }
  text += static_cast<char>(0x80 | (point & 0x3f));
}

bool is_ascii(std::string_view text) { return skip_ascii(text, 0) == text.size(); }

bool is_valid_utf8(std::string_view text) {
  for (size_t i = skip_ascii(text, 0); i < text.size(); i = skip_ascii(text, i)) {
    const int length = utf8_sequence_length(text, i);
    if (length == 0) return false;
    i += static_cast<size_t>(length);
  }
  return true;
}

namespace {

// The length of the longest start of a valid character at `offset`, at least 1. For bytes that are
// no valid character this is the part that one U+FFFD stands for.
size_t maximal_part(std::string_view bytes, size_t offset) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[offset + i]); };
  const size_t left = bytes.size() - offset;
  const unsigned char first = byte(0);
  if (first < 0xc2 || first > 0xf4) return 1;
  if (left < 2) return 1;
  const unsigned char low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
  const unsigned char high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
  if (byte(1) < low || byte(1) > high) return 1;
  const size_t wanted = utf8_length(bytes[offset]);
  size_t length = 2;
  while (length < wanted && length < left && (byte(length) & 0xc0) == 0x80) ++length;
  return length;
}

}  // namespace

void append_lossy_utf8(std::string& text, std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const size_t run = i;
    while (true) {
      i = skip_ascii(bytes, i);
      const int length = i < bytes.size() ? utf8_sequence_length(bytes, i) : 0;
      if (length == 0) break;
      i += static_cast<size_t>(length);
    }
    text += bytes.substr(run, i - run);
    if (i == bytes.size()) break;
    text += "\xef\xbf\xbd";
    i += maximal_part(bytes, i);
  }
}

size_t unfinished_bytes(std::string_view bytes) {
  for (size_t back = 1; back <= std::min<size_t>(3, bytes.size()); ++back) {
    const size_t start = bytes.size() - back;
    const auto first = static_cast<unsigned char>(bytes[start]);
    if ((first & 0xc0) == 0x80) continue;
    const bool lead = first >= 0xc2 && first <= 0xf4;
    return lead && back < utf8_length(bytes[start]) && maximal_part(bytes, start) == back ? back
                                                                                          : 0;
  }
  return 0;
}

bool is_whitespace(char32_t point) {
  if (point < 0x80) return point == ' ' || (point >= 9 && point <= 13);
  if (point == 0x85) return true;
  return in_categories(point, UTF8PROC_CATEGORY_ZS, UTF8PROC_CATEGORY_ZP);
}

bool is_numeric(char32_t point) {
  if (point < 0x80) return point >= '0' && point <= '9';
  return in_categories(point, UTF8PROC_CATEGORY_ND, UTF8PROC_CATEGORY_NO) ||
         is_in(point, kAlsoNumeric);
}

bool is_punctuation(char32_t point) {
  if (point < 0x80) {
    return (point >= 33 && point <= 47) || (point >= 58 && point <= 64) ||
           (point >= 91 && point <= 96) || (point >= 123 && point <= 126);
  }
  if (in_categories(point, UTF8PROC_CATEGORY_PC, UTF8PROC_CATEGORY_PO))
    return !is_in(point, kNoPunctuation);
  return is_in(point, kAlsoPunctuation);
}

bool is_other(char32_t point) {
  if (point < 0x80) return point < 0x20 || point == 0x7f;
  if (in_categories(point, UTF8PROC_CATEGORY_CC, UTF8PROC_CATEGORY_CO))
    return !is_in(point, kNoControl);
  return is_in(point, kAlsoControl);
}

bool is_mark(char32_t point) {
  if (point < 0x300) return false;
  if (in_categories(point, UTF8PROC_CATEGORY_MN, UTF8PROC_CATEGORY_ME))
    return !is_in(point, kNoMark);
  return is_in(point, kAlsoMark);
}

bool is_nonspacing_mark(char32_t point) {
  if (point < 0x300) return false;
  if (category(point) == UTF8PROC_CATEGORY_MN) return !is_in(point, kNoNonspacingMark);
  return is_in(point, kAlsoNonspacingMark);
}

bool is_word(char32_t point) {
  const utf8proc_category_t found = category(point);
  if (found != UTF8PROC_CATEGORY_CN && found <= UTF8PROC_CATEGORY_PC)
    return found != UTF8PROC_CATEGORY_NO;
  // Other_Alphabetic among the symbols (circled letters), and the joiners.
  return (point >= 0x24b6 && point <= 0x24e9) || (point >= 0x1f130 && point <= 0x1f149) ||
         (point >= 0x1f150 && point <= 0x1f169) || (point >= 0x1f170 && point <= 0x1f189) ||
         point == 0x200c || point == 0x200d || is_in(point, kAlsoWord);
}

void append_lowercase(std::string& text, char32_t point) {
  if (point < 0x80) {
    text += static_cast<char>(point >= 'A' && point <= 'Z' ? point | 0x20 : point);
  } else if (point == 0x130) {  // the only one whose lower case is two characters
    text += "i\xcc\x87";
  } else {
    const Range* const newer = std::find_if(std::begin(kNewLowercase), std::end(kNewLowercase),
                                            [&](const Range& pair) { return pair.first == point; });
    append_utf8(
        text, newer != std::end(kNewLowercase)
                  ? newer->last
                  : static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(point))));
  }
}

std::string newer_characters(std::string_view category) {
  std::string contents;
  for (const NewCharacters& range : kNewCharacters) {
    if (!std::string_view(range.category).starts_with(category)) continue;
    contents += cat("\\x{", hex(range.first, 1), "}");
    if (range.last > range.first) contents += cat("-\\x{", hex(range.last, 1), "}");
  }
  return contents;
}

namespace {

// Blocks of 256 code points with a newer character in them: most texts have none of these blocks.
struct NewBlocks {
  std::array<bool, 0x1100> has{};
  constexpr NewBlocks() {
    for (const NewCharacters& range : kNewCharacters) {
      for (char32_t block = range.first >> 8; block <= range.last >> 8; ++block) has[block] = true;
    }
  }
};
constexpr NewBlocks kNewBlocks;

}  // namespace

bool has_newer_characters(std::string_view text) {
  for (size_t i = skip_ascii(text, 0); i < text.size();) {
    const char32_t point = next_code_point(text, i);
    if (kNewBlocks.has[point >> 8] &&
        std::any_of(std::begin(kNewCharacters), std::end(kNewCharacters),
                    [&](const NewCharacters& range) {
                      return point >= range.first && point <= range.last;
                    })) {
      return true;
    }
    if (i < text.size() && static_cast<unsigned char>(text[i]) < 0x80) i = skip_ascii(text, i);
  }
  return false;
}

bool is_surely_normalized(std::string_view text, NormalForm form) {
  // Nothing below U+0300 changes under NFC: no lead byte from 0xcc on.
  if (form != NormalForm::kNfc) return is_ascii(text);
  return std::none_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) >= 0xcc; });
}

namespace {

// A mark that the package's older tables do not know: it stays where it is, and no mark behind it
// is joined to what stands before it.
bool is_unknown_mark(utf8proc_int32_t point) {
  return point >= 0x300 && is_in(static_cast<char32_t>(point), kNoCombiningClass);
}

utf8proc_propval_t combining_class(utf8proc_int32_t point) {
  const utf8proc_propval_t found = utf8proc_get_property(point)->combining_class;
  return found != 0 && is_unknown_mark(point) ? utf8proc_propval_t{0} : found;
}

// A part that no character before or behind can change, since it begins with ASCII (or with the
// text) and so does what follows. utf8proc_decompose() would take quadratic time for a long run of
// marks: the canonical order is made here.
void append_normalized_part(std::string& result, std::string_view part, utf8proc_option_t options,
                            std::vector<utf8proc_int32_t>& points) {
  points.clear();
  for (size_t i = 0; i < part.size();) {
    const auto point = static_cast<utf8proc_int32_t>(next_code_point(part, i));
    if (is_in(static_cast<char32_t>(point), kNotDecomposed)) {
      points.push_back(point);
      continue;
    }
    utf8proc_int32_t expanded[32];  // the longest expansion has 18
    int boundary = 0;
    const utf8proc_ssize_t length =
        utf8proc_decompose_char(point, expanded, 32, options, &boundary);
    points.insert(points.end(), expanded, expanded + std::clamp<utf8proc_ssize_t>(length, 0, 32));
  }
  for (size_t i = 0; i < points.size();) {
    const size_t start = i;
    while (i < points.size() && combining_class(points[i]) != 0) ++i;
    if (i - start > 1) {
      std::stable_sort(points.begin() + static_cast<ptrdiff_t>(start),
                       points.begin() + static_cast<ptrdiff_t>(i),
                       [](utf8proc_int32_t a, utf8proc_int32_t b) {
                         return combining_class(a) < combining_class(b);
                       });
    }
    if (i == start) ++i;
  }
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find_if(begin + 1, points.end(), is_unknown_mark);
    const utf8proc_ssize_t length =
        utf8proc_normalize_utf32(&*begin, static_cast<utf8proc_ssize_t>(end - begin), options);
    for (utf8proc_ssize_t i = 0; i < length; ++i) {
      append_utf8(result, static_cast<char32_t>(begin[static_cast<ptrdiff_t>(i)]));
    }
    begin = end;
  }
}

}  // namespace

void append_normalized(std::string& result, std::string_view text, NormalForm form) {
  int options = UTF8PROC_STABLE;
  switch (form) {
    case NormalForm::kNfc:
      options |= UTF8PROC_COMPOSE;
      break;
    case NormalForm::kNfd:
      options |= UTF8PROC_DECOMPOSE;
      break;
    case NormalForm::kNfkc:
      options |= UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
      break;
    case NormalForm::kNfkd:
      options |= UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT;
      break;
  }
  std::vector<utf8proc_int32_t> points;
  size_t done = 0;
  while (done < text.size()) {
    const size_t high = skip_ascii(text, done);
    // The character before may be the base of a mark.
    const size_t start = high > done && high < text.size() ? high - 1 : high;
    result += text.substr(done, start - done);
    size_t end = high;
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x80) ++end;
    if (end > start) {
      append_normalized_part(result, text.substr(start, end - start),
                             static_cast<utf8proc_option_t>(options), points);
    }
    done = end;
  }
}

size_t grapheme_end(std::string_view text, size_t offset) {
  char32_t before = next_code_point(text, offset);
  utf8proc_int32_t state = 0;
  while (offset < text.size()) {
    size_t next = offset;
    const char32_t point = next_code_point(text, next);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(before),
                                         static_cast<utf8proc_int32_t>(point), &state)) {
      break;
    }
    before = point;
    offset = next;
  }
  return offset;
}

}  // namespace mlc::tokenizers
