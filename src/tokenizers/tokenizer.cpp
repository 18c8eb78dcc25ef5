// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/tokenizer.h"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "support/strings.h"
#include "tokenizers/byte_alphabet.h"
#include "tokenizers/byte_tokens.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr size_t kMaxWordBytes = size_t{1} << 30;  // what models count in 32 bits

}  // namespace

Result<std::unique_ptr<Tokenizer>> Tokenizer::assemble(Parts parts, const std::string& where) {
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer());
  tokenizer->parts_ = std::move(parts);
  if (tokenizer->parts_.model->vocabulary().keys() == Vocabulary::Keys::kBytes) {
    tokenizer->parts_.pre_tokenizer.keep_bytes();
  }
  MLC_RETURN_IF_ERROR(tokenizer->place_added_tokens(where));
  return tokenizer;
}

// Gives the added tokens their ids and makes the tables that find them.
Result<void> Tokenizer::place_added_tokens(const std::string& where) {
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  std::unordered_map<std::string_view, int32_t> ids;
  std::unordered_set<std::string_view> special_texts;
  std::unordered_map<int32_t, int32_t> last_by_id;
  const auto model_size = static_cast<int32_t>(vocabulary.size());
  int32_t next_id = model_size;
  std::vector<AddedToken>& tokens = parts_.added_tokens;
  vocab_size_ = model_size;
  int32_t max_id = vocabulary.max_id();
  for (size_t i = 0; i < tokens.size(); ++i) {
    AddedToken& token = tokens[i];
    const int32_t given_id = std::exchange(token.id, -1);
    if (token.content.empty()) continue;
    if (const auto known = ids.find(token.content); known != ids.end()) {
      token.id = known->second;
    } else {
      token.id = vocabulary.find_text(token.content);
      if (token.id < 0) {
        token.id = parts_.keep_added_ids ? given_id : next_id++;
        ++vocab_size_;
      }
      if (token.id > Vocabulary::kMaxId) return user_error(where, "has too many added tokens");
      ids.emplace(token.content, token.id);
    }
    if (token.special) special_texts.insert(token.content);
    last_by_id[token.id] = static_cast<int32_t>(i);
    max_id = std::max(max_id, token.id);
  }
  added_by_id_.assign(static_cast<size_t>(max_id + 1), -1);
  special_.assign(static_cast<size_t>(max_id + 1), false);
  added_texts_.resize(tokens.size());
  std::vector<std::pair<std::string, int32_t>> raw;
  std::vector<std::pair<std::string, int32_t>> normalized;
  for (const auto& [id, index] : last_by_id) {
    const AddedToken& token = tokens[static_cast<size_t>(index)];
    added_by_id_[static_cast<size_t>(id)] = index;
    std::string& text = added_texts_[static_cast<size_t>(index)];
    text = token.content;
    if (token.normalized) {
      std::string buffer;
      bool at_start = true;
      text = parts_.normalizer.apply(token.content, buffer, &at_start);
    }
    special_[static_cast<size_t>(id)] = special_texts.contains(text);
    (token.normalized ? normalized : raw).emplace_back(text, index);
  }
  for (const int32_t id : parts_.special_ids) special_[static_cast<size_t>(id)] = true;
  raw_matcher_.build(std::move(raw), tokens);
  normalized_matcher_.build(std::move(normalized), tokens);
  return {};
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    append_lossy_utf8(repaired, text);
    text = repaired;
  }
  std::vector<int32_t> ids;
  ModelScratch scratch;
  Words words;
  std::string normal_buffer;
  std::vector<AddedTokenMatcher::Part> parts;
  std::vector<AddedTokenMatcher::Part> inner_parts;
  const auto encode_word = [&](std::string_view word) {
    while (word.size() > kMaxWordBytes) {
      size_t cut = kMaxWordBytes;
      while ((static_cast<unsigned char>(word[cut]) & 0xc0) == 0x80) --cut;
      parts_.model->encode(word.substr(0, cut), ids, scratch);
      word.remove_prefix(cut);
    }
    parts_.model->encode(word, ids, scratch);
  };
  raw_matcher_.split(text, parts);
  for (const AddedTokenMatcher::Part& part : parts) {
    if (part.id >= 0) {
      ids.push_back(part.id);
      continue;
    }
    bool at_start = part.begin == 0;
    const std::string_view normal = parts_.normalizer.apply(
        text.substr(part.begin, part.end - part.begin), normal_buffer, &at_start);
    inner_parts.clear();
    normalized_matcher_.split(normal, inner_parts);
    for (const AddedTokenMatcher::Part& inner : inner_parts) {
      if (inner.id >= 0) {
        ids.push_back(inner.id);
        continue;
      }
      parts_.pre_tokenizer.run(normal.substr(inner.begin, inner.end - inner.begin),
                               at_start && inner.begin == 0, words);
      for (const Span& span : words.spans)
        encode_word(words.text.substr(span.begin, span.end - span.begin));
    }
  }
  return parts_.post_processor.apply(std::move(ids), options.add_special);
}

