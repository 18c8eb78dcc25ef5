// SPDX-License-Identifier: Apache-2.0
// Text to token ids and back, with the results of Hugging Face's tokenizers package (or of
// sentencepiece, for a tokenizer.model), and the streaming way back. A tokenizer does not change:
// any number of threads may use one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"
#include "support/json.h"
#include "tokenizers/added_tokens.h"
#include "tokenizers/decoder.h"
#include "tokenizers/model.h"
#include "tokenizers/normalizer.h"
#include "tokenizers/post_processor.h"
#include "tokenizers/pre_tokenizer.h"

namespace mlc::tokenizers {

struct EncodeOptions {
  bool add_special = false;  // what the post-processor adds: bos, eos ...
};
struct DecodeOptions {
  bool skip_special = false;
};

class Tokenizer {
 public:
  // Special tokens that the text spells are recognised. Bytes that are no UTF-8 count as U+FFFD,
  // one for each maximal bad part. Time is n log n at worst.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  // Ids that no token has are left out. The result is valid UTF-8.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  int64_t vocab_size() const { return vocab_size_; }  // distinct tokens; ids may have holes
  int32_t max_id() const { return static_cast<int32_t>(added_by_id_.size()) - 1; }
  std::optional<int32_t> token_id(std::string_view text) const;
  // As the tokenizer's file has it ("Ġthe", "▁the"). Nothing for an id that no token has.
  std::optional<std::string> token_text(int32_t id) const;
  // The bytes that the token adds to a text somewhere in its middle; the text itself for an added
  // token.
  std::string token_bytes(int32_t id) const;
  bool is_special(int32_t id) const {
    return id >= 0 && static_cast<size_t>(id) < special_.size() &&
           special_[static_cast<size_t>(id)];
  }

  // What a tokenizer is made of.
  struct Parts {
    Normalizer normalizer;
    PreTokenizer pre_tokenizer;
    std::unique_ptr<Model> model;
    PostProcessor post_processor;
    Decoder decoder;
    // In the file's order. A token that is not in the model's vocabulary gets the next free id, as
    // in the tokenizers package, whatever its id is here.
    std::vector<AddedToken> added_tokens;
    bool keep_added_ids = false;       // the ids of the added tokens are right
    std::vector<int32_t> special_ids;  // tokens of the model that are special
  };
  static Result<std::unique_ptr<Tokenizer>> assemble(Parts parts, const std::string& where);

 private:
  friend class StreamDecoder;
  Tokenizer() = default;
  Result<void> place_added_tokens(const std::string& where);
  const AddedToken* added(int32_t id) const;
  // What the decoder is given for an id: text, or bytes if it asks for bytes.
  std::optional<std::string> decoder_token(int32_t id) const;
  std::string decode_bytes(std::span<const int32_t> ids, DecodeOptions options) const;

  Parts parts_;
  AddedTokenMatcher raw_matcher_;         // in the text as it comes
  AddedTokenMatcher normalized_matcher_;  // in normalized text
  std::vector<std::string> added_texts_;  // of each added token, as decode() sees it: normalized
  std::vector<int32_t> added_by_id_;      // place among the added tokens, or -1; [max_id + 1]
  std::vector<bool> special_;             // [max_id + 1]
  int64_t vocab_size_ = 0;
};

// Decodes ids one at a time. What ends in half a character is kept back. The pieces of put() and
// finish() join to the whole text, unless a token changes what was shown before it: a byte token
// that makes a run of byte tokens no text, after a character of that run was shown.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {})
      : tokenizer_(&tokenizer), options_(options) {}
  // The text that can be shown now; may be empty.
  std::string put(int32_t id);
  // What was kept back; then the decoder is as new.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  Decoder::State state_;
};

// From the first of these in a directory, or from a file of such a name: tokenizer.json,
// tokenizer.model, vocab.json with merges.txt and added_tokens.json, tokenizer_model (RWKV,
// packed). A file may also be a RWKV vocabulary text (rwkv_vocab_v*.txt) or a *.tiktoken file.
// `cache_directory`: where compiled forms of large tokenizer.json files are kept (compiled.h);
// empty: nowhere.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const std::string& directory_or_file,
                                                  const std::string& cache_directory = {});

// From the contents of a tokenizer.json. `where` begins every message.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json_text(std::string_view text,
                                                            std::string_view where);
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(const Json& tokenizer_json,
                                                       std::string_view where);

}  // namespace mlc::tokenizers
