// SPDX-License-Identifier: Apache-2.0
// What only a person at a terminal is shown: colours, and a sign that something is at work.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace mlc::cli {

enum class Stream { kOutput, kError };
enum class Colour { kPrompt, kError, kNote };

// True for a terminal that is not TERM=dumb, unless NO_COLOR is set to something.
bool has_colours(Stream stream);
// The text in a colour, where the stream has colours; else as it is.
std::string coloured(Stream stream, Colour colour, std::string_view text);

// Turns in the last line of standard error while it lives, beside its text and the seconds; nothing
// is shown before half a second, or where that is no terminal. Nobody else may write meanwhile.
class Spinner {
 public:
  explicit Spinner(std::string text);
  ~Spinner();
  void stop();  // clears it; more than once is allowed

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlc::cli
