// SPDX-License-Identifier: Apache-2.0
// RWKV "world" vocabularies.
#include <algorithm>
#include <optional>
#include <utility>

#include "support/strings.h"
#include "tokenizers/formats.h"
#include "tokenizers/trie.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {
namespace {

class LongestMatch final : public Model {
 public:
  explicit LongestMatch(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
    std::vector<std::pair<std::string_view, int32_t>> entries;
    for (int32_t id = 0; id <= vocabulary_.max_id(); ++id) {
      if (vocabulary_.contains(id)) entries.emplace_back(vocabulary_.key(id), id);
    }
    trie_.build(std::move(entries));
  }

  // A byte that no token begins with is left out.
  void encode(std::string_view word, std::vector<int32_t>& ids, ModelScratch&) const override {
    for (size_t at = 0; at < word.size();) {
      const auto [length, id] = trie_.longest(word, at);
      if (id >= 0) ids.push_back(id);
      at += std::max<size_t>(length, 1);
    }
  }
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  Trie trie_;
};

// The part of MessagePack that such a file uses.
class PackReader {
 public:
  explicit PackReader(std::string_view bytes) : bytes_(bytes) {}

  std::optional<uint64_t> map_size() {
    const std::optional<uint64_t> tag = number(1);
    if (!tag) return std::nullopt;
    if ((*tag & 0xf0) == 0x80) return *tag & 0x0f;
    if (*tag == 0xde) return number(2);
    if (*tag == 0xdf) return number(4);
    return std::nullopt;
  }
  std::optional<uint64_t> integer() {
    const std::optional<uint64_t> tag = number(1);
    if (!tag) return std::nullopt;
    if (*tag < 0x80) return tag;
    if (*tag >= 0xcc && *tag <= 0xcf) return number(1 << (*tag - 0xcc));
    return std::nullopt;
  }
  std::optional<std::string_view> bytes() {
    const std::optional<uint64_t> tag = number(1);
    if (!tag) return std::nullopt;
    std::optional<uint64_t> size;
    if ((*tag & 0xe0) == 0xa0) {
      size = *tag & 0x1f;
    } else if (*tag >= 0xd9 && *tag <= 0xdb) {
      size = number(1 << (*tag - 0xd9));
    } else if (*tag >= 0xc4 && *tag <= 0xc6) {
      size = number(1 << (*tag - 0xc4));
    }
    if (!size || *size > bytes_.size() - at_) return std::nullopt;
    at_ += *size;
    return bytes_.substr(at_ - *size, *size);
  }
  size_t offset() const { return at_; }
  bool at_end() const { return at_ == bytes_.size(); }

 private:
  // Big-endian.
  std::optional<uint64_t> number(size_t size) {
    if (size > bytes_.size() - at_) return std::nullopt;
    uint64_t value = 0;
    for (size_t i = 0; i < size; ++i)
      value = value << 8 | static_cast<unsigned char>(bytes_[at_++]);
    return value;
  }

  std::string_view bytes_;
  size_t at_ = 0;
};

void append_big_endian(std::string& out, uint64_t value, int size) {
  for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift);
}

// As Python's msgpack.pack({int: bytes}).
void append_entry(std::string& out, uint64_t id, std::string_view bytes) {
  if (id < 0x80) {
    out += static_cast<char>(id);
  } else if (id < 0x100) {
    out += '\xcc';
    append_big_endian(out, id, 1);
  } else if (id < 0x10000) {
    out += '\xcd';
    append_big_endian(out, id, 2);
  } else {
    out += '\xce';
    append_big_endian(out, id, 4);
  }
  const size_t size = bytes.size();
  const int width = size < 0x100 ? 1 : size < 0x10000 ? 2 : 4;
  out += width == 1 ? '\xc4' : width == 2 ? '\xc5' : '\xc6';
  append_big_endian(out, size, width);
  out += bytes;
}

std::string pack(const std::vector<std::pair<int64_t, std::string>>& tokens) {
  std::string out;
  if (tokens.size() < 16) {
    out += static_cast<char>(0x80 | tokens.size());
  } else if (tokens.size() < 0x10000) {
    out += '\xde';
    append_big_endian(out, tokens.size(), 2);
  } else {
    out += '\xdf';
    append_big_endian(out, tokens.size(), 4);
  }
  for (const auto& [id, bytes] : tokens) append_entry(out, static_cast<uint64_t>(id), bytes);
  return out;
}

