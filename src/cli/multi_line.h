// SPDX-License-Identifier: Apache-2.0
// Messages of several lines at a terminal: a line that ends with a backslash goes on in the next
// one, and all between """ and """ is one message, whatever it begins with.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mlc::cli {

struct TypedMessage {
  std::string text;
  std::string typed;     // as it was typed, to be called back
  bool literal = false;  // stood between """: no command
};

class MultiLine {
 public:
  // Takes a line, without its end; gives the message when it is complete.
  std::optional<TypedMessage> add(std::string_view line);
  bool open() const { return state_ != State::kNone; }  // the message goes on
  void clear() { *this = MultiLine(); }

 private:
  enum class State { kNone, kContinued, kBlock };
  State state_ = State::kNone;
  TypedMessage message_;
};

}  // namespace mlc::cli
