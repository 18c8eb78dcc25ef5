// SPDX-License-Identifier: Apache-2.0
// Runs a parsed template.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/loop.h"
#include "formats/jinja/machine.h"

namespace mlc::jinja {

// Names and their values; what is not here is looked for in the parent.
struct Scope : Object {
  explicit Scope(Scope* parent) : parent(parent) {}
  Value* find_here(std::string_view name);
  void set(std::string_view name, Value value);

  Scope* parent;
  bool captured = false;                                  // a macro that was made here may need it
  std::vector<std::pair<std::string_view, Value>> names;  // of the template or the heap
};

class Interpreter : public Machine {
 public:
  Interpreter(const Limits& limits, const std::tm& now) : Machine(limits, now), top_(nullptr) {}

  // Before run(): a variable of the template.
  void set_argument(std::string_view name, Value value) { top_.set(name, value); }
  // The prompt, or nothing and a problem().
  std::optional<std::string> run(const Body& body);

  // What a macro's call gives.
  Value call_macro(const MacroSyntax& macro, Scope* scope, const CallArguments& arguments);
  // What loop(...) in a recursive loop gives.
  Value recurse(const Statement& loop, Scope& scope, const CallArguments& arguments, int depth);

 private:
  enum class Flow : uint8_t { kNext, kBreak, kContinue, kFailed };

  class Depth;
  bool charge_output(size_t bytes);
  std::unique_ptr<Scope> new_scope(Scope* parent);
  void release(std::unique_ptr<Scope> scope);

  Flow run_body(const Body& body, Scope& scope, std::string& out);
  Flow run_in_new_scope(const Body& body, Scope& scope, std::string& out);
  Flow run_statement(const Statement& statement, Scope& scope, std::string& out);
  Flow run_output(const Statement& statement, Scope& scope, std::string& out);
  Flow run_if(const Statement& statement, Scope& scope, std::string& out);
  Flow run_for(const Statement& statement, Scope& scope, std::string& out);
  Flow loop_over(const Statement& statement, Scope& scope, Value iterable, int depth,
                 std::string& out);
  bool keep_chosen(const Statement& statement, Scope& scope, std::vector<Value>& items);
  Flow run_set_block(const Statement& statement, Scope& scope, std::string& out);
  Flow run_call_block(const Statement& statement, Scope& scope, std::string& out);
  Flow run_filter_block(const Statement& statement, Scope& scope, std::string& out);
  Flow run_with(const Statement& statement, Scope& scope, std::string& out);
  void capture(Scope& scope);
  bool assign(const Target& target, Value value, Scope& scope);
  bool bind_macro(const MacroSyntax& macro, const CallArguments& arguments, Scope& scope);

  Value evaluate(const Expression& expression, Scope& scope);
  Value evaluate_name(const Expression& expression, Scope& scope);
  Value evaluate_item(const Expression& expression, Scope& scope);
  Value evaluate_call(const Expression& expression, Scope& scope, Value caller);
  Value evaluate_filter(const Expression& expression, Scope& scope, Value input);
  Value evaluate_test(const Expression& expression, Scope& scope);
  Value evaluate_container(const Expression& expression, Scope& scope);
  Value evaluate_dict(const Expression& expression, Scope& scope);
  Value evaluate_binary(const Expression& expression, Scope& scope);
  Value evaluate_concat(const Expression& expression, Scope& scope);
  Value evaluate_compare(const Expression& expression, Scope& scope);
  Value evaluate_conditional(const Expression& expression, Scope& scope);
  bool evaluate_arguments(const CallSyntax& call, Scope& scope, CallArguments& arguments);

  Scope top_;
  int depth_ = 0;
};

}  // namespace mlc::jinja
