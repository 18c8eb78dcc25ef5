// SPDX-License-Identifier: Apache-2.0
// Where the program keeps what it can make again.
#pragma once

#include <optional>
#include <string>

namespace mlc::cli {

// MLC_LLM_HOME, else mlc_llm in XDG_CACHE_HOME or in HOME's .cache; nothing where none is set.
std::optional<std::string> cache_home();

// Of compiled tokenizers (tokenizers/compiled.h); empty where there is no cache.
std::string tokenizer_cache();

}  // namespace mlc::cli
