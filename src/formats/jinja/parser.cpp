// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "formats/jinja/lexer.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

constexpr int kDeepestNesting = 400;     // of the parser's own calls: about 200 brackets
constexpr int kDeepestExpression = 200;  // a chain of operators counts as well

// Failing functions return null, false or nothing, after fail() was called.
class Parser {
 public:
  Parser(std::vector<Token> tokens, Heap& heap, Problem& problem)
      : tokens_(std::move(tokens)), heap_(heap), problem_(problem) {}

  std::optional<Body> parse() {
    Body body;
    if (!parse_body({}, body)) return std::nullopt;
    for (const Unknown& unknown : unknown_) {
      // As Jinja: it is only refused at once where it is sure to be reached.
      if (unknown.soft) continue;
      problem_ = {"TemplateAssertionError", unknown.message, unknown.line};
      return std::nullopt;
    }
    return body;
  }

 private:
  // A filter or test that does not exist.
  struct Unknown {
    std::string message;
    int line;
    bool soft;  // in a branch that may not be taken
  };

  // Counts nested calls.
  class Nesting {
   public:
    explicit Nesting(Parser& parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nesting() { --parser_.nesting_; }

   private:
    Parser& parser_;
  };

  const Token& current() const { return tokens_[position_]; }
  const Token& look() const { return tokens_[std::min(position_ + 1, tokens_.size() - 1)]; }
  void advance() {
    if (position_ + 1 < tokens_.size()) ++position_;
  }
  bool is(TokenKind kind) const { return current().kind == kind; }
  bool is_name(std::string_view name) const {
    return is(TokenKind::kName) && current().text == name;
  }
  bool is_operator(std::string_view op) const {
    return is(TokenKind::kOperator) && current().text == op;
  }
  bool skip_name(std::string_view name) {
    if (!is_name(name)) return false;
    advance();
    return true;
  }
  bool skip_operator(std::string_view op) {
    if (!is_operator(op)) return false;
    advance();
    return true;
  }

