// SPDX-License-Identifier: Apache-2.0
// Byte-pair encoding as the tokenizers package does it: of all adjacent pairs that a merge names,
// the one of lowest rank is joined first, leftmost on ties. Words are characters, or bytes if the
// vocabulary's keys are bytes.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "tokenizers/join_map.h"
#include "tokenizers/model.h"

namespace mlc::tokenizers {

// (left id, right id) to (rank, id of both).
class MergeTable {
 public:
  struct Merge {
    int32_t rank = -1;  // -1: no such merge
    int32_t id = -1;
  };
  void reserve(size_t count);
  // A pair that is added again takes the later rank.
  void insert(int32_t left, int32_t right, Merge merge);
  Merge find(int32_t left, int32_t right) const {
    const uint64_t key = pair(left, right);
    const size_t bit = filter_bit(key);
    if ((filter_[bit / 64] >> (bit % 64) & 1) == 0) return {};
    for (size_t i = place(key);; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return slots_[i].merge;
      if (slots_[i].key == kEmpty) return {};
    }
  }
  void prefetch(int32_t left, int32_t right) const {
    __builtin_prefetch(&slots_[place(pair(left, right))]);
  }
  void write(FlatWriter& out) const;
  bool read(FlatReader& in);

 private:
  static constexpr uint64_t kEmpty = ~uint64_t{0};
  struct Slot {
    uint64_t key = kEmpty;
    Merge merge;
  };
  static uint64_t pair(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t place(uint64_t key) const { return (key * 0x9e3779b97f4a7c15) >> shift_; }
  size_t filter_bit(uint64_t key) const { return (key * 0x9e3779b97f4a7c15) >> (shift_ - 3); }
  void mark(uint64_t key) {
    const size_t bit = filter_bit(key);
    filter_[bit / 64] |= uint64_t{1} << (bit % 64);
  }
  void grow(size_t slots);

  std::vector<Slot> slots_ = std::vector<Slot>(8);
  // Eight bits for each slot, those of the keys set: most pairs that are asked for have no merge,
  // and this tells so from the caches.
  std::vector<uint64_t> filter_ = std::vector<uint64_t>(1);
  size_t mask_ = 7;
  int shift_ = 61;
  size_t count_ = 0;
};

struct BpeOptions {
  std::optional<std::string> unknown_token;
  std::string continuing_prefix;  // of every character but a word's first
  std::string end_suffix;         // of a word's last character
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;  // a word that is a token is that token
};

class Bpe final : public Model {
 public:
  // The vocabulary is indexed. Then come add_merge() in order of rank, with texts of tokens, and
  // finish(). `prefix_size`: bytes of the right token that the joined one lacks (those of the
  // continuing prefix).
  explicit Bpe(Vocabulary vocabulary, size_t prefix_size = 0);
  void add_merge(std::string_view left, std::string_view right);
  // An error for a token that is named and is not in the vocabulary.
  Result<void> finish(BpeOptions options, const std::string& where);

  // After finish(): all that encode() needs, and a model of it. Null for what is no such thing.
  void write_tables(FlatWriter& out) const;
  static std::unique_ptr<Bpe> from_tables(FlatReader& in);

  void encode(std::string_view word, std::vector<int32_t>& ids,
              ModelScratch& scratch) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  // What encoding a token's text gives: itself, or several tokens. Found when first asked for.
  enum class Whole : uint8_t { kUnknown, kItself, kSeveral };

  bool bytes() const { return vocabulary_.keys() == Vocabulary::Keys::kBytes; }
  struct Waiting {
    std::string_view left, right;  // keys
    uint64_t left_hash = 0;
    uint64_t right_hash = 0;
  };
  void resolve_waiting();
  bool resolve(const Waiting& merge);
  int32_t find_join(std::string_view left, std::string_view right);
  bool encode_segment(std::string_view segment, std::vector<int32_t>& ids,
                      ModelScratch& scratch) const;
  bool known_symbols(std::string_view segment, ModelScratch& scratch) const;
  void all_symbols(std::string_view word, ModelScratch& scratch) const;
  void merge_symbols(std::vector<int32_t>& ids, ModelScratch& scratch) const;
  void merge_few(std::vector<int32_t>& ids, ModelScratch& scratch) const;
  void merge_many(std::vector<int32_t>& ids, ModelScratch& scratch) const;

  Vocabulary vocabulary_;
  size_t prefix_size_;
  MergeTable merges_;
  BpeOptions options_;
  int32_t unknown_id_ = -1;
  std::array<int32_t, 256> unit_ids_;      // of a byte, or of an ASCII character
  std::array<int32_t, 256> fallback_ids_;  // of "<0x..>"
  bool falls_back_ = false;                // all of these are there
  // No prefix, no suffix, no merge of tokens that stand for other text than their own: then a word
  // can be cut where no merge joins the characters on both sides.
  bool plain_ = true;
  JoinMap joins_;
  std::unique_ptr<std::atomic<Whole>[]> whole_;  // [max_id + 1]

  // While merges are added.
  struct Resolved {
    int32_t left, right, joined;
  };
  std::string waiting_texts_;
  std::vector<size_t> waiting_ends_;  // of each left and each right key
  std::vector<Resolved> resolved_;    // in order of rank; left -1: can't take place
  std::string joined_;
  int32_t last_joined_ = -1;
  std::string bad_merge_;  // the first one that names an absent token
};

}  // namespace mlc::tokenizers
