// SPDX-License-Identifier: Apache-2.0
// Reads what a user types at a terminal, with line editing and history (libedit). Esc+Enter begins
// a new line, as do the means of multi_line.h; Ctrl-C clears what was typed and, pressed again,
// ends the input, as Ctrl-D does.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "cli/multi_line.h"

namespace mlc::cli {

class LineEditor {
 public:
  // What was typed in earlier sessions is read from `history_file` and written to it at the end,
  // the last thousand messages; neither where it is empty. A file that can't be read or written
  // only costs the history.
  LineEditor(std::string prompt, std::string history_file);
  ~LineEditor();

  // What was typed, UTF-8, without its last newline; nothing at the end of the input. Not empty.
  std::optional<TypedMessage> read();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlc::cli
