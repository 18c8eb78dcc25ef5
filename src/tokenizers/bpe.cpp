// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "support/strings.h"
#include "tokenizers/byte_alphabet.h"
#include "tokenizers/byte_tokens.h"
#include "tokenizers/flat_file.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr size_t kFew = 40;    // symbols up to which looking at all pairs is faster than a queue
constexpr int kPlaceBits = 6;  // of a place among few symbols, below the rank
constexpr size_t kMostRanks = (size_t{1} << (32 - kPlaceBits)) - 1;
constexpr size_t kShortWord = 24;  // bytes that are not worth cutting into segments
constexpr size_t kWaiting = 32;

}  // namespace

void MergeTable::grow(size_t slots) {
  const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots));
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  filter_.assign(slots / 8, 0);
  for (const Slot& slot : old) {
    if (slot.key == kEmpty) continue;
    mark(slot.key);
    size_t i = place(slot.key);
    while (slots_[i].key != kEmpty) i = (i + 1) & mask_;
    slots_[i] = slot;
  }
}

void MergeTable::reserve(size_t count) {
  const size_t slots = std::bit_ceil(std::max<size_t>(count + count / 2, 16));
  if (slots > slots_.size()) grow(slots);
}

void MergeTable::insert(int32_t left, int32_t right, Merge merge) {
  if (count_ + count_ / 3 + 1 >= slots_.size()) grow(slots_.size() * 2);
  const uint64_t key = pair(left, right);
  size_t i = place(key);
  while (slots_[i].key != kEmpty && slots_[i].key != key) i = (i + 1) & mask_;
  if (slots_[i].key == kEmpty) ++count_;
  slots_[i] = Slot{key, merge};
  mark(key);
}

void MergeTable::write(FlatWriter& out) const {
  out.value(static_cast<uint64_t>(count_));
  out.array(slots_);
  out.array(filter_);
}

bool MergeTable::read(FlatReader& in) {
  uint64_t count = 0;
  if (!in.value(&count) || !in.array(&slots_) || !in.array(&filter_)) return false;
  count_ = static_cast<size_t>(count);
  // A search ends at a free slot: there must be one.
  if (slots_.size() < 8 || !std::has_single_bit(slots_.size()) || count_ >= slots_.size() ||
      filter_.size() != slots_.size() / 8) {
    return false;
  }
  mask_ = slots_.size() - 1;
  shift_ = 64 - std::countr_zero(slots_.size());
  return true;
}

Bpe::Bpe(Vocabulary vocabulary, size_t prefix_size)
    : vocabulary_(std::move(vocabulary)), prefix_size_(prefix_size), joins_(vocabulary_.keys()) {
  whole_ = std::make_unique<std::atomic<Whole>[]>(static_cast<size_t>(vocabulary_.max_id()) + 1);
  fallback_ids_ = byte_token_ids(vocabulary_);
  for (int unit = 0; unit < 256; ++unit) {
    const char one = static_cast<char>(unit);
    const bool is_unit = bytes() || unit < 0x80;
    unit_ids_[static_cast<size_t>(unit)] = is_unit ? vocabulary_.find({&one, 1}) : -1;
  }
}

// The merges of a file often come in the order of the ids that they make, all merges of one token
// together: the last id and the one behind it are tried before the table is asked.
int32_t Bpe::find_join(std::string_view left, std::string_view right) {
  for (int32_t id = last_joined_; id <= last_joined_ + 1; ++id) {
    if (!vocabulary_.contains(id) || vocabulary_.has_byte_key(id) != bytes()) continue;
    const std::string_view key = vocabulary_.key(id);
    if (key.size() == left.size() + right.size() && key.starts_with(left) && key.ends_with(right))
      return id;
  }
  joined_.assign(left);
  joined_ += right;
  return vocabulary_.find(joined_);
}

