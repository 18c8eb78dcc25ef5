// SPDX-License-Identifier: Apache-2.0
// The compiled form of a tokenizer.json, which a tokenizer of 256k tokens is ready from in a few
// milliseconds: the tables of its model as they lie in memory, and the small parts as JSON. It is a
// cache of this program on this machine, not a format: a file of another version, of another
// machine's layout or with a damaged byte counts as absent.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "support/error.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

// What a compiled form is found by: a hash of the whole text, 32 hexadecimal digits.
std::string content_hash(std::string_view text);

struct JsonTokenizer {
  std::unique_ptr<Tokenizer> tokenizer;
  std::string compiled;  // empty for WordPiece and WordLevel, which are ready fast enough
};
// tokenizer_from_json_text(), with the compiled form.
Result<JsonTokenizer> compile_tokenizer_json(std::string_view text, std::string_view where);

// Null if the bytes are no compiled form of this version.
std::unique_ptr<Tokenizer> tokenizer_from_compiled(std::string_view compiled,
                                                   std::string_view where);

// From the compiled form in `directory`, or from the text `json`, whose compiled form is then left
// there: whole or not at all, and only if that is possible. Small files are always read themselves.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json_or_cache(std::string_view json,
                                                                std::string_view where,
                                                                const std::string& directory);

}  // namespace mlc::tokenizers
