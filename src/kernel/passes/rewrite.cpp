// SPDX-License-Identifier: Apache-2.0
#include "kernel/passes/rewrite.h"

#include "kernel/builder.h"

namespace mlc::kernel {

Kernel Rewriter::run(const Kernel& kernel) {
  Kernel result = kernel;
  result.body = block(kernel.body);
  return result;
}

void Rewriter::emit_before(StmtNode stmt) {
  before_.push_back(std::make_shared<const StmtNode>(std::move(stmt)));
}

Expr Rewriter::expr(const Expr& e) {
  if (!e) return e;
  std::vector<Expr> operands;
  bool changed = false;
  for (const Expr& operand : e->operands) {
    operands.push_back(expr(operand));
    changed = changed || operands.back() != operand;
  }
  return rewrite(changed ? rebuild(*e, std::move(operands)) : e);
}

std::vector<Stmt> Rewriter::block(const std::vector<Stmt>& statements) {
  std::vector<Stmt> result;
  for (const Stmt& s : statements) {
    for (Stmt& replacement : statement(*s)) result.push_back(std::move(replacement));
  }
  return result;
}

std::vector<Stmt> Rewriter::statement(const StmtNode& s) {
  std::vector<Stmt> outer = std::move(before_);
  before_.clear();
  StmtNode copy = s;
  copy.value = expr(s.value);
  copy.index = expr(s.index);
  copy.extent = expr(s.extent);
  copy.tile_dot.a_index = expr(s.tile_dot.a_index);
  copy.tile_dot.b_index = expr(s.tile_dot.b_index);
  copy.tile_sum.a_index = expr(s.tile_sum.a_index);
  copy.tile_sum.b_index = expr(s.tile_sum.b_index);
  std::vector<Stmt> result = std::move(before_);
  before_ = std::move(outer);
  copy.body = block(s.body);
  copy.otherwise = block(s.otherwise);
  result.push_back(std::make_shared<const StmtNode>(std::move(copy)));
  return result;
}

}  // namespace mlc::kernel
