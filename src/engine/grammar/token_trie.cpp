// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/token_trie.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine::grammar {

namespace {

constexpr uint16_t kNever = 1u << (TokenTrie::kNoCharacter + 1);
constexpr uint16_t bits(std::initializer_list<int> kinds) {
  uint16_t set = 0;
  for (const int kind : kinds) set |= static_cast<uint16_t>(1u << kind);
  return set;
}

// What grammars mostly repeat: nothing, the characters of a JSON string, any but control
// characters or all, digits, letters, both, and words with blanks. They are ready before the first
// answer that needs them.
constexpr uint16_t kUsual[] = {bits({}),
                               bits({0, 3, 4, 5, 6, 7}),
                               bits({0, 2, 3, 4, 5, 6, 7}),
                               bits({0, 1, 2, 3, 4, 5, 6, 7}),
                               bits({4}),
                               bits({5}),
                               bits({6}),
                               bits({5, 6}),
                               bits({4, 5, 6}),
                               bits({3, 5, 6}),
                               bits({3, 4, 5, 6})};

bool continues_character(uint8_t byte) { return (byte & 0xC0) == 0x80; }

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
  kinds_.assign(tokens.size(), kNever);
  up_to_.assign(kShort + 1, std::vector<uint64_t>((tokens.size() + 63) / 64));
  offsets_.push_back(0);
  std::vector<int32_t> open;  // nodes on the way to the last token
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      Node& node = nodes_[static_cast<size_t>(open.back())];
      node.next = static_cast<int32_t>(nodes_.size());
      if (open.size() < 2) continue;
      Node& parent = nodes_[static_cast<size_t>(open[open.size() - 2])];
      parent.kinds |= node.kinds;
      parent.most_characters = std::max(parent.most_characters, node.most_characters);
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
      const auto kind =
          static_cast<uint16_t>(1u << (depth < character_end ? kSeveralBytes : kind_of(byte)));
      const int16_t before =
          depth == 0 ? int16_t{0} : nodes_[static_cast<size_t>(open[depth - 1])].characters;
      const auto characters = static_cast<int16_t>(before + (continues_character(byte) ? 0 : 1));
      nodes_.push_back(
          {static_cast<int32_t>(place), 0, level, characters, characters, kind, kind, byte});
    }
    uint16_t kinds = 0;
    for (const int32_t node : open) kinds |= nodes_[static_cast<size_t>(node)].kind;
    const auto id = static_cast<size_t>(ids_[place]);
    kinds_[id] = kinds;
    const int64_t characters = nodes_[static_cast<size_t>(open.back())].characters;
    most_characters_ = std::max(most_characters_, characters);
    if (characters > kShort) {
      long_.push_back({static_cast<int32_t>(place), static_cast<int32_t>(characters)});
    } else {
      up_to_[static_cast<size_t>(characters)][id / 64] |= uint64_t{1} << (id % 64);
    }
    deepest_ = std::max(deepest_, bytes.size());
    text_ += bytes;
    offsets_.push_back(text_.size());
    last = bytes;
  }
  close(0);
  nodes_.push_back({static_cast<int32_t>(ids_.size()), 0, 0, 0, 0, 0, 0, 0});
  std::stable_sort(long_.begin(), long_.end(), [](const LongToken& a, const LongToken& b) {
    return a.characters > b.characters;
  });
  for (size_t length = 1; length < up_to_.size(); ++length) {
    for (size_t w = 0; w < up_to_[length].size(); ++w) up_to_[length][w] |= up_to_[length - 1][w];
  }
  for (const uint16_t kinds : kUsual) of_kinds(kinds);
}

const TokenTrie::OfKinds& TokenTrie::of_kinds(uint16_t kinds) const {
  const auto [at, is_new] = of_kinds_.try_emplace(kinds);
  OfKinds& found = at->second;
  if (!is_new) return found;
  found.within.resize((kinds_.size() + 63) / 64);
  for (size_t w = 0; w < found.within.size(); ++w) {
    uint64_t word = 0;
    const size_t end = std::min(kinds_.size(), w * 64 + 64);
    for (size_t id = w * 64; id < end; ++id) {
      word |= uint64_t{(kinds_[id] & ~kinds) == 0} << (id % 64);
    }
    found.within[w] = word;
  }
  std::vector<int32_t> others;
  const std::span<const Node> all = nodes();
  for (size_t i = 0; i < all.size();) {
    const bool within = (all[i].kinds & ~kinds) == 0;
    const bool other = (all[i].kind & ~kinds) != 0;
    if (other) {
      others.push_back(static_cast<int32_t>(i));
      ++found.first_of[size_t{all[i].byte} + 1];
    }
    i = within || other ? static_cast<size_t>(all[i].next) : i + 1;
  }
  for (size_t b = 0; b < 256; ++b) found.first_of[b + 1] += found.first_of[b];
  std::array<int32_t, 257> next = found.first_of;
  found.leaving.resize(others.size());
  for (const int32_t node : others) {
    const uint8_t byte = all[static_cast<size_t>(node)].byte;
    found.leaving[static_cast<size_t>(next[byte]++)] = node;
  }
  return found;
}

int64_t TokenTrie::count_characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(),
                       [](char c) { return !continues_character(static_cast<uint8_t>(c)); });
}

std::string_view TokenTrie::bytes_of(int32_t id) const {
  if (id < 0 || id >= num_ids()) return {};
  const int32_t place = places_[static_cast<size_t>(id)];
  return place < 0 ? std::string_view{} : bytes_at(place);
}

}  // namespace mlc::engine::grammar