  static std::string describe(const Token& token) {
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

  bool fail(std::string message, int line = 0) {
    if (!failed_) {
      problem_ = {"TemplateSyntaxError", std::move(message), line != 0 ? line : current().line};
    }
    failed_ = true;
    return false;
  }
  ExpressionPtr fail_expression(std::string message) {
    fail(std::move(message));
    return nullptr;
  }

  bool expect(TokenKind kind, std::string_view what) {
    if (!is(kind))
      return fail(cat("expected token '", what, "', got ", quoted(describe(current()))));
    advance();
    return true;
  }
  bool expect_operator(std::string_view op) {
    if (!is_operator(op)) {
      return fail(cat("expected token '", op, "', got ", quoted(describe(current()))));
    }
    advance();
    return true;
  }
  bool expect_name(std::string_view name) {
    if (!is_name(name)) {
      return fail(cat("expected token '", name, "', got ", quoted(describe(current()))));
    }
    advance();
    return true;
  }
  std::optional<std::string> any_name() {
    if (!is(TokenKind::kName)) {
      fail(cat("expected token 'name', got ", quoted(describe(current()))));
      return std::nullopt;
    }
    std::string name = current().text;
    advance();
    return name;
  }

  bool too_deep() {
    if (nesting_ <= kDeepestNesting) return false;
    fail("the template is nested too deeply");
    return true;
  }

  // ---- expressions

  ExpressionPtr make(ExpressionKind kind, int line) {
    auto expression = std::make_unique<Expression>();
    expression->kind = kind;
    expression->line = line;
    return expression;
  }

  // With its depth; null if an operand is, or the whole is too deep.
  ExpressionPtr finish(ExpressionPtr expression) {
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

  template <class... Operands>
  ExpressionPtr node(ExpressionKind kind, int line, Operands... operands) {
    ExpressionPtr expression = make(kind, line);
    (expression->operands.push_back(std::move(operands)), ...);
    return finish(std::move(expression));
  }

  ExpressionPtr constant(Value value) {
    ExpressionPtr expression = make(ExpressionKind::kConstant, current().line);
    expression->constant = value;
    return expression;
  }

  ExpressionPtr parse_expression(bool with_condition = true) {
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

  ExpressionPtr parse_or() {
    ExpressionPtr left = parse_and();
    while (left != nullptr && is_name("or")) {
      const int line = current().line;
      advance();
      ExpressionPtr right = parse_and();
      left = node(ExpressionKind::kOr, line, std::move(left), std::move(right));
    }
    return left;
  }

  ExpressionPtr parse_and() {
    ExpressionPtr left = parse_not();
    while (left != nullptr && is_name("and")) {
      const int line = current().line;
      advance();
      ExpressionPtr right = parse_not();
      left = node(ExpressionKind::kAnd, line, std::move(left), std::move(right));
    }
    return left;
  }

  ExpressionPtr parse_not() {
    const Nesting nesting(*this);
    if (too_deep()) return nullptr;
    if (!is_name("not")) return parse_compare();
    const int line = current().line;
    advance();
    return node(ExpressionKind::kNot, line, parse_not());
  }

  std::optional<Comparison> comparison() {
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

  ExpressionPtr parse_compare() {
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

  ExpressionPtr binary_node(Operator op, int line, ExpressionPtr left, ExpressionPtr right) {
    ExpressionPtr expression =
        node(ExpressionKind::kBinary, line, std::move(left), std::move(right));
    if (expression != nullptr) expression->op = op;
    return expression;
  }

  // One level of operators that bind to the left.
  using Level = std::initializer_list<std::pair<std::string_view, Operator>>;
  template <class Next>
  ExpressionPtr parse_level(const Level& operators, const Next& next) {
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

  ExpressionPtr parse_sum() {
    return parse_level({{"+", Operator::kAdd}, {"-", Operator::kSub}},
                       [&] { return parse_concat(); });
  }

  ExpressionPtr parse_concat() {
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

  ExpressionPtr parse_product() {
    return parse_level({{"*", Operator::kMul},
                        {"/", Operator::kDiv},
                        {"//", Operator::kFloorDiv},
                        {"%", Operator::kMod}},
                       [&] { return parse_power(); });
  }

  ExpressionPtr parse_power() {
    return parse_level({{"**", Operator::kPow}}, [&] { return parse_unary(true); });
  }

  ExpressionPtr parse_unary(bool with_filters) {
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

  ExpressionPtr parse_primary() {
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

  ExpressionPtr name(const std::string& text, int line) {
    for (MacroSyntax* macro : macros_) {
      if (text == "varargs") macro->uses_varargs = true;
      if (text == "kwargs") macro->uses_kwargs = true;
      if (text == "caller") macro->uses_caller = true;
    }
    ExpressionPtr expression = make(ExpressionKind::kName, line);
    expression->name = text;
    return expression;
  }

  struct TupleOptions {
    bool with_condition = true;
    bool in_parentheses = false;
    std::string_view end_name{};  // a name that ends the tuple as well
  };

  // One expression, or several with commas between.
  ExpressionPtr parse_tuple(const TupleOptions& options) {
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

  ExpressionPtr parse_list() {
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

  ExpressionPtr parse_dict() {
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

  ExpressionPtr parse_postfix(ExpressionPtr expression) {
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

  ExpressionPtr parse_filters_and_tests(ExpressionPtr expression) {
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

  ExpressionPtr parse_subscript(ExpressionPtr object) {
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

  // What stands in brackets: an expression or a slice.
  ExpressionPtr parse_key() {
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

  bool parse_arguments(CallSyntax& call) {
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
      } else if (is(TokenKind::kName) && look().kind == TokenKind::kOperator &&
                 look().text == "=") {
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

  ExpressionPtr parse_call(ExpressionPtr callee) {
    ExpressionPtr call = make(ExpressionKind::kCall, current().line);
    call->call = std::make_unique<CallSyntax>();
    call->operands.push_back(std::move(callee));
    return parse_arguments(*call->call) ? finish(std::move(call)) : nullptr;
  }

  // "name" or "name.more".
  std::optional<std::string> dotted_name() {
    std::optional<std::string> name = any_name();
    while (name && skip_operator(".")) {
      const std::optional<std::string> part = any_name();
      if (!part) return std::nullopt;
      *name += "." + *part;
    }
    return name;
  }

  // |a|b(c) behind an expression; `inline_start`: the first has no bar before it.
  ExpressionPtr parse_filters(ExpressionPtr expression, bool inline_start) {
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

  ExpressionPtr parse_test(ExpressionPtr value) {
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

  bool begins_argument() const {
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

  // ---- statements

  // Statements up to one of the names in `ends`, which is the current token then; to the end of the
  // template where there are none.
  bool parse_body(std::initializer_list<std::string_view> ends, Body& body) {
    const Nesting nesting(*this);
    if (too_deep()) return false;
    while (!is(TokenKind::kEnd)) {
      const int line = current().line;
      if (is(TokenKind::kData)) {
        auto statement = std::make_unique<Statement>();
        statement->kind = StatementKind::kData;
        statement->line = line;
        statement->text = current().text;
        body.push_back(std::move(statement));
        advance();
      } else if (is(TokenKind::kVariableBegin)) {
        advance();
        auto statement = std::make_unique<Statement>();
        statement->kind = StatementKind::kOutput;
        statement->line = line;
        statement->expressions.push_back(parse_tuple({}));
        if (failed_ || !expect(TokenKind::kVariableEnd, "end of print statement")) return false;
        body.push_back(std::move(statement));
      } else {
        advance();
        for (const std::string_view end : ends) {
          if (is_name(end)) return true;
        }
        auto statement = std::make_unique<Statement>();
        statement->line = line;
        if (!parse_statement(*statement)) return false;
        if (!expect(TokenKind::kBlockEnd, "end of statement block")) return false;
        body.push_back(std::move(statement));
      }
    }
    if (ends.size() == 0) return true;
    return fail(cat("Unexpected end of template. Jinja was looking for the following tags: '",
                    join({ends.begin(), ends.end()}, "' or '"), "'."));
  }

  // The rest of a tag, and what follows up to one of `ends`.
  bool parse_block(std::initializer_list<std::string_view> ends, Body& body) {
    skip_operator(":");
    return expect(TokenKind::kBlockEnd, "end of statement block") && parse_body(ends, body);
  }

  bool parse_statement(Statement& statement) {
    if (!is(TokenKind::kName)) return fail("tag name expected");
    using Parse = bool (Parser::*)(Statement&);
    static constexpr std::pair<std::string_view, Parse> kStatements[] = {
        {"for", &Parser::parse_for},           {"if", &Parser::parse_if},
        {"set", &Parser::parse_set},           {"macro", &Parser::parse_macro},
        {"call", &Parser::parse_call_block},   {"filter", &Parser::parse_filter_block},
        {"with", &Parser::parse_with},         {"print", &Parser::parse_print},
        {"block", &Parser::parse_named_block}, {"generation", &Parser::parse_generation},
        {"break", &Parser::parse_break},       {"continue", &Parser::parse_continue},
        {"include", &Parser::parse_load},      {"import", &Parser::parse_load},
        {"from", &Parser::parse_load},         {"extends", &Parser::parse_load}};
    for (const auto& [name, parse] : kStatements) {
      if (is_name(name)) return (this->*parse)(statement);
    }
    return fail(cat("Encountered unknown tag ", quoted(current().text), "."));
  }

  bool parse_for(Statement& statement) {
    statement.kind = StatementKind::kFor;
    advance();
    statement.targets.emplace_back();
    if (!parse_target(statement.targets[0], false)) return false;
    if (!expect_name("in")) return false;
    statement.expressions.push_back(
        parse_tuple({.with_condition = false, .end_name = "recursive"}));
    statement.expressions.push_back(nullptr);
    if (!failed_ && skip_name("if")) statement.expressions[1] = parse_expression();
    if (failed_) return false;
    statement.recursive = skip_name("recursive");
    const InBranch hard(*this, false);
    const InLoop loop(*this, true);
    if (!parse_block({"endfor", "else"}, statement.body)) return false;
    const bool has_else = is_name("else");
    advance();
    if (!has_else) return true;
    const InLoop no_loop(*this, false);
    if (!parse_block({"endfor"}, statement.else_body)) return false;
    advance();
    return true;
  }

  bool parse_if(Statement& statement) {
    statement.kind = StatementKind::kIf;
    const InBranch soft(*this, true);
    bool has_more = true;
    while (has_more) {
      const bool is_else = is_name("else");
      advance();
      statement.branches.emplace_back();
      if (!is_else) {
        statement.branches.back().test = parse_tuple({.with_condition = false});
        if (failed_) return false;
        if (!parse_block({"elif", "else", "endif"}, statement.branches.back().body)) return false;
      } else if (!parse_block({"endif"}, statement.branches.back().body)) {
        return false;
      }
      has_more = !is_name("endif");
    }
    advance();
    return true;
  }

  bool parse_set(Statement& statement) {
    statement.kind = StatementKind::kSet;
    advance();
    statement.targets.emplace_back();
    if (!parse_target(statement.targets[0], true)) return false;
    if (skip_operator("=")) {
      statement.expressions.push_back(parse_tuple({}));
      return !failed_;
    }
    statement.kind = StatementKind::kSetBlock;
    statement.expressions.push_back(parse_filters(nullptr, false));
    if (failed_) return false;
    const InBranch hard(*this, false);
    if (!parse_block({"endset"}, statement.body)) return false;
    advance();
    return true;
  }

  bool parse_signature(MacroSyntax& macro) {
    if (!expect_operator("(")) return false;
    while (!is_operator(")")) {
      if (!macro.parameters.empty() && !expect_operator(",")) return false;
      Target target;
      if (!parse_single_target(target, false)) return false;
      if (skip_operator("=")) {
        macro.defaults.push_back(parse_expression());
        if (failed_) return false;
      } else if (!macro.defaults.empty()) {
        return fail("non-default argument follows default argument");
      }
      macro.parameters.push_back(target.name);
    }
    advance();
    return true;
  }

  bool parse_macro_body(MacroSyntax& macro, std::string_view end) {
    const InBranch hard(*this, false);
    const InLoop no_loop(*this, false);
    macros_.push_back(&macro);
    const bool parsed = parse_block({end}, macro.body);
    macros_.pop_back();
    if (parsed) advance();
    return parsed;
  }

  bool parse_macro(Statement& statement) {
    statement.kind = StatementKind::kMacro;
    advance();
    statement.macro = std::make_unique<MacroSyntax>();
    Target target;
    if (!parse_single_target(target, false)) return false;
    statement.macro->name = target.name;
    return parse_signature(*statement.macro) && parse_macro_body(*statement.macro, "endmacro");
  }

  bool parse_call_block(Statement& statement) {
    statement.kind = StatementKind::kCallBlock;
    advance();
    statement.macro = std::make_unique<MacroSyntax>();
    statement.macro->name = "caller";
    if (is_operator("(") && !parse_signature(*statement.macro)) return false;
    statement.expressions.push_back(parse_expression());
    if (failed_) return false;
    if (statement.expressions[0]->kind != ExpressionKind::kCall) {
      return fail("expected call", statement.line);
    }
    return parse_macro_body(*statement.macro, "endcall");
  }

  bool parse_filter_block(Statement& statement) {
    statement.kind = StatementKind::kFilterBlock;
    advance();
    statement.expressions.push_back(parse_filters(nullptr, true));
    if (failed_) return false;
    const InBranch hard(*this, false);
    if (!parse_block({"endfilter"}, statement.body)) return false;
    advance();
    return true;
  }

  bool parse_with(Statement& statement) {
    statement.kind = StatementKind::kWith;
    advance();
    while (!is(TokenKind::kBlockEnd)) {
      if (!statement.targets.empty() && !expect_operator(",")) return false;
      statement.targets.emplace_back();
      if (!parse_single_target(statement.targets.back(), false)) return false;
      if (!expect_operator("=")) return false;
      statement.expressions.push_back(parse_expression());
      if (failed_) return false;
    }
    const InBranch hard(*this, false);
    if (!parse_block({"endwith"}, statement.body)) return false;
    advance();
    return true;
  }

  bool parse_print(Statement& statement) {
    statement.kind = StatementKind::kOutput;
    advance();
    while (!is(TokenKind::kBlockEnd)) {
      if (!statement.expressions.empty() && !expect_operator(",")) return false;
      statement.expressions.push_back(parse_expression());
      if (failed_) return false;
    }
    return true;
  }

  bool parse_scope(Statement& statement, std::string_view end) {
    statement.kind = StatementKind::kScope;
    const InBranch hard(*this, false);
    const InLoop no_loop(*this, false);
    if (!parse_block({end}, statement.body)) return false;
    advance();
    return true;
  }

  bool parse_named_block(Statement& statement) {
    advance();
    const std::optional<std::string> name = any_name();
    if (!name) return false;
    skip_name("scoped");
    skip_name("required");
    if (!parse_scope(statement, "endblock")) return false;
    skip_name(*name);
    return true;
  }

  bool parse_generation(Statement& statement) {
    advance();
    return parse_scope(statement, "endgeneration");
  }

  bool parse_break(Statement& statement) {
    statement.kind = StatementKind::kBreak;
    return parse_loop_control();
  }
  bool parse_continue(Statement& statement) {
    statement.kind = StatementKind::kContinue;
    return parse_loop_control();
  }
  bool parse_loop_control() {
    if (!in_loop_) return fail(cat("'", current().text, "' outside loop"));
    advance();
    return true;
  }

  // Kept only as something that fails once it is reached.
  bool parse_load(Statement& statement) {
    statement.kind = StatementKind::kLoad;
    while (!is(TokenKind::kBlockEnd) && !is(TokenKind::kEnd)) advance();
    return true;
  }

  // ---- targets

  bool parse_single_target(Target& target, bool with_attribute) {
    const Nesting nesting(*this);
    if (too_deep()) return false;
    if (is_operator("(") && with_tuples_) {
      advance();
      if (!parse_target(target, with_attribute)) return false;
      return expect_operator(")");
    }
    const int line = current().line;
    const std::optional<std::string> name = any_name();
    if (!name) return false;
    for (const std::string_view reserved : {"true", "false", "none", "True", "False", "None"}) {
      if (*name == reserved) return fail("can't assign to 'const'", line);
    }
    target.name = *name;
    if (with_attribute && skip_operator(".")) {
      const std::optional<std::string> attribute = any_name();
      if (!attribute) return false;
      target.attribute = *attribute;
    }
    return true;
  }

  // One target, or several with commas between.
  bool parse_target(Target& target, bool with_attribute) {
    with_tuples_ = true;
    Target first;
    if (!parse_single_target(first, with_attribute)) return false;
    if (!is_operator(",")) {
      target = std::move(first);
      with_tuples_ = false;
      return true;
    }
    target.is_tuple = true;
    target.parts.push_back(std::move(first));
    while (skip_operator(",")) {
      if (is_name("in") || is_operator("=") || is_operator(")") || is(TokenKind::kBlockEnd)) break;
      with_tuples_ = true;
      target.parts.emplace_back();
      if (!parse_single_target(target.parts.back(), with_attribute)) return false;
    }
    with_tuples_ = false;
    return true;
  }

  // Sets a member until the end of a block.
  struct Restored {
    Restored(bool& place, bool value) : place(place), before(place) { place = value; }
    ~Restored() { place = before; }
    bool& place;
    bool before;
  };
  struct InBranch : Restored {
    InBranch(Parser& parser, bool value) : Restored(parser.soft_, value) {}
  };
  struct InLoop : Restored {
    InLoop(Parser& parser, bool value) : Restored(parser.in_loop_, value) {}
  };

  std::vector<Token> tokens_;
  Heap& heap_;
  Problem& problem_;
  size_t position_ = 0;
  int nesting_ = 0;
  bool failed_ = false;
  bool soft_ = false;
  bool in_loop_ = false;
  bool with_tuples_ = false;
  std::vector<Unknown> unknown_;
  std::vector<MacroSyntax*> macros_;
};

}  // namespace

std::optional<Body> parse_template(std::string_view text, Heap& heap, Problem& problem) {
  std::optional<std::vector<Token>> tokens = tokenize(text, problem);
  if (!tokens) return std::nullopt;
  return Parser(std::move(*tokens), heap, problem).parse();
}

}  // namespace mlc::jinja
