// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/trie.h"

#include "tokenizers/flat_file.h"

namespace mlc::tokenizers {

void Trie::build(std::vector<std::pair<std::string_view, int32_t>> entries) {
  *this = Trie();
  std::erase_if(entries, [](const auto& entry) { return entry.first.empty(); });
  if (entries.empty()) return;
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  // A node is a range of the sorted entries that share their first `depth` bytes.
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges = {{0, entries.size(), 0}};
  nodes_.push_back({});
  for (size_t node = 0; node < ranges.size(); ++node) {
    auto [begin, end, depth] = ranges[node];
    for (; begin < end && entries[begin].first.size() == depth; ++begin)
      nodes_[node].value = entries[begin].second;
    nodes_[node].children = static_cast<uint32_t>(labels_.size());
    while (begin < end) {
      const char label = entries[begin].first[depth];
      size_t stop = begin;
      while (stop < end && entries[stop].first[depth] == label) ++stop;
      labels_.push_back(static_cast<unsigned char>(label));
      targets_.push_back(static_cast<int32_t>(nodes_.size()));
      nodes_.push_back({});
      ranges.push_back({begin, stop, depth + 1});
      ++nodes_[node].count;
      begin = stop;
    }
  }
  for (uint32_t i = 0; i < nodes_[0].count; ++i) roots_[labels_[i]] = targets_[i];
}

void Trie::write(FlatWriter& out) const {
  out.array(nodes_);
  out.array(labels_);
  out.array(targets_);
  out.value(roots_);
}

bool Trie::read(FlatReader& in) {
  return in.array(&nodes_) && in.array(&labels_) && in.array(&targets_) && in.value(&roots_) &&
         labels_.size() == targets_.size();
}

std::pair<size_t, int32_t> Trie::longest(std::string_view text, size_t offset) const {
  std::pair<size_t, int32_t> found{0, -1};
  size_t i = offset;
  for (int32_t node = first(text[i]); node != 0; node = next(node, text[i])) {
    ++i;
    if (value(node) >= 0) found = {i - offset, value(node)};
    if (i == text.size()) break;
  }
  return found;
}

}  // namespace mlc::tokenizers
