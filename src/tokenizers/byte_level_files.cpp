// SPDX-License-Identifier: Apache-2.0
// Byte-level BPE whose settings no file tells: vocab.json + merges.txt + added_tokens.json, and
// *.tiktoken.
#include <algorithm>
#include <numeric>
#include <optional>
#include <utility>

#include "support/json_cursor.h"
#include "support/strings.h"
#include "tokenizers/bpe.h"
#include "tokenizers/formats.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/scored_bpe.h"

namespace mlc::tokenizers {
namespace {

constexpr std::string_view kQwen =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

Json byte_level(bool use_regex) {
  return Json::Object{{"type", "ByteLevel"},
                      {"add_prefix_space", false},
                      {"trim_offsets", false},
                      {"use_regex", use_regex}};
}

Error bad_token(const std::string& where, std::string_view token, int64_t id) {
  return user_error(where, cat("token \"", token, "\" has the id ", id),
                    cat("ids from 0 to ", Vocabulary::kMaxId));
}

// {text: id, ...}
template <class F>
Result<void> read_ids(std::string_view text, const std::string& where, F use) {
  JsonCursor in(text, where);
  std::string_view token;
  for (in.enter_object(); in.next_member(&token);) {
    int64_t id = 0;
    if (!in.read_int(&id)) break;
    if (id < 0 || id > Vocabulary::kMaxId) return bad_token(where, token, id);
    if (!use(token, id)) return bad_token(where, token, id);
  }
  if (!in.failed()) in.finish();
  if (in.failed()) return in.error();
  return {};
}

Result<void> read_merges(std::string_view text, const std::string& where, Bpe& bpe) {
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with("#version")) continue;
    const size_t blank = line.find(' ');
    if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos ||
        !is_valid_utf8(line)) {
      return user_error(cat(where, ":", line_number), cat("is ", line),
                        "two tokens with a blank between them");
    }
    bpe.add_merge(line.substr(0, blank), line.substr(blank + 1));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_vocabulary_files(const VocabularyFiles& files,
                                                                   const std::string& where) {
  Tokenizer::Parts parts;
  parts.keep_added_ids = true;
  Vocabulary vocabulary(Vocabulary::Keys::kBytes);
  MLC_RETURN_IF_ERROR(
      read_ids(files.vocabulary, where + "/vocab.json",
               [&](std::string_view token, int64_t id) { return vocabulary.add(token, id); }));
  vocabulary.index();
  auto bpe = std::make_unique<Bpe>(std::move(vocabulary));
  MLC_RETURN_IF_ERROR(read_merges(files.merges, where + "/merges.txt", *bpe));
  MLC_RETURN_IF_ERROR(bpe->finish({}, where + "/merges.txt"));
  MLC_RETURN_IF_ERROR(read_ids(files.added_tokens, where + "/added_tokens.json",
                               [&](std::string_view token, int64_t id) {
                                 parts.added_tokens.push_back({.content = std::string(token),
                                                               .id = static_cast<int32_t>(id),
                                                               .normalized = false,
                                                               .special = true});
                                 return true;
                               }));
  parts.model = std::move(bpe);
  MLC_ASSIGN_OR_RETURN(parts.pre_tokenizer, PreTokenizer::from_json(byte_level(true), where));
  MLC_ASSIGN_OR_RETURN(parts.decoder, Decoder::from_json(byte_level(true), where));
  return Tokenizer::assemble(std::move(parts), where);
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_tiktoken(std::string_view text,
                                                           const std::string& where) {
  Vocabulary vocabulary(Vocabulary::Keys::kBytes);
  int64_t line_number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = strip(text.substr(begin, end - begin));
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const size_t blank = line.find(' ');
    const std::optional<int64_t> rank =
        blank == std::string_view::npos ? std::nullopt : parse_int64(line.substr(blank + 1));
    const std::string here = cat(where, ":", line_number);
    if (!rank || *rank < 0 || *rank > Vocabulary::kMaxId) {
      return user_error(here, cat("is ", line), "a token in base64 and its rank");
    }
    MLC_ASSIGN_OR_RETURN(const std::string bytes, decode_base64(line.substr(0, blank), here));
    if (!vocabulary.add_bytes(bytes, *rank))
      return user_error(where, "has more than 2 GiB of tokens");
  }
  vocabulary.index();
  if (vocabulary.empty())
    return user_error(where, "has no tokens", "lines of a token in base64 and its rank");
  std::vector<int32_t> ranks(static_cast<size_t>(vocabulary.max_id()) + 1);
  std::iota(ranks.begin(), ranks.end(), 0);
  Tokenizer::Parts parts;
  parts.model = std::make_unique<ScoredBpe>(
      std::move(vocabulary),
      ScoredBpeOptions{.ranks = std::move(ranks), .whole_words_first = true});
  const Json split = Json::Object{{"type", "Split"},
                                  {"pattern", Json::Object{{"Regex", kQwen}}},
                                  {"behavior", "Isolated"},
                                  {"invert", false}};
  const Json steps =
      Json::Object{{"type", "Sequence"}, {"pretokenizers", Json::Array{split, byte_level(false)}}};
  MLC_ASSIGN_OR_RETURN(parts.pre_tokenizer, PreTokenizer::from_json(steps, where));
  MLC_ASSIGN_OR_RETURN(parts.decoder, Decoder::from_json(byte_level(false), where));
  return Tokenizer::assemble(std::move(parts), where);
}

}  // namespace mlc::tokenizers
