// SPDX-License-Identifier: Apache-2.0
// The tokens of a model: text to id and id to text, in flat tables that fill fast (256k tokens in
// milliseconds).
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace mlc::tokenizers {

class FlatReader;
class FlatWriter;

// Up to 8 bytes as a number: with the length it tells the text.
inline uint64_t short_text(const char* at, size_t size) {
  if (size >= 4) {
    uint32_t low, high;
    std::memcpy(&low, at, 4);
    std::memcpy(&high, at + size - 4, 4);
    return low | static_cast<uint64_t>(high) << 32;
  }
  const auto byte = [&](size_t i) -> uint64_t { return static_cast<unsigned char>(at[i]); };
  return size == 0 ? 0 : byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
}

inline uint64_t hash_bytes(std::string_view key) {
  constexpr uint64_t kFactor = 0x9e3779b97f4a7c15;
  const char* at = key.data();
  size_t left = key.size();
  uint64_t hash = left * kFactor;
  const auto mix = [&](uint64_t word) {
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 29;
  };
  for (; left > 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    mix(word);
  }
  mix(short_text(at, left));
  return hash ^ (hash >> 32);
}

// Texts by hash. A text that is added again takes the new value.
class TextTable {
 public:
  void reserve(size_t count);
  // `text`, whose hash is given, stands in `arena` at `offset`. Returns the value it had before, or
  // -1.
  int32_t insert(std::string_view arena, std::string_view text, uint64_t hash, uint32_t offset,
                 int32_t value);
  // -1 if absent.
  int32_t find(std::string_view arena, std::string_view text) const {
    return find_hashed(arena, text, hash_bytes(text));
  }
  int32_t find_hashed(std::string_view arena, std::string_view text, uint64_t hash) const {
    if (slots_.empty()) return -1;
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (size_t i = tag & mask_;; i = (i + 1) & mask_) {
      const Slot& slot = slots_[i];
      if (slot.value < 0 || holds(slot, arena, text, tag)) return slot.value;
    }
  }
  void prefetch(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[(hash >> 32) & mask_]);
  }
  size_t size() const { return count_; }
  void write(FlatWriter& out) const;
  // False for a size that can't be; ids and places are taken as they are: a checksum stands before.
  bool read(FlatReader& in);

 private:
  struct Slot {
    uint64_t text = 0;  // if it has 8 bytes or less
    uint32_t tag = 0;   // upper half of the hash; its low bits choose the place
    int32_t value = -1;
    uint32_t offset = 0;
    uint32_t length = 0;
  };
  static bool holds(const Slot& slot, std::string_view arena, std::string_view text, uint32_t tag) {
    if (slot.tag != tag || slot.length != text.size()) return false;
    if (text.size() <= 8) return slot.text == short_text(text.data(), text.size());
    return std::memcmp(arena.data() + slot.offset, text.data(), text.size()) == 0;
  }
  void grow(size_t slots);

  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t count_ = 0;
};

// Ids lie between 0 and kMaxId, texts take less than 2 GiB in all: add() refuses others.
class Vocabulary {
 public:
  static constexpr int64_t kMaxId = (int64_t{1} << 23) - 1;

  // What find() is asked with: the tokens' texts, or (kBytes) the bytes that texts in the byte
  // alphabet stand for. In kBytes, tokens of other texts are found by their text only.
  enum class Keys { kText, kBytes };

  explicit Vocabulary(Keys keys = Keys::kText) : keys_(keys) {}
  Keys keys() const { return keys_; }

  // First all tokens are added, then index() is called once, then the rest may be. Where a text is
  // added twice its later id counts, where an id is its later text.
  [[nodiscard]] bool add(std::string_view text, int64_t id);
  // A token by its bytes; for kBytes.
  [[nodiscard]] bool add_bytes(std::string_view bytes, int64_t id);
  void index();

  int32_t find(std::string_view key) const { return table_.find(arena_, key); }
  int32_t find_hashed(std::string_view key, uint64_t hash) const {
    return table_.find_hashed(arena_, key, hash);
  }
  void prefetch(uint64_t hash) const { table_.prefetch(hash); }
  bool empty() const { return table_.size() == 0 && other_.size() == 0; }
  // By the token's text, whatever the keys are.
  int32_t find_text(std::string_view text) const;

  bool contains(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < entries_.size() &&
           entries_[static_cast<size_t>(id)].length != kAbsent;
  }
  // Both require contains(id).
  std::string_view key(int32_t id) const {
    const Entry& entry = entries_[static_cast<size_t>(id)];
    return {arena_.data() + entry.offset, entry.length & ~kTextOnly};
  }
  // In kBytes: false if the token's text is not in the byte alphabet; key() is then the text.
  bool has_byte_key(int32_t id) const {
    return keys_ == Keys::kBytes && (entries_[static_cast<size_t>(id)].length & kTextOnly) == 0;
  }
  std::string text(int32_t id) const;

  size_t size() const { return table_.size() + other_.size(); }  // distinct texts
  void write(FlatWriter& out) const;
  bool read(FlatReader& in);
  int32_t max_id() const { return static_cast<int32_t>(entries_.size()) - 1; }

 private:
  static constexpr uint32_t kTextOnly = 0x80000000;
  static constexpr uint32_t kAbsent = 0xffffffff;
  struct Entry {
    uint32_t offset = 0;
    uint32_t length = kAbsent;
  };

  struct Added {
    Entry entry;
    int32_t id = -1;
  };
  bool append(size_t offset, uint32_t text_only, int64_t id);

  Keys keys_;
  std::string arena_;
  std::vector<Added> added_;  // until index()
  std::vector<Entry> entries_;
  TextTable table_;
  TextTable other_;  // kBytes: the texts outside the byte alphabet
};

}  // namespace mlc::tokenizers
