// SPDX-License-Identifier: Apache-2.0
#include "engine/history.h"

#include <algorithm>

namespace mlc::engine {

formats::PromptInput History::with(const std::string& message) const {
  formats::PromptInput input;
  input.messages = messages_;
  input.messages.push_back({"user", message});
  return input;
}

void History::add_turn(const std::string& message, const std::string& answer) {
  messages_.push_back({"user", message});
  messages_.push_back({"assistant", answer});
}

void History::drop_older_half() {
  const size_t pairs = (messages_.size() + 3) / 4;
  messages_.erase(messages_.begin(),
                  messages_.begin() + static_cast<int64_t>(std::min(2 * pairs, messages_.size())));
}

}  // namespace mlc::engine
