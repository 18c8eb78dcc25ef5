// SPDX-License-Identifier: Apache-2.0
// A .tiktoken file (byte sequences and their ranks) becomes the files of a byte-level BPE
// tokenizer. The file says neither how text is split before the merges nor what the special tokens
// are; both are known for Qwen's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/gen_config_tokenizer.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::compiler {

// tokenizer.json, vocab.json, merges.txt, special_tokens_map.json and tokenizer_config.json.
// `config` is config.json, `tokenizer_config` the source's (an empty object where there is none).
// An error where the tokenizer is not Qwen's, a line is damaged, or a token is not the join of two
// others.
Result<std::vector<OutputText>> convert_tiktoken(std::string_view text, std::string_view where,
                                                 const Json& tokenizer_config, const Json& config,
                                                 int64_t context_window_size);

}  // namespace mlc::compiler
