// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/vocabulary.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "tokenizers/byte_alphabet.h"
#include "tokenizers/flat_file.h"

namespace mlc::tokenizers {

void TextTable::grow(size_t slots) {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  mask_ = slots - 1;
  for (const Slot& slot : old) {
    if (slot.value < 0) continue;
    size_t i = slot.tag & mask_;
    while (slots_[i].value >= 0) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

void TextTable::reserve(size_t count) {
  const size_t slots = std::bit_ceil(std::max<size_t>(count * 2, 16));
  if (slots > slots_.size()) grow(slots);
}

int32_t TextTable::insert(std::string_view arena, std::string_view text, uint64_t hash,
                          uint32_t offset, int32_t value) {
  if (count_ * 2 >= slots_.size()) grow(std::max<size_t>(slots_.size() * 2, 16));
  const auto tag = static_cast<uint32_t>(hash >> 32);
  size_t i = tag & mask_;
  for (; slots_[i].value >= 0; i = (i + 1) & mask_) {
    Slot& slot = slots_[i];
    if (holds(slot, arena, text, tag)) return std::exchange(slot.value, value);
  }
  slots_[i] = Slot{text.size() <= 8 ? short_text(text.data(), text.size()) : 0, tag, value, offset,
                   static_cast<uint32_t>(text.size())};
  ++count_;
  return -1;
}

void TextTable::write(FlatWriter& out) const {
  out.value(static_cast<uint64_t>(count_));
  out.array(slots_);
}

bool TextTable::read(FlatReader& in) {
  uint64_t count = 0;
  if (!in.value(&count) || !in.array(&slots_)) return false;
  count_ = static_cast<size_t>(count);
  mask_ = slots_.empty() ? 0 : slots_.size() - 1;
  // A search ends at a free slot: there must be one.
  if (!slots_.empty() && (!std::has_single_bit(slots_.size()) || count_ * 2 > slots_.size()))
    return false;
  return true;
}

void Vocabulary::write(FlatWriter& out) const {
  out.value(keys_);
  out.array(arena_);
  out.array(entries_);
  table_.write(out);
  other_.write(out);
}

bool Vocabulary::read(FlatReader& in) {
  return in.value(&keys_) && (keys_ == Keys::kText || keys_ == Keys::kBytes) && in.array(&arena_) &&
         in.array(&entries_) && table_.read(in) && other_.read(in);
}

bool Vocabulary::append(size_t offset, uint32_t text_only, int64_t id) {
  if (id < 0 || id > kMaxId || arena_.size() >= kTextOnly) return false;
  added_.push_back(
      {{static_cast<uint32_t>(offset), static_cast<uint32_t>(arena_.size() - offset) | text_only},
       static_cast<int32_t>(id)});
  return true;
}

bool Vocabulary::add(std::string_view text, int64_t id) {
  const size_t offset = arena_.size();
  const bool byte_key = keys_ == Keys::kBytes && append_alphabet_bytes(arena_, text);
  if (!byte_key) arena_ += text;
  return append(offset, keys_ == Keys::kBytes && !byte_key ? kTextOnly : 0, id);
}

bool Vocabulary::add_bytes(std::string_view bytes, int64_t id) {
  const size_t offset = arena_.size();
  arena_ += bytes;
  return append(offset, 0, id);
}

void Vocabulary::index() {
  int32_t max_id = -1;
  for (const Added& added : added_) max_id = std::max(max_id, added.id);
  entries_.resize(static_cast<size_t>(max_id + 1));
  table_.reserve(added_.size());
  // The table is larger than the caches: hashes are made, and places fetched, some tokens ahead.
  constexpr size_t kAhead = 16;
  uint64_t hashes[kAhead];
  const auto text_of = [&](const Added& added) {
    return std::string_view(arena_.data() + added.entry.offset, added.entry.length & ~kTextOnly);
  };
  for (size_t i = 0; i < added_.size() + kAhead; ++i) {
    if (i >= kAhead) {
      const Added& added = added_[i - kAhead];
      TextTable& table = (added.entry.length & kTextOnly) == 0 ? table_ : other_;
      const int32_t before =
          table.insert(arena_, text_of(added), hashes[i % kAhead], added.entry.offset, added.id);
      if (before >= 0 && before != added.id) entries_[static_cast<size_t>(before)].length = kAbsent;
      entries_[static_cast<size_t>(added.id)] = added.entry;
    }
    if (i < added_.size()) {
      hashes[i % kAhead] = hash_bytes(text_of(added_[i]));
      table_.prefetch(hashes[i % kAhead]);
    }
  }
  std::vector<Added>().swap(added_);
}

int32_t Vocabulary::find_text(std::string_view text) const {
  if (keys_ == Keys::kText) return find(text);
  std::string bytes;
  if (append_alphabet_bytes(bytes, text)) return find(bytes);
  return other_.find(arena_, text);
}

std::string Vocabulary::text(int32_t id) const {
  if (!has_byte_key(id)) return std::string(key(id));
  std::string text;
  append_byte_alphabet(text, key(id));
  return text;
}

}  // namespace mlc::tokenizers
