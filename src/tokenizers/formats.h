// SPDX-License-Identifier: Apache-2.0
// The other files that hold tokenizers, each from its contents. `where` begins every message.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "support/error.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

// tokenizer.model: a ModelProto of sentencepiece, BPE or Unigram. As there, special tokens are not
// looked for in the text. EncodeOptions::add_special adds bos in front, or eos behind if the model
// has no bos.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_sentencepiece(std::string_view model,
                                                                const std::string& where);

// vocab.json, merges.txt and added_tokens.json of GPT-2's kind: byte-level BPE.
struct VocabularyFiles {
  std::string vocabulary;
  std::string merges;
  std::string added_tokens;
};
Result<std::unique_ptr<Tokenizer>> tokenizer_from_vocabulary_files(const VocabularyFiles& files,
                                                                   const std::string& where);

// *.tiktoken: lines of a token in base64 and its rank, which is its id. The file says neither how
// words are cut nor which special tokens there are: words are cut as for cl100k and Qwen, there are
// no special tokens.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_tiktoken(std::string_view text,
                                                           const std::string& where);

// RWKV "world" vocabularies: always the longest token that fits.
// Packed (`tokenizer_model`): a MessagePack map of id to bytes.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_rwkv(std::string_view packed,
                                                       const std::string& where);
// The packed form of rwkv_vocab_v*.txt: lines of id, Python literal (text or bytes) and length in
// bytes.
Result<std::string> pack_rwkv_vocabulary(std::string_view text, const std::string& where);
// And of rwkv_vocab_v*.json: {token: id}.
Result<std::string> pack_rwkv_json(const Json& vocabulary, const std::string& where);

}  // namespace mlc::tokenizers
