// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_vocab.h"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "support/strings.h"

namespace mlc::compiler {
namespace {

using NamedTokens = std::map<std::string, std::string, std::less<>>;  // "pad_token" to its text
using Tokens = std::unordered_set<std::string>;

constexpr std::array<std::string_view, 7> kNames = {
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};

// What a tokenizer class calls its special tokens where no file does.
struct ClassDefaults {
  std::string_view name;
  NamedTokens tokens;
  std::vector<std::string> others;
};

const std::vector<ClassDefaults>& class_defaults() {
  static const std::string end = "<|endoftext|>";
  static const NamedTokens bert = {{"unk_token", "[UNK]"},
                                   {"sep_token", "[SEP]"},
                                   {"pad_token", "[PAD]"},
                                   {"cls_token", "[CLS]"},
                                   {"mask_token", "[MASK]"}};
  static const NamedTokens gpt2 = {{"unk_token", end}, {"bos_token", end}, {"eos_token", end}};
  static const NamedTokens llama = {
      {"unk_token", "<unk>"}, {"bos_token", "<s>"}, {"eos_token", "</s>"}};
  static const NamedTokens qwen2 = {{"unk_token", end}, {"eos_token", end}, {"pad_token", end}};
  static const NamedTokens roberta = {
      {"bos_token", "<s>"},   {"eos_token", "</s>"},  {"sep_token", "</s>"},   {"cls_token", "<s>"},
      {"unk_token", "<unk>"}, {"pad_token", "<pad>"}, {"mask_token", "<mask>"}};
  static const std::vector<ClassDefaults> all = {
      {"GPT2Tokenizer", gpt2, {}},
      {"CodeGenTokenizer", gpt2, {}},
      {"GPTNeoXTokenizer",
       {{"unk_token", end}, {"bos_token", end}, {"eos_token", end}, {"pad_token", "<|padding|>"}},
       {}},
      {"Qwen2Tokenizer", qwen2, {}},
      {"Qwen3_5Tokenizer", qwen2, {}},
      {"LlamaTokenizer", llama, {}},
      {"CodeLlamaTokenizer",
       llama,
       {"\u2581<PRE>", "\u2581<MID>", "\u2581<SUF>", "\u2581<EOT>", "<FILL_ME>"}},
      {"GemmaTokenizer",
       {{"unk_token", "<unk>"},
        {"bos_token", "<bos>"},
        {"eos_token", "<eos>"},
        {"pad_token", "<pad>"},
        {"mask_token", "<mask>"}},
       {}},
      {"CohereTokenizer",
       {{"unk_token", "<UNK>"},
        {"bos_token", "<BOS_TOKEN>"},
        {"eos_token", "<|END_OF_TURN_TOKEN|>"},
        {"pad_token", "<PAD>"},
        {"cls_token", "<CLS>"},
        {"sep_token", "<SEP>"},
        {"mask_token", "<MASK_TOKEN>"}},
       {}},
      {"BertTokenizer", bert, {}},
      {"DistilBertTokenizer", bert, {}},
      {"RobertaTokenizer", roberta, {}},
      {"XLMRobertaTokenizer", roberta, {}},
  };
  return all;
}

// The class that transformers ties to an architecture. "TokenizersBackend" has no tokens of its
// own. `wins`: also over another class named in tokenizer_config.json, which is known to be wrong
// there.
struct ModelClass {
  std::string_view model_type;
  std::string_view tokenizer_class;
  bool wins;
};

constexpr std::string_view kPlain = "TokenizersBackend";
constexpr ModelClass kModelClasses[] = {
    {"bert", "BertTokenizer", false},
    {"cohere", "CohereTokenizer", false},
    {"gemma", "GemmaTokenizer", false},
    {"gemma2", "GemmaTokenizer", false},
    {"gemma3", "GemmaTokenizer", false},
    {"gemma3_text", "GemmaTokenizer", false},
    {"gpt2", "GPT2Tokenizer", false},
    {"gpt_bigcode", kPlain, true},
    {"gpt_neox", "GPTNeoXTokenizer", false},
    {"gptj", "GPT2Tokenizer", false},
    {"internlm2", kPlain, true},
    {"llava", kPlain, true},
    {"ministral3", kPlain, true},
    {"mistral", kPlain, true},
    {"mistral3", kPlain, true},
    {"mixtral", kPlain, true},
    {"nemotron", kPlain, true},
    {"olmo", "GPTNeoXTokenizer", false},
    {"olmo2", kPlain, true},
    {"phi", "GPT2Tokenizer", false},
    {"phi3", kPlain, true},
    {"phi3_v", kPlain, true},
    {"qwen2", "Qwen2Tokenizer", true},
    {"qwen2_moe", "Qwen2Tokenizer", false},
    {"qwen3", "Qwen2Tokenizer", false},
    {"qwen3_5", "Qwen3_5Tokenizer", true},
    {"qwen3_5_text", "Qwen3_5Tokenizer", false},
    {"qwen3_moe", "Qwen2Tokenizer", false},
    {"stablelm", kPlain, true},
    {"starcoder2", "GPT2Tokenizer", false},
};

std::string text_member(const Json* object, std::string_view key) {
  const Json* value = object == nullptr ? nullptr : object->find(key);
  return value != nullptr && value->is_string() ? value->as_string() : "";
}

bool has_byte_level(const Json& value) {
  if (value.is_array()) {
    return std::any_of(value.as_array().begin(), value.as_array().end(), has_byte_level);
  }
  if (!value.is_object()) return false;
  return text_member(&value, "type") == "ByteLevel" ||
         std::any_of(value.as_object().begin(), value.as_object().end(),
                     [](const Json::Member& member) { return has_byte_level(member.second); });
}

// The tokenizer is byte-level in any of its steps (its vocabulary is not looked at).
bool is_byte_level(const Json& tokenizer) {
  for (const std::string_view step : {"pre_tokenizer", "decoder", "post_processor", "normalizer"}) {
    const Json* value = tokenizer.find(step);
    if (value != nullptr && has_byte_level(*value)) return true;
  }
  return false;
}

const ClassDefaults* defaults_of(const VocabFiles& files) {
  std::string name = text_member(files.tokenizer_config, "tokenizer_class");
  if (name.empty()) name = text_member(files.config, "tokenizer_class");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const std::string model_type = text_member(files.config, "model_type");
  const auto known = std::find_if(std::begin(kModelClasses), std::end(kModelClasses),
                                  [&](const ModelClass& m) { return m.model_type == model_type; });
  if (known != std::end(kModelClasses) && (known->wins || name.empty())) {
    name = known->tokenizer_class;
  } else if (name == "LlamaTokenizer" && is_byte_level(*files.tokenizer)) {
    name = kPlain;
  }
  for (const ClassDefaults& defaults : class_defaults()) {
    if (defaults.name == name) return &defaults;
  }
  return nullptr;
}

Error cannot_load(std::string_view file, std::string_view key, std::string_view expected) {
  return user_error(cat(file, ": ", key), "is of a form that cannot be loaded",
                    std::string(expected));
}

// An empty special token is never added.
void add_special(Tokens& tokens, const std::string& token) {
  if (!token.empty()) tokens.insert(token);
}

// A token as text, or as an object with `content`.
const std::string* token_text(const Json& value) {
  if (value.is_string()) return &value.as_string();
  const Json* content = value.find("content");
  return content != nullptr && content->is_string() ? &content->as_string() : nullptr;
}

Result<void> add_list(const Json& list, std::string_view file, std::string_view key,
                      Tokens& tokens) {
  if (list.is_null()) return {};
  if (!list.is_array()) return cannot_load(file, key, "a list of tokens");
  for (const Json& item : list.as_array()) {
    const std::string* text = token_text(item);
    if (text == nullptr) return cannot_load(file, key, "a list of tokens");
    add_special(tokens, *text);
  }
  return {};
}

Result<void> read_names(const Json& object, std::string_view file, bool typed, NamedTokens& names) {
  for (const std::string_view name : kNames) {
    const Json* value = object.find(name);
    if (value == nullptr) continue;
    names.erase(std::string(name));
    if (value->is_null()) continue;
    const std::string* text = token_text(*value);
    if (text == nullptr ||
        (typed && value->is_object() && text_member(value, "__type") != "AddedToken")) {
      return cannot_load(file, name, "a token's text, or an object of type AddedToken");
    }
    names[std::string(name)] = *text;
  }
  return {};
}

bool is_empty(const Json* value) {
  return value == nullptr || value->is_null() || (value->is_array() && value->as_array().empty());
}

// Tokens that tokenizer_config.json has beside the seven names: "image_token" and lists of further
// ones.
Result<void> add_extras(const Json& config, Tokens& tokens) {
  constexpr std::string_view kFile = "tokenizer_config.json";
  for (const auto& [key, value] : config.as_object()) {
    const bool named = std::find(kNames.begin(), kNames.end(), key) != kNames.end();
    if (!named && key.ends_with("_token") && value.is_string())
      add_special(tokens, value.as_string());
  }
  const Json* extra = config.find("extra_special_tokens");
  if (extra != nullptr && extra->is_object()) {
    for (const auto& [key, value] : extra->as_object()) {
      const std::string* text = token_text(value);
      if (text == nullptr) return cannot_load(kFile, "extra_special_tokens", "tokens");
      add_special(tokens, *text);
    }
  } else if (!is_empty(extra)) {  // then the list of the older name does not count
    return add_list(*extra, kFile, "extra_special_tokens", tokens);
  }
  const Json* additional = config.find("additional_special_tokens");
  if (additional == nullptr) return {};
  return add_list(*additional, kFile, "additional_special_tokens", tokens);
}

Result<void> add_vocabulary(const Json& tokenizer, Tokens& tokens) {
  const Json* model = tokenizer.find("model");
  const Json* vocab = model == nullptr ? nullptr : model->find("vocab");
  if (vocab != nullptr && vocab->is_object()) {
    for (const auto& [token, id] : vocab->as_object()) tokens.insert(token);
    return {};
  }
  if (vocab == nullptr || !vocab->is_array()) {
    return cannot_load("tokenizer.json", "model.vocab", "an object, or a list of [token, score]");
  }
  for (const Json& item : vocab->as_array()) {
    const Json& token = item.is_array() && !item.as_array().empty() ? item.as_array()[0] : item;
    if (!token.is_string()) {
      return cannot_load("tokenizer.json", "model.vocab", "a list of [token, score]");
    }
    tokens.insert(token.as_string());
  }
  return {};
}

// The older files count only where tokenizer_config.json does not list the added tokens itself.
Result<void> add_older_files(const VocabFiles& files, NamedTokens& names, Tokens& tokens) {
  if (const Json* map = files.special_tokens_map; map != nullptr && map->is_object()) {
    MLC_RETURN_IF_ERROR(read_names(*map, "special_tokens_map.json", false, names));
    const Json* list = map->find("additional_special_tokens");
    const Json none;
    const Json& config = files.tokenizer_config != nullptr ? *files.tokenizer_config : none;
    const Json* extra = config.find("extra_special_tokens");
    const bool listed =
        config.contains("additional_special_tokens") || (extra != nullptr && !extra->is_object());
    if (list != nullptr && !listed) {
      MLC_RETURN_IF_ERROR(
          add_list(*list, "special_tokens_map.json", "additional_special_tokens", tokens));
    }
  }
  if (files.added_tokens != nullptr && files.added_tokens->is_object()) {
    for (const auto& [token, id] : files.added_tokens->as_object()) add_special(tokens, token);
  }
  return {};
}

}  // namespace

Result<int64_t> count_tokens(const VocabFiles& files) {
  Tokens tokens;
  NamedTokens names;
  const Json* config = files.tokenizer_config;
  const bool has_config = config != nullptr && config->is_object();
  const Json* decoder = has_config ? config->find("added_tokens_decoder") : nullptr;
  const ClassDefaults* defaults = defaults_of(files);
  MLC_RETURN_IF_ERROR(add_vocabulary(*files.tokenizer, tokens));
  // A class of its own is built from the vocabulary alone; added_tokens_decoder then replaces
  // added_tokens.
  const Json* added = files.tokenizer->find("added_tokens");
  if (added != nullptr && (defaults == nullptr || decoder == nullptr)) {
    MLC_RETURN_IF_ERROR(add_list(*added, "tokenizer.json", "added_tokens", tokens));
  }
  if (defaults != nullptr) {
    names = defaults->tokens;
    tokens.insert(defaults->others.begin(), defaults->others.end());
  }
  if (has_config) {
    MLC_RETURN_IF_ERROR(read_names(*config, "tokenizer_config.json", true, names));
    MLC_RETURN_IF_ERROR(add_extras(*config, tokens));
  }
  if (decoder == nullptr) {
    MLC_RETURN_IF_ERROR(add_older_files(files, names, tokens));
  } else {
    if (!decoder->is_object()) {
      return cannot_load("tokenizer_config.json", "added_tokens_decoder", "an object of tokens");
    }
    for (const auto& [id, token] : decoder->as_object()) {
      if (!token.is_object() || token_text(token) == nullptr) {
        return cannot_load("tokenizer_config.json", "added_tokens_decoder", "an object of tokens");
      }
      add_special(tokens, *token_text(token));
    }
  }
  for (const auto& [name, text] : names) add_special(tokens, text);
  return static_cast<int64_t>(tokens.size());
}

}  // namespace mlc::compiler
