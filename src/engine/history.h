// SPDX-License-Identifier: Apache-2.0
// The turns of a chat: every prompt holds all of them.
#pragma once

#include <string>
#include <vector>

#include "formats/conversation.h"

namespace mlc::engine {

class History {
 public:
  // The prompt's input for one more message of the user; it belongs to the history once it is
  // answered.
  formats::PromptInput with(const std::string& message) const;
  void add_turn(const std::string& message, const std::string& answer);
  // Forgets the older half of the turns, rounded up: of n messages the first (n + 3) / 4 pairs
  // (spec: cli.md, chat).
  void drop_older_half();
  void clear() { messages_.clear(); }
  bool empty() const { return messages_.empty(); }
  int64_t turns() const { return static_cast<int64_t>(messages_.size()) / 2; }

 private:
  std::vector<formats::Message> messages_;  // user and assistant in turn
};

}  // namespace mlc::engine
