// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/token_trie.h"

#include <algorithm>

namespace mlc::engine::grammar {

TokenTrie::TokenTrie(const std::vector<std::string>& tokens) {
  constexpr size_t kLongest = INT16_MAX;
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty() && tokens[id].size() < kLongest) {
      ids_.push_back(static_cast<int32_t>(id));
    }
  }
  const auto token = [&](int32_t id) -> const std::string& {
    return tokens[static_cast<size_t>(id)];
  };
  std::stable_sort(ids_.begin(), ids_.end(),
                   [&](int32_t a, int32_t b) { return token(a) < token(b); });
  places_.assign(tokens.size(), -1);
  offsets_.push_back(0);
  std::vector<int32_t> open;  // nodes on the way to the last token
  const auto close = [&](size_t depth) {
    for (; open.size() > depth; open.pop_back()) {
      nodes_[static_cast<size_t>(open.back())].next = static_cast<int32_t>(nodes_.size());
    }
  };
  std::string_view last;
  for (size_t place = 0; place < ids_.size(); ++place) {
    const std::string_view bytes = token(ids_[place]);
    places_[static_cast<size_t>(ids_[place])] = static_cast<int32_t>(place);
    const auto common = static_cast<size_t>(
        std::mismatch(last.begin(), last.end(), bytes.begin(), bytes.end()).first - last.begin());
    close(common);
    for (size_t depth = common; depth < bytes.size(); ++depth) {
      open.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({static_cast<int32_t>(place), 0, static_cast<int16_t>(depth + 1),
                        static_cast<uint8_t>(bytes[depth])});
    }
    deepest_ = std::max(deepest_, bytes.size());
    text_ += bytes;
    offsets_.push_back(text_.size());
    last = bytes;
  }
  close(0);
  nodes_.push_back({static_cast<int32_t>(ids_.size()), 0, 0, 0});
}

std::string_view TokenTrie::bytes_of(int32_t id) const {
  if (id < 0 || id >= num_ids()) return {};
  const int32_t place = places_[static_cast<size_t>(id)];
  return place < 0 ? std::string_view{} : bytes_at(place);
}

}  // namespace mlc::engine::grammar
