// SPDX-License-Identifier: Apache-2.0
// The turns of a chat: every prompt holds all of them.
#pragma once

#include <optional>
#include <string>
#include <utility>
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
  void clear() { messages_.clear(); }  // the system message stays
  // Replaces the template's system message.
  void set_system(std::string text) { system_ = std::move(text); }
  bool empty() const { return messages_.empty(); }
  int64_t turns() const { return static_cast<int64_t>(messages_.size()) / 2; }

  // [{"role": ..., "content": ...}, ...] as in OpenAI's API: the system message that was set, then
  // the turns. from_json() takes the list, or an object that has it as "messages"; it must hold
  // whole turns of texts. Errors begin with `where`.
  Json to_json() const;
  static Result<History> from_json(const Json& json, const std::string& where);
  const std::optional<std::string>& system() const { return system_; }

 private:
  std::optional<std::string> system_;
  std::vector<formats::Message> messages_;  // user and assistant in turn
};

}  // namespace mlc::engine
