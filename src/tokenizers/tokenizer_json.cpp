// SPDX-License-Identifier: Apache-2.0
// tokenizer.json, the format of Hugging Face's tokenizers package. The vocabulary and the merges go
// straight from the text into tables; the small parts are read as trees. `truncation` and `padding`
// are settings of the program that wrote the file, not of the tokenizer: they are not applied.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/json_cursor.h"
#include "support/strings.h"
#include "tokenizers/bpe.h"
#include "tokenizers/flat_file.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/tokenizer.h"
#include "tokenizers/tokenizer_json.h"
#include "tokenizers/unigram.h"
#include "tokenizers/wordpiece.h"

namespace mlc::tokenizers {
namespace {

// `model` without its vocabulary and merges.
struct ModelFields {
  std::string type;
  std::optional<double> dropout;
  std::optional<std::string> unknown_token;
  std::optional<std::string> continuing_prefix;
  std::optional<std::string> end_suffix;
  std::optional<int64_t> unknown_id;
  std::optional<int64_t> max_characters;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;
  bool has_merges = false;
  bool is_unigram = false;  // the vocabulary is a list of scores
};

// A number as the tokenizers package reads it (serde_json without its feature float_roundtrip):
// digits while they fit in 64 bits, then one product or quotient. The result may lie a bit beside
// the nearest double, and that decides between two ways to cut a word that cost the same.
double serde_double(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  uint64_t digits = 0;
  int64_t exponent = 0;
  bool fraction = false;
  bool full = false;
  size_t i = 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
      continue;
    }
    const auto digit = static_cast<uint64_t>(text[i] - '0');
    full |= digits > (std::numeric_limits<uint64_t>::max() - digit) / 10;
    if (full) {
      exponent += fraction ? 0 : 1;
      continue;
    }
    digits = digits * 10 + digit;
    exponent -= fraction ? 1 : 0;
  }
  if (i < text.size()) {
    std::string_view power = text.substr(i + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    constexpr int64_t kFar = 1'000'000;
    exponent +=
        std::clamp(parse_int64(power).value_or(power.starts_with('-') ? -kFar : kFar), -kFar, kFar);
  }
  static const std::array<double, 309> kPowers = [] {
    std::array<double, 309> powers{};
    for (size_t k = 0; k < powers.size(); ++k) powers[k] = *parse_double(cat("1e", k));
    return powers;
  }();
  auto value = static_cast<double>(digits);
  while (value != 0 && exponent != 0) {
    const int64_t step = std::clamp<int64_t>(exponent, -308, 308);
    const double power = kPowers[static_cast<size_t>(step < 0 ? -step : step)];
    value = step < 0 ? value / power : value * power;
    exponent -= step;
    if (value > std::numeric_limits<double>::max()) break;
  }
  return negative ? -value : value;
}

// Which model's tables they are.
enum class CompiledModel : uint32_t { kBpe, kUnigram };

class Reader {
 public:
  Reader(std::string_view text, std::string_view where, KeepTables keep)
      : text_(text), where_(where), in_(text, where_), keep_(keep) {}

  // `ready`: the model, if the text has none. `kept`: what to keep besides, or null.
  Result<std::unique_ptr<Tokenizer>> read(std::unique_ptr<Model> ready, JsonModel* kept) {
    std::optional<size_t> model_offset;
    std::string_view key;
    std::string name;
    bool knows_words = false;
    parts_.model = std::move(ready);
    for (in_.enter_object(); in_.next_member(&key);) {
      const size_t begin = in_.offset();
      if (kept != nullptr && key != "model") {
        name = key;
        key = name;
        const std::string_view value = in_.skip();
        kept->small_parts +=
            cat(kept->small_parts.empty() ? "{" : ",", Json(name).dump(), ":", value);
        in_.move_to(begin);
      }
      if (key == "version") {
        std::string_view version;
        if (in_.read_string(&version) && version != "1.0")
          in_.fail(cat("has version ", version), "1.0");
      } else if (key == "added_tokens") {
        read_added_tokens();
      } else if (key == "normalizer") {
        MLC_ASSIGN_OR_RETURN(const Json json, small_part());
        MLC_ASSIGN_OR_RETURN(parts_.normalizer,
                             Normalizer::from_json(json, cat(where_, ": normalizer")));
      } else if (key == "pre_tokenizer") {
        MLC_ASSIGN_OR_RETURN(const Json json, small_part());
        MLC_ASSIGN_OR_RETURN(parts_.pre_tokenizer,
                             PreTokenizer::from_json(json, cat(where_, ": pre_tokenizer")));
        knows_words = true;
      } else if (key == "post_processor") {
        MLC_ASSIGN_OR_RETURN(const Json json, small_part());
        MLC_ASSIGN_OR_RETURN(parts_.post_processor,
                             PostProcessor::from_json(json, cat(where_, ": post_processor")));
      } else if (key == "decoder") {
        MLC_ASSIGN_OR_RETURN(const Json json, small_part());
        MLC_ASSIGN_OR_RETURN(parts_.decoder, Decoder::from_json(json, cat(where_, ": decoder")));
      } else if (key == "model") {
        model_offset = begin;
        if (knows_words) {
          MLC_RETURN_IF_ERROR(read_model());
        } else {
          in_.skip();  // what its words are comes later
        }
      } else {
        in_.skip();
      }
    }
    if (!in_.failed()) in_.finish();
    if (in_.failed()) return in_.error();
    if (!model_offset && parts_.model == nullptr)
      return user_error(where_, "lacks the key \"model\"", "a tokenizer.json");
    if (parts_.model == nullptr) {
      in_.move_to(*model_offset);
      MLC_RETURN_IF_ERROR(read_model());
      if (in_.failed()) return in_.error();
    }
    if (kept != nullptr) {
      kept->small_parts += kept->small_parts.empty() ? "{}" : "}";
      kept->tables = std::move(tables_);
    }
    return Tokenizer::assemble(std::move(parts_), where_);
  }

