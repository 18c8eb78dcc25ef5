// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_rwkv.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "support/json.h"
#include "support/strings.h"

namespace mlc::compiler {
namespace {

using Entries = std::vector<std::pair<int64_t, std::string>>;

void append_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>((value >> shift) & 0xff);
  }
}

void append_head(std::string& out, int code, uint64_t value, int bytes) {
  out += static_cast<char>(code);
  append_big_endian(out, value, bytes);
}

// MessagePack: each number in the shortest form that holds it.
std::string pack(const Entries& entries) {
  std::string out;
  const uint64_t count = entries.size();
  if (count < 16) {
    out += static_cast<char>(0x80 | count);
  } else if (count <= UINT16_MAX) {
    append_head(out, 0xde, count, 2);
  } else {
    append_head(out, 0xdf, count, 4);
  }
  for (const auto& [signed_id, token] : entries) {
    const uint64_t id = static_cast<uint64_t>(signed_id);
    if (id < 0x80) {
      out += static_cast<char>(id);
    } else if (id <= UINT8_MAX) {
      append_head(out, 0xcc, id, 1);
    } else if (id <= UINT16_MAX) {
      append_head(out, 0xcd, id, 2);
    } else {
      append_head(out, 0xce, id, 4);
    }
    if (token.size() <= UINT8_MAX) {
      append_head(out, 0xc4, token.size(), 1);
    } else if (token.size() <= UINT16_MAX) {
      append_head(out, 0xc5, token.size(), 2);
    } else {
      append_head(out, 0xc6, token.size(), 4);
    }
    out += token;
  }
  return out;
}

// The later of two entries with one id counts, at the place of the first: as in a Python dict.
void put(Entries& entries, std::vector<int64_t>& place_of_id, int64_t id, std::string token) {
  if (id >= static_cast<int64_t>(place_of_id.size())) {
    place_of_id.resize(static_cast<size_t>(id) + 1, -1);
  }
  int64_t& place = place_of_id[static_cast<size_t>(id)];
  if (place >= 0) {
    entries[static_cast<size_t>(place)].second = std::move(token);
  } else {
    place = static_cast<int64_t>(entries.size());
    entries.emplace_back(id, std::move(token));
  }
}

constexpr int64_t kMaxId = 1 << 24;  // far above any vocabulary; bounds place_of_id

void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

// `digits` digits of base 16 at `at`, which moves behind them.
std::optional<uint32_t> hex_number(std::string_view text, size_t& at, size_t digits) {
  if (text.size() - at < digits) return {};
  uint32_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    const char c = text[at++];
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return {};
    value = value * 16 + static_cast<uint32_t>(digit);
  }
  return value;
}

// The character behind a backslash at `at`. In bytes, \xHH is a byte and \u is two characters.
bool append_escape(std::string& out, std::string_view body, size_t& at, bool is_bytes) {
  const char c = body[at++];
  constexpr std::string_view kFrom = "abfnrtv\\'\"";
  constexpr std::string_view kTo = "\a\b\f\n\r\t\v\\'\"";
  if (const size_t simple = kFrom.find(c); simple != std::string_view::npos) {
    out += kTo[simple];
    return true;
  }
  if (c == 'x' || (!is_bytes && (c == 'u' || c == 'U'))) {
    const std::optional<uint32_t> point = hex_number(body, at, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    if (!point || *point > 0x10ffff || (*point >= 0xd800 && *point < 0xe000)) return false;
    if (is_bytes) {
      out += static_cast<char>(*point);
    } else {
      append_utf8(out, *point);
    }
    return true;
  }
  if (c >= '0' && c <= '7') {
    uint32_t value = static_cast<uint32_t>(c - '0');
    for (int i = 0; i < 2 && at < body.size() && body[at] >= '0' && body[at] <= '7'; ++i) {
      value = value * 8 + static_cast<uint32_t>(body[at++] - '0');
    }
    if (is_bytes) {
      out += static_cast<char>(value & 0xff);
    } else {
      append_utf8(out, value);
    }
    return true;
  }
  if (c == 'N' && !is_bytes) return false;  // a name of Unicode's: no vocabulary has one
  out += '\\';
  out += c;
  return true;
}

// A Python literal: '...' or "...", with b in front for bytes. Nothing where it is none.
std::optional<std::string> literal(std::string_view text) {
  const bool is_bytes = text.starts_with("b");
  if (is_bytes) text.remove_prefix(1);
  if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0]) return {};
  const char quote = text[0];
  const std::string_view body = text.substr(1, text.size() - 2);
  std::string out;
  for (size_t at = 0; at < body.size();) {
    const char c = body[at++];
    if (c == quote) return {};
    if (c != '\\') {
      out += c;
    } else if (at == body.size() || !append_escape(out, body, at, is_bytes)) {
      return {};
    }
  }
  return out;
}

bool is_digits(std::string_view text) { return text.find_first_not_of("0123456789") == text.npos; }

}  // namespace

bool is_rwkv_vocabulary(std::string_view file_name) {
  constexpr std::string_view kPrefix = "rwkv_vocab_v";
  return file_name.starts_with(kPrefix) && file_name.size() >= kPrefix.size() + 8 &&
         is_digits(file_name.substr(kPrefix.size(), 8)) &&
         (file_name.substr(kPrefix.size() + 8) == ".txt" ||
          file_name.substr(kPrefix.size() + 8) == ".json");
}

Result<std::string> rwkv_tokenizer_from_text(std::string_view text, std::string_view where) {
  Entries entries;
  std::vector<int64_t> place_of_id;
  const std::vector<std::string> lines = split(text, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = strip(lines[i]);
    if (line.empty()) continue;
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    const std::string place = cat(where, ":", i + 1);
    constexpr std::string_view kExpected = "ID 'TOKEN' LENGTH, the token as a Python literal";
    if (first == last)
      return user_error(place, "is no line of a vocabulary", std::string(kExpected));
    const std::optional<int64_t> id = parse_int64(line.substr(0, first));
    const std::optional<int64_t> length = parse_int64(line.substr(last + 1));
    std::optional<std::string> token = literal(strip(line.substr(first, last - first)));
    if (!id || *id < 0 || *id > kMaxId || !length || !token) {
      return user_error(place, "is no line of a vocabulary", std::string(kExpected));
    }
    if (static_cast<int64_t>(token->size()) != *length) {
      return user_error(place, cat("has a token of ", token->size(), " bytes"),
                        cat(*length, ", as the line says"));
    }
    put(entries, place_of_id, *id, *std::move(token));
  }
  return pack(entries);
}

Result<std::string> rwkv_tokenizer_from_json(std::string_view text, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const Json object, parse_json(text, where));
  if (!object.is_object()) {
    return user_error(std::string(where), cat("is ", object.kind_name()), "an object token: id");
  }
  Entries entries;
  std::vector<int64_t> place_of_id;
  for (const auto& [token, id] : object.as_object()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > kMaxId) {
      return user_error(cat(where, ": ", token), cat("is ", id.dump()),
                        cat("a token id from 0 to ", kMaxId));
    }
    put(entries, place_of_id, id.as_int(), token);
  }
  return pack(entries);
}

}  // namespace mlc::compiler
