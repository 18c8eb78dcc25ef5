// SPDX-License-Identifier: Apache-2.0
// What a template can call, and how arguments meet parameters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/jinja/machine.h"
#include "formats/jinja/value.h"

namespace mlc::jinja {

struct Callable : Object {
  virtual std::string_view type_name() const = 0;
  virtual std::string repr() const = 0;
  virtual Value call(Machine& machine, const CallArguments& arguments) = 0;
  // Absent where there is none of this name.
  virtual Value attribute(Machine&, std::string_view) { return {}; }
};

// Arguments in the order of the parameters; absent where an optional one is not given.
using BoundArguments = std::vector<Value>;

// `signature`: names with blanks between; optional ones end in '?'. False, with a TypeError, where
// arguments and parameters do not fit.
bool bind_arguments(Machine& machine, std::string_view function, std::string_view signature,
                    const CallArguments& arguments, BoundArguments& bound);

// A filter, test, method or function that is built in. With the signature "*" `run` gets the
// call's own arguments and no bound ones.
struct Builtin {
  std::string_view name;
  std::string_view signature;
  Value (*run)(Machine& machine, Value self, const BoundArguments& bound,
               const CallArguments& arguments);
};
Value call_builtin(Machine& machine, const Builtin& builtin, Value self,
                   const CallArguments& arguments);

const Builtin* find_filter(std::string_view name);
const Builtin* find_text_filter(std::string_view name);  // those of texts and numbers only
const Builtin* find_test(std::string_view name);         // gives a bool
const Builtin* find_global(std::string_view name);       // its self is absent
// Of a string, number, sequence or dict.
const Builtin* find_method(Value self, std::string_view name);

}  // namespace mlc::jinja