 private:
  Result<Json> small_part() {
    const std::string_view text = in_.skip();
    if (in_.failed()) return in_.error();
    return parse_json(text, where_);
  }

  void read_added_tokens() {
    std::string_view key;
    std::string_view text;
    for (in_.enter_array(); in_.next_element();) {
      AddedToken token;
      for (in_.enter_object(); in_.next_member(&key);) {
        if (key == "content") {
          if (in_.read_string(&text)) token.content = text;
        } else if (key == "single_word") {
          in_.read_bool(&token.single_word);
        } else if (key == "lstrip") {
          in_.read_bool(&token.lstrip);
        } else if (key == "rstrip") {
          in_.read_bool(&token.rstrip);
        } else if (key == "normalized") {
          in_.read_bool(&token.normalized);
        } else if (key == "special") {
          in_.read_bool(&token.special);
        } else {
          in_.skip();
        }
      }
      parts_.added_tokens.push_back(std::move(token));
    }
  }

  // Reads the model. How the vocabulary is to be kept depends on fields that usually come before
  // it: if one comes behind it and says otherwise, all is read a second time.
  Result<void> read_model() {
    const size_t offset = in_.offset();
    ModelFields assumed;
    for (int attempt = 0;; ++attempt) {
      ModelFields found = assumed;
      MLC_RETURN_IF_ERROR(read_model_fields(found));
      const bool same_keys = bpe_keys(found) == keys_used_ &&
                             found.continuing_prefix.value_or("").size() == prefix_used_;
      if (in_.failed() || found.is_unigram || !found.has_merges || same_keys || attempt == 1) {
        if (in_.failed()) return {};
        return make_model(std::move(found));
      }
      assumed = std::move(found);
      in_.move_to(offset);
    }
  }

  Vocabulary::Keys bpe_keys(const ModelFields& fields) const {
    const bool bytes = parts_.pre_tokenizer.ends_in_byte_alphabet() && !fields.byte_fallback &&
                       fields.continuing_prefix.value_or("").empty() &&
                       fields.end_suffix.value_or("").empty() &&
                       (fields.type == "BPE" || (fields.type.empty() && fields.has_merges));
    return bytes ? Vocabulary::Keys::kBytes : Vocabulary::Keys::kText;
  }

  Result<void> read_model_fields(ModelFields& fields) {
    std::string_view key;
    std::optional<size_t> merges_offset;
    bpe_.reset();
    bool has_vocabulary = false;
    for (in_.enter_object(); in_.next_member(&key);) {
      if (key == "type") {
        std::string_view type;
        if (in_.read_string(&type)) fields.type = type;
      } else if (key == "dropout") {
        read_optional_double(fields.dropout);
      } else if (key == "unk_token") {
        read_optional_string(fields.unknown_token);
      } else if (key == "continuing_subword_prefix") {
        read_optional_string(fields.continuing_prefix);
      } else if (key == "end_of_word_suffix") {
        read_optional_string(fields.end_suffix);
      } else if (key == "unk_id") {
        read_optional_int(fields.unknown_id);
      } else if (key == "max_input_chars_per_word") {
        read_optional_int(fields.max_characters);
      } else if (key == "fuse_unk") {
        read_optional_bool(fields.fuse_unknown);
      } else if (key == "byte_fallback") {
        read_optional_bool(fields.byte_fallback);
      } else if (key == "ignore_merges") {
        read_optional_bool(fields.ignore_merges);
      } else if (key == "vocab") {
        has_vocabulary = true;
        MLC_RETURN_IF_ERROR(read_vocabulary(fields));
      } else if (key == "merges") {
        fields.has_merges = true;
        merges_offset = in_.offset();
        if (has_vocabulary && !fields.is_unigram) {
          start_bpe(fields);
          read_merges();
        } else {
          in_.skip();
        }
      } else {
        in_.skip();
      }
    }
    if (in_.failed()) return in_.error();
    if (!has_vocabulary) return user_error(where_, "model lacks the key \"vocab\"");
    if (fields.has_merges && bpe_ == nullptr && !fields.is_unigram) {
      const size_t end = in_.offset();
      start_bpe(fields);
      in_.move_to(*merges_offset);
      read_merges();
      if (in_.failed()) return in_.error();
      in_.move_to(end);
    }
    return {};
  }

