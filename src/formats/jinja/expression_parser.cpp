// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/expression_parser.h"

#include <algorithm>

#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {

namespace {

constexpr int kDeepestNesting = 400;     // of the parser's own calls: about 200 brackets
constexpr int kDeepestExpression = 200;  // a chain of operators counts as well

}  // namespace

std::string ExpressionParser::describe(const Token& token) {
  switch (token.kind) {
    case TokenKind::kData:
      return "template data";
    case TokenKind::kVariableBegin:
      return "begin of print statement";
    case TokenKind::kVariableEnd:
      return "end of print statement";
    case TokenKind::kBlockBegin:
      return "begin of statement block";
    case TokenKind::kBlockEnd:
      return "end of statement block";
    case TokenKind::kName:
    case TokenKind::kOperator:
      return token.text;
    case TokenKind::kString:
      return "string";
    case TokenKind::kInteger:
      return "integer";
    case TokenKind::kFloat:
      return "float";
    case TokenKind::kEnd:
      return "end of template";
  }
  return "";
}

bool ExpressionParser::fail(std::string message, int line) {
  if (!failed_) {
    problem_ = {"TemplateSyntaxError", std::move(message), line != 0 ? line : current().line};
  }
  failed_ = true;
  return false;
}

bool ExpressionParser::expect(TokenKind kind, std::string_view what) {
  if (!is(kind)) return fail(cat("expected token '", what, "', got ", quoted(describe(current()))));
  advance();
  return true;
}

bool ExpressionParser::expect_operator(std::string_view op) {
  if (!is_operator(op)) {
    return fail(cat("expected token '", op, "', got ", quoted(describe(current()))));
  }
  advance();
  return true;
}

bool ExpressionParser::expect_name(std::string_view name) {
  if (!is_name(name)) {
    return fail(cat("expected token '", name, "', got ", quoted(describe(current()))));
  }
  advance();
  return true;
}

std::optional<std::string> ExpressionParser::any_name() {
  if (!is(TokenKind::kName)) {
    fail(cat("expected token 'name', got ", quoted(describe(current()))));
    return std::nullopt;
  }
  std::string name = current().text;
  advance();
  return name;
}

bool ExpressionParser::too_deep() {
  if (nesting_ <= kDeepestNesting) return false;
  fail("the template is nested too deeply");
  return true;
}

ExpressionPtr ExpressionParser::make(ExpressionKind kind, int line) {
  auto expression = std::make_unique<Expression>();
  expression->kind = kind;
  expression->line = line;
  return expression;
}

ExpressionPtr ExpressionParser::finish(ExpressionPtr expression) {
  if (failed_) return nullptr;
  const auto include = [&](const ExpressionPtr& part) {
    if (part != nullptr) expression->depth = std::max(expression->depth, part->depth + 1);
  };
  for (const ExpressionPtr& operand : expression->operands) include(operand);
  if (expression->call != nullptr) {
    for (const ExpressionPtr& argument : expression->call->positional) include(argument);
    for (const auto& [name, argument] : expression->call->named) include(argument);
    include(expression->call->more_positional);
    include(expression->call->more_named);
  }
  if (expression->depth > kDeepestExpression) {
    return fail_expression("an expression is nested too deeply");
  }
  return expression;
}

ExpressionPtr ExpressionParser::constant(Value value) {
  ExpressionPtr expression = make(ExpressionKind::kConstant, current().line);
  expression->constant = value;
  return expression;
}

