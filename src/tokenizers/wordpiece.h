// SPDX-License-Identifier: Apache-2.0
// WordPiece (the longest token that fits, again and again; BERT) and WordLevel (a word is a token
// or unknown).
#pragma once

#include <string>
#include <vector>

#include "support/error.h"
#include "tokenizers/model.h"

namespace mlc::tokenizers {

struct WordPieceOptions {
  std::string unknown_token;
  std::string continuing_prefix;  // of all tokens of a word but its first
  int64_t max_characters = 100;   // longer words are unknown
};
Result<std::unique_ptr<Model>> make_wordpiece(Vocabulary vocabulary,
                                              const WordPieceOptions& options,
                                              const std::string& where);
Result<std::unique_ptr<Model>> make_wordlevel(Vocabulary vocabulary,
                                              const std::string& unknown_token,
                                              const std::string& where);

}  // namespace mlc::tokenizers
