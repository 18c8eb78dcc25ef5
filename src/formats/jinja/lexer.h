// SPDX-License-Identifier: Apache-2.0
// A template's text as tokens, with the whitespace rules that transformers sets: trim_blocks (the
// newline after a block or comment goes) and lstrip_blocks (blanks before one at the start of a
// line go), and the signs - and + that override them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/machine.h"

namespace mlc::jinja {

enum class TokenKind : uint8_t {
  kData,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // of data, names and operators; of a string its value
  int64_t integer = 0;
  double number = 0;
  int line = 1;
};

// Either the tokens, the last of which is kEnd, or a TemplateSyntaxError in `problem`.
std::optional<std::vector<Token>> tokenize(std::string_view text, Problem& problem);

}  // namespace mlc::jinja
