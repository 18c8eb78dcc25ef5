// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/compiled.h"

#include <cstring>
#include <utility>

#include "support/cache.h"
#include "support/file.h"
#include "support/strings.h"
#include "tokenizers/flat_file.h"
#include "tokenizers/tokenizer_json.h"
#include "tokenizers/vocabulary.h"

namespace mlc::tokenizers {

namespace {

// To be raised when a table's layout changes or a field gets another meaning.
constexpr uint64_t kVersion = 3;
constexpr uint64_t kMagic = 0x6b6f74636c6d2e00;           // also tells the byte order
constexpr uint64_t kMaxCacheBytes = uint64_t{256} << 20;  // a tokenizer takes 3 to 20 MB
constexpr size_t kWorthCompiling = size_t{2} << 20;       // bytes of JSON: read in about 10 ms

struct Header {
  uint64_t magic = kMagic;
  uint64_t version = kVersion;
  uint64_t hash_function = 0;  // of the tables: where a text lies depends on it
  uint64_t bytes = 0;          // behind the header
  uint64_t checksum[2] = {};   // of these
};

struct Hash {
  uint64_t words[2];
};

// Not for signatures: it is fast (memory speed) and tells texts apart that were not made to be
// mistaken for one another.
Hash hash_of(std::string_view text) {
  constexpr uint64_t kFactors[4] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9,
                                    0xd6e8feb86659fd93};
  uint64_t lanes[4] = {text.size(), ~text.size(), 0x243f6a8885a308d3, 0x13198a2e03707344};
  const auto mix = [&](size_t lane, uint64_t word) {
    lanes[lane] = (lanes[lane] ^ word) * kFactors[lane];
    lanes[lane] ^= lanes[lane] >> 29;
  };
  size_t at = 0;
  for (; at + 32 <= text.size(); at += 32) {
    for (size_t lane = 0; lane < 4; ++lane) {
      uint64_t word;
      std::memcpy(&word, text.data() + at + 8 * lane, 8);
      mix(lane, word);
    }
  }
  for (; at < text.size(); ++at) mix(at % 4, static_cast<unsigned char>(text[at]));
  Hash hash{};
  for (size_t out = 0; out < 2; ++out) {
    uint64_t sum = kFactors[out];
    for (size_t lane = 0; lane < 4; ++lane) {
      sum = (sum ^ lanes[(lane + out) % 4]) * kFactors[(lane + 2 * out) % 4];
      sum ^= sum >> 32;
    }
    hash.words[out] = sum;
  }
  return hash;
}

Header header_of(std::string_view body) {
  Header header;
  header.hash_function = hash_bytes("a text of more than eight bytes") ^ hash_bytes("short");
  header.bytes = body.size();
  const Hash checksum = hash_of(body);
  header.checksum[0] = checksum.words[0];
  header.checksum[1] = checksum.words[1];
  return header;
}

}  // namespace

std::string content_hash(std::string_view text) {
  const Hash hash = hash_of(text);
  return cat(hex(hash.words[0], 16), hex(hash.words[1], 16));
}

Result<JsonTokenizer> compile_tokenizer_json(std::string_view text, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(JsonModel read, read_tokenizer_json(text, where, KeepTables::kYes));
  JsonTokenizer result;
  if (!read.tables.empty()) {
    FlatWriter body;
    body.array(read.small_parts);
    body.array(read.tables);
    const std::string bytes = body.take();
    const Header header = header_of(bytes);
    result.compiled.assign(reinterpret_cast<const char*>(&header), sizeof header);
    result.compiled += bytes;
  }
  result.tokenizer = std::move(read.tokenizer);
  return result;
}

std::unique_ptr<Tokenizer> tokenizer_from_compiled(std::string_view compiled,
                                                   std::string_view where) {
  Header header;
  if (compiled.size() < sizeof header) return nullptr;
  std::memcpy(&header, compiled.data(), sizeof header);
  const std::string_view body = compiled.substr(sizeof header);
  if (header.magic != kMagic || header.version != kVersion || header.bytes != body.size())
    return nullptr;
  const Header expected = header_of(body);
  if (std::memcmp(&header, &expected, sizeof header) != 0) return nullptr;
  FlatReader in(body);
  std::string_view small_parts;
  std::string_view tables;
  if (!in.text(&small_parts) || !in.text(&tables) || !in.at_end()) return nullptr;
  auto tokenizer = tokenizer_from_tables(small_parts, tables, where);
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json_or_cache(std::string_view json,
                                                                std::string_view where,
                                                                const std::string& directory) {
  if (directory.empty() || json.size() < kWorthCompiling)
    return tokenizer_from_json_text(json, where);
  const std::string path = path_join(directory, cat(content_hash(json), ".tokenizer"));
  if (file_exists(path)) {
    const auto file = MappedFile::open(path);
    if (file.ok()) {
      const Bytes bytes = file.value().bytes();
      auto tokenizer = tokenizer_from_compiled(
          {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, where);
      if (tokenizer != nullptr) {
        mark_as_used(path);
        return tokenizer;
      }
    }
  }
  MLC_ASSIGN_OR_RETURN(JsonTokenizer made, compile_tokenizer_json(json, where));
  // A cache that can't be written only costs time.
  if (!made.compiled.empty() && make_directories(directory).ok() &&
      write_file(path, made.compiled).ok())
    limit_folder(directory, kMaxCacheBytes);
  return std::move(made.tokenizer);
}

}  // namespace mlc::tokenizers
