// SPDX-License-Identifier: Apache-2.0
// The variable `loop` within a for statement.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/callable.h"

namespace mlc::jinja {

struct LoopState : Object {
  std::vector<Value> items;
  size_t position = 0;                             // of the item at hand
  int depth = 0;                                   // of recursive loops, from 0
  std::optional<std::vector<Value>> last_changed;  // arguments of the last changed()
  Callable* recursion = nullptr;                   // what loop(...) does, in a recursive loop

  int64_t length() const { return static_cast<int64_t>(items.size()); }
  Value attribute(Machine& machine, std::string_view name);
  Value call(Machine& machine, const CallArguments& arguments);
  std::string repr() const;
};

}  // namespace mlc::jinja