  void read_optional_string(std::optional<std::string>& value) {
    std::string_view text;
    if (in_.peek() == JsonCursor::Kind::kNull) {
      in_.read_null();
    } else if (in_.read_string(&text)) {
      value = text;
    }
  }
  void read_optional_bool(bool& value) {
    if (in_.peek() == JsonCursor::Kind::kNull) {
      in_.read_null();
    } else {
      in_.read_bool(&value);
    }
  }
  void read_optional_int(std::optional<int64_t>& value) {
    int64_t number = 0;
    if (in_.peek() == JsonCursor::Kind::kNull) {
      in_.read_null();
    } else if (in_.read_int(&number)) {
      value = number;
    }
  }
  void read_optional_double(std::optional<double>& value) {
    double number = 0;
    if (in_.peek() == JsonCursor::Kind::kNull) {
      in_.read_null();
    } else if (in_.read_double(&number)) {
      value = number;
    }
  }

  Error bad_id(std::string_view token, int64_t id) const {
    return user_error(where_, cat("token \"", token, "\" has the id ", id),
                      cat("ids from 0 to ", Vocabulary::kMaxId, " and less than 2 GiB of text"));
  }

  Result<void> read_vocabulary(ModelFields& fields) {
    if (in_.peek() == JsonCursor::Kind::kArray) {
      fields.is_unigram = true;
      return read_scores();
    }
    keys_used_ = fields.type.empty() ? Vocabulary::Keys::kText : bpe_keys(fields);
    vocabulary_ = Vocabulary(keys_used_);
    std::string_view token;
    int64_t id = 0;
    for (in_.enter_object(); in_.next_member(&token);) {
      const std::string_view kept = token;  // reading an integer leaves it
      if (in_.read_int(&id) && !vocabulary_.add(kept, id)) return bad_id(kept, id);
    }
    vocabulary_.index();
    return {};
  }

  // [[text, score], ...]: the place is the id.
  Result<void> read_scores() {
    vocabulary_ = Vocabulary();
    scores_.clear();
    std::string_view token;
    for (in_.enter_array(); in_.next_element();) {
      std::string_view number;
      const auto id = static_cast<int64_t>(scores_.size());
      if (!in_.enter_array() || !in_.next_element() || !in_.read_string(&token)) break;
      if (!vocabulary_.add(token, id)) return bad_id(token, id);
      if (!in_.next_element() || !in_.read_number(&number)) {
        in_.fail("has a token without a score", "[text, score]");
        break;
      }
      scores_.push_back(serde_double(number));
      if (in_.next_element()) in_.fail("has a token with more than a score", "[text, score]");
    }
    vocabulary_.index();
    return {};
  }

  void start_bpe(const ModelFields& fields) {
    prefix_used_ = fields.continuing_prefix.value_or("").size();
    bpe_ = std::make_unique<Bpe>(std::move(vocabulary_), prefix_used_);
  }

  // ["left right", ...] or [["left", "right"], ...].
  void read_merges() {
    std::string_view text;
    std::string left;
    for (in_.enter_array(); in_.next_element();) {
      if (in_.peek() == JsonCursor::Kind::kString) {
        if (!in_.read_string(&text) || text.starts_with("#version")) continue;
        const size_t blank = text.find(' ');
        if (blank == std::string_view::npos ||
            text.find(' ', blank + 1) != std::string_view::npos) {
          in_.fail(cat("has the merge \"", text, "\""), "two tokens with a blank between them");
          break;
        }
        bpe_->add_merge(text.substr(0, blank), text.substr(blank + 1));
        continue;
      }
      if (!in_.enter_array() || !in_.next_element() || !in_.read_string(&text)) break;
      left = text;
      if (!in_.next_element() || !in_.read_string(&text)) {
        in_.fail("has a merge of one token", "two tokens");
        break;
      }
      bpe_->add_merge(left, text);
      if (in_.next_element()) in_.fail("has a merge of more than two tokens", "two tokens");
    }
  }

