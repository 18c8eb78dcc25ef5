// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/charsmap.h"

#include <cstring>

#include "support/strings.h"

namespace mlc::tokenizers {

namespace {

// A unit of the double array: bits 0-7 label (and bit 31: this is a value), bit 8 has a value
// below, bit 9 wide offset, bits 10-30 offset.
bool has_leaf(uint32_t unit) { return ((unit >> 8) & 1) == 1; }
uint32_t value_of(uint32_t unit) { return unit & 0x7fffffff; }
uint32_t label_of(uint32_t unit) { return unit & 0x800000ff; }
uint32_t offset_of(uint32_t unit) { return (unit >> 10) << ((unit & 0x200) >> 6); }

}  // namespace

Result<Charsmap> Charsmap::parse(std::string_view blob, std::string_view where) {
  Charsmap map;
  if (blob.empty()) return map;
  uint32_t size = 0;
  if (blob.size() >= 4) std::memcpy(&size, blob.data(), 4);
  if (blob.size() < 4 || size == 0 || size % 4 != 0 || size > blob.size() - 4) {
    return user_error(
        std::string(where),
        cat("precompiled charsmap of ", blob.size(), " bytes states a trie of ", size, " bytes"),
        "a trie that fits, in units of 4 bytes", "the file is damaged: get it again");
  }
  map.units_.resize(size / 4);
  std::memcpy(map.units_.data(), blob.data() + 4, size);
  map.texts_ = blob.substr(4 + size);
  return map;
}

std::optional<Charsmap::Match> Charsmap::find(std::string_view text, bool longest) const {
  if (units_.empty()) return std::nullopt;
  std::optional<Match> found;
  uint32_t node = offset_of(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto label = static_cast<unsigned char>(text[i]);
    if (label == 0) break;
    node ^= label;
    if (node >= units_.size()) break;
    const uint32_t unit = units_[node];
    if (label_of(unit) != label) break;
    node ^= offset_of(unit);
    if (has_leaf(unit)) {
      if (node >= units_.size()) break;
      const size_t start = value_of(units_[node]);
      if (start < texts_.size()) {
        const char* const replacement = texts_.c_str() + start;
        found = Match{i + 1, std::string_view(replacement, std::strlen(replacement))};
        if (!longest) break;
      }
    }
  }
  return found;
}

}  // namespace mlc::tokenizers
