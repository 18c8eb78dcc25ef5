// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/interpreter.h"

#include <algorithm>

#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

struct Macro : Callable {
  Macro(Interpreter& interpreter, const MacroSyntax& syntax, Scope* scope)
      : interpreter(interpreter), syntax(syntax), scope(scope) {}
  std::string_view type_name() const override { return "Macro"; }
  std::string repr() const override { return cat("<Macro ", quoted(syntax.name), ">"); }
  Value call(Machine&, const CallArguments& arguments) override {
    return interpreter.call_macro(syntax, scope, arguments);
  }
  Value attribute(Machine& machine, std::string_view name) override {
    return name == "name" ? machine.text(syntax.name) : Value();
  }
  Interpreter& interpreter;
  const MacroSyntax& syntax;
  Scope* scope;
};

struct RecursiveLoop : Callable {
  RecursiveLoop(Interpreter& interpreter, const Statement& loop, Scope& scope, int depth)
      : interpreter(interpreter), loop(loop), scope(scope), depth(depth) {}
  std::string_view type_name() const override { return "LoopContext"; }
  std::string repr() const override { return "<LoopContext>"; }
  Value call(Machine&, const CallArguments& arguments) override {
    return interpreter.recurse(loop, scope, arguments, depth);
  }
  Interpreter& interpreter;
  const Statement& loop;
  Scope& scope;
  int depth;
};

struct GlobalFunction : Callable {
  explicit GlobalFunction(const Builtin& builtin) : builtin(builtin) {}
  std::string_view type_name() const override { return "function"; }
  std::string repr() const override { return cat("<function ", builtin.name, ">"); }
  Value call(Machine& machine, const CallArguments& arguments) override {
    return call_builtin(machine, builtin, {}, arguments);
  }
  const Builtin& builtin;
};

bool has_direct_methods(Value value) {
  return value.is_string() || value.is_dict() || value.kind() == Kind::kList;
}

}  // namespace

