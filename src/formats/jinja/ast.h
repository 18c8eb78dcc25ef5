// SPDX-License-Identifier: Apache-2.0
// A parsed template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "formats/jinja/operations.h"

namespace mlc::jinja {

enum class ExpressionKind : uint8_t {
  kConstant,   // constant
  kName,       // name
  kAttribute,  // operands[0].name
  kItem,       // operands[0][operands[1]]
  kSlice,      // operands: start, stop, step; null where left out
  kCall,       // operands[0](call)
  kFilter,     // operands[0]|name(call); no operand in a filter block or set block
  kTest,       // operands[0] is name(call)
  kList,
  kTuple,
  kDict,    // operands: key, value, key, value ...
  kBinary,  // op
  kNegate,
  kPlus,
  kNot,
  kAnd,
  kOr,
  kConcat,       // operands joined by ~
  kCompare,      // operands[0] comparisons[0] operands[1] comparisons[1] ...
  kConditional,  // operands: then, test, otherwise (may be null)
};

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct CallSyntax {
  std::vector<ExpressionPtr> positional;
  std::vector<std::pair<std::string, ExpressionPtr>> named;
  ExpressionPtr more_positional;  // *expression
  ExpressionPtr more_named;       // **expression
};

struct Expression {
  ExpressionKind kind = ExpressionKind::kConstant;
  Operator op = Operator::kAdd;
  int line = 0;
  int depth = 1;
  std::string name;
  Value constant;                    // its text belongs to the template
  const Builtin* builtin = nullptr;  // of a filter or test; null where there is none of the name
  std::vector<ExpressionPtr> operands;
  std::vector<Comparison> comparisons;
  std::unique_ptr<CallSyntax> call;
};

// What is assigned to: a name, a tuple of targets, or an attribute of a namespace.
struct Target {
  std::string name;
  std::string attribute;  // "" for a plain name
  std::vector<Target> parts;
  bool is_tuple = false;
};

enum class StatementKind : uint8_t {
  kData,         // text
  kOutput,       // expressions
  kIf,           // branches
  kFor,          // target in expressions[0] if expressions[1] (null: all); body, else_body
  kSet,          // target = expressions[0]
  kSetBlock,     // target = body, through the filter expressions[0] (may be null)
  kMacro,        // macro
  kCallBlock,    // expressions[0], a call, with `macro` as its caller
  kFilterBlock,  // body through expressions[0]
  kWith,         // targets = expressions; body
  kScope,        // body in a scope of its own: block, generation
  kBreak,
  kContinue,
  kLoad,  // of another template: there are none
};

struct Statement;
using Body = std::vector<std::unique_ptr<Statement>>;

struct MacroSyntax {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExpressionPtr> defaults;  // of the last parameters
  Body body;
  // What the body reads of these.
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
};

struct Branch {
  ExpressionPtr test;  // null: else
  Body body;
};

struct Statement {
  StatementKind kind = StatementKind::kData;
  int line = 0;
  bool recursive = false;
  std::string text;
  std::vector<ExpressionPtr> expressions;
  std::vector<Target> targets;
  std::vector<Branch> branches;
  Body body;
  Body else_body;
  std::unique_ptr<MacroSyntax> macro;
};

}  // namespace mlc::jinja
