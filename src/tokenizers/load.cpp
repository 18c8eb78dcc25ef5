// SPDX-License-Identifier: Apache-2.0
// Which files of a directory make the tokenizer.
#include "support/file.h"
#include "support/strings.h"
#include "tokenizers/compiled.h"
#include "tokenizers/formats.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

namespace {

using Loaded = Result<std::unique_ptr<Tokenizer>>;

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

Loaded load_file(const std::string& path, const std::string& cache_directory) {
  const std::string name = path_name(path);
  MLC_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  if (name.ends_with(".model")) return tokenizer_from_sentencepiece(text_of(file), path);
  if (name.ends_with(".tiktoken")) return tokenizer_from_tiktoken(text_of(file), path);
  if (name == "tokenizer_model") return tokenizer_from_rwkv(text_of(file), path);
  if (name.starts_with("rwkv_vocab_")) {
    std::string packed;
    if (name.ends_with(".json")) {
      MLC_ASSIGN_OR_RETURN(const Json json, parse_json(text_of(file), path));
      MLC_ASSIGN_OR_RETURN(packed, pack_rwkv_json(json, path));
    } else {
      MLC_ASSIGN_OR_RETURN(packed, pack_rwkv_vocabulary(text_of(file), path));
    }
    return tokenizer_from_rwkv(packed, path);
  }
  return tokenizer_from_json_or_cache(text_of(file), path, cache_directory);
}

Loaded load_vocabulary_files(const std::string& directory) {
  VocabularyFiles files;
  MLC_ASSIGN_OR_RETURN(files.vocabulary, read_file(path_join(directory, "vocab.json")));
  MLC_ASSIGN_OR_RETURN(files.merges, read_file(path_join(directory, "merges.txt")));
  MLC_ASSIGN_OR_RETURN(files.added_tokens, read_file(path_join(directory, "added_tokens.json")));
  return tokenizer_from_vocabulary_files(files, directory);
}

}  // namespace

Loaded load_tokenizer(const std::string& directory_or_file, const std::string& cache_directory) {
  if (!is_directory(directory_or_file)) return load_file(directory_or_file, cache_directory);
  const auto has = [&](std::string_view name) {
    return file_exists(path_join(directory_or_file, name));
  };
  for (const char* const name : {"tokenizer.json", "tokenizer.model"}) {
    if (has(name)) return load_file(path_join(directory_or_file, name), cache_directory);
  }
  if (has("vocab.json") && has("merges.txt") && has("added_tokens.json")) {
    return load_vocabulary_files(directory_or_file);
  }
  if (has("tokenizer_model"))
    return load_file(path_join(directory_or_file, "tokenizer_model"), cache_directory);
  return user_error(
      directory_or_file, "has no tokenizer",
      "tokenizer.json, tokenizer.model, vocab.json with merges.txt and added_tokens.json, or "
      "tokenizer_model",
      "copy the tokenizer's files from the model's folder");
}

}  // namespace mlc::tokenizers
