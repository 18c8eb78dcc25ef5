// SPDX-License-Identifier: Apache-2.0
// Finds stop strings in a text that comes piece by piece. Text that may begin one is held back; a
// stop string itself is never shown. What comes out does not depend on how the text was cut into
// pieces.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlc::engine {

class StopMatcher {
 public:
  // Empty strings stop nothing.
  explicit StopMatcher(std::vector<std::string> stops);

  // The text that can be shown now. Once a stop string was complete (the one that ends first; of
  // those the longest), stopped() is true and nothing comes any more.
  std::string put(std::string_view text);
  // What was held back: the text is over.
  std::string finish();
  bool stopped() const { return stopped_; }

 private:
  size_t may_begin_a_stop() const;

  std::vector<std::string> stops_;
  std::string held_;  // never contains a whole stop string
  bool stopped_ = false;
};

}  // namespace mlc::engine
