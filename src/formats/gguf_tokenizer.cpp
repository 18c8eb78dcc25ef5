// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_tokenizer.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "formats/gguf_pre_tokenizers.h"
#include "support/json.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kBlank = "\u2581";  // stands for a blank in sentencepiece's tokens
// Tokens take part in merges up to this length: the search for them takes the square of it.
constexpr size_t kMaxMergedBytes = 512;

std::string token_key(std::string_view name) { return cat("tokenizer.ggml.", name); }

enum class TokenizerKind {
  kSentencePiece,  // "llama": BPE by scores
  kByteLevel,      // "gpt2": BPE by merges over the byte alphabet
  kGemma4,         // BPE by merges over UTF-8
};

std::optional<TokenizerKind> parse_kind(std::string_view model) {
  if (model == "llama") return TokenizerKind::kSentencePiece;
  if (model == "gpt2") return TokenizerKind::kByteLevel;
  if (model == "gemma4") return TokenizerKind::kGemma4;
  return {};
}

enum TokenType : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};

struct Token {
  std::string text;
  int64_t type = kNormal;
  bool is_padding = false;  // fills the vocabulary up to the rows of the embedding
};

bool is_padding_text(std::string_view text) {  // "[PAD32000]"
  constexpr std::string_view kStart = "[PAD";
  return text.starts_with(kStart) && text.ends_with(']') &&
         parse_int64(text.substr(kStart.size(), text.size() - kStart.size() - 1)).has_value();
}

using Merge = std::pair<std::string_view, std::string_view>;

class TokenizerBuilder {
 public:
  explicit TokenizerBuilder(const GgufFile& file) : file_(file) {}

