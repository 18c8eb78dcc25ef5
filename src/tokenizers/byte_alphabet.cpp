// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/byte_alphabet.h"

#include <array>

#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

constexpr int kCharacters = 0x144;  // all characters of the alphabet lie below

struct Alphabet {
  std::array<uint16_t, 256> character{};
  std::array<int16_t, kCharacters> byte{};

  constexpr Alphabet() {
    byte.fill(-1);
    int next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
      const int c = printable ? b : next++;
      character[static_cast<size_t>(b)] = static_cast<uint16_t>(c);
      byte[static_cast<size_t>(c)] = static_cast<int16_t>(b);
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

char32_t alphabet_character(unsigned char byte) { return kAlphabet.character[byte]; }

std::optional<unsigned char> alphabet_byte(char32_t character) {
  if (character >= kCharacters || kAlphabet.byte[character] < 0) return std::nullopt;
  return static_cast<unsigned char>(kAlphabet.byte[character]);
}

void append_byte_alphabet(std::string& result, std::string_view text) {
  for (const char c : text) append_utf8(result, alphabet_character(static_cast<unsigned char>(c)));
}

bool append_alphabet_bytes(std::string& result, std::string_view text) {
  const size_t before = result.size();
  for (size_t i = 0; i < text.size();) {
    const char32_t c = next_code_point(text, i);
    if (c >= kCharacters || kAlphabet.byte[c] < 0) {
      result.resize(before);
      return false;
    }
    result += static_cast<char>(kAlphabet.byte[c]);
  }
  return true;
}

}  // namespace mlc::tokenizers
