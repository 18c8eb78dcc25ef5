// SPDX-License-Identifier: Apache-2.0
#include "support/strings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace mlc {

void detail::append(std::string& text, double part) { text += python_float(part); }

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i > 0) text += separator;
    text += parts[i];
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    if (end == std::string_view::npos) break;
    parts.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  parts.emplace_back(text.substr(begin));
  return parts;
}

std::string_view strip(std::string_view text) {
  const char* const blanks = " \t\r\n";
  const size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  size_t begin = 0;
  while (!from.empty()) {
    const size_t at = text.find(from, begin);
    if (at == std::string_view::npos) break;
    result += text.substr(begin, at - begin);
    result += to;
    begin = at + from.size();
  }
  result += text.substr(begin);
  return result;
}

namespace {

// Levenshtein distance with transposition of neighbours.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::vector<std::string> near_matches(std::string_view name,
                                      const std::vector<std::string>& known) {
  std::vector<std::pair<size_t, std::string>> found;
  if (name.size() > 200) return {};
  const std::string lower = to_lower(name);
  const size_t limit = std::max<size_t>(1, name.size() / 3);
  for (const std::string& candidate : known) {
    const size_t distance = edit_distance(lower, to_lower(candidate));
    if (distance <= limit) found.emplace_back(distance, candidate);
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> names;
  for (const auto& [distance, candidate] : found) {
    if (names.size() < 3) names.push_back(candidate);
  }
  return names;
}

std::optional<int64_t> parse_int64(std::string_view text) {
  int64_t value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size() || text.empty()) return {};
  return value;
}

std::optional<double> parse_double(std::string_view text) {
  if (text.empty() || text.front() == ' ') return {};
  const std::string copy(text);
  char* end = nullptr;
  const double value = std::strtod(copy.c_str(), &end);
  if (end != copy.c_str() + copy.size()) return {};
  return value;
}

std::string python_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  char buffer[64];
  const auto format = [&](std::chars_format chars_format) {
    return std::string(buffer,
                       std::to_chars(buffer, buffer + sizeof(buffer), value, chars_format).ptr);
  };
  // Python writes an exponent below 1e-4 and from 1e16.
  const double magnitude = std::fabs(value);
  if (magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16)) {
    return format(std::chars_format::scientific);
  }
  std::string text = format(std::chars_format::fixed);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

double shortest_double(float value) {
  char buffer[64];
  *std::to_chars(buffer, buffer + sizeof(buffer) - 1, value).ptr = 0;
  return std::strtod(buffer, nullptr);
}

std::string fixed(double value, int digits) {
  char buffer[400];
  return {buffer,
          static_cast<size_t>(std::snprintf(buffer, sizeof(buffer), "%.*f", digits, value))};
}

std::string hex(uint64_t value, int digits) {
  char buffer[24];
  return {buffer, static_cast<size_t>(std::snprintf(buffer, sizeof(buffer), "%0*llx", digits,
                                                    static_cast<unsigned long long>(value)))};
}

std::string bytes_text(uint64_t bytes) {
  std::string digits = std::to_string(bytes);
  for (int64_t at = static_cast<int64_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  if (bytes < 1024) return digits + " bytes";
  const bool small = bytes < 1024 * 1024;
  return cat(digits, " bytes (", fixed(static_cast<double>(bytes) / (small ? 1024 : 1 << 20), 1),
             small ? " KiB)" : " MiB)");
}

int utf8_sequence_length(std::string_view text, size_t offset) {
  const auto byte = [&](size_t i) -> int {
    return offset + i < text.size() ? static_cast<unsigned char>(text[offset + i]) : -1;
  };
  const auto continues = [&](size_t i) { return byte(i) >= 0x80 && byte(i) <= 0xbf; };
  const int first = byte(0);
  if (first < 0) return 0;
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return continues(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (!continues(1) || !continues(2)) return 0;
    if (first == 0xe0 && byte(1) < 0xa0) return 0;  // overlong
    if (first == 0xed && byte(1) > 0x9f) return 0;  // surrogate
    return 3;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (!continues(1) || !continues(2) || !continues(3)) return 0;
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;  // above U+10FFFF
    return 4;
  }
  return 0;
}

std::string escape_invalid_utf8(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const int length = utf8_sequence_length(text, i);
    if (length == 0) {
      result += "\\x" + hex(static_cast<unsigned char>(text[i]), 2);
      ++i;
    } else {
      result += text.substr(i, static_cast<size_t>(length));
      i += static_cast<size_t>(length);
    }
  }
  return result;
}

}  // namespace mlc
