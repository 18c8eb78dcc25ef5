// SPDX-License-Identifier: Apache-2.0
// tokenizer.model: a protocol buffer (sentencepiece_model.proto of google/sentencepiece), of which
// only what encoding and decoding need is read.
#include <algorithm>
#include <cstring>
#include <numeric>
#include <optional>
#include <utility>

#include "support/strings.h"
#include "tokenizers/formats.h"
#include "tokenizers/scored_bpe.h"
#include "tokenizers/unigram.h"

namespace mlc::tokenizers {
namespace {

// The fields of one message, one after the other.
class ProtoReader {
 public:
  explicit ProtoReader(std::string_view bytes) : bytes_(bytes) {}

  // False at the end, or where the bytes are no message: then failed() is true.
  bool next() {
    if (at_ == bytes_.size()) return false;
    uint64_t key = 0;
    if (!varint(key) || key >> 3 == 0 || key >> 3 > 0x1fffffff) return fail();
    field_ = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0:
        return varint(number_) || fail();
      case 1:
        return take(8);
      case 2: {
        uint64_t size = 0;
        return varint(size) ? take(size) : fail();
      }
      case 5:
        return take(4);
      default:
        return fail();  // groups are not used
    }
  }

  int field() const { return field_; }
  uint64_t number() const { return number_; }
  std::string_view bytes() const { return value_; }
  float as_float() const {
    float value = 0;
    if (value_.size() == sizeof value) std::memcpy(&value, value_.data(), sizeof value);
    return value;
  }
  bool failed() const { return failed_; }

 private:
  bool fail() {
    failed_ = true;
    at_ = bytes_.size();
    return false;
  }
  bool varint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && at_ < bytes_.size(); shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes_[at_++]);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool take(uint64_t size) {
    if (size > bytes_.size() - at_) return fail();
    value_ = bytes_.substr(at_, size);
    at_ += size;
    return true;
  }

  std::string_view bytes_;
  size_t at_ = 0;
  int field_ = 0;
  uint64_t number_ = 0;
  std::string_view value_;
  bool failed_ = false;
};

enum class PieceType : int {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};
enum class ModelType : int { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

struct Piece {
  std::string_view text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct Proto {
  std::vector<Piece> pieces;
  int model_type = 1;
  bool byte_fallback = false;
  std::string unknown_surface = " \xe2\x81\x87 ";
  int64_t bos_id = 1;
  int64_t eos_id = 2;
  SentencePieceRules rules;
};

class SentencePieceReader {
 public:
  explicit SentencePieceReader(const std::string& where) : where_(where) {}

  Result<std::unique_ptr<Tokenizer>> read(std::string_view bytes) {
    MLC_RETURN_IF_ERROR(read_model(bytes));
    MLC_RETURN_IF_ERROR(check());
    return build();
  }

 private:
  Error damaged(std::string_view what) const {
    return user_error(where_, cat("is no sentencepiece model: ", what), "a tokenizer.model",
                      "the file is damaged, or is of another kind: get it again");
  }

  Result<void> read_model(std::string_view bytes) {
    ProtoReader in(bytes);
    while (in.next()) {
      switch (in.field()) {
        case 1:
          MLC_RETURN_IF_ERROR(read_piece(in.bytes()));
          break;
        case 2:
          MLC_RETURN_IF_ERROR(read_trainer(in.bytes()));
          break;
        case 3:
          MLC_RETURN_IF_ERROR(read_normalizer(in.bytes()));
          break;
        case 5:
          MLC_RETURN_IF_ERROR(read_denormalizer(in.bytes()));
          break;
        default:
          break;
      }
    }
    if (in.failed()) return damaged("its fields can't be read");
    if (proto_.pieces.empty()) return damaged("it has no pieces");
    return {};
  }

