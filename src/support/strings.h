// SPDX-License-Identifier: Apache-2.0
// Small text helpers: joining, splitting, near matches, numbers as text, valid UTF-8 for messages.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mlc {

namespace detail {
inline void append(std::string& text, std::string_view part) { text += part; }
inline void append(std::string& text, const char* part) { text += part; }
inline void append(std::string& text, char part) { text += part; }
void append(std::string& text, double part);
template <class T>
  requires std::is_integral_v<T>
void append(std::string& text, T part) {
  text += std::to_string(part);
}
}  // namespace detail

// cat("layer ", 3, ": ", name): the arguments' texts, one after the other.
template <class... Args>
std::string cat(const Args&... args) {
  std::string text;
  (detail::append(text, args), ...);
  return text;
}

std::string join(const std::vector<std::string>& parts, std::string_view separator);
// "a;b;" gives {"a", "b", ""}: every separator ends a part.
std::vector<std::string> split(std::string_view text, char separator);
std::string_view strip(std::string_view text);
std::string to_lower(std::string_view text);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

// Names within a small edit distance of `name`, nearest first, at most three.
std::vector<std::string> near_matches(std::string_view name, const std::vector<std::string>& known);

// The whole text must be a decimal integer that fits.
std::optional<int64_t> parse_int64(std::string_view text);
std::optional<double> parse_double(std::string_view text);

// As Python's repr(float): shortest decimal that reads back equal ("1e-05", "0.1", "268544.0").
std::string python_float(double value);
// The shortest decimal that reads back to the same float32, as a double (9.99999974e-06f gives
// 1e-05).
double shortest_double(float value);

// "%.*f" and "%0*x".
std::string fixed(double value, int digits);
std::string hex(uint64_t value, int digits);

// "1,234,567 bytes (1.2 MiB)".
std::string bytes_text(uint64_t bytes);

// Bytes that are no valid UTF-8 become \xNN, so that a message is always text.
std::string escape_invalid_utf8(std::string_view text);
// The length in bytes of the valid UTF-8 sequence at `offset`, or 0.
int utf8_sequence_length(std::string_view text, size_t offset);

}  // namespace mlc
