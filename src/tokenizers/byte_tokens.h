// SPDX-License-Identifier: Apache-2.0
// Tokens spelled "<0x0A>", which stand for one byte each.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "tokenizers/vocabulary.h"

namespace mlc::tokenizers {

std::optional<char> byte_of_token(std::string_view text);
// The id of each byte's token (with upper-case digits), or -1.
std::array<int32_t, 256> byte_token_ids(const Vocabulary& vocabulary);

}  // namespace mlc::tokenizers
