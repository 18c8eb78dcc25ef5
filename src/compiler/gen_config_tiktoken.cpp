// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_tiktoken.h"

#include <array>
#include <optional>
#include <unordered_map>
#include <utility>

#include "support/strings.h"

namespace mlc::compiler {
namespace {

struct Vocabulary {
  std::vector<std::pair<std::string, int64_t>> tokens;  // bytes and rank, in the file's order
  std::unordered_map<std::string, int64_t> ranks;
};

std::optional<std::string> base64(std::string_view text) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return {};
    bits = (bits << 6 | static_cast<uint32_t>(digit)) & 0xffffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes += static_cast<char>(bits >> count & 0xff);
    }
  }
  return bytes;
}

Result<Vocabulary> read_ranks(std::string_view text, std::string_view where) {
  Vocabulary vocabulary;
  const std::vector<std::string> lines = split(text, '\n');
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = strip(lines[i]);
    if (line.empty()) continue;
    const size_t blank = line.find(' ');
    const std::optional<std::string> token = base64(line.substr(0, blank));
    const std::optional<int64_t> rank =
        blank == std::string_view::npos ? std::nullopt : parse_int64(line.substr(blank + 1));
    if (!token || token->empty() || !rank || *rank < 0) {
      return user_error(cat(where, ":", i + 1), "is no line of a .tiktoken file",
                        "a token in base64, a blank, its rank");
    }
    if (!vocabulary.ranks.emplace(*token, *rank).second) {
      return user_error(cat(where, ":", i + 1), "has a token a second time", "each token once");
    }
    vocabulary.tokens.emplace_back(*token, *rank);
  }
  if (vocabulary.tokens.empty()) return user_error(std::string(where), "is empty", "token ranks");
  return vocabulary;
}

// The two parts whose merge makes a token: what the merges of lower rank leave of it.
std::vector<std::string> parts_of(const Vocabulary& vocabulary, const std::string& token,
                                  int64_t rank) {
  std::vector<std::string> parts;
  for (const char byte : token) parts.emplace_back(1, byte);
  while (parts.size() > 1) {
    size_t best = 0;
    int64_t best_rank = rank;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = vocabulary.ranks.find(parts[i] + parts[i + 1]);
      if (found != vocabulary.ranks.end() && found->second < best_rank) {
        best = i;
        best_rank = found->second;
      }
    }
    if (best_rank == rank) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<int64_t>(best) + 1);
  }
  return parts;
}

// GPT-2's alphabet: printable Latin-1 characters stand for themselves, the other bytes for U+0100
// and on.
std::string in_byte_alphabet(std::string_view bytes) {
  static const std::array<std::string, 256> alphabet = [] {
    std::array<std::string, 256> texts;
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
      const uint32_t point = printable ? byte : next++;
      if (point < 0x80) {
        texts[byte] = static_cast<char>(point);
      } else {
        texts[byte] = static_cast<char>(0xc0 | point >> 6);
        texts[byte] += static_cast<char>(0x80 | (point & 0x3f));
      }
    }
    return texts;
  }();
  std::string text;
  for (const char byte : bytes) text += alphabet[static_cast<unsigned char>(byte)];
  return text;
}

bool is_qwen(const Json& tokenizer_config, const Json& config) {
  const Json* tokenizer_class = tokenizer_config.find("tokenizer_class");
  if (tokenizer_class != nullptr) return *tokenizer_class == Json("QWenTokenizer");
  const Json* model_type = config.find("model_type");
  return model_type != nullptr && *model_type == Json("qwen");
}

// The tokens of tokenizer_config.json, or those that Qwen's own code puts behind the ranks.
Json::Object special_tokens(const Vocabulary& vocabulary, const Json& tokenizer_config) {
  Json::Object tokens;
  const Json* decoder = tokenizer_config.find("added_tokens_decoder");
  if (decoder != nullptr && decoder->is_object()) {
    for (const auto& [id, token] : decoder->as_object()) {
      const Json* content = token.find("content");
      const std::optional<int64_t> number = parse_int64(id);
      if (number && content != nullptr && content->is_string()) {
        tokens.emplace_back(content->as_string(), *number);
      }
    }
    return tokens;
  }
  int64_t id = static_cast<int64_t>(vocabulary.tokens.size());
  for (const char* name : {"<|endoftext|>", "<|im_start|>", "<|im_end|>"}) {
    tokens.emplace_back(name, id++);
  }
  for (int i = 0; i < 205; ++i) tokens.emplace_back(cat("<|extra_", i, "|>"), id++);
  return tokens;
}

