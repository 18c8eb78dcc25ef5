// SPDX-License-Identifier: Apache-2.0
// The state of one rendering: memory, limits, and the error that was raised, if any. A function
// that fails returns Value::failure() (or nothing, or false) after fail() was called; callers hand
// that on at once.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/jinja/value.h"

namespace mlc::jinja {

// What a template may use. Templates come with foreign files: none may exhaust the machine.
struct Limits {
  int64_t heap_bytes = int64_t{1} << 30;  // of all values ever made, output included
  int64_t steps = 100'000'000;            // nodes evaluated, and bytes / 16 looked at
  int depth = 1500;                       // of calls within calls
  int value_depth = 200;                  // of lists within lists
  int64_t range_length = 100'000;         // as Jinja's sandbox has it
};

// What went wrong, as Python would say it.
struct Problem {
  std::string error;  // "TypeError", "UndefinedError", "TemplateError" ...
  std::string message;
  int line = 0;  // of the template; 0: unknown
};

class Machine {
 public:
  Machine(const Limits& limits, const std::tm& now)
      : limits_(limits), now_(now), heap_(limits.heap_bytes) {}
  virtual ~Machine() = default;

  const Limits& limits() const { return limits_; }
  const std::tm& now() const { return now_; }
  Heap& heap() { return heap_; }

  // Keeps the first problem.
  Value fail(std::string_view error, std::string message);
  bool failed() const { return problem_.has_value(); }
  const std::optional<Problem>& problem() const { return problem_; }
  void set_line(int line) { line_ = line; }

  // False, with a problem, once the limit of steps is passed.
  bool spend(int64_t steps);
  bool spend_on_text(size_t bytes) { return spend(static_cast<int64_t>(bytes / 16) + 1); }

  // These fail where the heap is full or the nesting too deep.
  Value text(std::string text);
  Value sequence(Kind kind, std::vector<Value> items, std::string_view type_name = {});
  Value list(std::vector<Value> items) { return sequence(Kind::kList, std::move(items)); }
  Value tuple(std::vector<Value> items) { return sequence(Kind::kTuple, std::move(items)); }
  Value iterator(std::vector<Value> items) {
    return sequence(Kind::kIterator, std::move(items), "generator");
  }
  Value new_dict() { return {Kind::kDict, heap_.make<Dict>()}; }
  // False where the key is not hashable, or a limit is passed.
  bool set_item(Dict& dict, Value key, Value value);
  bool set_item(Dict& dict, std::string_view key, Value value);
  Value undefined(std::string message, std::string_view error = "UndefinedError");
  // Room for so many bytes, before they are made.
  bool has_room(int64_t bytes);

 private:
  bool check_heap();

  const Limits& limits_;
  std::tm now_;
  Heap heap_;
  int64_t steps_ = 0;
  int line_ = 0;
  std::optional<Problem> problem_;
  std::unordered_map<std::string, Value> undefined_;  // one for each message
};

}  // namespace mlc::jinja
