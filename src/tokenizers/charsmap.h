// SPDX-License-Identifier: Apache-2.0
// SentencePiece's precompiled_charsmap: a trie (a double array, as of the Darts library) from
// source texts to replacements. Layout: u32 size of the trie in bytes, the trie's u32 units, then
// texts that end in a zero byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace mlc::tokenizers {

class Charsmap {
 public:
  Charsmap() = default;  // replaces nothing
  static Result<Charsmap> parse(std::string_view blob, std::string_view where);
  bool empty() const { return units_.empty(); }

  struct Match {
    size_t length = 0;  // bytes of the source
    std::string_view replacement;
  };
  // The shortest or the longest source that `text` begins with.
  std::optional<Match> shortest(std::string_view text) const { return find(text, false); }
  std::optional<Match> longest(std::string_view text) const { return find(text, true); }

 private:
  std::optional<Match> find(std::string_view text, bool longest) const;

  std::vector<uint32_t> units_;
  std::string texts_;
};

}  // namespace mlc::tokenizers
