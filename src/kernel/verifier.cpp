// SPDX-License-Identifier: Apache-2.0
#include "kernel/verifier.h"

#include <set>

#include "kernel/text.h"
#include "support/check.h"
#include "support/strings.h"

// The words are made only where the rule is broken: texts of expressions are long.
#define MLC_REQUIRE(holds, what) MLC_IR_CHECK(holds) << "kernel @" << kernel_.name << ": " << (what)

namespace mlc::kernel {
namespace {

class Verifier {
 public:
  explicit Verifier(const Kernel& kernel) : kernel_(kernel) {}

  void run() {
    for (const Parameter& p : kernel_.parameters) {
      if (p.buffer) {
        MLC_REQUIRE(is_parameter_space(p.buffer->space) && p.buffer->element.lanes == 1,
                cat("parameter %", p.buffer->name, " has space ", space_name(p.buffer->space)));
        buffers_.insert(p.buffer.get());
      } else {
        vars_.insert(p.var.get());
      }
    }
    block(kernel_.body, /*top=*/true);
    MLC_REQUIRE(tasks_ <= 1, "more than one parallel loop");
  }

 private:
  void block(const std::vector<Stmt>& statements, bool top) {
    // Names die at the end of their block.
    const auto vars = vars_;
    const auto buffers = buffers_;
    const auto constants = constants_;
    for (const Stmt& s : statements) statement(*s, top);
    vars_ = vars;
    buffers_ = buffers;
    constants_ = constants;
  }

  void statement(const StmtNode& s, bool top) {
    switch (s.kind) {
      case StmtKind::kBlock:
        block(s.body, top);
        break;
      case StmtKind::kLet:
        expr(s.value);
        MLC_REQUIRE(s.var->type == s.value->type, cat("let %", s.var->name, " of another type"));
        vars_.insert(s.var.get());
        if (constant_after_unrolling(s.value)) constants_.insert(s.var.get());
        break;
      case StmtKind::kStore: {
        expr(s.value);
        access(*s.buffer, s.index);
        const bool writable = s.buffer->space != Space::kWeight &&
                              s.buffer->space != Space::kConstant &&
                              s.buffer->space != Space::kInput;
        MLC_REQUIRE(writable, cat("store to %", s.buffer->name, ", which is read only"));
        MLC_REQUIRE(s.value->type.dtype == s.buffer->element.dtype,
                cat("store of ", to_text(s.value->type), " to %", s.buffer->name));
        MLC_REQUIRE(s.index->type.lanes == 1 || s.index->type.lanes == s.value->type.lanes,
                cat("scatter of other lanes to %", s.buffer->name));
        MLC_REQUIRE(s.buffer->element.lanes == 1 || s.buffer->element.lanes == s.value->type.lanes,
                cat("store of half a vector to %", s.buffer->name));
        break;
      }
      case StmtKind::kPrefetch:
        access(*s.buffer, s.index);
        break;
      case StmtKind::kFor: {
        expr(s.extent);
        MLC_REQUIRE(s.extent->type == Type{}, cat("extent of %", s.var->name, " is no i64"));
        if (s.for_kind == ForKind::kParallel) {
          MLC_REQUIRE(top, "a parallel loop that is not at the top");
          ++tasks_;
        }
        const bool constant =
            s.for_kind == ForKind::kUnrolled || s.for_kind == ForKind::kVectorized;
        MLC_REQUIRE(!constant || s.extent->kind == ExprKind::kConst,
                cat("extent of the ", for_kind_name(s.for_kind), " %", s.var->name,
                    " is no constant"));
        vars_.insert(s.var.get());
        if (s.for_kind == ForKind::kUnrolled) constants_.insert(s.var.get());
        block(s.body, false);
        vars_.erase(s.var.get());
        constants_.erase(s.var.get());
        break;
      }
      case StmtKind::kIf:
        expr(s.value);
        MLC_REQUIRE((s.value->type == Type{DType::kBool, 1}), "condition is no scalar bool");
        block(s.body, false);
        block(s.otherwise, false);
        break;
      case StmtKind::kAllocate:
        MLC_REQUIRE(!is_parameter_space(s.buffer->space) && s.buffer->size > 0,
                cat("allocate %", s.buffer->name));
        buffers_.insert(s.buffer.get());
        break;
      case StmtKind::kBarrier:
        break;
    }
  }

  bool constant_after_unrolling(const Expr& e) const {
    if (e->kind == ExprKind::kVar) return constants_.count(e->var.get()) > 0;
    if (e->kind == ExprKind::kLoad || e->kind == ExprKind::kVector) return false;
    for (const Expr& operand : e->operands) {
      if (!constant_after_unrolling(operand)) return false;
    }
    return true;
  }