constexpr const char* kSplit =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
    "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

Json byte_level(bool add_prefix_space, bool trim_offsets) {
  return Json::Object{{"type", "ByteLevel"},
                      {"add_prefix_space", add_prefix_space},
                      {"trim_offsets", trim_offsets},
                      {"use_regex", false}};
}

Json tokenizer_json(const Json::Object& specials, Json vocab, Json merges) {
  Json added = Json::array();
  for (const auto& [content, id] : specials) {
    added.push_back(Json::Object{{"id", id},
                                 {"content", content},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", true}});
  }
  Json split = Json::Object{{"type", "Split"},
                            {"pattern", Json::Object{{"Regex", kSplit}}},
                            {"behavior", "Isolated"},
                            {"invert", false}};
  return Json::Object{
      {"version", "1.0"},
      {"truncation", nullptr},
      {"padding", nullptr},
      {"added_tokens", std::move(added)},
      {"normalizer", Json::Object{{"type", "NFC"}}},
      {"pre_tokenizer",
       Json::Object{{"type", "Sequence"},
                    {"pretokenizers", Json::Array{std::move(split), byte_level(false, true)}}}},
      {"post_processor", byte_level(false, false)},
      {"decoder", byte_level(false, true)},
      {"model", Json::Object{{"type", "BPE"},
                             {"dropout", nullptr},
                             {"unk_token", nullptr},
                             {"continuing_subword_prefix", ""},
                             {"end_of_word_suffix", ""},
                             {"fuse_unk", false},
                             {"byte_fallback", false},
                             {"vocab", std::move(vocab)},
                             {"merges", std::move(merges)}}},
  };
}

}  // namespace

Result<std::vector<OutputText>> convert_tiktoken(std::string_view text, std::string_view where,
                                                 const Json& tokenizer_config, const Json& config,
                                                 int64_t context_window_size) {
  if (!is_qwen(tokenizer_config, config)) {
    return user_error(
        std::string(where), "belongs to a tokenizer whose word splitting is not known",
        "that of Qwen (tokenizer_class QWenTokenizer)", "put a tokenizer.json beside config.json");
  }
  MLC_ASSIGN_OR_RETURN(const Vocabulary vocabulary, read_ranks(text, where));
  Json::Object vocab;
  Json merges = Json::array();
  std::string merges_text = "#version: 0.2\n";
  for (const auto& [token, rank] : vocabulary.tokens) {
    vocab.emplace_back(in_byte_alphabet(token), rank);
    if (token.size() == 1) continue;
    const std::vector<std::string> parts = parts_of(vocabulary, token, rank);
    if (parts.size() != 2) {
      return user_error(std::string(where),
                        cat("the token of rank ", rank, " is no join of two others"), "",
                        "the file is damaged, or its ranks are not those of merges");
    }
    std::string merge = in_byte_alphabet(parts[0]) + " " + in_byte_alphabet(parts[1]);
    if (!merges.as_array().empty()) merges_text += "\n";
    merges_text += merge;
    merges.push_back(std::move(merge));
  }
  const Json::Object specials = special_tokens(vocabulary, tokenizer_config);
  vocab.insert(vocab.end(), specials.begin(), specials.end());
  constexpr const char* kEnd = "<|endoftext|>";
  Json names = Json::Object{{"bos_token", kEnd}, {"eos_token", kEnd}, {"unk_token", kEnd}};
  Json own_config = Json::Object{{"add_prefix_space", false},
                                 {"bos_token", kEnd},
                                 {"clean_up_tokenization_spaces", true},
                                 {"eos_token", kEnd}};
  if (context_window_size > 0) own_config.set("model_max_length", context_window_size);
  own_config.set("tokenizer_class", "QWenTokenizer");
  own_config.set("unk_token", kEnd);
  const Json vocab_json = std::move(vocab);
  std::vector<OutputText> files;
  files.push_back({"vocab.json", vocab_json.dump(2, false)});
  files.push_back(
      {"tokenizer.json", tokenizer_json(specials, vocab_json, std::move(merges)).dump(2, false)});
  files.push_back({"tokenizer_config.json", own_config.dump(2, false)});
  files.push_back({"special_tokens_map.json", names.dump(2, false)});
  files.push_back({"merges.txt", std::move(merges_text)});
  return files;
}

}  // namespace mlc::compiler
