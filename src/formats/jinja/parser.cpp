// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "formats/jinja/expression_parser.h"
#include "formats/jinja/lexer.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

// The statements; failing functions as those of ExpressionParser.
class Parser : ExpressionParser {
 public:
  Parser(std::vector<Token> tokens, Heap& heap, Problem& problem)
      : ExpressionParser(std::move(tokens), heap, problem) {}

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

  bool in_loop_ = false;
  bool with_tuples_ = false;
};

}  // namespace

std::optional<Body> parse_template(std::string_view text, Heap& heap, Problem& problem) {
  std::optional<std::vector<Token>> tokens = tokenize(text, problem);
  if (!tokens) return std::nullopt;
  return Parser(std::move(*tokens), heap, problem).parse();
}

}  // namespace mlc::jinja
