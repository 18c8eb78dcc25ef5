// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/machine.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::jinja {
namespace {

int depth_of(Value value) {
  if (value.is_sequence()) return value.sequence().depth;
  if (value.is_dict()) return value.dict().depth;
  return 0;
}

}  // namespace

Value Machine::fail(std::string_view error, std::string message) {
  if (!problem_) problem_ = Problem{std::string(error), std::move(message), line_};
  return Value::failure();
}

bool Machine::spend(int64_t steps) {
  steps_ += steps;
  if (steps_ <= limits_.steps) return !failed();
  fail("LimitError", cat("the template takes more than ", limits_.steps, " steps"));
  return false;
}

bool Machine::check_heap() {
  if (!heap_.over_limit()) return true;
  fail("LimitError", cat("the template needs more than ",
                         bytes_text(static_cast<uint64_t>(heap_.limit_bytes()))));
  return false;
}

bool Machine::has_room(int64_t bytes) {
  if (bytes <= heap_.limit_bytes()) return true;
  heap_.charge(heap_.limit_bytes());
  heap_.charge(1);
  return check_heap();
}

Value Machine::text(std::string text) {
  heap_.charge(static_cast<int64_t>(text.size()));
  const Value value = heap_.make<Text>(std::move(text));
  return check_heap() ? value : Value::failure();
}

Value Machine::sequence(Kind kind, std::vector<Value> items, std::string_view type_name) {
  heap_.charge(static_cast<int64_t>(items.size() * sizeof(Value)));
  auto* sequence = heap_.make<Sequence>();
  for (const Value& item : items) sequence->depth = std::max(sequence->depth, depth_of(item) + 1);
  sequence->items = std::move(items);
  sequence->type_name = type_name;
  if (!check_heap()) return Value::failure();
  if (sequence->depth > limits_.value_depth) {
    return fail("RecursionError", cat("lists are nested deeper than ", limits_.value_depth));
  }
  return {kind, sequence};
}

bool Machine::set_item(Dict& dict, Value key, Value value) {
  if (!is_hashable(key)) {
    fail("TypeError", cat("unhashable type: '", type_name(key), "'"));
    return false;
  }
  dict.set(key, value);
  dict.depth = std::max({dict.depth, depth_of(key) + 1, depth_of(value) + 1});
  heap_.charge(2 * sizeof(Value) + 48);
  if (dict.depth > limits_.value_depth) {
    fail("RecursionError", cat("dicts are nested deeper than ", limits_.value_depth));
    return false;
  }
  return check_heap();
}

bool Machine::set_item(Dict& dict, std::string_view key, Value value) {
  const Value name = text(std::string(key));
  return !name.failed() && set_item(dict, name, value);
}

Value Machine::undefined(std::string message, std::string_view error) {
  const auto found = undefined_.find(message);
  if (found != undefined_.end()) return found->second;
  heap_.charge(static_cast<int64_t>(2 * message.size()) + 64);
  const Value value(Kind::kUndefined, heap_.make<UndefinedName>(std::string(error), message));
  undefined_.emplace(std::move(message), value);
  return check_heap() ? value : Value::failure();
}

}  // namespace mlc::jinja
