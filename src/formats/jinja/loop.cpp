// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/loop.h"

#include "formats/jinja/operations.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

Value cycle(Machine& machine, Value self, const BoundArguments&, const CallArguments& arguments) {
  if (arguments.positional.empty()) {
    return machine.fail("TypeError", "no items for cycling given");
  }
  return arguments.positional[self.loop().position % arguments.positional.size()];
}

Value changed(Machine& machine, Value self, const BoundArguments&, const CallArguments& arguments) {
  LoopState& loop = self.loop();
  if (loop.last_changed && loop.last_changed->size() == arguments.positional.size()) {
    bool same = true;
    for (size_t i = 0; i < arguments.positional.size() && same; ++i) {
      const std::optional<bool> equals =
          equal(machine, (*loop.last_changed)[i], arguments.positional[i]);
      if (!equals) return Value::failure();
      same = *equals;
    }
    if (same) return Value::boolean(false);
  }
  loop.last_changed = arguments.positional;
  return Value::boolean(true);
}

constexpr Builtin kCycle{"cycle", "*", cycle};
constexpr Builtin kChanged{"changed", "*", changed};

struct LoopMethod : Callable {
  LoopMethod(const Builtin& builtin, Value self) : builtin(builtin), self(self) {}
  std::string_view type_name() const override { return "method"; }
  std::string repr() const override { return cat("<bound method LoopContext.", builtin.name, ">"); }
  Value call(Machine& machine, const CallArguments& arguments) override {
    return call_builtin(machine, builtin, self, arguments);
  }
  const Builtin& builtin;
  Value self;
};

}  // namespace

Value LoopState::attribute(Machine& machine, std::string_view name) {
  const auto index = static_cast<int64_t>(position);
  if (name == "index") return Value::integer(index + 1);
  if (name == "index0") return Value::integer(index);
  if (name == "first") return Value::boolean(index == 0);
  if (name == "last") return Value::boolean(index + 1 == length());
  if (name == "length") return Value::integer(length());
  if (name == "revindex") return Value::integer(length() - index);
  if (name == "revindex0") return Value::integer(length() - index - 1);
  if (name == "depth") return Value::integer(depth + 1);
  if (name == "depth0") return Value::integer(depth);
  if (name == "previtem") {
    return index > 0 ? items[position - 1] : machine.undefined("there is no previous item");
  }
  if (name == "nextitem") {
    return index + 1 < length() ? items[position + 1] : machine.undefined("there is no next item");
  }
  for (const Builtin* method : {&kCycle, &kChanged}) {
    if (name == method->name) {
      return {Kind::kCallable, machine.heap().make<LoopMethod>(*method, Value(Kind::kLoop, this))};
    }
  }
  return {};
}

Value LoopState::call(Machine& machine, const CallArguments& arguments) {
  if (recursion == nullptr) {
    return machine.fail("TypeError",
                        "The loop must have the 'recursive' marker to be called recursively.");
  }
  return recursion->call(machine, arguments);
}

std::string LoopState::repr() const {
  return cat("<LoopContext ", position + 1, "/", items.size(), ">");
}

}  // namespace mlc::jinja