void Bpe::add_merge(std::string_view left, std::string_view right) {
  const size_t before = waiting_texts_.size();
  bool are_keys = true;
  if (bytes()) {
    are_keys = append_alphabet_bytes(waiting_texts_, left);
    waiting_ends_.push_back(waiting_texts_.size());
    are_keys = are_keys && append_alphabet_bytes(waiting_texts_, right);
  } else {
    waiting_texts_ += left;
    waiting_ends_.push_back(waiting_texts_.size());
    waiting_texts_ += right;
  }
  waiting_ends_.push_back(waiting_texts_.size());
  if (!are_keys) {
    // No word has characters outside the alphabet: such a merge only takes up a rank.
    waiting_texts_.resize(before);
    waiting_ends_.resize(waiting_ends_.size() - 2);
    resolve_waiting();
    resolved_.push_back({-1, -1, -1});
    if (vocabulary_.find_text(left) < 0 || vocabulary_.find_text(right) < 0 ||
        vocabulary_.find_text(cat(left, right)) < 0) {
      if (bad_merge_.empty()) bad_merge_ = cat(left, " ", right);
    }
    return;
  }
  if (waiting_ends_.size() == 2 * kWaiting) resolve_waiting();
}

// Looks up some merges together: their places in the table are fetched from memory at the same
// time.
void Bpe::resolve_waiting() {
  Waiting waiting[kWaiting];
  const size_t count = waiting_ends_.size() / 2;
  size_t begin = 0;
  for (size_t i = 0; i < count; ++i) {
    const std::string_view all = waiting_texts_;
    waiting[i].left = all.substr(begin, waiting_ends_[2 * i] - begin);
    waiting[i].right =
        all.substr(waiting_ends_[2 * i], waiting_ends_[2 * i + 1] - waiting_ends_[2 * i]);
    begin = waiting_ends_[2 * i + 1];
    waiting[i].left_hash = hash_bytes(waiting[i].left);
    waiting[i].right_hash = hash_bytes(waiting[i].right);
    vocabulary_.prefetch(waiting[i].left_hash);
    vocabulary_.prefetch(waiting[i].right_hash);
  }
  for (size_t i = 0; i < count; ++i) {
    if (!resolve(waiting[i]) && bad_merge_.empty())
      bad_merge_ = cat(waiting[i].left, " ", waiting[i].right);
  }
  waiting_texts_.clear();
  waiting_ends_.clear();
}

bool Bpe::resolve(const Waiting& merge) {
  const std::string_view left = merge.left;
  std::string_view right = merge.right;
  Resolved found{vocabulary_.find_hashed(left, merge.left_hash),
                 vocabulary_.find_hashed(right, merge.right_hash), -1};
  if (found.left < 0 || found.right < 0 || right.size() < prefix_size_) return false;
  if (byte_of_token(left) || byte_of_token(right)) plain_ = false;
  right.remove_prefix(prefix_size_);
  found.joined = find_join(left, right);
  if (found.joined < 0) return false;
  last_joined_ = found.joined;
  resolved_.push_back(found);
  if (left.empty() || right.empty()) {
    plain_ = false;
    return true;
  }
  joins_.add(left, right);
  return true;
}

Result<void> Bpe::finish(BpeOptions options, const std::string& where) {
  options_ = std::move(options);
  resolve_waiting();
  if (!bad_merge_.empty()) {
    return user_error(
        where, cat("the merge \"", bad_merge_, "\" names a token that is not in the vocabulary"),
        "merges of tokens into tokens", "the file is damaged or was edited: get it again");
  }
  if (options_.unknown_token) {
    unknown_id_ = vocabulary_.find_text(*options_.unknown_token);
    if (unknown_id_ < 0) {
      return user_error(
          where, cat("unk_token \"", *options_.unknown_token, "\" is not in the vocabulary"));
    }
  }
  if (resolved_.size() > kMostRanks) {
    return user_error(where, cat("has ", resolved_.size(), " merges"), cat("at most ", kMostRanks));
  }
  merges_.reserve(resolved_.size());
  constexpr size_t kAhead = 16;
  for (size_t i = 0; i < resolved_.size() + kAhead; ++i) {
    if (i < resolved_.size()) merges_.prefetch(resolved_[i].left, resolved_[i].right);
    if (i < kAhead) continue;
    const Resolved& merge = resolved_[i - kAhead];
    if (merge.left < 0) continue;
    // The unknown token stands for any text: joining it would join what the text does not tell.
    plain_ &= merge.left != unknown_id_ && merge.right != unknown_id_;
    merges_.insert(merge.left, merge.right, {static_cast<int32_t>(i - kAhead), merge.joined});
  }
  std::vector<Resolved>().swap(resolved_);
  if (!options_.continuing_prefix.empty() || !options_.end_suffix.empty()) plain_ = false;
  falls_back_ = options_.byte_fallback && std::none_of(fallback_ids_.begin(), fallback_ids_.end(),
                                                       [](int32_t id) { return id < 0; });
  return {};
}

