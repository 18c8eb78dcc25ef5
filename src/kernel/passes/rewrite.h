// SPDX-License-Identifier: Apache-2.0
// For passes: walks a kernel and rebuilds what changes. Expressions are visited operands first.
#pragma once

#include <vector>

#include "kernel/ir.h"

namespace mlc::kernel {

class Rewriter {
 public:
  virtual ~Rewriter() = default;
  Kernel run(const Kernel& kernel);

 protected:
  // The replacement of an expression whose operands are already rewritten.
  virtual Expr rewrite(Expr expr) { return expr; }
  // The statements that replace one statement. The default rewrites its parts.
  virtual std::vector<Stmt> statement(const StmtNode& stmt);

  Expr expr(const Expr& expr);
  std::vector<Stmt> block(const std::vector<Stmt>& statements);
  // Statements that an expression needs before the statement it stands in.
  void emit_before(StmtNode stmt);

 private:
  std::vector<Stmt> before_;
};

}  // namespace mlc::kernel
