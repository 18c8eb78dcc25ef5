// SPDX-License-Identifier: Apache-2.0
// The tokenizer of a GGUF file as the files of a Hugging Face folder.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"

namespace mlc::formats {

struct NamedText {
  std::string name;  // "tokenizer.json"
  std::string text;
};

// tokenizer.json and tokenizer_config.json; for byte-level BPE vocab.json and merges.txt too. A
// kind of tokenizer that is not supported is taken from a tokenizer.json beside the file, if there
// is one. Warns where the file does not say how text is split into words. Errors: kinds of
// tokenizers that are not supported, lists of different lengths, tokens that occur twice or are no
// UTF-8.
Result<std::vector<NamedText>> gguf_tokenizer_files(const GgufFile& file);

// tokenizer.ggml.NAME_token_id with the default of the tokenizer's kind; `name` is "bos", "eos",
// "unknown", "padding", "eot", "eom" ... Nothing if there is none; a number that no token has
// counts as none.
Result<std::optional<int64_t>> gguf_token_id(const GgufFile& file, std::string_view name);

}  // namespace mlc::formats