void Bpe::write_tables(FlatWriter& out) const {
  vocabulary_.write(out);
  merges_.write(out);
  joins_.write(out);
  out.value(static_cast<uint64_t>(prefix_size_));
  out.value(unknown_id_);
  out.value(falls_back_);
  out.value(plain_);
  out.value(options_.unknown_token.has_value());
  out.array(options_.unknown_token.value_or(""));
  out.array(options_.continuing_prefix);
  out.array(options_.end_suffix);
  out.value(options_.fuse_unknown);
  out.value(options_.byte_fallback);
  out.value(options_.ignore_merges);
}

std::unique_ptr<Bpe> Bpe::from_tables(FlatReader& in) {
  Vocabulary vocabulary;
  if (!vocabulary.read(in)) return nullptr;
  auto bpe = std::make_unique<Bpe>(std::move(vocabulary));
  uint64_t prefix_size = 0;
  bool has_unknown = false;
  std::string unknown;
  BpeOptions& options = bpe->options_;
  if (!bpe->merges_.read(in) || !bpe->joins_.read(in) || !in.value(&prefix_size) ||
      !in.value(&bpe->unknown_id_) || !in.value(&bpe->falls_back_) || !in.value(&bpe->plain_) ||
      !in.value(&has_unknown) || !in.array(&unknown) || !in.array(&options.continuing_prefix) ||
      !in.array(&options.end_suffix) || !in.value(&options.fuse_unknown) ||
      !in.value(&options.byte_fallback) || !in.value(&options.ignore_merges)) {
    return nullptr;
  }
  bpe->prefix_size_ = static_cast<size_t>(prefix_size);
  if (has_unknown) options.unknown_token = std::move(unknown);
  return bpe;
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids, ModelScratch& scratch) const {
  if (options_.ignore_merges) {
    if (const int32_t id = vocabulary_.find(word); id >= 0) {
      ids.push_back(id);
      return;
    }
  }
  const size_t before = ids.size();
  bool known = plain_;
  if (known && word.size() <= kShortWord) {
    known = encode_segment(word, ids, scratch);
  } else {
    for (size_t begin = 0; known && begin < word.size();) {
      const size_t end = joins_.segment_end(word, begin);
      known = encode_segment(word.substr(begin, end - begin), ids, scratch);
      begin = end;
    }
  }
  if (known) return;
  ids.resize(before);
  all_symbols(word, scratch);
  merge_symbols(ids, scratch);
}

// False if the segment has a character that is no token and has no byte tokens: what then happens
// depends on the characters around.
bool Bpe::encode_segment(std::string_view segment, std::vector<int32_t>& ids,
                         ModelScratch& scratch) const {
  if (segment.size() == 1) {
    const int32_t unit = unit_ids_[static_cast<unsigned char>(segment[0])];
    if (unit >= 0) {
      ids.push_back(unit);
      return true;
    }
  }
  const int32_t id = vocabulary_.find(segment);
  Whole whole = Whole::kSeveral;
  if (id >= 0) {
    whole = whole_[static_cast<size_t>(id)].load(std::memory_order_relaxed);
    if (whole == Whole::kItself) {
      ids.push_back(id);
      return true;
    }
  }
  if (!known_symbols(segment, scratch)) return false;
  const size_t before = ids.size();
  merge_symbols(ids, scratch);
  if (whole == Whole::kUnknown) {
    const bool itself = ids.size() == before + 1 && ids.back() == id;
    whole_[static_cast<size_t>(id)].store(itself ? Whole::kItself : Whole::kSeveral,
                                          std::memory_order_relaxed);
  }
  return true;
}