  Result<void> read_piece(std::string_view bytes) {
    Piece piece;
    ProtoReader in(bytes);
    while (in.next()) {
      if (in.field() == 1) piece.text = in.bytes();
      if (in.field() == 2) piece.score = in.as_float();
      if (in.field() == 3) {
        if (in.number() < 1 || in.number() > 6) {
          return damaged(cat("piece ", proto_.pieces.size(), " has the type ", in.number()));
        }
        piece.type = static_cast<PieceType>(in.number());
      }
    }
    if (in.failed() || piece.text.empty())
      return damaged(cat("piece ", proto_.pieces.size(), " can't be read"));
    if (!is_valid_utf8(piece.text))
      return damaged(cat("piece ", proto_.pieces.size(), " is no UTF-8"));
    if (piece.score != piece.score)
      return damaged(cat("piece ", proto_.pieces.size(), " has no number as its score"));
    proto_.pieces.push_back(piece);
    return {};
  }

  Result<void> read_trainer(std::string_view bytes) {
    ProtoReader in(bytes);
    while (in.next()) {
      switch (in.field()) {
        case 3:
          proto_.model_type = static_cast<int>(std::min<uint64_t>(in.number(), 100));
          break;
        case 24:
          proto_.rules.whitespace_as_suffix = in.number() != 0;
          break;
        case 35:
          proto_.byte_fallback = in.number() != 0;
          break;
        case 41:
          proto_.bos_id = static_cast<int32_t>(in.number());
          break;  // -1 is ten bytes of varint
        case 42:
          proto_.eos_id = static_cast<int32_t>(in.number());
          break;
        case 44:
          proto_.unknown_surface = in.bytes();
          break;
        default:
          break;
      }
    }
    if (in.failed()) return damaged("its trainer_spec can't be read");
    return {};
  }

  Result<void> read_normalizer(std::string_view bytes) {
    ProtoReader in(bytes);
    while (in.next()) {
      switch (in.field()) {
        case 2: {
          MLC_ASSIGN_OR_RETURN(proto_.rules.charsmap, Charsmap::parse(in.bytes(), where_));
          break;
        }
        case 3:
          proto_.rules.add_dummy_prefix = in.number() != 0;
          break;
        case 4:
          proto_.rules.remove_extra_whitespaces = in.number() != 0;
          break;
        case 5:
          proto_.rules.escape_whitespaces = in.number() != 0;
          break;
        default:
          break;
      }
    }
    if (in.failed()) return damaged("its normalizer_spec can't be read");
    return {};
  }

  Result<void> read_denormalizer(std::string_view bytes) {
    ProtoReader in(bytes);
    while (in.next()) {
      if (in.field() == 2 && !in.bytes().empty()) {
        return user_error(where_,
                          "has a denormalizer_spec with a charsmap, which is not supported");
      }
    }
    return {};
  }

  Result<void> check() {
    for (size_t id = 0; id < proto_.pieces.size(); ++id) {
      if (proto_.pieces[id].type == PieceType::kUnknown) {
        if (unknown_id_ >= 0) return damaged("it has two unknown pieces");
        unknown_id_ = static_cast<int32_t>(id);
      }
    }
    if (unknown_id_ < 0) return damaged("it has no unknown piece");
    return {};
  }

  bool is_control(int64_t id) const {
    return id >= 0 && id < static_cast<int64_t>(proto_.pieces.size()) &&
           proto_.pieces[static_cast<size_t>(id)].type == PieceType::kControl;
  }