ExpressionPtr ExpressionParser::parse_expression(bool with_condition) {
  const Nesting nesting(*this);
  if (too_deep()) return nullptr;
  const size_t first_unknown = unknown_.size();
  ExpressionPtr left = parse_or();
  while (left != nullptr && with_condition && is_name("if")) {
    const int line = current().line;
    advance();
    ExpressionPtr test = parse_or();
    if (test == nullptr) return nullptr;
    ExpressionPtr otherwise;
    if (skip_name("else")) {
      otherwise = parse_expression();
      if (otherwise == nullptr) return nullptr;
    }
    left = node(ExpressionKind::kConditional, line, std::move(left), std::move(test),
                std::move(otherwise));
    for (size_t i = first_unknown; i < unknown_.size(); ++i) unknown_[i].soft = true;
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_or() {
  ExpressionPtr left = parse_and();
  while (left != nullptr && is_name("or")) {
    const int line = current().line;
    advance();
    ExpressionPtr right = parse_and();
    left = node(ExpressionKind::kOr, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_and() {
  ExpressionPtr left = parse_not();
  while (left != nullptr && is_name("and")) {
    const int line = current().line;
    advance();
    ExpressionPtr right = parse_not();
    left = node(ExpressionKind::kAnd, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_not() {
  const Nesting nesting(*this);
  if (too_deep()) return nullptr;
  if (!is_name("not")) return parse_compare();
  const int line = current().line;
  advance();
  return node(ExpressionKind::kNot, line, parse_not());
}

std::optional<Comparison> ExpressionParser::comparison() {
  static constexpr std::pair<std::string_view, Comparison> kComparisons[] = {
      {"==", Comparison::kEq}, {"!=", Comparison::kNe}, {"<", Comparison::kLt},
      {"<=", Comparison::kLe}, {">", Comparison::kGt},  {">=", Comparison::kGe}};
  for (const auto& [op, comparison] : kComparisons) {
    if (skip_operator(op)) return comparison;
  }
  if (skip_name("in")) return Comparison::kIn;
  if (is_name("not") && look().kind == TokenKind::kName && look().text == "in") {
    advance();
    advance();
    return Comparison::kNotIn;
  }
  return std::nullopt;
}

ExpressionPtr ExpressionParser::parse_compare() {
  const int line = current().line;
  ExpressionPtr left = parse_sum();
  if (left == nullptr) return nullptr;
  ExpressionPtr chain;
  while (const std::optional<Comparison> found = comparison()) {
    if (chain == nullptr) {
      chain = make(ExpressionKind::kCompare, line);
      chain->operands.push_back(std::move(left));
    }
    chain->comparisons.push_back(*found);
    chain->operands.push_back(parse_sum());
    if (failed_) return nullptr;
  }
  return chain == nullptr ? std::move(left) : finish(std::move(chain));
}

ExpressionPtr ExpressionParser::binary_node(Operator op, int line, ExpressionPtr left,
                                            ExpressionPtr right) {
  ExpressionPtr expression = node(ExpressionKind::kBinary, line, std::move(left), std::move(right));
  if (expression != nullptr) expression->op = op;
  return expression;
}

template <class Next>
ExpressionPtr ExpressionParser::parse_level(const Level& operators, const Next& next) {
  ExpressionPtr left = next();
  while (left != nullptr) {
    const auto found = std::find_if(operators.begin(), operators.end(),
                                    [&](const auto& entry) { return is_operator(entry.first); });
    if (found == operators.end()) break;
    const int line = current().line;
    advance();
    ExpressionPtr right = next();
    left = binary_node(found->second, line, std::move(left), std::move(right));
  }
  return left;
}

ExpressionPtr ExpressionParser::parse_sum() {
  return parse_level({{"+", Operator::kAdd}, {"-", Operator::kSub}},
                     [&] { return parse_concat(); });
}

ExpressionPtr ExpressionParser::parse_concat() {
  ExpressionPtr first = parse_product();
  if (first == nullptr || !is_operator("~")) return first;
  ExpressionPtr chain = make(ExpressionKind::kConcat, current().line);
  chain->operands.push_back(std::move(first));
  while (skip_operator("~")) {
    chain->operands.push_back(parse_product());
    if (failed_) return nullptr;
  }
  return finish(std::move(chain));
}

ExpressionPtr ExpressionParser::parse_product() {
  return parse_level({{"*", Operator::kMul},
                      {"/", Operator::kDiv},
                      {"//", Operator::kFloorDiv},
                      {"%", Operator::kMod}},
                     [&] { return parse_power(); });
}

ExpressionPtr ExpressionParser::parse_power() {
  return parse_level({{"**", Operator::kPow}}, [&] { return parse_unary(true); });
}

ExpressionPtr ExpressionParser::parse_unary(bool with_filters) {
  const Nesting nesting(*this);
  if (too_deep()) return nullptr;
  const int line = current().line;
  ExpressionPtr expression;
  if (skip_operator("-")) {
    expression = node(ExpressionKind::kNegate, line, parse_unary(false));
  } else if (skip_operator("+")) {
    expression = node(ExpressionKind::kPlus, line, parse_unary(false));
  } else {
    expression = parse_primary();
  }
  expression = parse_postfix(std::move(expression));
  return with_filters ? parse_filters_and_tests(std::move(expression)) : std::move(expression);
}

ExpressionPtr ExpressionParser::parse_primary() {
  const Token token = current();
  switch (token.kind) {
    case TokenKind::kName:
      advance();
      if (token.text == "true" || token.text == "True") return constant(Value::boolean(true));
      if (token.text == "false" || token.text == "False") return constant(Value::boolean(false));
      if (token.text == "none" || token.text == "None") return constant(Value::none());
      return name(token.text, token.line);
    case TokenKind::kString: {
      std::string text;
      for (; is(TokenKind::kString); advance()) text += current().text;
      return constant(heap_.make<Text>(std::move(text)));
    }
    case TokenKind::kInteger:
      advance();
      return constant(Value::integer(token.integer));
    case TokenKind::kFloat:
      advance();
      return constant(Value::floating(token.number));
    case TokenKind::kOperator:
      if (token.text == "(") {
        advance();
        ExpressionPtr expression = parse_tuple({.in_parentheses = true});
        return expect_operator(")") ? std::move(expression) : nullptr;
      }
      if (token.text == "[") return parse_list();
      if (token.text == "{") return parse_dict();
      break;
    default:
      break;
  }
  return fail_expression(cat("unexpected ", quoted(describe(token))));
}

ExpressionPtr ExpressionParser::name(const std::string& text, int line) {
  for (MacroSyntax* macro : macros_) {
    if (text == "varargs") macro->uses_varargs = true;
    if (text == "kwargs") macro->uses_kwargs = true;
    if (text == "caller") macro->uses_caller = true;
  }
  ExpressionPtr expression = make(ExpressionKind::kName, line);
  expression->name = text;
  return expression;
}

ExpressionPtr ExpressionParser::parse_tuple(const TupleOptions& options) {
  const int line = current().line;
  std::vector<ExpressionPtr> items;
  bool is_tuple = false;
  while (true) {
    if (!items.empty() && !expect_operator(",")) return nullptr;
    const bool at_end = is(TokenKind::kVariableEnd) || is(TokenKind::kBlockEnd) ||
                        is_operator(")") ||
                        (!options.end_name.empty() && is_name(options.end_name));
    if (at_end) break;
    items.push_back(parse_expression(options.with_condition));
    if (failed_) return nullptr;
    if (!is_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!options.in_parentheses) {
      return fail_expression(cat("Expected an expression, got ", quoted(describe(current()))));
    }
  }
  ExpressionPtr expression = make(ExpressionKind::kTuple, line);
  expression->operands = std::move(items);
  return finish(std::move(expression));
}

ExpressionPtr ExpressionParser::parse_list() {
  ExpressionPtr list = make(ExpressionKind::kList, current().line);
  advance();
  while (!is_operator("]")) {
    if (!list->operands.empty() && !expect_operator(",")) return nullptr;
    if (is_operator("]")) break;
    list->operands.push_back(parse_expression());
    if (failed_) return nullptr;
  }
  advance();
  return finish(std::move(list));
}

ExpressionPtr ExpressionParser::parse_dict() {
  ExpressionPtr dict = make(ExpressionKind::kDict, current().line);
  advance();
  while (!is_operator("}")) {
    if (!dict->operands.empty() && !expect_operator(",")) return nullptr;
    if (is_operator("}")) break;
    dict->operands.push_back(parse_expression());
    if (failed_ || !expect_operator(":")) return nullptr;
    dict->operands.push_back(parse_expression());
    if (failed_) return nullptr;
  }
  advance();
  return finish(std::move(dict));
}

ExpressionPtr ExpressionParser::parse_postfix(ExpressionPtr expression) {
  while (expression != nullptr) {
    if (is_operator(".") || is_operator("[")) {
      expression = parse_subscript(std::move(expression));
    } else if (is_operator("(")) {
      expression = parse_call(std::move(expression));
    } else {
      break;
    }
  }
  return expression;
}

ExpressionPtr ExpressionParser::parse_filters_and_tests(ExpressionPtr expression) {
  while (expression != nullptr) {
    if (is_operator("|")) {
      expression = parse_filters(std::move(expression), false);
    } else if (is_name("is")) {
      expression = parse_test(std::move(expression));
    } else if (is_operator("(")) {
      expression = parse_call(std::move(expression));
    } else {
      break;
    }
  }
  return expression;
}

ExpressionPtr ExpressionParser::parse_subscript(ExpressionPtr object) {
  const int line = current().line;
  if (skip_operator(".")) {
    if (is(TokenKind::kInteger)) {
      ExpressionPtr index = constant(Value::integer(current().integer));
      advance();
      return node(ExpressionKind::kItem, line, std::move(object), std::move(index));
    }
    if (!is(TokenKind::kName)) return fail_expression("expected name or number");
    ExpressionPtr attribute = make(ExpressionKind::kAttribute, line);
    attribute->name = current().text;
    attribute->operands.push_back(std::move(object));
    advance();
    return finish(std::move(attribute));
  }
  advance();
  std::vector<ExpressionPtr> keys;
  while (!is_operator("]")) {
    if (!keys.empty() && !expect_operator(",")) return nullptr;
    keys.push_back(parse_key());
    if (failed_) return nullptr;
  }
  advance();
  if (keys.size() == 1) {
    return node(ExpressionKind::kItem, line, std::move(object), std::move(keys[0]));
  }
  ExpressionPtr tuple = make(ExpressionKind::kTuple, line);
  tuple->operands = std::move(keys);
  tuple = finish(std::move(tuple));
  return node(ExpressionKind::kItem, line, std::move(object), std::move(tuple));
}

ExpressionPtr ExpressionParser::parse_key() {
  const int line = current().line;
  ExpressionPtr start;
  if (!is_operator(":")) {
    start = parse_expression();
    if (failed_ || !is_operator(":")) return start;
  }
  advance();
  const auto at_end = [&] { return is_operator(":") || is_operator("]") || is_operator(","); };
  ExpressionPtr stop;
  ExpressionPtr step;
  if (!at_end()) stop = parse_expression();
  if (failed_) return nullptr;
  if (skip_operator(":") && !is_operator("]") && !is_operator(",")) step = parse_expression();
  return node(ExpressionKind::kSlice, line, std::move(start), std::move(stop), std::move(step));
}

bool ExpressionParser::parse_arguments(CallSyntax& call) {
  const int line = current().line;
  if (!expect_operator("(")) return false;
  const auto ensure = [&](bool valid) {
    return valid || fail("invalid syntax for function call expression", line);
  };
  bool needs_comma = false;
  while (!is_operator(")")) {
    if (needs_comma) {
      if (!expect_operator(",")) return false;
      if (is_operator(")")) break;
    }
    if (skip_operator("*")) {
      if (!ensure(call.more_positional == nullptr && call.more_named == nullptr)) return false;
      call.more_positional = parse_expression();
    } else if (skip_operator("**")) {
      if (!ensure(call.more_named == nullptr)) return false;
      call.more_named = parse_expression();
    } else if (is(TokenKind::kName) && look().kind == TokenKind::kOperator && look().text == "=") {
      if (!ensure(call.more_named == nullptr)) return false;
      const std::string key = current().text;
      for (const auto& [name, value] : call.named) {
        if (name == key) return fail(cat("keyword argument repeated: ", key));
      }
      advance();
      advance();
      call.named.emplace_back(key, parse_expression());
    } else {
      if (!ensure(call.more_positional == nullptr && call.more_named == nullptr &&
                  call.named.empty())) {
        return false;
      }
      call.positional.push_back(parse_expression());
    }
    if (failed_) return false;
    needs_comma = true;
  }
  return expect_operator(")");
}

ExpressionPtr ExpressionParser::parse_call(ExpressionPtr callee) {
  ExpressionPtr call = make(ExpressionKind::kCall, current().line);
  call->call = std::make_unique<CallSyntax>();
  call->operands.push_back(std::move(callee));
  return parse_arguments(*call->call) ? finish(std::move(call)) : nullptr;
}

std::optional<std::string> ExpressionParser::dotted_name() {
  std::optional<std::string> name = any_name();
  while (name && skip_operator(".")) {
    const std::optional<std::string> part = any_name();
    if (!part) return std::nullopt;
    *name += "." + *part;
  }
  return name;
}

ExpressionPtr ExpressionParser::parse_filters(ExpressionPtr expression, bool inline_start) {
  while (is_operator("|") || inline_start) {
    if (!inline_start) advance();
    inline_start = false;
    ExpressionPtr filter = make(ExpressionKind::kFilter, current().line);
    const std::optional<std::string> name = dotted_name();
    if (!name) return nullptr;
    filter->name = *name;
    filter->builtin = find_filter(*name);
    if (filter->builtin == nullptr) {
      unknown_.push_back({cat("No filter named ", quoted(*name), "."), filter->line, soft_});
    }
    filter->call = std::make_unique<CallSyntax>();
    if (is_operator("(") && !parse_arguments(*filter->call)) return nullptr;
    if (expression != nullptr) filter->operands.push_back(std::move(expression));
    expression = finish(std::move(filter));
    if (expression == nullptr) return nullptr;
  }
  return expression;
}

ExpressionPtr ExpressionParser::parse_test(ExpressionPtr value) {
  const int line = current().line;
  advance();
  const bool negated = skip_name("not");
  ExpressionPtr test = make(ExpressionKind::kTest, line);
  const std::optional<std::string> name = dotted_name();
  if (!name) return nullptr;
  test->name = *name;
  test->builtin = find_test(*name);
  if (test->builtin == nullptr) {
    unknown_.push_back({cat("No test named ", quoted(*name), "."), line, soft_});
  }
  test->call = std::make_unique<CallSyntax>();
  test->operands.push_back(std::move(value));
  if (is_operator("(")) {
    if (!parse_arguments(*test->call)) return nullptr;
  } else if (begins_argument()) {
    if (is_name("is")) return fail_expression("You cannot chain multiple tests with is");
    test->call->positional.push_back(parse_postfix(parse_primary()));
  }
  test = finish(std::move(test));
  return negated ? node(ExpressionKind::kNot, line, std::move(test)) : std::move(test);
}

bool ExpressionParser::begins_argument() const {
  switch (current().kind) {
    case TokenKind::kName:
      return !is_name("else") && !is_name("or") && !is_name("and");
    case TokenKind::kString:
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return true;
    default:
      return is_operator("[") || is_operator("{");
  }
}

}  // namespace mlc::jinja
