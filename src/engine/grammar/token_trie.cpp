// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/token_trie.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine::grammar {

namespace {

// Of the character that begins at `at`, which may be cut off at the text's end; 1 for an ASCII
// character, and for a byte that begins none.
size_t character_length(std::string_view text, size_t at) {
  const int whole = utf8_sequence_length(text, at);
  if (whole > 0) return static_cast<size_t>(whole);
  const size_t rest = text.size() - at;
  if (rest > 3) return 1;
  // What makes a cut off character whole, if anything does.
  std::string padded(text.substr(at));
  for (const char second : {'\x80', '\x90', '\xA0'}) {
    std::string longer = padded + second;
    while (longer.size() < 4) longer += '\x80';
    const int length = utf8_sequence_length(longer, 0);
    if (length > static_cast<int>(rest)) return rest == 1 ? 2 : static_cast<size_t>(length);
  }
  return 1;
}

}  // namespace

int TokenTrie::kind_of(uint8_t byte) {
  if (byte >= 0x80) return kNoCharacter;
  if (byte < 0x20 || byte == 0x7F) return 1;
  if (byte == '"' || byte == '\\') return 2;
  if (byte == ' ') return 3;
  if (byte >= '0' && byte <= '9') return 4;
  if (byte >= 'a' && byte <= 'z') return 5;
  if (byte >= 'A' && byte <= 'Z') return 6;
  return 7;
}

TokenTrie::TokenTrie(const std::vector<std::string>& tokens) {
  constexpr size_t kLongest = INT16_MAX;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty() && tokens[id].size() < kLongest) {
      ids_.push_back(static_cast<int32_t>(id));
    }
  }
  const auto token = [&](int32_t id) -> const std::string& {
    return tokens[static_cast<size_t>(id)];
  };
  std::stable_sort(ids_.begin(), ids_.end(),
                   [&](int32_t a, int32_t b) { return token(a) < token(b); });
  places_.assign(tokens.size(), -1);
  offsets_.push_back(0);
  std::vector<int32_t> open;  // nodes on the way to the last token
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      Node& node = nodes_[static_cast<size_t>(open.back())];
      node.next = static_cast<int32_t>(nodes_.size());
      if (open.size() < 2) continue;
      Node& parent = nodes_[static_cast<size_t>(open[open.size() - 2])];
      parent.kinds |= node.kinds;
      parent.deepest = std::max(parent.deepest, node.deepest);
    }
  };
  std::string_view last;
  for (size_t place = 0; place < ids_.size(); ++place) {
    const std::string_view bytes = token(ids_[place]);
    places_[static_cast<size_t>(ids_[place])] = static_cast<int32_t>(place);
    const auto common = static_cast<size_t>(
        std::mismatch(last.begin(), last.end(), bytes.begin(), bytes.end()).first - last.begin());
    close(common);
    // Where the character of several bytes ends to which the byte at `depth` belongs.
    size_t character_end = 0;
    for (size_t at = 0; at <= common && at < bytes.size();) {
      const size_t length = character_length(bytes, at);
      if (length > 1) character_end = at + length;
      at += length;
    }
    for (size_t depth = common; depth < bytes.size(); ++depth) {
      open.push_back(static_cast<int32_t>(nodes_.size()));
      if (depth >= character_end) {
        const size_t length = character_length(bytes, depth);
        if (length > 1) character_end = depth + length;
      }
      const auto byte = static_cast<uint8_t>(bytes[depth]);
      const auto level = static_cast<int16_t>(depth + 1);
      const int kind = depth < character_end ? kSeveralBytes : kind_of(byte);
      nodes_.push_back(
          {static_cast<int32_t>(place), 0, level, level, static_cast<uint16_t>(1u << kind), byte});
    }
    deepest_ = std::max(deepest_, bytes.size());
    text_ += bytes;
    offsets_.push_back(text_.size());
    last = bytes;
  }
  close(0);
  nodes_.push_back({static_cast<int32_t>(ids_.size()), 0, 0, 0, 0, 0});
}

std::string_view TokenTrie::bytes_of(int32_t id) const {
  if (id < 0 || id >= num_ids()) return {};
  const int32_t place = places_[static_cast<size_t>(id)];
  return place < 0 ? std::string_view{} : bytes_at(place);
}

}  // namespace mlc::engine::grammar