bool Bpe::known_symbols(std::string_view segment, ModelScratch& scratch) const {
  scratch.symbols.clear();
  for (size_t i = 0; i < segment.size();) {
    int32_t id = unit_ids_[static_cast<unsigned char>(segment[i])];
    size_t length = 1;
    if (id < 0 && !bytes()) {
      length = utf8_length(segment[i]);
      if (length > 1) id = vocabulary_.find(segment.substr(i, length));
    }
    if (id >= 0) {
      scratch.symbols.push_back({.id = id});
    } else if (falls_back_) {
      for (size_t k = i; k < i + length; ++k) {
        scratch.symbols.push_back({.id = fallback_ids_[static_cast<unsigned char>(segment[k])]});
      }
    } else {
      return false;
    }
    i += length;
  }
  return true;
}

// All cases of the tokenizers package: prefix and suffix, bytes that may lack a token, unknown
// characters that are fused or not, and left out where there is no unknown token.
void Bpe::all_symbols(std::string_view word, ModelScratch& scratch) const {
  scratch.symbols.clear();
  const auto add = [&](int32_t id) { scratch.symbols.push_back({.id = id}); };
  bool unknown = false;  // one that is not added yet
  for (size_t i = 0; i < word.size();) {
    const size_t length = bytes() ? 1 : utf8_length(word[i]);
    std::string_view unit = word.substr(i, length);
    const bool first = i == 0;
    i += length;
    const bool last = i >= word.size();
    if ((!first && !options_.continuing_prefix.empty()) || (last && !options_.end_suffix.empty())) {
      scratch.text.clear();
      if (!first) scratch.text += options_.continuing_prefix;
      scratch.text += unit;
      if (last) scratch.text += options_.end_suffix;
      unit = scratch.text;
    }
    if (const int32_t id = vocabulary_.find(unit); id >= 0) {
      if (unknown) add(unknown_id_);
      unknown = false;
      add(id);
      continue;
    }
    if (options_.byte_fallback && std::all_of(unit.begin(), unit.end(), [&](char c) {
          return fallback_ids_[static_cast<unsigned char>(c)] >= 0;
        })) {
      for (const char c : unit) add(fallback_ids_[static_cast<unsigned char>(c)]);
      continue;  // a waiting unknown token waits on, as in the tokenizers package
    }
    if (unknown_id_ < 0) continue;
    if (unknown && !options_.fuse_unknown) add(unknown_id_);
    unknown = true;
  }
  if (unknown) add(unknown_id_);
}

void Bpe::merge_symbols(std::vector<int32_t>& ids, ModelScratch& scratch) const {
  if (scratch.symbols.size() <= kFew) {
    merge_few(ids, scratch);
  } else {
    merge_many(ids, scratch);
  }
}

