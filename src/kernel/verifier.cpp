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
    gpu_ = find_loop(kernel_.body, ForKind::kGpuBlock) != nullptr;
    block(kernel_.body, Place::kTop);
    MLC_REQUIRE(tasks_ <= 1, "more than one parallel loop");
    MLC_REQUIRE(thread_loops_ == (gpu_ ? 1 : 0), "a GPU block has one loop of threads");
  }

 private:
  enum class Place : uint8_t { kTop, kGpuBlock, kInside };

  void block(const std::vector<Stmt>& statements, Place place) {
    // Names die at the end of their block.
    const auto vars = vars_;
    const auto buffers = buffers_;
    const auto constants = constants_;
    const auto varying = varying_;
    for (const Stmt& s : statements) statement(*s, place);
    vars_ = vars;
    buffers_ = buffers;
    constants_ = constants;
    varying_ = varying;
  }

  void statement(const StmtNode& s, Place place) {
    if (gpu_ && place != Place::kInside) outside_threads(s, place);
    switch (s.kind) {
      case StmtKind::kBlock:
        block(s.body, place);
        break;
      case StmtKind::kLet:
        expr(s.value);
        MLC_REQUIRE(s.var->type == s.value->type, cat("let %", s.var->name, " of another type"));
        vars_.insert(s.var.get());
        if (constant_after_unrolling(s.value)) constants_.insert(s.var.get());
        if (varies(s.value)) varying_.insert(s.var.get());
        break;
      case StmtKind::kStore: {
        expr(s.value);
        access(*s.buffer, s.index);
        MLC_REQUIRE(writable(*s.buffer), cat("store to %", s.buffer->name, ", which is read only"));
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
      case StmtKind::kTileDot:
        tile_dot(s);
        break;
      case StmtKind::kTileSum:
        tile_sum(s);
        break;
      case StmtKind::kFor: {
        expr(s.extent);
        MLC_REQUIRE(s.extent->type == Type{}, cat("extent of %", s.var->name, " is no i64"));
        if (s.for_kind == ForKind::kParallel || s.for_kind == ForKind::kGpuBlock) {
          MLC_REQUIRE(place == Place::kTop,
                      cat("a ", for_kind_name(s.for_kind), " loop that is not at the top"));
          ++tasks_;
        }
        if (s.for_kind == ForKind::kGpuThread) {
          MLC_REQUIRE(place == Place::kGpuBlock, "threads that are not directly in a GPU block");
          varying_.insert(s.var.get());
          ++thread_loops_;
        }
        MLC_REQUIRE(!gpu_ || s.for_kind != ForKind::kVectorized,
                    "a vectorized loop in a GPU kernel");
        const bool constant = s.for_kind == ForKind::kUnrolled ||
                              s.for_kind == ForKind::kVectorized ||
                              s.for_kind == ForKind::kGpuThread;
        MLC_REQUIRE(
            !constant || s.extent->kind == ExprKind::kConst,
            cat("extent of the ", for_kind_name(s.for_kind), " %", s.var->name, " is no constant"));
        vars_.insert(s.var.get());
        if (s.for_kind == ForKind::kUnrolled) constants_.insert(s.var.get());
        parted(
            [&] {
              block(s.body, s.for_kind == ForKind::kGpuBlock ? Place::kGpuBlock : Place::kInside);
            },
            s.extent);
        vars_.erase(s.var.get());
        constants_.erase(s.var.get());
        break;
      }
      case StmtKind::kIf:
        expr(s.value);
        MLC_REQUIRE((s.value->type == Type{DType::kBool, 1}), "condition is no scalar bool");
        parted(
            [&] {
              block(s.body, Place::kInside);
              block(s.otherwise, Place::kInside);
            },
            s.value);
        break;
      case StmtKind::kAllocate:
        MLC_REQUIRE(!is_parameter_space(s.buffer->space) && s.buffer->size > 0,
                    cat("allocate %", s.buffer->name));
        MLC_REQUIRE((s.buffer->space == Space::kShared) == (place == Place::kGpuBlock),
                    cat("%", s.buffer->name, " is allocated in a place of another space"));
        MLC_REQUIRE(!gpu_ || s.buffer->element.lanes == 1,
                    cat("vectors in a GPU kernel: %", s.buffer->name));
        buffers_.insert(s.buffer.get());
        break;
      case StmtKind::kBarrier:
        MLC_REQUIRE(gpu_ && place == Place::kInside,
                    "a barrier outside of the threads of a GPU block");
        MLC_REQUIRE(!parted_, "a barrier that some threads of the block may not reach");
        break;
    }
  }

  static bool writable(const Buffer& buffer) {
    return buffer.space != Space::kWeight && buffer.space != Space::kConstant &&
           buffer.space != Space::kInput;
  }

  void tile_dot(const StmtNode& s) {
    const TileDot& t = s.tile_dot;
    tile_operand("tile_dot", *s.buffer, s.index, DType::kI32, kTileDotSize * kTileDotSize);
    tile_operand("tile_dot", *t.a, t.a_index, DType::kU32,
                 (kTileDotSize - 1) * t.row_words + t.quads);
    tile_operand("tile_dot", *t.b, t.b_index, DType::kI8, t.quads * kTileDotSize * 4);
    MLC_REQUIRE(t.quads >= 1 && t.quads <= kTileDotSize && t.row_words >= t.quads,
                cat("tile_dot of ", t.quads, " quads with rows of ", t.row_words, " words"));
    tile_result("tile_dot", *s.buffer, t.quads);
  }

  void tile_sum(const StmtNode& s) {
    const TileSum& t = s.tile_sum;
    const int64_t elements = (t.tile_steps + t.steps) * kTileSumElements;
    tile_operand("tile_sum", *s.buffer, s.index, DType::kF32, 4 * kTileDotSize * kTileDotSize);
    tile_operand("tile_sum", *t.a, t.a_index, DType::kBF16, elements);
    tile_operand("tile_sum", *t.b, t.b_index, DType::kBF16, elements);
    MLC_REQUIRE(t.steps >= 1 && t.tile_steps >= t.steps,
                cat("tile_sum of ", t.steps, " of ", t.tile_steps, " steps"));
    tile_result("tile_sum", *s.buffer, kTileDotSize);
  }

  void tile_operand(const char* name, const Buffer& buffer, const Expr& at, DType dtype,
                    int64_t elements) {
    MLC_REQUIRE(!gpu_, cat("a ", name, " in a GPU kernel"));
    access(buffer, at);
    MLC_REQUIRE(buffer.element == (Type{dtype, 1}) && buffer.space != Space::kRegister,
                cat(name, " takes ", dtype_short_name(dtype), " in memory, %", buffer.name, " is ",
                    to_text(buffer.element), " ", space_name(buffer.space)));
    MLC_REQUIRE(at->type.lanes == 1, cat(name, " at a vector of places of %", buffer.name));
    MLC_REQUIRE(is_parameter_space(buffer.space) || buffer.size >= elements,
                cat(name, " takes ", elements, " elements, %", buffer.name, " has ", buffer.size));
  }

  void tile_result(const char* name, const Buffer& buffer, int64_t quads) {
    MLC_REQUIRE(writable(buffer), cat(name, " into %", buffer.name, ", which is read only"));
    // The shapes of tiles are set once a kernel.
    MLC_REQUIRE(tile_quads_ == 0 || tile_quads_ == quads,
                cat(name, " of ", quads, " quads after tiles of ", tile_quads_));
    tile_quads_ = quads;
  }

  // Around the threads of a block stand only what all of them share.
  void outside_threads(const StmtNode& s, Place place) {
    const bool loop =
        s.kind == StmtKind::kFor &&
        s.for_kind == (place == Place::kTop ? ForKind::kGpuBlock : ForKind::kGpuThread);
    const bool shared = s.kind == StmtKind::kAllocate && place == Place::kGpuBlock;
    MLC_REQUIRE(loop || shared || s.kind == StmtKind::kLet || s.kind == StmtKind::kBlock,
                "a statement of a GPU kernel that no thread executes");
  }

  // Runs f; threads may part in it where `decision` (an extent or condition) varies between them.
  template <class F>
  void parted(F f, const Expr& decision) {
    const bool before = parted_;
    parted_ = parted_ || varies(decision);
    f();
    parted_ = before;
  }

  // True where the value may differ between the threads of a block.
  bool varies(const Expr& e) const {
    if (e->kind == ExprKind::kVar) return varying_.count(e->var.get()) > 0;
    if (e->kind == ExprKind::kLoad &&
        (e->buffer->space == Space::kRegister || e->buffer->space == Space::kLocal))
      return gpu_;
    for (const Expr& operand : e->operands) {
      if (varies(operand)) return true;
    }
    return false;
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
    MLC_REQUIRE(
        buffer.space != Space::kRegister || constant_after_unrolling(index),
        cat("index of the register buffer %", buffer.name, " is no constant: ", to_text(index)));
  }

  void expr(const Expr& e) {
    for (const Expr& operand : e->operands) expr(operand);
    const auto operand_type = [&](size_t i) { return e->operands[i]->type; };
    const int count = expr_operand_count(e->kind);
    MLC_REQUIRE(!gpu_ || e->type.lanes == 1, cat("vectors in a GPU kernel: ", to_text(e)));
    MLC_REQUIRE(static_cast<int>(e->operands.size()) == count,
                cat(expr_name(e->kind), " has ", e->operands.size(), " operands"));
    switch (e->kind) {
      case ExprKind::kVar:
        MLC_REQUIRE(vars_.count(e->var.get()) > 0,
                    cat("%", e->var->name, " is used outside its scope"));
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
      case ExprKind::kBlockDot:
      case ExprKind::kPairSum:
      case ExprKind::kCast:
      case ExprKind::kBroadcast:
      case ExprKind::kRamp:
        break;
    }
  }

  // 16-bit floats are for memory only: arithmetic on them would round differently from CPU to CPU.
  void arithmetic(const Expr& e) {
    MLC_REQUIRE(
        !is_float(e->type.dtype) || e->type.dtype == DType::kF32 || e->type.dtype == DType::kF64,
        cat("arithmetic in ", dtype_short_name(e->type.dtype), ": ", to_text(e)));
  }

  const Kernel& kernel_;
  std::set<const Var*> vars_;
  std::set<const Buffer*> buffers_;
  std::set<const Var*> constants_;  // known after unrolling
  std::set<const Var*> varying_;    // differ between the threads of a GPU block
  bool gpu_ = false;
  bool parted_ = false;  // inside of what only some threads of the block may execute
  int tasks_ = 0;
  int thread_loops_ = 0;
  int64_t tile_quads_ = 0;  // of every tile
};

}  // namespace

void verify(const Kernel& kernel) { Verifier(kernel).run(); }

}  // namespace mlc::kernel