  Result<std::unique_ptr<Tokenizer>> build() {
    Vocabulary vocabulary;
    Tokenizer::Parts parts;
    for (size_t id = 0; id < proto_.pieces.size(); ++id) {
      const Piece& piece = proto_.pieces[id];
      if (!vocabulary.add(piece.text, static_cast<int64_t>(id))) {
        return user_error(where_, cat("has ", proto_.pieces.size(), " pieces"),
                          cat("at most ", Vocabulary::kMaxId + 1, " pieces and 2 GiB of text"));
      }
      if (piece.type == PieceType::kUserDefined) proto_.rules.user_symbols.emplace_back(piece.text);
      if (piece.type == PieceType::kControl) parts.special_ids.push_back(static_cast<int32_t>(id));
    }
    vocabulary.index();
    if (vocabulary.size() != proto_.pieces.size())
      return damaged("it has two pieces of the same text");
    const std::string unknown_text(proto_.pieces[static_cast<size_t>(unknown_id_)].text);
    if (proto_.model_type == static_cast<int>(ModelType::kUnigram)) {
      parts.model = unigram(std::move(vocabulary));
    } else if (proto_.model_type == static_cast<int>(ModelType::kBpe)) {
      parts.model = bpe(std::move(vocabulary));
    } else {
      return user_error(where_, cat("has the model type ", proto_.model_type),
                        "1 (Unigram) or 2 (BPE)");
    }
    Decoder::FirstBlanks blanks = Decoder::FirstBlanks::kKeep;
    if (proto_.rules.add_dummy_prefix) blanks = Decoder::FirstBlanks::kDropOne;
    if (proto_.rules.remove_extra_whitespaces) blanks = Decoder::FirstBlanks::kDropAll;
    parts.decoder = Decoder::from_sentencepiece(unknown_text, proto_.unknown_surface, blanks,
                                                proto_.byte_fallback);
    if (is_control(proto_.bos_id)) {
      parts.post_processor = PostProcessor::around({static_cast<int32_t>(proto_.bos_id)}, {});
    } else if (is_control(proto_.eos_id)) {
      parts.post_processor = PostProcessor::around({}, {static_cast<int32_t>(proto_.eos_id)});
    }
    parts.normalizer = Normalizer::from_sentencepiece(std::move(proto_.rules));
    return Tokenizer::assemble(std::move(parts), where_);
  }

  std::unique_ptr<Model> unigram(Vocabulary vocabulary) const {
    UnigramOptions options{.rules = UnigramOptions::Rules::kSentencePiece,
                           .unknown_id = unknown_id_,
                           .byte_fallback = proto_.byte_fallback};
    std::vector<double> scores;
    for (const Piece& piece : proto_.pieces) {
      scores.push_back(piece.score);
      options.uses.push_back(piece.type == PieceType::kNormal ? UnigramOptions::Use::kNormal
                             : piece.type == PieceType::kUserDefined
                                 ? UnigramOptions::Use::kUserDefined
                                 : UnigramOptions::Use::kNever);
    }
    return std::make_unique<Unigram>(std::move(vocabulary), std::move(scores), std::move(options));
  }

  std::unique_ptr<Model> bpe(Vocabulary vocabulary) const {
    const size_t count = proto_.pieces.size();
    ScoredBpeOptions options{.ranks = std::vector<int32_t>(count, -1),
                             .unused = std::vector<bool>(count, false),
                             .unknown_id = unknown_id_,
                             .byte_fallback = proto_.byte_fallback};
    std::vector<int32_t> order(count);
    std::iota(order.begin(), order.end(), 0);
    const auto score = [&](int32_t id) { return proto_.pieces[static_cast<size_t>(id)].score; };
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return score(a) > score(b); });
    int32_t rank = 0;
    for (size_t i = 0; i < count; ++i) {
      if (i > 0 && score(order[i]) != score(order[i - 1])) ++rank;
      const auto id = static_cast<size_t>(order[i]);
      const PieceType type = proto_.pieces[id].type;
      if (type == PieceType::kUserDefined) options.frozen.push_back(order[i]);
      options.unused[id] = type == PieceType::kUnused;
      const bool is_piece = type == PieceType::kNormal || type == PieceType::kUserDefined ||
                            type == PieceType::kUnused;
      if (is_piece) options.ranks[id] = rank;
    }
    return std::make_unique<ScoredBpe>(std::move(vocabulary), std::move(options));
  }

  std::string where_;
  Proto proto_;
  int32_t unknown_id_ = -1;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::string_view model,
                                                                const std::string& where) {
  return SentencePieceReader(where).read(model);
}

}  // namespace mlc::tokenizers