const AddedToken* Tokenizer::added(int32_t id) const {
  if (id < 0 || id > max_id()) return nullptr;
  const int32_t index = added_by_id_[static_cast<size_t>(id)];
  return index < 0 ? nullptr : &parts_.added_tokens[static_cast<size_t>(index)];
}

std::optional<std::string> Tokenizer::decoder_token(int32_t id) const {
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  const bool wants_bytes = parts_.decoder.is_byte_level();
  std::string text;
  if (const AddedToken* const token = added(id)) {
    text = added_texts_[static_cast<size_t>(token - parts_.added_tokens.data())];
  } else if (!vocabulary.contains(id)) {
    return std::nullopt;
  } else if (wants_bytes && vocabulary.has_byte_key(id)) {
    return std::string(vocabulary.key(id));
  } else {
    text = vocabulary.text(id);
  }
  std::string bytes;
  return wants_bytes && append_alphabet_bytes(bytes, text) ? bytes : text;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  if (parts_.decoder.is_byte_level()) return decode_bytes(ids, options);
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    if (options.skip_special && is_special(id)) continue;
    if (std::optional<std::string> token = decoder_token(id)) tokens.push_back(std::move(*token));
  }
  return parts_.decoder.decode(std::move(tokens));
}

// decode() where tokens only have to be joined.
std::string Tokenizer::decode_bytes(std::span<const int32_t> ids, DecodeOptions options) const {
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  std::string bytes;
  for (const int32_t id : ids) {
    if (options.skip_special && is_special(id)) continue;
    if (added(id) == nullptr && vocabulary.contains(id) && vocabulary.has_byte_key(id)) {
      bytes += vocabulary.key(id);
    } else if (const std::optional<std::string> token = decoder_token(id)) {
      bytes += *token;
    }
  }
  if (is_valid_utf8(bytes)) return bytes;
  std::string text;
  append_lossy_utf8(text, bytes);
  return text;
}

std::optional<int32_t> Tokenizer::token_id(std::string_view text) const {
  for (const AddedToken& token : parts_.added_tokens) {
    if (token.content == text && token.id >= 0) return token.id;
  }
  const int32_t id = parts_.model->vocabulary().find_text(text);
  return id < 0 ? std::nullopt : std::optional<int32_t>(id);
}

std::optional<std::string> Tokenizer::token_text(int32_t id) const {
  if (const AddedToken* const token = added(id)) return token->content;
  const Vocabulary& vocabulary = parts_.model->vocabulary();
  return vocabulary.contains(id) ? std::optional<std::string>(vocabulary.text(id)) : std::nullopt;
}

std::string Tokenizer::token_bytes(int32_t id) const {
  const std::optional<std::string> text = token_text(id);
  if (!text) return {};
  if (added(id) != nullptr && !parts_.model->vocabulary().contains(id)) return *text;
  if (parts_.decoder.has_byte_level()) {
    std::string bytes;
    return append_alphabet_bytes(bytes, *text) ? bytes : *text;
  }
  if (const std::optional<char> byte = byte_of_token(*text)) return std::string(1, *byte);
  return replace_all(*text, "\xe2\x96\x81", " ");
}

std::string StreamDecoder::put(int32_t id) {
  std::string text;
  if (options_.skip_special && tokenizer_->is_special(id)) return text;
  if (const std::optional<std::string> token = tokenizer_->decoder_token(id)) {
    tokenizer_->parts_.decoder.put(state_, *token, text);
  }
  return text;
}

std::string StreamDecoder::finish() {
  std::string text;
  tokenizer_->parts_.decoder.finish(state_, text);
  return text;
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(const Json& tokenizer_json,
                                                       std::string_view where) {
  return tokenizer_from_json_text(tokenizer_json.dump(-1, false), where);
}

}  // namespace mlc::tokenizers
