// SPDX-License-Identifier: Apache-2.0
// How many tokens a Hugging Face tokenizer has when AutoTokenizer (transformers 5) has loaded it.
#pragma once

#include <cstdint>

#include "support/error.h"
#include "support/json.h"

namespace mlc::compiler {

// The files of one folder; null where absent.
struct VocabFiles {
  const Json* tokenizer = nullptr;  // tokenizer.json, required
  const Json* tokenizer_config = nullptr;
  const Json* special_tokens_map = nullptr;
  const Json* added_tokens = nullptr;
  const Json* config = nullptr;
};

// Distinct tokens of the vocabulary, the added tokens, the named special tokens and those that the
// tokenizer's class adds by itself. An error where such a tokenizer cannot be loaded.
Result<int64_t> count_tokens(const VocabFiles& files);

}  // namespace mlc::compiler
