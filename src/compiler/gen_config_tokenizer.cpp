// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_tokenizer.h"

#include <algorithm>
#include <unordered_set>

#include "compiler/gen_config_rwkv.h"
#include "compiler/gen_config_tiktoken.h"
#include "compiler/gen_config_vocab.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

// Files that go along with the model, in the order of tokenizer_files.
constexpr std::string_view kCopied[] = {"tokenizer.model",   "tokenizer.json",
                                        "vocab.json",        "merges.txt",
                                        "added_tokens.json", "tokenizer_config.json"};

bool is_tiktoken(std::string_view name) { return name.ends_with(".tiktoken"); }

const SourceFile* find(const std::vector<SourceFile>& sources, std::string_view name) {
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [&](const SourceFile& file) { return file.name == name; });
  return found == sources.end() ? nullptr : &*found;
}

const OutputText* find(const std::vector<OutputText>& files, std::string_view name) {
  const auto found = std::find_if(files.begin(), files.end(),
                                  [&](const OutputText& file) { return file.name == name; });
  return found == files.end() ? nullptr : &*found;
}

void put(std::vector<OutputText>& files, std::string name, std::string text) {
  std::erase_if(files, [&](const OutputText& file) { return file.name == name; });
  files.push_back({std::move(name), std::move(text)});
}

void copy_files(const std::vector<SourceFile>& sources, TokenizerPart& part) {
  for (const std::string_view name : kCopied) {
    const SourceFile* file = find(sources, name);
    if (file == nullptr) continue;
    log_info(cat("tokenizer: copy ", file->path));
    part.listed.emplace_back(name);
    part.files.push_back({std::string(name), contents(*file)});
  }
}

void convert_rwkv(const std::vector<SourceFile>& sources, TokenizerPart& part) {
  for (const SourceFile& file : sources) {
    if (!is_rwkv_vocabulary(file.name)) continue;
    log_info(cat("tokenizer: make tokenizer_model from ", file.path));
    const std::string text = contents(file);
    put(part.files, "tokenizer_model",
        or_throw(file.name.ends_with(".txt") ? rwkv_tokenizer_from_text(text, file.path)
                                             : rwkv_tokenizer_from_json(text, file.path)));
  }
}

void add_tiktoken(const std::vector<SourceFile>& sources, const Json& config,
                  int64_t context_window_size, TokenizerPart& part) {
  const auto found = std::find_if(sources.begin(), sources.end(),
                                  [](const SourceFile& file) { return is_tiktoken(file.name); });
  if (found == sources.end()) return;
  const SourceFile* tokenizer_config = find(sources, "tokenizer_config.json");
  Json parsed = Json::object();
  if (tokenizer_config != nullptr) {
    parsed = or_throw(parse_json(contents(*tokenizer_config), tokenizer_config->path));
  }
  Result<std::vector<OutputText>> made =
      convert_tiktoken(contents(*found), found->path, parsed, config, context_window_size);
  if (!made.ok()) {
    log_warning(
        cat("no tokenizer.json could be made of ", found->path, "\n  ", made.error().to_string()));
    return;
  }
  log_info(cat("tokenizer: make tokenizer.json from ", found->path));
  for (OutputText& file : *made) put(part.files, std::move(file.name), std::move(file.text));
  for (const char* name :
       {"tokenizer.json", "vocab.json", "merges.txt", "special_tokens_map.json"}) {
    part.listed.emplace_back(name);
  }
}

// tokenizer.model alone is read as it is when the model runs.
void note_sentencepiece(const TokenizerPart& part) {
  if (find(part.files, "tokenizer.model") == nullptr ||
      find(part.files, "tokenizer.json") != nullptr) {
    return;
  }
  log_warning(
      "there is a tokenizer.model but no tokenizer.json, which is not made from it; "
      "tokenizer.model itself is used\n  a tokenizer.json beside config.json is preferred");
}

void refuse_duplicates(const Json& tokenizer, const std::string& where) {
  const Json* added = tokenizer.find("added_tokens");
  if (added == nullptr) return;
  const std::string place = where + ": added_tokens";
  if (!added->is_array()) throw UserError(place, cat("is ", added->kind_name()), "a list");
  std::unordered_set<std::string> seen;
  for (const Json& token : added->as_array()) {
    const Json* content = token.find("content");
    if (content == nullptr || !content->is_string()) {
      throw UserError(place, "has an entry without a text `content`", "a list of added tokens");
    }
    if (!seen.insert(content->as_string()).second) {
      throw UserError(place, cat("has ", content->dump(), " twice"), "each token once",
                      "delete one of the two entries: token ids would shift at run time");
    }
  }
}

std::optional<Json> parsed(const std::vector<SourceFile>& sources, std::string_view name) {
  const SourceFile* file = find(sources, name);
  if (file == nullptr) return {};
  return or_throw(parse_json(contents(*file), file->path));
}

const Json* pointer(const std::optional<Json>& json) { return json ? &*json : nullptr; }

}  // namespace

std::string contents(const SourceFile& file) {
  return file.text ? *file.text : or_throw(read_file(file.path));
}

bool is_tokenizer_source(std::string_view name) {
  return std::find(std::begin(kCopied), std::end(kCopied), name) != std::end(kCopied) ||
         name == "special_tokens_map.json" || is_tiktoken(name) || is_rwkv_vocabulary(name);
}

TokenizerPart prepare_tokenizer(const std::vector<SourceFile>& sources, const Json& config,
                                int64_t context_window_size) {
  TokenizerPart part;
  copy_files(sources, part);
  convert_rwkv(sources, part);
  const SourceFile* source = find(sources, "tokenizer.json");
  if (source == nullptr) add_tiktoken(sources, config, context_window_size, part);
  note_sentencepiece(part);
  const OutputText* output = find(part.files, "tokenizer.json");
  if (output == nullptr) return part;
  const std::string where = source != nullptr ? source->path : "tokenizer.json";
  const Json tokenizer = or_throw(parse_json(output->text, where));
  part.info = formats::TokenizerInfo::detect(tokenizer);
  if (source == nullptr) return part;
  refuse_duplicates(tokenizer, where);
  const std::optional<Json> tokenizer_config = parsed(sources, "tokenizer_config.json");
  const std::optional<Json> special_tokens_map = parsed(sources, "special_tokens_map.json");
  const std::optional<Json> added_tokens = parsed(sources, "added_tokens.json");
  const Result<int64_t> count = count_tokens({.tokenizer = &tokenizer,
                                              .tokenizer_config = pointer(tokenizer_config),
                                              .special_tokens_map = pointer(special_tokens_map),
                                              .added_tokens = pointer(added_tokens),
                                              .config = &config});
  if (count.ok()) {
    part.active_vocab_size = *count;
  } else {
    log_warning(cat("the tokens are not counted, active_vocab_size stays vocab_size\n  ",
                    count.error().to_string()));
  }
  return part;
}

}  // namespace mlc::compiler