  template <class T>
  void keep_tables(CompiledModel kind, const T& model) {
    if (keep_ == KeepTables::kNo) return;
    FlatWriter tables;
    tables.value(kind);
    model.write_tables(tables);
    tables_ = tables.take();
  }

  Result<void> make_model(ModelFields fields) {
    if (fields.type.empty()) {  // files of the first versions
      fields.type = fields.has_merges                      ? "BPE"
                    : fields.is_unigram                    ? "Unigram"
                    : fields.continuing_prefix.has_value() ? "WordPiece"
                                                           : "WordLevel";
    }
    const std::string where = cat(where_, ": model");
    if (fields.type == "BPE") {
      if (bpe_ == nullptr) return user_error(where, "lacks the key \"merges\"");
      if (fields.dropout.value_or(0) != 0) {
        return user_error(where, cat("dropout is ", *fields.dropout), "null or 0",
                          "set it to null: a model in use must give the same ids each time");
      }
      MLC_RETURN_IF_ERROR(bpe_->finish({.unknown_token = fields.unknown_token,
                                        .continuing_prefix = fields.continuing_prefix.value_or(""),
                                        .end_suffix = fields.end_suffix.value_or(""),
                                        .fuse_unknown = fields.fuse_unknown,
                                        .byte_fallback = fields.byte_fallback,
                                        .ignore_merges = fields.ignore_merges},
                                       where));
      keep_tables(CompiledModel::kBpe, *bpe_);
      parts_.model = std::move(bpe_);
      return {};
    }
    if (fields.type == "Unigram") {
      if (!fields.is_unigram)
        return user_error(where, "has a vocabulary without scores", "[[text, score], ...]");
      const int64_t unknown = fields.unknown_id.value_or(-1);
      if (unknown >= static_cast<int64_t>(scores_.size())) {
        return user_error(where, cat("unk_id is ", unknown),
                          cat("the id of one of its ", scores_.size(), " tokens"));
      }
      auto unigram =
          std::make_unique<Unigram>(std::move(vocabulary_), std::move(scores_),
                                    UnigramOptions{.unknown_id = static_cast<int32_t>(unknown),
                                                   .byte_fallback = fields.byte_fallback});
      keep_tables(CompiledModel::kUnigram, *unigram);
      parts_.model = std::move(unigram);
      return {};
    }
    if (fields.is_unigram)
      return user_error(where, "has a vocabulary with scores", "{text: id, ...}");
    if (fields.type == "WordPiece") {
      MLC_ASSIGN_OR_RETURN(
          parts_.model,
          make_wordpiece(std::move(vocabulary_),
                         {.unknown_token = fields.unknown_token.value_or("[UNK]"),
                          .continuing_prefix = fields.continuing_prefix.value_or("##"),
                          .max_characters = fields.max_characters.value_or(100)},
                         where));
      return {};
    }
    if (fields.type == "WordLevel") {
      MLC_ASSIGN_OR_RETURN(
          parts_.model,
          make_wordlevel(std::move(vocabulary_), fields.unknown_token.value_or("<unk>"), where));
      return {};
    }
    return unknown_name_error(ErrorKind::kUser, where, "type", fields.type,
                              {"BPE", "Unigram", "WordLevel", "WordPiece"});
  }

  std::string_view text_;
  std::string where_;
  JsonCursor in_;
  Tokenizer::Parts parts_;
  KeepTables keep_;
  std::string tables_;
  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::unique_ptr<Bpe> bpe_;
  Vocabulary::Keys keys_used_ = Vocabulary::Keys::kText;
  size_t prefix_used_ = 0;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json_text(std::string_view text,
                                                            std::string_view where) {
  return Reader(text, where, KeepTables::kNo).read(nullptr, nullptr);
}

Result<JsonModel> read_tokenizer_json(std::string_view text, std::string_view where,
                                      KeepTables keep) {
  JsonModel result;
  MLC_ASSIGN_OR_RETURN(
      result.tokenizer,
      Reader(text, where, keep).read(nullptr, keep == KeepTables::kYes ? &result : nullptr));
  return result;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_tables(std::string_view small_parts,
                                                         std::string_view tables,
                                                         std::string_view where) {
  FlatReader in(tables);
  std::unique_ptr<Model> model;
  CompiledModel kind{};
  if (in.value(&kind)) {
    if (kind == CompiledModel::kBpe) model = Bpe::from_tables(in);
    if (kind == CompiledModel::kUnigram) model = Unigram::from_tables(in);
  }
  if (model == nullptr || !in.at_end()) return user_error(std::string(where), "has other tables");
  return Reader(small_parts, where, KeepTables::kNo).read(std::move(model), nullptr);
}

}  // namespace mlc::tokenizers
