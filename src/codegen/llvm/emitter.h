// SPDX-License-Identifier: Apache-2.0
// One kernel into an LLVM function. ExprEmitter makes values of expressions, KernelEmitter
// statements and loops.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "codegen/llvm/llvm_headers.h"
#include "kernel/ir.h"
#include "target/target.h"

namespace mlc::codegen {

// Values in LLVM: integers and f32/f64 as themselves, f16 and bf16 as i16 (their arithmetic is
// never LLVM's), bools as i1; vectors of them.
llvm::Type* llvm_type(llvm::LLVMContext& context, kernel::Type type);

// Pieces of a vector that fit one register: split, apply, join.
class VectorPieces {
 public:
  static llvm::Value* slice(llvm::IRBuilder<>& b, llvm::Value* vector, int begin, int lanes);
  static llvm::Value* join(llvm::IRBuilder<>& b, const std::vector<llvm::Value*>& pieces);
};

// Conversions of half floats, as instructions where the target has them, else as integer
// arithmetic.
class HalfFloats {
 public:
  HalfFloats(llvm::IRBuilder<>& builder, const target::Target& target)
      : b_(builder), target_(target) {}
  llvm::Value* f16_to_f32(llvm::Value* bits);
  llvm::Value* f32_to_f16(llvm::Value* value);
  llvm::Value* bf16_to_f32(llvm::Value* bits);
  llvm::Value* f32_to_bf16(llvm::Value* value);

 private:
  llvm::Value* constant_like(llvm::Value* value, uint64_t bits);
  bool has_f16_instructions() const;
  llvm::IRBuilder<>& b_;
  const target::Target& target_;
};

// Tensor intrinsics: dot4, dot2, block_dot, pair_sum as the best instructions of the target.
class DotProducts {
 public:
  DotProducts(llvm::IRBuilder<>& builder, const target::Target& target)
      : b_(builder), target_(target) {}
  llvm::Value* dot4(llvm::Value* acc, llvm::Value* a, llvm::Value* b);
  llvm::Value* dot2(llvm::Value* a, llvm::Value* b);
  llvm::Value* block_dot(llvm::Value* acc, llvm::Value* a, llvm::Value* b);
  llvm::Value* pair_sum(llvm::Value* a);

 private:
  llvm::IRBuilder<>& b_;
  const target::Target& target_;
};

// tile_dot and tile_sum as instructions on AMX's tile registers.
class Tiles {
 public:
  explicit Tiles(llvm::IRBuilder<>& builder) : b_(builder) {}
  // Gives the tile registers their shapes; once, before the first product.
  void configure(llvm::Module& module, int64_t quads);
  // c[16][16] i32 = a[16][quads * 4] u8 * b[quads][16][4] s8; `row_bytes` from row to row of a.
  void dot(llvm::Value* c, llvm::Value* a, int64_t row_bytes, llvm::Value* b);
  // c[2][2][16][16] f32 += a[2][tile_steps][16][32] * b[2][tile_steps][16][16][2], bf16, of the
  // first `steps` tiles.
  void sum(llvm::Value* c, llvm::Value* a, llvm::Value* b, int64_t steps, int64_t tile_steps);
  // Gives the registers back: without content they cost nothing when threads are switched.
  void release();

 private:
  llvm::Value* number(unsigned tile);
  void load(unsigned tile, llvm::Value* from, int64_t row_bytes);
  void store(unsigned tile, llvm::Value* to);

  llvm::IRBuilder<>& b_;
  unsigned next_ = 0;  // the first of the three registers of the next product
};

class ExprEmitter {
 public:
  ExprEmitter(llvm::IRBuilder<>& builder, const target::Target& target);

  llvm::Value* emit(const kernel::Expr& expr);
  void bind(const kernel::Var* var, llvm::Value* value) { vars_[var] = value; }

  // A buffer in memory: where it begins and which accesses it cannot alias.
  void bind_memory(const kernel::Buffer* buffer, llvm::Value* pointer, llvm::MDNode* scope);
  // A register buffer: one stack slot per element, which LLVM turns into registers.
  void bind_registers(const kernel::Buffer* buffer, std::vector<llvm::AllocaInst*> slots);

  void emit_store(const kernel::Buffer& buffer, const kernel::Expr& index,
                  const kernel::Expr& value);
  void emit_prefetch(const kernel::Buffer& buffer, const kernel::Expr& index);
  // Where the element lies.
  llvm::Value* emit_address(const kernel::Buffer& buffer, const kernel::Expr& index) {
    return address(buffer, emit(index));
  }

 private:
  struct Memory {
    llvm::Value* pointer;
    llvm::MDNode* scope;
  };

  llvm::Value* emit_load(const kernel::ExprNode& node);
  llvm::Value* emit_infix(const kernel::ExprNode& node);
  llvm::Value* emit_cast(const kernel::ExprNode& node);
  llvm::Value* emit_fma(kernel::Type type, llvm::Value* a, llvm::Value* b, llvm::Value* c);
  llvm::Function* emulated_fma(llvm::Type* type);
  llvm::Value* emit_round(llvm::Value* a);
  llvm::Value* emit_shuffle(const kernel::ExprNode& node);
  llvm::Value* address(const kernel::Buffer& buffer, llvm::Value* index);
  llvm::AllocaInst* register_slot(const kernel::Buffer& buffer, const kernel::Expr& index);
  void annotate(llvm::Instruction* access, const kernel::Buffer& buffer);

  llvm::IRBuilder<>& b_;
  const target::Target& target_;
  HalfFloats halves_;
  DotProducts dots_;
  std::map<const kernel::Var*, llvm::Value*> vars_;
  std::map<const kernel::Buffer*, Memory> memory_;
  std::map<const kernel::Buffer*, std::vector<llvm::AllocaInst*>> registers_;
};

// Adds the function `symbol` for `kernel` to the module.
void emit_kernel(llvm::Module& module, const kernel::Kernel& kernel, const std::string& symbol,
                 const target::Target& target);

}  // namespace mlc::codegen
