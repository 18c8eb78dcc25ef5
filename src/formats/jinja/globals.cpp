// SPDX-License-Identifier: Apache-2.0
// Functions that every template can call: Jinja's, and those that transformers adds.
#include <algorithm>

#include "formats/jinja/operations.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

Value range(Machine& machine, Value, const BoundArguments&, const CallArguments& arguments) {
  const size_t given = arguments.positional.size();
  if (given < 1 || given > 3 || !arguments.named.empty()) {
    return machine.fail("TypeError", cat("range expected 1 to 3 arguments, got ", given));
  }
  int64_t numbers[3] = {0, 0, 1};
  for (size_t i = 0; i < given; ++i) {
    const std::optional<int64_t> number = index_of(machine, arguments.positional[i]);
    if (!number) return Value::failure();
    numbers[given == 1 ? 1 : i] = *number;
  }
  const auto [start, stop, step] = std::tuple(numbers[0], numbers[1], numbers[2]);
  if (step == 0) return machine.fail("ValueError", "range() arg 3 must not be zero");
  // In 128 bits no difference of two numbers overflows.
  const __int128 distance = static_cast<__int128>(stop) - start;
  const __int128 count = step > 0 ? (distance + step - 1) / step : (distance + step + 1) / step;
  if (count > machine.limits().range_length) {
    return machine.fail("OverflowError",
                        cat("Range too big. The sandbox blocks ranges larger than MAX_RANGE (",
                            machine.limits().range_length, ")."));
  }
  std::vector<Value> items;
  for (int64_t i = 0; i < static_cast<int64_t>(count); ++i) {
    items.push_back(Value::integer(start + i * step));
  }
  const Value result = machine.sequence(Kind::kRange, std::move(items));
  if (result.failed()) return result;
  result.sequence().start = start;
  result.sequence().stop = stop;
  result.sequence().step = step;
  return result;
}

// dict(...): of a mapping or pairs, and of names.
bool fill_dict(Machine& machine, const CallArguments& arguments, Dict& dict) {
  if (arguments.positional.size() > 1) {
    machine.fail("TypeError",
                 cat("dict expected at most 1 argument, got ", arguments.positional.size()));
    return false;
  }
  if (!arguments.positional.empty()) {
    const Value source = arguments.positional[0];
    if (source.is_dict()) {
      for (const auto& [key, value] : source.dict().entries()) {
        if (!machine.set_item(dict, key, value)) return false;
      }
    } else {
      const std::optional<std::vector<Value>> pairs = iterate(machine, source);
      if (!pairs) return false;
      for (size_t i = 0; i < pairs->size(); ++i) {
        const std::optional<std::vector<Value>> pair = iterate(machine, (*pairs)[i]);
        if (!pair) return false;
        if (pair->size() != 2) {
          machine.fail("ValueError", cat("dictionary update sequence element #", i, " has length ",
                                         pair->size(), "; 2 is required"));
          return false;
        }
        if (!machine.set_item(dict, (*pair)[0], (*pair)[1])) return false;
      }
    }
  }
  for (const auto& [name, value] : arguments.named) {
    if (!machine.set_item(dict, name, value)) return false;
  }
  return true;
}

Value make_dict(Machine& machine, Value, const BoundArguments&, const CallArguments& arguments) {
  const Value dict = machine.new_dict();
  return fill_dict(machine, arguments, dict.dict()) ? dict : Value::failure();
}

Value make_namespace(Machine& machine, Value, const BoundArguments&,
                     const CallArguments& arguments) {
  const Value space(Kind::kNamespace, machine.heap().make<Dict>());
  return fill_dict(machine, arguments, space.dict()) ? space : Value::failure();
}

struct Cycler : Callable {
  explicit Cycler(std::vector<Value> items) : items(std::move(items)) {}
  std::string_view type_name() const override { return "Cycler"; }
  std::string repr() const override { return "<jinja2.utils.Cycler object>"; }
  Value call(Machine& machine, const CallArguments&) override {
    return machine.fail("TypeError", "'Cycler' object is not callable");
  }
  Value attribute(Machine& machine, std::string_view name) override;
  std::vector<Value> items;
  size_t position = 0;
};

Value next_of_cycler(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  auto& cycler = static_cast<Cycler&>(self.callable());
  const Value item = cycler.items[cycler.position];
  cycler.position = (cycler.position + 1) % cycler.items.size();
  return item;
}
Value reset_cycler(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  static_cast<Cycler&>(self.callable()).position = 0;
  return Value::none();
}
constexpr Builtin kCyclerMethods[] = {{"next", "", next_of_cycler}, {"reset", "", reset_cycler}};

struct CyclerMethod : Callable {
  CyclerMethod(const Builtin& builtin, Cycler* cycler) : builtin(builtin), cycler(cycler) {}
  std::string_view type_name() const override { return "method"; }
  std::string repr() const override { return cat("<bound method Cycler.", builtin.name, ">"); }
  Value call(Machine& machine, const CallArguments& arguments) override {
    return call_builtin(machine, builtin, {Kind::kCallable, cycler}, arguments);
  }
  const Builtin& builtin;
  Cycler* cycler;
};

Value Cycler::attribute(Machine& machine, std::string_view name) {
  if (name == "current") return items[position];
  if (name == "pos") return Value::integer(static_cast<int64_t>(position));
  for (const Builtin& method : kCyclerMethods) {
    if (method.name == name) {
      return {Kind::kCallable, machine.heap().make<CyclerMethod>(method, this)};
    }
  }
  return {};
}

Value make_cycler(Machine& machine, Value, const BoundArguments&, const CallArguments& arguments) {
  if (arguments.positional.empty()) {
    return machine.fail("RuntimeError", "at least one item has to be provided");
  }
  return {Kind::kCallable, machine.heap().make<Cycler>(arguments.positional)};
}

struct Joiner : Callable {
  explicit Joiner(Value separator) : separator(separator) {}
  std::string_view type_name() const override { return "Joiner"; }
  std::string repr() const override { return "<jinja2.utils.Joiner object>"; }
  Value call(Machine& machine, const CallArguments&) override {
    if (used) return separator;
    used = true;
    return machine.text("");
  }
  Value separator;
  bool used = false;
};

Value make_joiner(Machine& machine, Value, const BoundArguments& bound, const CallArguments&) {
  const Value separator = bound[0].is_absent() ? machine.text(", ") : bound[0];
  if (separator.failed()) return separator;
  return {Kind::kCallable, machine.heap().make<Joiner>(separator)};
}

Value raise_exception(Machine& machine, Value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<std::string> message = str(machine, bound[0]);
  return message ? machine.fail("TemplateError", *message) : Value::failure();
}

Value strftime_now(Machine& machine, Value, const BoundArguments& bound, const CallArguments&) {
  if (!bound[0].is_string()) {
    return machine.fail("TypeError",
                        cat("strftime() argument 1 must be str, not ", type_name(bound[0])));
  }
  return format_time(machine, std::string(bound[0].text()));
}

constexpr Builtin kGlobals[] = {
    {"cycler", "*", make_cycler},
    {"dict", "*", make_dict},
    {"joiner", "sep?", make_joiner},
    {"namespace", "*", make_namespace},
    {"raise_exception", "message", raise_exception},
    {"range", "*", range},
    {"strftime_now", "format", strftime_now},
};

}  // namespace

const Builtin* find_global(std::string_view name) {
  for (const Builtin& global : kGlobals) {
    if (global.name == name) return &global;
  }
  return nullptr;
}

}  // namespace mlc::jinja