// Finds the least of all (rank, place) again for each merge: for few symbols that is less work than
// to keep an order. Symbols that were joined to another stay in their places, with kNone.
void Bpe::merge_few(std::vector<int32_t>& ids, ModelScratch& scratch) const {
  static_assert(kFew <= size_t{1} << kPlaceBits && kFew % 4 == 0);
  constexpr uint32_t kNone = ~uint32_t{0};
  int32_t id[kFew];
  int32_t joined[kFew];  // of symbol i with the one behind it
  uint32_t order[kFew];  // rank and place of that
  uint8_t next[kFew];
  uint8_t previous[kFew];
  const size_t count = scratch.symbols.size();
  if (count == 0) return;
  const size_t padded = (count + 3) / 4 * 4;
  const auto look_up = [&](size_t i) {
    const MergeTable::Merge merge = merges_.find(id[i], id[next[i]]);
    joined[i] = merge.id;
    order[i] = merge.rank < 0
                   ? kNone
                   : static_cast<uint32_t>(merge.rank) << kPlaceBits | static_cast<uint32_t>(i);
  };
  for (size_t i = 0; i < count; ++i) {
    id[i] = scratch.symbols[i].id;
    next[i] = static_cast<uint8_t>(i + 1);
    previous[i] = static_cast<uint8_t>(i - 1);  // of the first one: not used
  }
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  for (size_t i = count - 1; i < padded; ++i) order[i] = kNone;
  while (true) {
    uint32_t least[4] = {kNone, kNone, kNone, kNone};
    for (size_t i = 0; i < padded; i += 4) {
      for (size_t k = 0; k < 4; ++k) least[k] = std::min(least[k], order[i + k]);
    }
    const uint32_t best = std::min(std::min(least[0], least[1]), std::min(least[2], least[3]));
    if (best == kNone) break;
    const size_t left = best & ((1u << kPlaceBits) - 1);
    const size_t right = next[left];
    id[left] = joined[left];
    next[left] = next[right];
    order[right] = kNone;
    if (next[left] < count) {
      previous[next[left]] = static_cast<uint8_t>(left);
      look_up(left);
    } else {
      order[left] = kNone;
    }
    if (left > 0) look_up(previous[left]);
  }
  for (size_t i = 0; i < count; i = next[i]) ids.push_back(id[i]);
}

// A queue of (rank, place): n log n for a word of any length. An entry is stale when the rank at
// its place is not its own any more.
void Bpe::merge_many(std::vector<int32_t>& ids, ModelScratch& scratch) const {
  std::vector<ModelScratch::Symbol>& symbols = scratch.symbols;
  std::vector<uint64_t>& queue = scratch.queue;
  const auto count = static_cast<int32_t>(symbols.size());
  const auto look_up = [&](int32_t i) {
    ModelScratch::Symbol& symbol = symbols[static_cast<size_t>(i)];
    symbol.rank = -1;
    if (symbol.next < 0) return false;
    const MergeTable::Merge merge =
        merges_.find(symbol.id, symbols[static_cast<size_t>(symbol.next)].id);
    symbol.rank = merge.rank;
    symbol.joined = merge.id;
    return merge.rank >= 0;
  };
  const auto entry = [&](int32_t i) {
    return static_cast<uint64_t>(symbols[static_cast<size_t>(i)].rank) << 32 |
           static_cast<uint32_t>(i);
  };
  queue.clear();
  for (int32_t i = 0; i < count; ++i) {
    symbols[static_cast<size_t>(i)].previous = i - 1;
    symbols[static_cast<size_t>(i)].next = i + 1 < count ? i + 1 : -1;
  }
  for (int32_t i = 0; i < count; ++i) {
    if (look_up(i)) queue.push_back(entry(i));
  }
  std::make_heap(queue.begin(), queue.end(), std::greater<>());
  const auto push = [&](int32_t i) {
    if (!look_up(i)) return;
    queue.push_back(entry(i));
    std::push_heap(queue.begin(), queue.end(), std::greater<>());
  };
  while (!queue.empty()) {
    std::pop_heap(queue.begin(), queue.end(), std::greater<>());
    const uint64_t top = queue.back();
    queue.pop_back();
    const auto place = static_cast<int32_t>(top & 0xffffffff);
    ModelScratch::Symbol& left = symbols[static_cast<size_t>(place)];
    if (left.rank != static_cast<int32_t>(top >> 32)) continue;
    ModelScratch::Symbol& right = symbols[static_cast<size_t>(left.next)];
    left.id = left.joined;
    left.next = right.next;
    right.rank = -1;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = place;
    push(place);
    if (left.previous >= 0) push(left.previous);
  }
  for (int32_t i = 0; i >= 0; i = symbols[static_cast<size_t>(i)].next) {
    ids.push_back(symbols[static_cast<size_t>(i)].id);
  }
}

}  // namespace mlc::tokenizers
