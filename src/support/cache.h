// SPDX-License-Identifier: Apache-2.0
// Where the program keeps what it can make again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mlc {

// MLC_LLM_HOME, else mlc_llm in XDG_CACHE_HOME or in HOME's .cache; nothing where none is set.
std::optional<std::string> cache_home();

// Of the objects of kernels (compiler/object_cache.h): $MLC_OBJECT_CACHE, where OFF is none; else
// in cache_home(). Empty where there is none.
std::string object_cache();

// Of what was typed in chats: $MLC_CHAT_HISTORY, where OFF is none; else chat_history in mlc_llm in
// XDG_STATE_HOME or in HOME's .local/state. Empty where there is none.
std::string chat_history_file();

// Of compiled tokenizers (tokenizers/compiled.h); empty where there is no cache.
std::string tokenizer_cache();

// Removes files of the folder, those first whose file_time is oldest, until they have at most half
// of `bytes`; nothing where they have no more than `bytes`. Other processes may do the same at
// once.
void limit_folder(const std::string& folder, uint64_t bytes);

}  // namespace mlc
