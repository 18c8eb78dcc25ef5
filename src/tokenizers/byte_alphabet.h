// SPDX-License-Identifier: Apache-2.0
// GPT-2's byte alphabet: a printable character for each byte, so that any text is a row of visible
// characters in vocab.json ("Ġ" is a blank).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mlc::tokenizers {

char32_t alphabet_character(unsigned char byte);  // below U+0144
std::optional<unsigned char> alphabet_byte(char32_t character);

// Appends the alphabet's characters for the bytes of `text`.
void append_byte_alphabet(std::string& result, std::string_view text);
// Appends the bytes that `text` (valid UTF-8) stands for. False, and nothing appended, if a
// character of it is not in the alphabet.
bool append_alphabet_bytes(std::string& result, std::string_view text);

}  // namespace mlc::tokenizers