// Counts nested evaluations: each uses the machine's stack.
class Interpreter::Depth {
 public:
  explicit Depth(Interpreter& interpreter) : interpreter_(interpreter) {
    ++interpreter_.depth_;
    if (interpreter_.depth_ > interpreter_.limits().depth) {
      interpreter_.fail("RecursionError", "maximum recursion depth exceeded");
    }
  }
  ~Depth() { --interpreter_.depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  Interpreter& interpreter_;
};

Value* Scope::find_here(std::string_view name) {
  for (auto& [key, value] : names) {
    if (key == name) return &value;
  }
  return nullptr;
}

void Scope::set(std::string_view name, Value value) {
  if (Value* found = find_here(name)) {
    *found = value;
  } else {
    names.emplace_back(name, value);
  }
}

std::optional<std::string> Interpreter::run(const Body& body) {
  std::string out;
  if (run_body(body, top_, out) == Flow::kFailed || failed()) return std::nullopt;
  return out;
}

bool Interpreter::charge_output(size_t bytes) {
  heap().charge(static_cast<int64_t>(bytes));
  return has_room(heap().over_limit() ? INT64_MAX : 0);
}

std::unique_ptr<Scope> Interpreter::new_scope(Scope* parent) {
  return std::make_unique<Scope>(parent);
}

void Interpreter::release(std::unique_ptr<Scope> scope) {
  if (!scope->captured) return;
  heap().charge(static_cast<int64_t>(sizeof(Scope) + scope->names.size() * 40));
  heap().adopt(std::move(scope));
}

// A macro outlives its statement: so must the scopes around it.
void Interpreter::capture(Scope& scope) {
  for (Scope* s = &scope; s != nullptr && !s->captured; s = s->parent) s->captured = true;
}

// ---- statements

Interpreter::Flow Interpreter::run_body(const Body& body, Scope& scope, std::string& out) {
  for (const auto& statement : body) {
    const Flow flow = run_statement(*statement, scope, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_in_new_scope(const Body& body, Scope& scope, std::string& out) {
  std::unique_ptr<Scope> inner = new_scope(&scope);
  const Flow flow = run_body(body, *inner, out);
  release(std::move(inner));
  return flow;
}

Interpreter::Flow Interpreter::run_statement(const Statement& statement, Scope& scope,
                                             std::string& out) {
  const Depth depth(*this);
  set_line(statement.line);
  if (!spend(1)) return Flow::kFailed;
  switch (statement.kind) {
    case StatementKind::kData:
      out += statement.text;
      return charge_output(statement.text.size()) ? Flow::kNext : Flow::kFailed;
    case StatementKind::kOutput:
      return run_output(statement, scope, out);
    case StatementKind::kIf:
      return run_if(statement, scope, out);
    case StatementKind::kFor:
      return run_for(statement, scope, out);
    case StatementKind::kSet: {
      const Value value = evaluate(*statement.expressions[0], scope);
      if (value.failed() || !assign(statement.targets[0], value, scope)) return Flow::kFailed;
      return Flow::kNext;
    }
    case StatementKind::kSetBlock:
      return run_set_block(statement, scope, out);
    case StatementKind::kMacro: {
      capture(scope);
      scope.set(statement.macro->name,
                {Kind::kCallable, heap().make<Macro>(*this, *statement.macro, &scope)});
      return Flow::kNext;
    }
    case StatementKind::kCallBlock:
      return run_call_block(statement, scope, out);
    case StatementKind::kFilterBlock:
      return run_filter_block(statement, scope, out);
    case StatementKind::kWith:
      return run_with(statement, scope, out);
    case StatementKind::kScope:
      return run_in_new_scope(statement.body, scope, out);
    case StatementKind::kBreak:
      return Flow::kBreak;
    case StatementKind::kContinue:
      return Flow::kContinue;
    case StatementKind::kLoad:
      fail("TypeError", "no loader for this environment specified");
      return Flow::kFailed;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_output(const Statement& statement, Scope& scope,
                                          std::string& out) {
  for (const ExpressionPtr& expression : statement.expressions) {
    const Value value = evaluate(*expression, scope);
    if (value.failed()) return Flow::kFailed;
    const size_t before = out.size();
    if (!append_str(*this, value, out) || !charge_output(out.size() - before)) {
      return Flow::kFailed;
    }
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_if(const Statement& statement, Scope& scope, std::string& out) {
  for (const Branch& branch : statement.branches) {
    if (branch.test != nullptr) {
      const Value test = evaluate(*branch.test, scope);
      if (test.failed()) return Flow::kFailed;
      if (!truth(test)) continue;
    }
    return run_body(branch.body, scope, out);
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_for(const Statement& statement, Scope& scope, std::string& out) {
  const Value iterable = evaluate(*statement.expressions[0], scope);
  if (iterable.failed()) return Flow::kFailed;
  return loop_over(statement, scope, iterable, 0, out);
}

// Drops the items that the loop's own `if` does not choose.
bool Interpreter::keep_chosen(const Statement& statement, Scope& scope, std::vector<Value>& items) {
  std::vector<Value> chosen;
  std::unique_ptr<Scope> inner = new_scope(&scope);
  bool valid = true;
  for (const Value& item : items) {
    inner->names.clear();
    valid = assign(statement.targets[0], item, *inner);
    const Value test = valid ? evaluate(*statement.expressions[1], *inner) : Value::failure();
    valid = !test.failed();
    if (!valid) break;
    if (truth(test)) chosen.push_back(item);
  }
  release(std::move(inner));
  items = std::move(chosen);
  return valid;
}

Interpreter::Flow Interpreter::loop_over(const Statement& statement, Scope& scope, Value iterable,
                                         int depth, std::string& out) {
  std::optional<std::vector<Value>> items = iterate(*this, iterable);
  if (!items) return Flow::kFailed;
  if (statement.expressions[1] != nullptr && !keep_chosen(statement, scope, *items)) {
    return Flow::kFailed;
  }
  if (items->empty()) return run_in_new_scope(statement.else_body, scope, out);
  auto* state = heap().make<LoopState>();
  heap().charge(static_cast<int64_t>(items->size() * sizeof(Value)));
  state->items = std::move(*items);
  state->depth = depth;
  if (statement.recursive) {
    capture(scope);
    state->recursion = heap().make<RecursiveLoop>(*this, statement, scope, depth + 1);
  }
  if (!charge_output(0)) return Flow::kFailed;
  std::unique_ptr<Scope> inner = new_scope(&scope);
  Flow flow = Flow::kNext;
  for (size_t i = 0; i < state->items.size(); ++i) {
    if (inner->captured) {
      release(std::move(inner));
      inner = new_scope(&scope);
    }
    inner->names.clear();
    state->position = i;
    inner->set("loop", {Kind::kLoop, state});
    flow = assign(statement.targets[0], state->items[i], *inner)
               ? run_body(statement.body, *inner, out)
               : Flow::kFailed;
    if (flow == Flow::kBreak || flow == Flow::kFailed) break;
  }
  release(std::move(inner));
  return flow == Flow::kFailed ? flow : Flow::kNext;
}

Value Interpreter::recurse(const Statement& loop, Scope& scope, const CallArguments& arguments,
                           int depth) {
  BoundArguments bound;
  if (!bind_arguments(*this, "loop", "iterable", arguments, bound)) return Value::failure();
  const Depth nesting(*this);
  if (failed()) return Value::failure();
  std::string out;
  if (loop_over(loop, scope, bound[0], depth, out) == Flow::kFailed) return Value::failure();
  return text(std::move(out));
}

Interpreter::Flow Interpreter::run_set_block(const Statement& statement, Scope& scope,
                                             std::string&) {
  std::string body;
  const Flow flow = run_in_new_scope(statement.body, scope, body);
  if (flow != Flow::kNext) return flow;
  Value value = text(std::move(body));
  if (!value.failed() && statement.expressions[0] != nullptr) {
    value = evaluate_filter(*statement.expressions[0], scope, value);
  }
  if (value.failed() || !assign(statement.targets[0], value, scope)) return Flow::kFailed;
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_call_block(const Statement& statement, Scope& scope,
                                              std::string& out) {
  capture(scope);
  const Value caller(Kind::kCallable, heap().make<Macro>(*this, *statement.macro, &scope));
  const Value value = evaluate_call(*statement.expressions[0], scope, caller);
  const size_t before = out.size();
  if (value.failed() || !append_str(*this, value, out) || !charge_output(out.size() - before)) {
    return Flow::kFailed;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_filter_block(const Statement& statement, Scope& scope,
                                                std::string& out) {
  std::string body;
  const Flow flow = run_in_new_scope(statement.body, scope, body);
  if (flow != Flow::kNext) return flow;
  Value value = text(std::move(body));
  if (!value.failed()) value = evaluate_filter(*statement.expressions[0], scope, value);
  const size_t before = out.size();
  if (value.failed() || !append_str(*this, value, out) || !charge_output(out.size() - before)) {
    return Flow::kFailed;
  }
  return Flow::kNext;
}

Interpreter::Flow Interpreter::run_with(const Statement& statement, Scope& scope,
                                        std::string& out) {
  std::unique_ptr<Scope> inner = new_scope(&scope);
  for (size_t i = 0; i < statement.targets.size(); ++i) {
    const Value value = evaluate(*statement.expressions[i], scope);
    if (value.failed() || !assign(statement.targets[i], value, *inner)) {
      release(std::move(inner));
      return Flow::kFailed;
    }
  }
  const Flow flow = run_body(statement.body, *inner, out);
  release(std::move(inner));
  return flow;
}

bool Interpreter::assign(const Target& target, Value value, Scope& scope) {
  if (!target.attribute.empty()) {
    Value space;
    for (Scope* s = &scope; s != nullptr && space.is_absent(); s = s->parent) {
      if (const Value* found = s->find_here(target.name)) space = *found;
    }
    if (space.kind() != Kind::kNamespace) {
      fail("TemplateRuntimeError", "cannot assign attribute on non-namespace object");
      return false;
    }
    return set_item(space.dict(), target.attribute, value);
  }
  if (!target.is_tuple) {
    scope.set(target.name, value);
    return true;
  }
  if (!is_iterable(value)) {
    fail("TypeError", cat("cannot unpack non-iterable ", type_name(value), " object"));
    return false;
  }
  const std::optional<std::vector<Value>> items = iterate(*this, value);
  if (!items) return false;
  const size_t expected = target.parts.size();
  if (items->size() < expected) {
    fail("ValueError",
         cat("not enough values to unpack (expected ", expected, ", got ", items->size(), ")"));
    return false;
  }
  if (items->size() > expected) {
    fail("ValueError", cat("too many values to unpack (expected ", expected, ")"));
    return false;
  }
  for (size_t i = 0; i < expected; ++i) {
    if (!assign(target.parts[i], (*items)[i], scope)) return false;
  }
  return true;
}

// ---- macros

bool Interpreter::bind_macro(const MacroSyntax& macro, const CallArguments& arguments,
                             Scope& scope) {
  const size_t count = macro.parameters.size();
  std::vector<std::pair<std::string_view, Value>> named = arguments.named;
  const auto take = [&](std::string_view name) {
    const auto found = std::find_if(named.begin(), named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (found == named.end()) return Value();
    const Value value = found->second;
    named.erase(found);
    return value;
  };
  const size_t first_default = count - macro.defaults.size();
  // All that was given, before defaults are worked out: they may read it.
  std::vector<Value> given(count);
  for (size_t i = 0; i < count; ++i) {
    given[i] =
        i < arguments.positional.size() ? arguments.positional[i] : take(macro.parameters[i]);
  }
  const bool takes_caller =
      macro.uses_caller && std::find(macro.parameters.begin(), macro.parameters.end(), "caller") ==
                               macro.parameters.end();
  if (takes_caller) {
    const Value caller = take("caller");
    scope.set("caller", caller.is_absent() ? undefined("No caller defined") : caller);
  }
  if (macro.uses_kwargs) {
    const Value rest = new_dict();
    for (const auto& [name, value] : named) {
      if (!set_item(rest.dict(), name, value)) return false;
    }
    scope.set("kwargs", rest);
  } else if (!named.empty()) {
    fail("TypeError",
         cat("macro ", quoted(macro.name), " takes no keyword argument ", quoted(named[0].first)));
    return false;
  }
  if (macro.uses_varargs) {
    std::vector<Value> rest;
    for (size_t i = count; i < arguments.positional.size(); ++i) {
      rest.push_back(arguments.positional[i]);
    }
    scope.set("varargs", tuple(std::move(rest)));
  } else if (arguments.positional.size() > count) {
    fail("TypeError",
         cat("macro ", quoted(macro.name), " takes not more than ", count, " argument(s)"));
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    if (given[i].is_absent()) {
      given[i] =
          i >= first_default
              ? evaluate(*macro.defaults[i - first_default], scope)
              : undefined(cat("parameter ", quoted(macro.parameters[i]), " was not provided"));
    }
    if (given[i].failed()) return false;
    scope.set(macro.parameters[i], given[i]);
  }
  return !failed();
}

Value Interpreter::call_macro(const MacroSyntax& macro, Scope* scope,
                              const CallArguments& arguments) {
  const Depth depth(*this);
  if (failed()) return Value::failure();
  std::unique_ptr<Scope> inner = new_scope(scope);
  std::string out;
  const bool done =
      bind_macro(macro, arguments, *inner) && run_body(macro.body, *inner, out) != Flow::kFailed;
  release(std::move(inner));
  return done ? text(std::move(out)) : Value::failure();
}

// ---- expressions

Value Interpreter::evaluate(const Expression& expression, Scope& scope) {
  const Depth depth(*this);
  if (!spend(1)) return Value::failure();
  switch (expression.kind) {
    case ExpressionKind::kConstant:
      return expression.constant;
    case ExpressionKind::kName:
      return evaluate_name(expression, scope);
    case ExpressionKind::kAttribute: {
      const Value object = evaluate(*expression.operands[0], scope);
      if (object.failed()) return object;
      set_line(expression.line);
      return get_attribute(*this, object, expression.name);
    }
    case ExpressionKind::kItem:
      return evaluate_item(expression, scope);
    case ExpressionKind::kSlice:
      return fail("TypeError", "a slice is no value");
    case ExpressionKind::kCall:
      return evaluate_call(expression, scope, {});
    case ExpressionKind::kFilter:
      return evaluate_filter(expression, scope, {});
    case ExpressionKind::kTest:
      return evaluate_test(expression, scope);
    case ExpressionKind::kList:
    case ExpressionKind::kTuple:
      return evaluate_container(expression, scope);
    case ExpressionKind::kDict:
      return evaluate_dict(expression, scope);
    case ExpressionKind::kBinary:
      return evaluate_binary(expression, scope);
    case ExpressionKind::kNegate:
    case ExpressionKind::kPlus: {
      const Value value = evaluate(*expression.operands[0], scope);
      if (value.failed()) return value;
      return expression.kind == ExpressionKind::kNegate ? negate(*this, value) : plus(*this, value);
    }
    case ExpressionKind::kNot: {
      const Value value = evaluate(*expression.operands[0], scope);
      return value.failed() ? value : Value::boolean(!truth(value));
    }
    case ExpressionKind::kAnd:
    case ExpressionKind::kOr: {
      const Value left = evaluate(*expression.operands[0], scope);
      if (left.failed() || truth(left) == (expression.kind == ExpressionKind::kOr)) return left;
      return evaluate(*expression.operands[1], scope);
    }
    case ExpressionKind::kConcat:
      return evaluate_concat(expression, scope);
    case ExpressionKind::kCompare:
      return evaluate_compare(expression, scope);
    case ExpressionKind::kConditional:
      return evaluate_conditional(expression, scope);
  }
  return Value::failure();
}

Value Interpreter::evaluate_name(const Expression& expression, Scope& scope) {
  for (Scope* s = &scope; s != nullptr; s = s->parent) {
    if (const Value* found = s->find_here(expression.name)) return *found;
  }
  if (const Builtin* global = find_global(expression.name)) {
    return {Kind::kCallable, heap().make<GlobalFunction>(*global)};
  }
  set_line(expression.line);
  return undefined(cat(quoted(expression.name), " is undefined"));
}

Value Interpreter::evaluate_item(const Expression& expression, Scope& scope) {
  const Value object = evaluate(*expression.operands[0], scope);
  if (object.failed()) return object;
  const Expression& key = *expression.operands[1];
  if (key.kind == ExpressionKind::kSlice) {
    Slice slice;
    Value* const parts[] = {&slice.start, &slice.stop, &slice.step};
    for (size_t i = 0; i < 3; ++i) {
      if (key.operands[i] == nullptr) continue;
      *parts[i] = evaluate(*key.operands[i], scope);
      if (parts[i]->failed()) return Value::failure();
    }
    set_line(expression.line);
    return get_slice(*this, object, slice);
  }
  const Value value = evaluate(key, scope);
  if (value.failed()) return value;
  set_line(expression.line);
  return get_item(*this, object, value);
}

bool Interpreter::evaluate_arguments(const CallSyntax& call, Scope& scope,
                                     CallArguments& arguments) {
  for (const ExpressionPtr& argument : call.positional) {
    arguments.positional.push_back(evaluate(*argument, scope));
    if (arguments.positional.back().failed()) return false;
  }
  for (const auto& [name, argument] : call.named) {
    arguments.named.emplace_back(name, evaluate(*argument, scope));
    if (arguments.named.back().second.failed()) return false;
  }
  if (call.more_positional != nullptr) {
    const Value more = evaluate(*call.more_positional, scope);
    const std::optional<std::vector<Value>> items =
        more.failed() ? std::nullopt : iterate(*this, more);
    if (!items) return false;
    arguments.positional.insert(arguments.positional.end(), items->begin(), items->end());
  }
  if (call.more_named != nullptr) {
    const Value more = evaluate(*call.more_named, scope);
    if (more.failed()) return false;
    if (!more.is_dict()) {
      fail("TypeError", cat("argument after ** must be a mapping, not ", type_name(more)));
      return false;
    }
    for (const auto& [key, value] : more.dict().entries()) {
      if (!key.is_string()) {
        fail("TypeError", "keywords must be strings");
        return false;
      }
      for (const auto& [name, given] : arguments.named) {
        if (name == key.text()) {
          fail("TypeError", cat("got multiple values for keyword argument ", quoted(name)));
          return false;
        }
      }
      arguments.named.emplace_back(key.text(), value);
    }
  }
  return true;
}

Value Interpreter::evaluate_call(const Expression& expression, Scope& scope, Value caller) {
  const Expression& callee = *expression.operands[0];
  const Builtin* method = nullptr;
  Value target;
  if (callee.kind == ExpressionKind::kAttribute) {
    const Value object = evaluate(*callee.operands[0], scope);
    if (object.failed()) return object;
    // The usual methods, without an object for each call.
    if (has_direct_methods(object)) method = find_method(object, callee.name);
    set_line(callee.line);
    target = method != nullptr ? object : get_attribute(*this, object, callee.name);
  } else {
    target = evaluate(callee, scope);
  }
  if (target.failed()) return target;
  CallArguments arguments;
  if (!evaluate_arguments(*expression.call, scope, arguments)) return Value::failure();
  if (!caller.is_absent()) arguments.named.emplace_back("caller", caller);
  set_line(expression.line);
  if (method != nullptr) return call_builtin(*this, *method, target, arguments);
  return call(*this, target, arguments);
}

Value Interpreter::evaluate_filter(const Expression& expression, Scope& scope, Value input) {
  if (!expression.operands.empty()) {
    const Expression& operand = *expression.operands[0];
    // A chain without an expression at its beginning is that of a block.
    input = operand.kind == ExpressionKind::kFilter ? evaluate_filter(operand, scope, input)
                                                    : evaluate(operand, scope);
    if (input.failed()) return input;
  }
  CallArguments arguments;
  if (!evaluate_arguments(*expression.call, scope, arguments)) return Value::failure();
  set_line(expression.line);
  if (expression.builtin == nullptr) {
    return fail("TemplateRuntimeError",
                cat("No filter named ", quoted(expression.name), " found."));
  }
  return call_builtin(*this, *expression.builtin, input, arguments);
}

Value Interpreter::evaluate_test(const Expression& expression, Scope& scope) {
  const Value value = evaluate(*expression.operands[0], scope);
  if (value.failed()) return value;
  CallArguments arguments;
  if (!evaluate_arguments(*expression.call, scope, arguments)) return Value::failure();
  set_line(expression.line);
  if (expression.builtin == nullptr) {
    return fail("TemplateRuntimeError", cat("No test named ", quoted(expression.name), " found."));
  }
  return call_builtin(*this, *expression.builtin, value, arguments);
}

Value Interpreter::evaluate_container(const Expression& expression, Scope& scope) {
  std::vector<Value> items;
  items.reserve(expression.operands.size());
  for (const ExpressionPtr& operand : expression.operands) {
    items.push_back(evaluate(*operand, scope));
    if (items.back().failed()) return Value::failure();
  }
  return sequence(expression.kind == ExpressionKind::kList ? Kind::kList : Kind::kTuple,
                  std::move(items));
}

Value Interpreter::evaluate_dict(const Expression& expression, Scope& scope) {
  const Value dict = new_dict();
  for (size_t i = 0; i + 1 < expression.operands.size(); i += 2) {
    const Value key = evaluate(*expression.operands[i], scope);
    if (key.failed()) return key;
    const Value value = evaluate(*expression.operands[i + 1], scope);
    if (value.failed() || !set_item(dict.dict(), key, value)) return Value::failure();
  }
  return dict;
}

Value Interpreter::evaluate_binary(const Expression& expression, Scope& scope) {
  const Value left = evaluate(*expression.operands[0], scope);
  if (left.failed()) return left;
  const Value right = evaluate(*expression.operands[1], scope);
  if (right.failed()) return right;
  set_line(expression.line);
  return binary(*this, expression.op, left, right);
}

Value Interpreter::evaluate_concat(const Expression& expression, Scope& scope) {
  std::string result;
  for (const ExpressionPtr& operand : expression.operands) {
    const Value value = evaluate(*operand, scope);
    if (value.failed() || !append_str(*this, value, result)) return Value::failure();
  }
  return text(std::move(result));
}

Value Interpreter::evaluate_compare(const Expression& expression, Scope& scope) {
  Value left = evaluate(*expression.operands[0], scope);
  for (size_t i = 0; i < expression.comparisons.size() && !left.failed(); ++i) {
    const Value right = evaluate(*expression.operands[i + 1], scope);
    if (right.failed()) return right;
    set_line(expression.line);
    const std::optional<bool> holds = compare(*this, expression.comparisons[i], left, right);
    if (!holds) return Value::failure();
    if (!*holds) return Value::boolean(false);
    left = right;
  }
  return left.failed() ? left : Value::boolean(true);
}

Value Interpreter::evaluate_conditional(const Expression& expression, Scope& scope) {
  const Value test = evaluate(*expression.operands[1], scope);
  if (test.failed()) return test;
  if (truth(test)) return evaluate(*expression.operands[0], scope);
  if (expression.operands[2] != nullptr) return evaluate(*expression.operands[2], scope);
  return undefined(cat("the inline if-expression on line ", expression.line,
                       " evaluated to false and no else section was defined."));
}

}  // namespace mlc::jinja
