// SPDX-License-Identifier: Apache-2.0
// Where the program keeps what it can make again.
#pragma once

#include <optional>
#include <string>

namespace mlc {

// MLC_LLM_HOME, else mlc_llm in XDG_CACHE_HOME or in HOME's .cache; nothing where none is set.
std::optional<std::string> cache_home();

// Of the objects of kernels (compiler/object_cache.h): $MLC_OBJECT_CACHE, where OFF is none; else
// in cache_home(). Empty where there is none.
std::string object_cache();

// Of compiled tokenizers (tokenizers/compiled.h); empty where there is no cache.
std::string tokenizer_cache();

}  // namespace mlc
