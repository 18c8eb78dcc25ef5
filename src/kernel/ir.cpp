// SPDX-License-Identifier: Apache-2.0
#include "kernel/ir.h"

#include <algorithm>

namespace mlc::kernel {
namespace {

struct ExprInfo {
  std::string_view name;
  int operands;
  ExprGroup group;
};

constexpr ExprInfo kExprs[] = {
#define KERNEL_EXPR(enumerator, name, operands, group) {name, operands, ExprGroup::group},
#include "kernel/exprs.def"
#undef KERNEL_EXPR
};

// Bytes of the large local buffers of a list of statements: those of one scope add up, scopes that
// follow each other share.
int64_t scratch_of(const std::vector<Stmt>& statements) {
  int64_t own = 0;
  int64_t nested = 0;
  for (const Stmt& stmt : statements) {
    if (stmt->kind == StmtKind::kAllocate && stmt->buffer->space == Space::kLocal) {
      own += local_scratch_bytes(*stmt->buffer);
    }
    nested = std::max({nested, scratch_of(stmt->body), scratch_of(stmt->otherwise)});
  }
  return own + nested;
}

}  // namespace

std::string_view expr_name(ExprKind kind) { return kExprs[static_cast<int>(kind)].name; }
int expr_operand_count(ExprKind kind) { return kExprs[static_cast<int>(kind)].operands; }
ExprGroup expr_group(ExprKind kind) { return kExprs[static_cast<int>(kind)].group; }

bool is_math_call(ExprKind kind) { return kind >= ExprKind::kExp && kind <= ExprKind::kCos; }

std::string_view space_name(Space space) {
  switch (space) {
    case Space::kArena:
      return "arena";
    case Space::kWeight:
      return "weight";
    case Space::kConstant:
      return "constant";
    case Space::kCache:
      return "cache";
    case Space::kInput:
      return "input";
    case Space::kRegister:
      return "register";
    case Space::kLocal:
      return "local";
    case Space::kShared:
      return "shared";
  }
  return "";
}

std::string_view for_kind_name(ForKind kind) {
  switch (kind) {
    case ForKind::kSerial:
      return "for";
    case ForKind::kUnrolled:
      return "unrolled";
    case ForKind::kVectorized:
      return "vectorized";
    case ForKind::kParallel:
      return "parallel";
    case ForKind::kGpuBlock:
      return "gpu_block";
    case ForKind::kGpuThread:
      return "gpu_thread";
  }
  return "";
}

int64_t local_scratch_bytes(const Buffer& buffer) {
  const int64_t bytes = buffer.size * buffer.element.lanes * dtype_bytes(buffer.element.dtype);
  return bytes > kMaxStackBytes ? (bytes + 63) / 64 * 64 : 0;
}

int64_t scratch_bytes(const Kernel& kernel) { return scratch_of(kernel.body); }

const StmtNode* find_loop(const std::vector<Stmt>& statements, ForKind kind) {
  for (const Stmt& s : statements) {
    if (s->kind == StmtKind::kFor && s->for_kind == kind) return s.get();
    for (const auto* inner : {&s->body, &s->otherwise}) {
      if (const StmtNode* found = find_loop(*inner, kind)) return found;
    }
  }
  return nullptr;
}

int64_t tile_quads(const std::vector<Stmt>& statements) {
  for (const Stmt& s : statements) {
    if (s->kind == StmtKind::kTileDot) return s->tile_dot.quads;
    if (s->kind == StmtKind::kTileSum) return kTileDotSize;
    for (const auto* inner : {&s->body, &s->otherwise}) {
      if (const int64_t found = tile_quads(*inner)) return found;
    }
  }
  return 0;
}

int64_t block_threads(const Kernel& kernel) {
  const StmtNode* threads = find_loop(kernel.body, ForKind::kGpuThread);
  return threads == nullptr ? 0 : threads->extent->int_value;
}

}  // namespace mlc::kernel
