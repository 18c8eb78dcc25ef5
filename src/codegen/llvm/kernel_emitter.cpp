// SPDX-License-Identifier: Apache-2.0
// Statements and loops of a kernel as an LLVM function `void symbol(const MlcKernelArgs*, i64
// begin, i64 end)`.
#include "codegen/llvm/emitter.h"
#include "kernel/builder.h"
#include "support/check.h"

namespace mlc::codegen {
namespace {

using kernel::ForKind;
using kernel::Space;
using kernel::StmtKind;
using kernel::StmtNode;

class KernelEmitter {
 public:
  KernelEmitter(llvm::Module& module, const kernel::Kernel& kernel, const std::string& symbol,
                const target::Target& target)
      : kernel_(kernel), b_(module.getContext()), exprs_(b_, target), tiles_(b_), target_(target) {
    llvm::LLVMContext& context = module.getContext();
    llvm::Type* pointer = llvm::PointerType::getUnqual(context);
    auto* type =
        llvm::FunctionType::get(b_.getVoidTy(), {pointer, b_.getInt64Ty(), b_.getInt64Ty()}, false);
    function_ = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, symbol, module);
    function_->setVisibility(llvm::GlobalValue::HiddenVisibility);
    function_->addFnAttr(llvm::Attribute::NoUnwind);
    function_->addFnAttr(llvm::Attribute::MustProgress);
    function_->addFnAttr("no-builtins");
    std::string features;
    for (const std::string& name : target.features.names())
      features += (features.empty() ? "+" : ",+") + name;
    if (!features.empty()) function_->addFnAttr("target-features", features);
    if (!target.tune_cpu.empty()) function_->addFnAttr("tune-cpu", target.tune_cpu);
    const std::string bits = std::to_string(8 * target.vector_bytes());
    function_->addFnAttr("prefer-vector-width", bits);
    function_->addFnAttr("min-legal-vector-width", bits);
    entry_ = llvm::BasicBlock::Create(context, "entry", function_);
    auto* first = llvm::BasicBlock::Create(context, "start", function_);
    b_.SetInsertPoint(entry_);
    b_.SetInsertPoint(first);
    start_ = first;
    domain_ = llvm::MDBuilder(context).createAnonymousAliasScopeDomain();
  }

  void run() {
    bind_parameters();
    const int64_t quads = kernel::tile_quads(kernel_.body);
    MLC_CHECK(quads == 0 || target_.has_tile_dot()) << "tiles for " << target_.level;
    if (quads > 0) tiles_.configure(*function_->getParent(), quads);
    block(kernel_.body);
    if (quads > 0) tiles_.release();
    b_.CreateRetVoid();
    llvm::IRBuilder<> at_entry(entry_);
    at_entry.CreateBr(start_);
  }

 private:
  llvm::MDNode* new_scope(const std::string& name) {
    return llvm::MDBuilder(b_.getContext()).createAnonymousAliasScope(domain_, name);
  }

