// SPDX-License-Identifier: Apache-2.0
#include "cli/multi_line.h"

#include <utility>

#include "support/strings.h"

namespace mlc::cli {

namespace {

constexpr std::string_view kQuotes = "\"\"\"";

}  // namespace

std::optional<TypedMessage> MultiLine::add(std::string_view line) {
  if (open()) message_.typed += '\n';
  message_.typed += line;
  if (state_ == State::kNone && strip(line).starts_with(kQuotes)) {
    line = strip(line).substr(kQuotes.size());
    message_.literal = true;
    state_ = State::kBlock;
  } else if (state_ == State::kBlock) {
    message_.text += '\n';
  }
  const bool is_command = state_ == State::kNone && line.starts_with('/');
  if (state_ == State::kBlock) {
    while (line.ends_with(' ')) line.remove_suffix(1);
    if (!line.ends_with(kQuotes)) {
      message_.text += line;
      return {};
    }
    message_.text += line.substr(0, line.size() - kQuotes.size());
    message_.text = strip(message_.text);
  } else if (line.ends_with('\\') && !is_command) {
    message_.text += line.substr(0, line.size() - 1);
    message_.text += '\n';
    state_ = State::kContinued;
    return {};
  } else {
    message_.text += line;
    message_.text = strip(message_.text);
    message_.typed = message_.text;  // the backslashes would stay in a line that is called back
  }
  TypedMessage complete = std::move(message_);
  clear();
  return complete;
}

}  // namespace mlc::cli
