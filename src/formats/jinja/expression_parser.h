// SPDX-License-Identifier: Apache-2.0
// The expressions of Jinja's grammar, from tokens to a tree; parser.cpp has the statements around
// them. Failing functions return null, false or nothing, after fail() was called.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "formats/jinja/ast.h"
#include "formats/jinja/lexer.h"
#include "formats/jinja/machine.h"

namespace mlc::jinja {

class ExpressionParser {
 protected:
  ExpressionParser(std::vector<Token> tokens, Heap& heap, Problem& problem)
      : tokens_(std::move(tokens)), heap_(heap), problem_(problem) {}

  // A filter or test that does not exist.
  struct Unknown {
    std::string message;
    int line;
    bool soft;  // in a branch that may not be taken
  };

  // Counts nested calls.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser) : parser_(parser) { ++parser_.nesting_; }
    ~Nesting() { --parser_.nesting_; }

   private:
    ExpressionParser& parser_;
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
  static std::string describe(const Token& token);
  bool fail(std::string message, int line = 0);
  ExpressionPtr fail_expression(std::string message) {
    fail(std::move(message));
    return nullptr;
  }
  bool expect(TokenKind kind, std::string_view what);
  bool expect_operator(std::string_view op);
  bool expect_name(std::string_view name);
  std::optional<std::string> any_name();
  bool too_deep();

  ExpressionPtr make(ExpressionKind kind, int line);
  // With its depth; null if an operand is, or the whole is too deep.
  ExpressionPtr finish(ExpressionPtr expression);
  template <class... Operands>
  ExpressionPtr node(ExpressionKind kind, int line, Operands... operands) {
    ExpressionPtr expression = make(kind, line);
    (expression->operands.push_back(std::move(operands)), ...);
    return finish(std::move(expression));
  }
  ExpressionPtr constant(Value value);
  ExpressionPtr parse_expression(bool with_condition = true);
  ExpressionPtr parse_or();
  ExpressionPtr parse_and();
  ExpressionPtr parse_not();
  std::optional<Comparison> comparison();
  ExpressionPtr parse_compare();
  ExpressionPtr binary_node(Operator op, int line, ExpressionPtr left, ExpressionPtr right);
  // One level of operators that bind to the left.
  using Level = std::initializer_list<std::pair<std::string_view, Operator>>;
  template <class Next>
  ExpressionPtr parse_level(const Level& operators, const Next& next);
  ExpressionPtr parse_sum();
  ExpressionPtr parse_concat();
  ExpressionPtr parse_product();
  ExpressionPtr parse_power();
  ExpressionPtr parse_unary(bool with_filters);
  ExpressionPtr parse_primary();
  ExpressionPtr name(const std::string& text, int line);
  struct TupleOptions {
    bool with_condition = true;
    bool in_parentheses = false;
    std::string_view end_name{};  // a name that ends the tuple as well
  };
  // One expression, or several with commas between.
  ExpressionPtr parse_tuple(const TupleOptions& options);
  ExpressionPtr parse_list();
  ExpressionPtr parse_dict();
  ExpressionPtr parse_postfix(ExpressionPtr expression);
  ExpressionPtr parse_filters_and_tests(ExpressionPtr expression);
  ExpressionPtr parse_subscript(ExpressionPtr object);
  // What stands in brackets: an expression or a slice.
  ExpressionPtr parse_key();
  bool parse_arguments(CallSyntax& call);
  ExpressionPtr parse_call(ExpressionPtr callee);
  // "name" or "name.more".
  std::optional<std::string> dotted_name();
  // |a|b(c) behind an expression; `inline_start`: the first has no bar before it.
  ExpressionPtr parse_filters(ExpressionPtr expression, bool inline_start);
  ExpressionPtr parse_test(ExpressionPtr value);
  bool begins_argument() const;

  std::vector<Token> tokens_;
  Heap& heap_;
  Problem& problem_;
  size_t position_ = 0;
  int nesting_ = 0;
  bool failed_ = false;
  bool soft_ = false;
  std::vector<Unknown> unknown_;
  std::vector<MacroSyntax*> macros_;
};

}  // namespace mlc::jinja