  llvm::Value* load_field(llvm::Value* base, int64_t index, bool as_pointer) {
    llvm::Value* field =
        b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), base, static_cast<uint64_t>(index));
    const bool direct = as_pointer && target_.architecture != "wasm32";
    llvm::Type* type = direct ? static_cast<llvm::Type*>(b_.getPtrTy()) : b_.getInt64Ty();
    auto* loaded = b_.CreateAlignedLoad(type, field, llvm::Align(8));
    // The caller does not change them while the kernel runs.
    loaded->setMetadata(llvm::LLVMContext::MD_invariant_load,
                        llvm::MDNode::get(b_.getContext(), {}));
    if (as_pointer && !direct) return b_.CreateIntToPtr(loaded, b_.getPtrTy());
    return loaded;
  }

  void bind_parameters() {
    llvm::Value* args = function_->getArg(0);
    llvm::Value* slots = load_field(args, 0, true);
    if (kernel::scratch_bytes(kernel_) > 0) scratch_ = load_field(args, 1, true);
    for (size_t i = 0; i < kernel_.parameters.size(); ++i) {
      const kernel::Parameter& p = kernel_.parameters[i];
      llvm::Value* value = load_field(slots, static_cast<int64_t>(i), p.buffer != nullptr);
      if (p.buffer) {
        exprs_.bind_memory(p.buffer.get(), value, new_scope(p.buffer->name));
      } else {
        exprs_.bind(p.var.get(), value);
      }
    }
  }

  void block(const std::vector<kernel::Stmt>& statements) {
    const int64_t scratch_used = scratch_used_;
    for (const kernel::Stmt& s : statements) statement(*s);
    scratch_used_ = scratch_used;
  }

  void statement(const StmtNode& s) {
    switch (s.kind) {
      case StmtKind::kBlock:
        block(s.body);
        break;
      case StmtKind::kLet: {
        llvm::Value* value = exprs_.emit(s.value);
        if (!value->hasName() && !llvm::isa<llvm::Constant>(value)) value->setName(s.var->name);
        exprs_.bind(s.var.get(), value);
        break;
      }
      case StmtKind::kStore:
        exprs_.emit_store(*s.buffer, s.index, s.value);
        break;
      case StmtKind::kPrefetch:
        exprs_.emit_prefetch(*s.buffer, s.index);
        break;
      case StmtKind::kTileDot: {
        const kernel::TileDot& t = s.tile_dot;
        llvm::Value* c = exprs_.emit_address(*s.buffer, s.index);
        llvm::Value* a = exprs_.emit_address(*t.a, t.a_index);
        tiles_.dot(c, a, 4 * t.row_words, exprs_.emit_address(*t.b, t.b_index));
        break;
      }
      case StmtKind::kTileSum: {
        const kernel::TileSum& t = s.tile_sum;
        llvm::Value* c = exprs_.emit_address(*s.buffer, s.index);
        llvm::Value* a = exprs_.emit_address(*t.a, t.a_index);
        tiles_.sum(c, a, exprs_.emit_address(*t.b, t.b_index), t.steps, t.tile_steps);
        break;
      }
      case StmtKind::kFor:
        loop(s);
        break;
      case StmtKind::kIf:
        branch(s);
        break;
      case StmtKind::kAllocate:
        allocate(*s.buffer);
        break;
      case StmtKind::kBarrier:
        MLC_UNREACHABLE() << "a barrier in a CPU kernel";
    }
  }

  void allocate(const kernel::Buffer& buffer) {
    llvm::IRBuilder<> at_entry(entry_);
    llvm::Type* element = llvm_type(b_.getContext(), buffer.element);
    if (buffer.space == Space::kRegister) {
      std::vector<llvm::AllocaInst*> slots;
      for (int64_t i = 0; i < buffer.size; ++i) {
        slots.push_back(at_entry.CreateAlloca(element, nullptr, buffer.name));
      }
      exprs_.bind_registers(&buffer, std::move(slots));
      return;
    }
    MLC_CHECK(buffer.space == Space::kLocal) << kernel::space_name(buffer.space);
    llvm::Value* pointer = nullptr;
    if (const int64_t bytes = kernel::local_scratch_bytes(buffer); bytes > 0) {
      pointer = b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), scratch_,
                                              static_cast<uint64_t>(scratch_used_));
      scratch_used_ += bytes;
    } else {
      llvm::Type* array = llvm::ArrayType::get(element, static_cast<uint64_t>(buffer.size));
      auto* slot = at_entry.CreateAlloca(array, nullptr, buffer.name);
      slot->setAlignment(llvm::Align(64));
      pointer = slot;
    }
    exprs_.bind_memory(&buffer, pointer, new_scope(buffer.name));
  }

  void loop(const StmtNode& s) {
    llvm::LLVMContext& context = b_.getContext();
    if (s.for_kind == ForKind::kUnrolled) {
      const int64_t extent = kernel::constant_value(s.extent);
      for (int64_t i = 0; i < extent; ++i) {
        exprs_.bind(s.var.get(), b_.getInt64(static_cast<uint64_t>(i)));
        block(s.body);
      }
      return;
    }
    MLC_CHECK(s.for_kind == ForKind::kSerial || s.for_kind == ForKind::kParallel)
        << kernel::for_kind_name(s.for_kind) << " in a CPU kernel";
    const bool tasks = s.for_kind == ForKind::kParallel;
    llvm::Value* begin = tasks ? static_cast<llvm::Value*>(function_->getArg(1)) : b_.getInt64(0);
    llvm::Value* end =
        tasks ? static_cast<llvm::Value*>(function_->getArg(2)) : exprs_.emit(s.extent);
    auto* body = llvm::BasicBlock::Create(context, s.var->name, function_);
    auto* after = llvm::BasicBlock::Create(context, s.var->name + ".end", function_);
    llvm::BasicBlock* before = b_.GetInsertBlock();
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), body, after);
    b_.SetInsertPoint(body);
    auto* counter = b_.CreatePHI(b_.getInt64Ty(), 2, s.var->name);
    counter->addIncoming(begin, before);
    exprs_.bind(s.var.get(), counter);
    block(s.body);
    llvm::Value* next = b_.CreateAdd(counter, b_.getInt64(1), "", true, true);
    counter->addIncoming(next, b_.GetInsertBlock());
    auto* back = b_.CreateCondBr(b_.CreateICmpSLT(next, end), body, after);
    // Unrolling is decided in the kernel IR, not by LLVM.
    auto* no_unroll =
        llvm::MDNode::get(context, {llvm::MDString::get(context, "llvm.loop.unroll.disable")});
    auto* loop_id = llvm::MDNode::getDistinct(context, {nullptr, no_unroll});
    loop_id->replaceOperandWith(0, loop_id);
    back->setMetadata(llvm::LLVMContext::MD_loop, loop_id);
    b_.SetInsertPoint(after);
  }

  void branch(const StmtNode& s) {
    llvm::LLVMContext& context = b_.getContext();
    llvm::Value* condition = exprs_.emit(s.value);
    auto* then = llvm::BasicBlock::Create(context, "then", function_);
    auto* otherwise = llvm::BasicBlock::Create(context, "else", function_);
    auto* after = llvm::BasicBlock::Create(context, "endif", function_);
    b_.CreateCondBr(condition, then, otherwise);
    b_.SetInsertPoint(then);
    block(s.body);
    b_.CreateBr(after);
    b_.SetInsertPoint(otherwise);
    block(s.otherwise);
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  const kernel::Kernel& kernel_;
  llvm::IRBuilder<> b_;
  ExprEmitter exprs_;
  Tiles tiles_;
  const target::Target& target_;
  llvm::Function* function_ = nullptr;
  llvm::BasicBlock* entry_ = nullptr;
  llvm::BasicBlock* start_ = nullptr;
  llvm::MDNode* domain_ = nullptr;
  llvm::Value* scratch_ = nullptr;
  int64_t scratch_used_ = 0;
};

}  // namespace

void emit_kernel(llvm::Module& module, const kernel::Kernel& kernel, const std::string& symbol,
                 const target::Target& target) {
  KernelEmitter(module, kernel, symbol, target).run();
}

}  // namespace mlc::codegen