// Python's '...', "...", b'...' or b"..."; nothing if it is none.
std::optional<std::string> python_literal(std::string_view text) {
  const bool is_bytes = text.starts_with('b');
  if (is_bytes) text.remove_prefix(1);
  if (text.size() < 2 || (text[0] != '\'' && text[0] != '"') || text.back() != text[0])
    return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string value;
  for (size_t i = 0; i < text.size();) {
    if (text[i] != '\\') {
      value += text[i++];
      continue;
    }
    if (i + 1 == text.size()) return std::nullopt;
    const char c = text[i + 1];
    i += 2;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits > 0) {
      uint32_t code = 0;
      if (i + digits > text.size()) return std::nullopt;
      for (size_t end = i + digits; i < end; ++i) {
        const char d = static_cast<char>(text[i] | 0x20);
        const bool decimal = text[i] >= '0' && text[i] <= '9';
        if (!decimal && (d < 'a' || d > 'f')) return std::nullopt;
        code = code * 16 + static_cast<uint32_t>(decimal ? text[i] - '0' : d - 'a' + 10);
      }
      if (code > 0x10ffff) return std::nullopt;
      if (is_bytes) {
        value += static_cast<char>(code);
      } else {
        append_utf8(value, code);
      }
      continue;
    }
    switch (c) {
      case 'n':
        value += '\n';
        break;
      case 'r':
        value += '\r';
        break;
      case 't':
        value += '\t';
        break;
      case 'a':
        value += '\a';
        break;
      case 'b':
        value += '\b';
        break;
      case 'f':
        value += '\f';
        break;
      case 'v':
        value += '\v';
        break;
      case '\\':
      case '\'':
      case '"':
        value += c;
        break;
      default:
        return std::nullopt;
    }
  }
  return value;
}

}  // namespace

Result<std::string> pack_rwkv_vocabulary(std::string_view text, const std::string& where) {
  std::vector<std::pair<int64_t, std::string>> tokens;
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const size_t first = line.find(' ');
    const size_t last = line.rfind(' ');
    std::optional<int64_t> id, size;
    std::optional<std::string> token;
    if (first != std::string_view::npos && first < last) {
      id = parse_int64(line.substr(0, first));
      size = parse_int64(line.substr(last + 1));
      token = python_literal(strip(line.substr(first, last - first)));
    }
    if (!id || *id < 0 || *id > Vocabulary::kMaxId || !token ||
        size != static_cast<int64_t>(token->size())) {
      return user_error(cat(where, ":", line_number), cat("is ", line),
                        "an id, a Python text or bytes literal, and its length in bytes");
    }
    tokens.emplace_back(*id, std::move(*token));
  }
  return pack(tokens);
}

Result<std::string> pack_rwkv_json(const Json& vocabulary, const std::string& where) {
  if (!vocabulary.is_object())
    return user_error(where, cat("is ", vocabulary.kind_name()), "{token: id}");
  std::vector<std::pair<int64_t, std::string>> tokens;
  for (const auto& [token, id] : vocabulary.as_object()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > Vocabulary::kMaxId) {
      return user_error(where, cat("token \"", token, "\" has the id ", id.dump()),
                        cat("an integer from 0 to ", Vocabulary::kMaxId));
    }
    tokens.emplace_back(id.as_int(), token);
  }
  return pack(tokens);
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_rwkv(std::string_view packed,
                                                       const std::string& where) {
  PackReader in(packed);
  const std::optional<uint64_t> count = in.map_size();
  Vocabulary vocabulary(Vocabulary::Keys::kBytes);
  bool good = count.has_value();
  for (uint64_t i = 0; good && i < *count; ++i) {
    const std::optional<uint64_t> id = in.integer();
    const std::optional<std::string_view> bytes = id ? in.bytes() : std::nullopt;
    good = bytes && *id <= static_cast<uint64_t>(Vocabulary::kMaxId) &&
           vocabulary.add_bytes(*bytes, static_cast<int64_t>(*id));
  }
  if (!good || !in.at_end()) {
    return user_error(where,
                      cat("is no packed RWKV vocabulary: byte ", in.offset(), " can't be read"),
                      "a MessagePack map of token ids to bytes");
  }
  vocabulary.index();
  Tokenizer::Parts parts;
  parts.model = std::make_unique<LongestMatch>(std::move(vocabulary));
  MLC_ASSIGN_OR_RETURN(parts.decoder,
                       Decoder::from_json(Json(Json::Object{{"type", "ByteLevel"}}), where));
  return Tokenizer::assemble(std::move(parts), where);
}

}  // namespace mlc::tokenizers