  void access(const Buffer& buffer, const Expr& index) {
    expr(index);
    MLC_REQUIRE(buffers_.count(&buffer) > 0, cat("%", buffer.name, " is used outside its scope"));
    MLC_REQUIRE(index->type.dtype == DType::kI64, cat("index of %", buffer.name, " is no i64"));
    MLC_REQUIRE(buffer.space != Space::kRegister || constant_after_unrolling(index),
            cat("index of the register buffer %", buffer.name, " is no constant: ", to_text(index)));
  }

  void expr(const Expr& e) {
    for (const Expr& operand : e->operands) expr(operand);
    const auto operand_type = [&](size_t i) { return e->operands[i]->type; };
    const int count = expr_operand_count(e->kind);
    MLC_REQUIRE(static_cast<int>(e->operands.size()) == count,
            cat(expr_name(e->kind), " has ", e->operands.size(), " operands"));
    switch (e->kind) {
      case ExprKind::kVar:
        MLC_REQUIRE(vars_.count(e->var.get()) > 0, cat("%", e->var->name, " is used outside its scope"));
        break;
      case ExprKind::kLoad:
        access(*e->buffer, e->operands[0]);
        break;
      case ExprKind::kAdd:
      case ExprKind::kSub:
      case ExprKind::kMul:
      case ExprKind::kDiv:
      case ExprKind::kMin:
      case ExprKind::kMax:
        MLC_REQUIRE(operand_type(0) == operand_type(1) && operand_type(0) == e->type,
                cat("operands of ", to_text(e)));
        arithmetic(e);
        break;
      case ExprKind::kMod:
      case ExprKind::kAnd:
      case ExprKind::kOr:
      case ExprKind::kXor:
      case ExprKind::kShl:
      case ExprKind::kShr:
        MLC_REQUIRE(operand_type(0) == operand_type(1) && operand_type(0) == e->type &&
                    !is_float(e->type.dtype),
                cat("operands of ", to_text(e)));
        break;
      case ExprKind::kEq:
      case ExprKind::kNe:
      case ExprKind::kLt:
      case ExprKind::kLe:
        MLC_REQUIRE(operand_type(0) == operand_type(1) && e->type.dtype == DType::kBool,
                cat("operands of ", to_text(e)));
        break;
      case ExprKind::kFma:
        MLC_REQUIRE(is_float(e->type.dtype), "fma of integers");
        arithmetic(e);
        break;
      case ExprKind::kBitcast:
        MLC_REQUIRE(dtype_bytes(e->type.dtype) * e->type.lanes ==
                    dtype_bytes(operand_type(0).dtype) * operand_type(0).lanes,
                cat("bitcast to another size: ", to_text(e)));
        break;
      case ExprKind::kShuffle:
        MLC_REQUIRE(operand_type(0) == operand_type(1) &&
                    e->type.lanes == static_cast<int>(e->indices.size()),
                "shuffle");
        for (const int i : e->indices) {
          MLC_REQUIRE(i >= 0 && i < 2 * operand_type(0).lanes, "shuffle index out of range");
        }
        break;
      case ExprKind::kExp:
      case ExprKind::kExp2:
      case ExprKind::kLog2:
      case ExprKind::kTanh:
      case ExprKind::kErf:
      case ExprKind::kSin:
      case ExprKind::kCos:
      case ExprKind::kSqrt:
      case ExprKind::kRound:
        MLC_REQUIRE(e->type.dtype == DType::kF32, cat(expr_name(e->kind), " takes f32"));
        break;
      case ExprKind::kConst:
      case ExprKind::kVector:
      case ExprKind::kAbs:
      case ExprKind::kSelect:
      case ExprKind::kDot4:
      case ExprKind::kDot2:
      case ExprKind::kPairSum:
      case ExprKind::kCast:
      case ExprKind::kBroadcast:
      case ExprKind::kRamp:
        break;
    }
  }

  // 16-bit floats are for memory only: arithmetic on them would round differently from CPU to CPU.
  void arithmetic(const Expr& e) {
    MLC_REQUIRE(!is_float(e->type.dtype) || e->type.dtype == DType::kF32 || e->type.dtype == DType::kF64,
            cat("arithmetic in ", dtype_short_name(e->type.dtype), ": ", to_text(e)));
  }

  const Kernel& kernel_;
  std::set<const Var*> vars_;
  std::set<const Buffer*> buffers_;
  std::set<const Var*> constants_;  // known after unrolling
  int tasks_ = 0;
};

}  // namespace

void verify(const Kernel& kernel) { Verifier(kernel).run(); }

}  // namespace mlc::kernel