  Result<std::vector<NamedText>> build() {
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> model,
                         file_.find_string(token_key("model")));
    if (!model.has_value()) {
      return user_error(file_.path(), "has no tokenizer: the key tokenizer.ggml.model is absent",
                        "", "take the tokenizer's files from the folder of the original model");
    }
    MLC_RETURN_IF_ERROR(read_ready_tokenizer(*model));
    const std::optional<TokenizerKind> kind = parse_kind(*model);
    if (!kind.has_value() && ready_tokenizer_.empty()) {
      Error error = unknown_name_error(ErrorKind::kUser, file_.key_where(token_key("model")),
                                       "kind of tokenizer", *model, {"llama", "gpt2", "gemma4"});
      error.remedy = kBesideRemedy;
      return error;
    }
    kind_ = kind.value_or(TokenizerKind::kByteLevel);
    MLC_RETURN_IF_ERROR(read_tokens());
    MLC_RETURN_IF_ERROR(read_special());
    std::vector<NamedText> files;
    if (!ready_tokenizer_.empty()) {
      files.push_back({"tokenizer.json", std::move(ready_tokenizer_)});
    } else {
      MLC_RETURN_IF_ERROR(read_words_and_merges());
      files.push_back({"tokenizer.json", tokenizer_json().dump(-1, false)});
      if (kind_ == TokenizerKind::kByteLevel) {
        files.push_back({"vocab.json", vocabulary().dump(-1, false)});
        files.push_back({"merges.txt", merges_text()});
      }
    }
    MLC_ASSIGN_OR_RETURN(const Json config, tokenizer_config());
    files.push_back({"tokenizer_config.json", config.dump(2, false)});
    return files;
  }

 private:
  static constexpr std::string_view kBesideRemedy =
      "put the tokenizer.json of the original model beside the file";

  // A whole tokenizer.json: in the metadata, or beside the file for what we cannot make ourselves.
  Result<void> read_ready_tokenizer(std::string_view model) {
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> stored,
                         file_.find_string("tokenizer.huggingface.json"));
    if (stored.has_value()) {
      ready_tokenizer_ = *stored;
      const Result<Json> parsed =
          parse_json(ready_tokenizer_, file_.key_where("tokenizer.huggingface.json"));
      return parsed.ok() ? Result<void>() : Result<void>(parsed.error());
    }
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> pre,
                         file_.find_string(token_key("pre")));
    const bool is_supported =
        parse_kind(model).has_value() &&
        (model != "gpt2" || !pre.has_value() || find_gguf_pre_tokenizer(*pre) != nullptr);
    const std::string path = path_join(path_directory(file_.path()), "tokenizer.json");
    if (is_supported || !file_.is_mapped() || !file_exists(path)) return {};
    MLC_ASSIGN_OR_RETURN(ready_tokenizer_, read_file(path));
    const Result<Json> parsed = parse_json(ready_tokenizer_, path);
    return parsed.ok() ? Result<void>() : Result<void>(parsed.error());
  }

  Result<void> read_tokens() {
    MLC_ASSIGN_OR_RETURN(const auto texts, file_.find_strings(token_key("tokens")));
    if (!texts.has_value()) {
      if (!ready_tokenizer_.empty()) return {};
      return user_error(file_.path(), "lacks the key tokenizer.ggml.tokens", "a list of tokens");
    }
    MLC_ASSIGN_OR_RETURN(const auto types, file_.find_ints(token_key("token_type")));
    if (types.has_value())
      MLC_RETURN_IF_ERROR(check_length("token_type", types->size(), texts->size()));
    const std::unordered_set<std::string_view> stored(texts->begin(), texts->end());
    for (size_t i = 0; i < texts->size(); ++i) {
      Token token{.text = std::string((*texts)[i])};
      if (types.has_value()) token.type = (*types)[i];
      token.is_padding = token.type == kUnused && is_padding_text(token.text);
      if (token.type == kUserDefined && kind_ != TokenizerKind::kByteLevel) {
        // Writers put blanks in the place of the sign for them. Where that text is a token too, the
        // blanks are the original.
        std::string original = replace_all(token.text, " ", kBlank);
        if (!stored.contains(original)) token.text = std::move(original);
      }
      if (token.text.empty()) token.text = cat("[EMPTY_", i, "]");
      MLC_RETURN_IF_ERROR(check_utf8(i, token.text));
      tokens_.push_back(std::move(token));
    }
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (tokens_[i].is_padding) continue;
      const auto [other, is_new] = ids_.emplace(tokens_[i].text, static_cast<int64_t>(i));
      if (!is_new && ready_tokenizer_.empty()) {
        return user_error(file_.key_where(token_key("tokens")),
                          cat("tokens ", other->second, " and ", i, " are both \"",
                              tokens_[i].text.substr(0, 80), "\""),
                          "every token once");
      }
    }
    return {};
  }

  Result<void> check_utf8(size_t id, std::string_view text) const {
    for (size_t at = 0; at < text.size();) {
      const int length = utf8_sequence_length(text, at);
      if (length == 0) {
        return user_error(file_.key_where(token_key("tokens")),
                          cat("token ", id, " is no UTF-8: ", text.substr(0, 80)), "text");
      }
      at += static_cast<size_t>(length);
    }
    return {};
  }

  Result<void> check_length(std::string_view key, size_t length, size_t tokens) const {
    if (length == tokens) return {};
    return user_error(file_.key_where(token_key(key)), cat("has ", length, " elements"),
                      cat(tokens, ", one for each token"));
  }

  Result<void> read_special() {
    MLC_ASSIGN_OR_RETURN(bos_, gguf_token_id(file_, "bos"));
    MLC_ASSIGN_OR_RETURN(eos_, gguf_token_id(file_, "eos"));
    MLC_ASSIGN_OR_RETURN(unknown_, gguf_token_id(file_, "unknown"));
    MLC_ASSIGN_OR_RETURN(pad_, gguf_token_id(file_, "padding"));
    for (std::optional<int64_t>* id : {&bos_, &eos_, &unknown_, &pad_}) {
      const auto place = static_cast<size_t>(id->value_or(0));
      if (place >= tokens_.size() || tokens_[place].is_padding) id->reset();
    }
    MLC_ASSIGN_OR_RETURN(const std::optional<bool> add_bos,
                         file_.find_bool(token_key("add_bos_token")));
    MLC_ASSIGN_OR_RETURN(const std::optional<bool> add_eos,
                         file_.find_bool(token_key("add_eos_token")));
    MLC_ASSIGN_OR_RETURN(const std::optional<bool> prefix,
                         file_.find_bool(token_key("add_space_prefix")));
    add_bos_ = add_bos;
    add_eos_ = add_eos.value_or(false);
    adds_prefix_ = prefix.value_or(kind_ == TokenizerKind::kSentencePiece);
    return {};
  }

  Result<void> read_words_and_merges() {
    if (kind_ == TokenizerKind::kSentencePiece) return merge_by_scores();
    if (kind_ == TokenizerKind::kByteLevel) MLC_RETURN_IF_ERROR(choose_pre_tokenizer());
    return read_merges();
  }

  Result<void> choose_pre_tokenizer() {
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> stored,
                         file_.find_string(token_key("pre")));
    std::string_view name = stored.value_or("default");
    if (name == "default") {
      const std::optional<std::string_view> guess = likely_pre_tokenizer();
      name = guess.value_or(name);
      log_warning(cat(file_.key_where(token_key("pre")), ": ", stored ? "is default" : "is absent",
                      ", so how the original tokenizer splits text into words is not known\n  ",
                      guess ? cat(*guess, " is assumed, which the architecture suggests")
                            : std::string("a general rule is used, which may cost quality"),
                      "; a newer file of the model says it"));
    }
    pre_tokenizer_ = find_gguf_pre_tokenizer(name);
    if (pre_tokenizer_ != nullptr) return {};
    Error error = unknown_name_error(ErrorKind::kUser, file_.key_where(token_key("pre")),
                                     "pre-tokenizer", name, gguf_pre_tokenizer_names());
    error.remedy = cat(error.remedy, error.remedy.empty() ? "" : "; else ", kBesideRemedy);
    return error;
  }

  std::optional<std::string_view> likely_pre_tokenizer() const {
    const std::string& architecture = file_.architecture();
    if (architecture == "qwen2" || architecture == "qwen2moe") return "qwen2";
    if (architecture == "gptneox") return "mpt";
    if (architecture == "gpt2" || architecture == "phi2") return "gpt-2";
    if (architecture == "starcoder2") return "starcoder";
    constexpr size_t kLlama3Tokens = 128256;
    if (architecture == "llama" && tokens_.size() == kLlama3Tokens) return "llama-bpe";
    return {};
  }

  Result<void> read_merges() {
    MLC_ASSIGN_OR_RETURN(const auto merges, file_.find_strings(token_key("merges")));
    if (!merges.has_value()) {
      return user_error(file_.path(), "lacks the key tokenizer.ggml.merges", "a list of merges");
    }
    for (size_t i = 0; i < merges->size(); ++i) {
      const std::string_view merge = (*merges)[i];
      const size_t blank = merge.find(' ', 1);
      const Merge parts{merge.substr(0, blank),
                        blank == std::string_view::npos ? "" : merge.substr(blank + 1)};
      const bool is_known = blank != std::string_view::npos && has_token(parts.first) &&
                            has_token(parts.second) && has_token(cat(parts.first, parts.second));
      if (!is_known) {
        return user_error(file_.key_where(token_key("merges")),
                          cat("merge ", i, " is \"", merge.substr(0, 80), "\""),
                          "two tokens with a blank between them that make a third");
      }
      merges_.push_back(parts);
    }
    return {};
  }

  bool has_token(std::string_view text) const { return ids_.contains(text); }

  using PartIds = std::unordered_map<std::string_view, size_t>;  // of tokens that may be merged

  // All ways to make a token from two, by the ids of the two.
  static std::vector<Merge> splits(std::string_view text, const PartIds& parts) {
    struct Split {
      size_t left, right;
      Merge merge;
    };
    std::vector<Split> found;
    for (size_t at = 1; at < text.size(); ++at) {
      const auto left = parts.find(text.substr(0, at));
      if (left == parts.end()) continue;
      const auto right = parts.find(text.substr(at));
      if (right == parts.end()) continue;
      found.push_back({left->second, right->second, {left->first, right->first}});
    }
    std::sort(found.begin(), found.end(), [](const Split& a, const Split& b) {
      return std::tie(a.left, a.right) < std::tie(b.left, b.right);
    });
    std::vector<Merge> merges;
    for (const Split& split : found) merges.push_back(split.merge);
    return merges;
  }

  // Merges that have the effect of sentencepiece's rule: of all neighbours that make a token, join
  // those that make the one with the highest score.
  Result<void> merge_by_scores() {
    std::vector<size_t> normal, user_defined;
    PartIds parts;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      if (token.type != kNormal && token.type != kUserDefined) continue;
      (token.type == kNormal ? normal : user_defined).push_back(i);
      parts.emplace(token.text, i);
      if (token.text.size() > kMaxMergedBytes) {
        return user_error(file_.key_where(token_key("tokens")),
                          cat("token ", i, " has ", token.text.size(), " bytes"),
                          cat("at most ", kMaxMergedBytes));
      }
    }
    MLC_RETURN_IF_ERROR(sort_by_scores(normal));
    for (const size_t i : user_defined) {
      for (const Merge& merge : splits(tokens_[i].text, parts)) merges_.push_back(merge);
    }
    const auto length = [](std::string_view text) {  // in characters
      return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; });
    };
    std::stable_sort(merges_.begin(), merges_.end(), [&](const Merge& a, const Merge& b) {
      return std::pair(length(a.first), length(a.second)) >
             std::pair(length(b.first), length(b.second));
    });
    for (const size_t i : normal) {
      for (const Merge& merge : splits(tokens_[i].text, parts)) merges_.push_back(merge);
    }
    return {};
  }

  // Highest first. Equal scores (no scores were known) leave the order of ids.
  Result<void> sort_by_scores(std::vector<size_t>& ids) const {
    MLC_ASSIGN_OR_RETURN(const auto scores, file_.find_floats(token_key("scores")));
    if (!scores.has_value()) return {};
    MLC_RETURN_IF_ERROR(check_length("scores", scores->size(), tokens_.size()));
    const auto score = [&](size_t id) {
      return std::isnan((*scores)[id]) ? -INFINITY : (*scores)[id];
    };
    std::stable_sort(ids.begin(), ids.end(),
                     [&](size_t a, size_t b) { return score(a) > score(b); });
    return {};
  }

  Json vocabulary() const {
    Json::Object vocabulary;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (!tokens_[i].is_padding) vocabulary.emplace_back(tokens_[i].text, static_cast<int64_t>(i));
    }
    return vocabulary;
  }

  std::string merges_text() const {
    std::string text = "#version: 0.2\n";
    for (const auto& [left, right] : merges_) text += cat(left, " ", right, "\n");
    return text;
  }

  bool is_special(const Token& token) const {
    return token.type == kControl || (token.type == kUnknown && kind_ != TokenizerKind::kByteLevel);
  }

  Json added_tokens() const {
    Json::Array added;
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const Token& token = tokens_[i];
      if (!is_special(token) && token.type != kUserDefined) continue;
      added.push_back(Json::Object{{"id", static_cast<int64_t>(i)},
                                   {"content", token.text},
                                   {"single_word", false},
                                   {"lstrip", false},
                                   {"rstrip", false},
                                   {"normalized", false},
                                   {"special", is_special(token)}});
    }
    return added;
  }

  Json text_of(const std::optional<int64_t>& id) const {
    return id.has_value() ? Json(tokens_[static_cast<size_t>(*id)].text) : Json();
  }

  bool adds_bos() const {
    const bool usual = kind_ == TokenizerKind::kByteLevel
                           ? pre_tokenizer_ != nullptr && pre_tokenizer_->adds_bos
                           : true;
    return add_bos_.value_or(usual) && bos_.has_value();
  }
  bool adds_eos() const { return add_eos_ && eos_.has_value(); }

  Json normalizer() const {
    if (kind_ == TokenizerKind::kByteLevel) return pre_tokenizer_->normalizer_json();
    const Json replace = Json::Object{
        {"type", "Replace"}, {"pattern", Json::Object{{"String", " "}}}, {"content", kBlank}};
    if (!adds_prefix_) return replace;
    const Json prepend = Json::Object{{"type", "Prepend"}, {"prepend", kBlank}};
    return Json::Object{{"type", "Sequence"}, {"normalizers", Json::Array{prepend, replace}}};
  }

  Json pre_tokenizer() const {
    switch (kind_) {
      case TokenizerKind::kSentencePiece:
        return {};
      case TokenizerKind::kByteLevel:
        return pre_tokenizer_->pre_tokenizer_json();
      case TokenizerKind::kGemma4:  // merges do not cross the ends of lines
        return Json::Object{{"type", "Split"},
                            {"pattern", Json::Object{{"Regex", "\\n+"}}},
                            {"behavior", "Isolated"},
                            {"invert", false}};
    }
    return {};
  }

  Json post_processor() const {
    if (!adds_bos() && !adds_eos()) return {};
    const auto special = [&](const std::optional<int64_t>& id, int64_t type_id) {
      return Json(
          Json::Object{{"SpecialToken", Json::Object{{"id", text_of(id)}, {"type_id", type_id}}}});
    };
    const auto with_special = [&](Json::Array& list, const char* sequence, int64_t type_id) {
      if (adds_bos()) list.push_back(special(bos_, type_id));
      list.push_back(
          Json::Object{{"Sequence", Json::Object{{"id", sequence}, {"type_id", type_id}}}});
      if (adds_eos()) list.push_back(special(eos_, type_id));
    };
    Json::Array single, pair;
    with_special(single, "A", 0);
    with_special(pair, "A", 0);
    with_special(pair, "B", 1);
    Json tokens = Json::object();
    const auto describe = [&](const std::optional<int64_t>& id) {
      tokens.set(text_of(id).as_string(), Json::Object{{"id", text_of(id)},
                                                       {"ids", Json::Array{Json(*id)}},
                                                       {"tokens", Json::Array{text_of(id)}}});
    };
    if (adds_bos()) describe(bos_);
    if (adds_eos()) describe(eos_);
    return Json::Object{{"type", "TemplateProcessing"},
                        {"single", std::move(single)},
                        {"pair", std::move(pair)},
                        {"special_tokens", std::move(tokens)}};
  }

  Json decoder() const {
    if (kind_ == TokenizerKind::kByteLevel) {
      return Json::Object{{"type", "ByteLevel"},
                          {"add_prefix_space", true},
                          {"trim_offsets", true},
                          {"use_regex", true}};
    }
    Json::Array steps{
        Json::Object{
            {"type", "Replace"}, {"pattern", Json::Object{{"String", kBlank}}}, {"content", " "}},
        Json::Object{{"type", "ByteFallback"}},
        Json::Object{{"type", "Fuse"}},
    };
    if (adds_prefix_) {
      steps.push_back(Json::Object{{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
    }
    return Json::Object{{"type", "Sequence"}, {"decoders", std::move(steps)}};
  }

  Json tokenizer_json() const {
    const bool falls_back = kind_ != TokenizerKind::kByteLevel;
    Json::Array merges;
    merges.reserve(merges_.size());
    for (const auto& [left, right] : merges_) {
      merges.push_back(Json::Array{Json(left), Json(right)});
    }
    return Json::Object{
        {"version", "1.0"},
        {"truncation", nullptr},
        {"padding", nullptr},
        {"added_tokens", added_tokens()},
        {"normalizer", normalizer()},
        {"pre_tokenizer", pre_tokenizer()},
        {"post_processor", post_processor()},
        {"decoder", decoder()},
        {"model",
         Json::Object{{"type", "BPE"},
                      {"dropout", nullptr},
                      {"unk_token", falls_back ? text_of(unknown_) : Json()},
                      {"continuing_subword_prefix", nullptr},
                      {"end_of_word_suffix", nullptr},
                      {"fuse_unk", falls_back},
                      {"byte_fallback", falls_back},
                      {"ignore_merges", pre_tokenizer_ != nullptr && pre_tokenizer_->ignore_merges},
                      {"vocab", vocabulary()},
                      {"merges", std::move(merges)}}},
    };
  }

  // That class adds a token of its own if the vocabulary lacks it.
  std::string_view tokenizer_class() const {
    if (kind_ == TokenizerKind::kSentencePiece) return "LlamaTokenizer";
    const bool is_gpt2 = pre_tokenizer_ != nullptr && pre_tokenizer_->has_gpt2_words() &&
                         !pre_tokenizer_->nfc && has_token("<|endoftext|>");
    return is_gpt2 ? "GPT2Tokenizer" : "PreTrainedTokenizerFast";
  }

  Result<Json> tokenizer_config() const {
    Json config = Json::object();
    config.set("add_bos_token", adds_bos());
    config.set("add_eos_token", adds_eos());
    config.set("bos_token", text_of(bos_));
    config.set("clean_up_tokenization_spaces", false);
    config.set("eos_token", text_of(eos_));
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> context,
                         file_.find_int(cat(file_.architecture(), ".context_length")));
    if (context.has_value()) config.set("model_max_length", *context);
    config.set("pad_token", text_of(pad_));
    config.set("tokenizer_class", tokenizer_class());
    config.set("unk_token", text_of(unknown_));
    MLC_ASSIGN_OR_RETURN(Json chat_template, chat_templates());
    if (!chat_template.is_null()) config.set("chat_template", std::move(chat_template));
    return config;
  }

  // Null, one template, or a list of templates with names.
  Result<Json> chat_templates() const {
    const std::string key = "tokenizer.chat_template";
    Json::Array list;
    const auto add = [&](std::string_view name, std::string_view text) {
      list.push_back(Json::Object{{"name", name}, {"template", text}});
    };
    MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> usual, file_.find_string(key));
    if (usual.has_value()) add("default", *usual);
    const std::string named = cat(key, ".");
    for (const std::string_view other : file_.keys()) {
      if (!other.starts_with(named)) continue;
      MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> text, file_.find_string(other));
      add(other.substr(named.size()), *text);
    }
    if (list.empty()) return Json();
    if (list.size() == 1 && usual.has_value()) return Json(*usual);
    return Json(std::move(list));
  }

  const GgufFile& file_;
  TokenizerKind kind_ = TokenizerKind::kByteLevel;
  std::string ready_tokenizer_;  // the text of a whole tokenizer.json, or empty
  std::vector<Token> tokens_;
  std::unordered_map<std::string_view, int64_t> ids_;  // of all tokens but padding
  std::optional<int64_t> bos_, eos_, unknown_, pad_;
  std::optional<bool> add_bos_;
  bool add_eos_ = false;
  bool adds_prefix_ = false;
  const GgufPreTokenizer* pre_tokenizer_ = nullptr;  // of kByteLevel
  std::vector<Merge> merges_;
};

}  // namespace

Result<std::vector<NamedText>> gguf_tokenizer_files(const GgufFile& file) {
  return TokenizerBuilder(file).build();
}

Result<std::optional<int64_t>> gguf_token_id(const GgufFile& file, std::string_view name) {
  MLC_ASSIGN_OR_RETURN(std::optional<int64_t> id, file.find_int(token_key(cat(name, "_token_id"))));
  MLC_ASSIGN_OR_RETURN(const std::optional<std::string_view> model,
                       file.find_string(token_key("model")));
  if (!id.has_value() && model == "llama") {
    if (name == "unknown") id = 0;
    if (name == "bos") id = 1;
    if (name == "eos") id = 2;
  }
  const int64_t tokens = file.list_length(token_key("tokens")).value_or(INT64_MAX);
  if (id.has_value() && (*id < 0 || *id >= tokens)) id.reset();
  return id;
}

}  // namespace mlc::formats
