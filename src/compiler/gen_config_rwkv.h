// SPDX-License-Identifier: Apache-2.0
// rwkv_vocab_vYYYYMMDD.txt or .json becomes `tokenizer_model`: a MessagePack map from token id to
// bytes.
#pragma once

#include <string>
#include <string_view>

#include "support/error.h"

namespace mlc::compiler {

bool is_rwkv_vocabulary(std::string_view file_name);

// Lines "ID LITERAL LENGTH" with a Python string or bytes literal. Errors name the line.
Result<std::string> rwkv_tokenizer_from_text(std::string_view text, std::string_view where);
// An object token: id.
Result<std::string> rwkv_tokenizer_from_json(std::string_view text, std::string_view where);

}  // namespace mlc::compiler
