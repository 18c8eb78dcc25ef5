// SPDX-License-Identifier: Apache-2.0
// Values of kernel IR expressions in LLVM IR. No fast-math flags: every rounding is as docs/ir.md
// says.
#include "codegen/llvm/emitter.h"
#include "kernel/builder.h"
#include "support/check.h"

namespace mlc::codegen {

using kernel::ExprKind;
using kernel::ExprNode;

llvm::Type* llvm_type(llvm::LLVMContext& context, kernel::Type type) {
  llvm::Type* element = nullptr;
  switch (type.dtype) {
    case DType::kF32:
      element = llvm::Type::getFloatTy(context);
      break;
    case DType::kF64:
      element = llvm::Type::getDoubleTy(context);
      break;
    case DType::kBool:
      element = llvm::Type::getInt1Ty(context);
      break;
    default:
      element = llvm::Type::getIntNTy(context, static_cast<unsigned>(8 * dtype_bytes(type.dtype)));
  }
  return type.lanes == 1 ? element
                         : llvm::FixedVectorType::get(element, static_cast<unsigned>(type.lanes));
}

namespace {

// Stored weights follow each other in their files without any alignment.
llvm::Align alignment(const kernel::Buffer& buffer) {
  return buffer.space == kernel::Space::kWeight
             ? llvm::Align(1)
             : llvm::Align(static_cast<uint64_t>(dtype_bytes(buffer.element.dtype)));
}

bool is_unsigned(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 ||
         dtype == DType::kU64 || dtype == DType::kBool;
}

// Operations on f64 that emulate an f32 fused multiply-add (see emit_fma).
llvm::Type* element_like(llvm::Type* like, llvm::Type* element) {
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like)) {
    return llvm::FixedVectorType::get(element, vector->getNumElements());
  }
  return element;
}

}  // namespace

ExprEmitter::ExprEmitter(llvm::IRBuilder<>& builder, const target::Target& target)
    : b_(builder), target_(target), halves_(builder, target), dots_(builder, target) {}

void ExprEmitter::bind_memory(const kernel::Buffer* buffer, llvm::Value* pointer,
                              llvm::MDNode* scope) {
  memory_[buffer] = {pointer, scope};
}

void ExprEmitter::bind_registers(const kernel::Buffer* buffer,
                                 std::vector<llvm::AllocaInst*> slots) {
  registers_[buffer] = std::move(slots);
}

void ExprEmitter::annotate(llvm::Instruction* access, const kernel::Buffer& buffer) {
  std::vector<llvm::Metadata*> others;
  for (const auto& [other, memory] : memory_) {
    if (memory.scope != memory_.at(&buffer).scope) others.push_back(memory.scope);
  }
  llvm::LLVMContext& context = b_.getContext();
  access->setMetadata(llvm::LLVMContext::MD_alias_scope,
                      llvm::MDNode::get(context, {memory_.at(&buffer).scope}));
  if (!others.empty()) {
    access->setMetadata(llvm::LLVMContext::MD_noalias, llvm::MDNode::get(context, others));
  }
}

llvm::Value* ExprEmitter::address(const kernel::Buffer& buffer, llvm::Value* index) {
  llvm::Type* type = llvm_type(b_.getContext(), buffer.element);
  return b_.CreateInBoundsGEP(type, memory_.at(&buffer).pointer, index);
}

llvm::AllocaInst* ExprEmitter::register_slot(const kernel::Buffer& buffer,
                                             const kernel::Expr& index) {
  auto* constant = llvm::dyn_cast<llvm::ConstantInt>(emit(index));
  MLC_CHECK(constant != nullptr) << "index of " << buffer.name << " is no constant after unrolling";
  const auto& slots = registers_.at(&buffer);
  const int64_t at = constant->getSExtValue();
  MLC_CHECK(at >= 0 && at < static_cast<int64_t>(slots.size())) << buffer.name << "[" << at << "]";
  return slots[static_cast<size_t>(at)];
}

llvm::Value* ExprEmitter::emit_load(const ExprNode& node) {
  llvm::Type* type = llvm_type(b_.getContext(), node.type);
  if (node.buffer->space == kernel::Space::kRegister) {
    return b_.CreateLoad(type, register_slot(*node.buffer, node.operands[0]));
  }
  const auto align = alignment(*node.buffer);
  if (node.operands[0]->type.lanes > 1) {  // gather, element by element
    llvm::Value* indices = emit(node.operands[0]);
    llvm::Type* element = llvm_type(b_.getContext(), node.type.with_lanes(1));
    llvm::Value* result = llvm::PoisonValue::get(type);
    for (int lane = 0; lane < node.type.lanes; ++lane) {
      llvm::Value* at = b_.CreateExtractElement(indices, static_cast<uint64_t>(lane));
      auto* loaded = b_.CreateAlignedLoad(element, address(*node.buffer, at), align);
      annotate(loaded, *node.buffer);
      result = b_.CreateInsertElement(result, loaded, static_cast<uint64_t>(lane));
    }
    return result;
  }
  auto* loaded = b_.CreateAlignedLoad(type, address(*node.buffer, emit(node.operands[0])), align);
  annotate(loaded, *node.buffer);
  return loaded;
}

void ExprEmitter::emit_store(const kernel::Buffer& buffer, const kernel::Expr& index,
                             const kernel::Expr& value_expr) {
  llvm::Value* value = emit(value_expr);
  if (buffer.space == kernel::Space::kRegister) {
    b_.CreateStore(value, register_slot(buffer, index));
    return;
  }
  const auto align = alignment(buffer);
  if (index->type.lanes > 1) {  // scatter
    llvm::Value* indices = emit(index);
    for (int lane = 0; lane < index->type.lanes; ++lane) {
      llvm::Value* at = b_.CreateExtractElement(indices, static_cast<uint64_t>(lane));
      annotate(b_.CreateAlignedStore(b_.CreateExtractElement(value, static_cast<uint64_t>(lane)),
                                     address(buffer, at), align),
               buffer);
    }
    return;
  }
  annotate(b_.CreateAlignedStore(value, address(buffer, emit(index)), align), buffer);
}

void ExprEmitter::emit_prefetch(const kernel::Buffer& buffer, const kernel::Expr& index) {
  // The address may lie behind the buffer: nothing is read there. Into the second-level cache: what
  // is on its way to the first holds one of the few buffers for its misses until the memory has
  // answered.
  llvm::Type* type = llvm_type(b_.getContext(), buffer.element);
  llvm::Value* pointer = b_.CreateGEP(type, memory_.at(&buffer).pointer, emit(index));
  b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {memory_.at(&buffer).pointer->getType()},
                     {pointer, b_.getInt32(0), b_.getInt32(2), b_.getInt32(1)});
}

llvm::Value* ExprEmitter::emit_infix(const ExprNode& node) {
  llvm::Value* a = emit(node.operands[0]);
  llvm::Value* b = emit(node.operands[1]);
  const DType dtype = node.operands[0]->type.dtype;
  const bool floats = is_float(dtype);
  const bool is_u = is_unsigned(dtype);
  switch (node.kind) {
    case ExprKind::kAdd:
      return floats ? b_.CreateFAdd(a, b) : b_.CreateAdd(a, b);
    case ExprKind::kSub:
      return floats ? b_.CreateFSub(a, b) : b_.CreateSub(a, b);
    case ExprKind::kMul:
      return floats ? b_.CreateFMul(a, b) : b_.CreateMul(a, b);
    case ExprKind::kDiv:
      return floats ? b_.CreateFDiv(a, b) : is_u ? b_.CreateUDiv(a, b) : b_.CreateSDiv(a, b);
    case ExprKind::kMod:
      return is_u ? b_.CreateURem(a, b) : b_.CreateSRem(a, b);
    case ExprKind::kAnd:
      return b_.CreateAnd(a, b);
    case ExprKind::kOr:
      return b_.CreateOr(a, b);
    case ExprKind::kXor:
      return b_.CreateXor(a, b);
    case ExprKind::kShl:
      return b_.CreateShl(a, b);
    case ExprKind::kShr:
      return is_u ? b_.CreateLShr(a, b) : b_.CreateAShr(a, b);
    case ExprKind::kEq:
      return floats ? b_.CreateFCmpOEQ(a, b) : b_.CreateICmpEQ(a, b);
    case ExprKind::kNe:
      return floats ? b_.CreateFCmpUNE(a, b) : b_.CreateICmpNE(a, b);
    case ExprKind::kLt:
      return floats ? b_.CreateFCmpOLT(a, b)
             : is_u ? b_.CreateICmpULT(a, b)
                    : b_.CreateICmpSLT(a, b);
    case ExprKind::kLe:
      return floats ? b_.CreateFCmpOLE(a, b)
             : is_u ? b_.CreateICmpULE(a, b)
                    : b_.CreateICmpSLE(a, b);
    case ExprKind::kMin: {
      llvm::Value* below = floats ? b_.CreateFCmpOLT(a, b)
                           : is_u ? b_.CreateICmpULT(a, b)
                                  : b_.CreateICmpSLT(a, b);
      return b_.CreateSelect(below, a, b);
    }
    case ExprKind::kMax: {
      llvm::Value* above = floats ? b_.CreateFCmpOGT(a, b)
                           : is_u ? b_.CreateICmpUGT(a, b)
                                  : b_.CreateICmpSGT(a, b);
      return b_.CreateSelect(above, a, b);
    }
    default:
      MLC_UNREACHABLE() << kernel::expr_name(node.kind);
  }
}

llvm::Value* ExprEmitter::emit_cast(const ExprNode& node) {
  llvm::Value* a = emit(node.operands[0]);
  const DType from = node.operands[0]->type.dtype;
  const DType to = node.type.dtype;
  llvm::Type* type = llvm_type(b_.getContext(), node.type);
  // Half floats pass through f32.
  if (from == DType::kF16) {
    a = halves_.f16_to_f32(a);
    if (to == DType::kF32) return a;
  } else if (from == DType::kBF16) {
    a = halves_.bf16_to_f32(a);
    if (to == DType::kF32) return a;
  }
  const DType source = from == DType::kF16 || from == DType::kBF16 ? DType::kF32 : from;
  if (to == DType::kF16 || to == DType::kBF16) {
    if (source != DType::kF32) {
      llvm::Type* f32 = llvm_type(b_.getContext(), node.type.with_dtype(DType::kF32));
      a = is_float(source)      ? b_.CreateFPTrunc(a, f32)
          : is_unsigned(source) ? b_.CreateUIToFP(a, f32)
                                : b_.CreateSIToFP(a, f32);
    }
    return to == DType::kF16 ? halves_.f32_to_f16(a) : halves_.f32_to_bf16(a);
  }
  if (is_float(source) && is_float(to)) {
    return dtype_bytes(source) < dtype_bytes(to) ? b_.CreateFPExt(a, type)
                                                 : b_.CreateFPTrunc(a, type);
  }
  if (is_float(source)) {
    return is_unsigned(to) ? b_.CreateFPToUI(a, type) : b_.CreateFPToSI(a, type);
  }
  if (is_float(to)) {
    // Narrow unsigned integers are positive i32: their conversion is one instruction on every CPU.
    if (is_unsigned(source) && dtype_bytes(source) < 4) {
      a = b_.CreateZExt(a, llvm_type(b_.getContext(), node.type.with_dtype(DType::kI32)));
      return b_.CreateSIToFP(a, type);
    }
    return is_unsigned(source) ? b_.CreateUIToFP(a, type) : b_.CreateSIToFP(a, type);
  }
  return is_unsigned(source) ? b_.CreateZExtOrTrunc(a, type) : b_.CreateSExtOrTrunc(a, type);
}

// Where the CPU has no fused multiply-add the same bits come from f64: the product of two f32 is
// exact there. The sum is rounded to odd (its last bit is set when something was cut off), after
// which rounding to f32 is right: f64 has more than twice the digits and two more (Boldo and
// Melquiond, "Emulation of FMA and correctly rounded sums", 2008).
llvm::Value* ExprEmitter::emit_fma(kernel::Type type, llvm::Value* a, llvm::Value* b,
                                   llvm::Value* c) {
  if (target_.architecture == "wasm32") {  // no such instruction, and no promise of equal bits
    return b_.CreateFAdd(b_.CreateFMul(a, b), c);
  }
  if (target_.has_fma() || type.dtype == DType::kF64) {
    MLC_CHECK(target_.has_fma()) << "f64 fma without an instruction";
    return b_.CreateIntrinsic(llvm::Intrinsic::fma, {a->getType()}, {a, b, c});
  }
  llvm::CallInst* call = b_.CreateCall(emulated_fma(a->getType()), {a, b, c});
  call->setCallingConv(llvm::CallingConv::Fast);
  return call;
}

// One function for each vector length: inlined everywhere, its hundred instructions would make code
// that takes a minute to compile.
llvm::Function* ExprEmitter::emulated_fma(llvm::Type* type) {
  llvm::Function* caller = b_.GetInsertBlock()->getParent();
  llvm::Module& module = *caller->getParent();
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(type);
  const std::string name =
      "mlc_fma_" + std::to_string(vector == nullptr ? 1 : vector->getNumElements());
  if (llvm::Function* known = module.getFunction(name)) return known;
  auto* function = llvm::Function::Create(llvm::FunctionType::get(type, {type, type, type}, false),
                                          llvm::GlobalValue::InternalLinkage, name, module);
  function->copyAttributesFrom(caller);
  function->setVisibility(llvm::GlobalValue::DefaultVisibility);
  function->setLinkage(llvm::GlobalValue::InternalLinkage);
  function->setCallingConv(llvm::CallingConv::Fast);
  function->addFnAttr(llvm::Attribute::NoInline);
  function->setDoesNotAccessMemory();
  const llvm::IRBuilderBase::InsertPointGuard guard(b_);
  b_.SetInsertPoint(llvm::BasicBlock::Create(b_.getContext(), "entry", function));
  llvm::Value* a = function->getArg(0);
  llvm::Value* b = function->getArg(1);
  llvm::Value* c = function->getArg(2);
  llvm::Type* f64 = element_like(type, b_.getDoubleTy());
  llvm::Type* i64 = element_like(type, b_.getInt64Ty());
  llvm::Value* p = b_.CreateFMul(b_.CreateFPExt(a, f64), b_.CreateFPExt(b, f64));
  llvm::Value* x = b_.CreateFPExt(c, f64);
  llvm::Value* sum = b_.CreateFAdd(p, x);
  // What the sum lost (Knuth's two-sum).
  llvm::Value* x_part = b_.CreateFSub(sum, p);
  llvm::Value* p_part = b_.CreateFSub(sum, x_part);
  llvm::Value* lost = b_.CreateFAdd(b_.CreateFSub(p, p_part), b_.CreateFSub(x, x_part));
  // Round to odd: if something was lost and the last bit is 0, step towards what was lost.
  llvm::Value* bits = b_.CreateBitCast(sum, i64);
  llvm::Constant* zero = llvm::ConstantInt::get(i64, 0);
  llvm::Constant* one = llvm::ConstantInt::get(i64, 1);
  llvm::Value* even = b_.CreateICmpEQ(b_.CreateAnd(bits, one), zero);
  llvm::Value* inexact = b_.CreateFCmpONE(lost, llvm::ConstantFP::get(f64, 0.0));
  llvm::Value* outward = b_.CreateICmpEQ(b_.CreateFCmpOGT(lost, llvm::ConstantFP::get(f64, 0.0)),
                                         b_.CreateFCmpOGT(sum, llvm::ConstantFP::get(f64, 0.0)));
  llvm::Value* stepped = b_.CreateSelect(outward, b_.CreateAdd(bits, one), b_.CreateSub(bits, one));
  llvm::Value* odd = b_.CreateSelect(b_.CreateAnd(even, inexact), stepped, bits);
  b_.CreateRet(b_.CreateFPTrunc(b_.CreateBitCast(odd, f64), type));
  return function;
}

llvm::Value* ExprEmitter::emit_round(llvm::Value* a) {
  if (target_.architecture != "x86_64" || target_.features.has(target::CpuFeature::kSse41)) {
    return b_.CreateIntrinsic(llvm::Intrinsic::nearbyint, {a->getType()}, {a});
  }
  // 1.5 * 2^23 pushes the fraction out; values from 2^22 on need care, from 2^23 on they are
  // integers. The sign of a result of zero is a's.
  llvm::Type* i32 = element_like(a->getType(), b_.getInt32Ty());
  llvm::Value* bits = b_.CreateBitCast(a, i32);
  llvm::Value* sign = b_.CreateAnd(bits, llvm::ConstantInt::get(i32, 0x80000000u));
  llvm::Value* magnitude =
      b_.CreateBitCast(b_.CreateAnd(bits, llvm::ConstantInt::get(i32, 0x7fffffffu)), a->getType());
  llvm::Constant* big = llvm::ConstantFP::get(a->getType(), 0x1p23);
  llvm::Value* rounded = b_.CreateFSub(b_.CreateFAdd(magnitude, big), big);
  llvm::Value* small = b_.CreateFCmpOLT(magnitude, big);
  llvm::Value* result = b_.CreateOr(b_.CreateBitCast(rounded, i32), sign);
  return b_.CreateSelect(small, b_.CreateBitCast(result, a->getType()), a);
}

llvm::Value* ExprEmitter::emit_shuffle(const ExprNode& node) {
  llvm::Value* a = emit(node.operands[0]);
  const int lanes = node.operands[0]->type.lanes;
  const bool one_source =
      node.operands[0] == node.operands[1] ||
      std::all_of(node.indices.begin(), node.indices.end(), [&](int i) { return i < lanes; });
  llvm::Value* b = one_source ? nullptr : emit(node.operands[1]);
  if (lanes == 1) {  // scalars into a vector
    if (node.indices.size() == 1) return node.indices[0] == 0 ? a : b;
    llvm::Value* result = llvm::PoisonValue::get(llvm_type(b_.getContext(), node.type));
    for (size_t i = 0; i < node.indices.size(); ++i) {
      result = b_.CreateInsertElement(result, node.indices[i] == 0 || b == nullptr ? a : b, i);
    }
    return result;
  }
  if (node.indices.size() == 1) {
    const int i = node.indices[0];
    return i < lanes ? b_.CreateExtractElement(a, static_cast<uint64_t>(i))
                     : b_.CreateExtractElement(b, static_cast<uint64_t>(i - lanes));
  }
  if (b == nullptr) {
    std::vector<int> indices = node.indices;
    for (int& i : indices) i %= lanes;
    return b_.CreateShuffleVector(a, indices);
  }
  return b_.CreateShuffleVector(a, b, node.indices);
}

llvm::Value* ExprEmitter::emit(const kernel::Expr& expr) {
  const ExprNode& node = *expr;
  llvm::LLVMContext& context = b_.getContext();
  llvm::Type* type = llvm_type(context, node.type);
  if (kernel::expr_group(node.kind) == kernel::ExprGroup::kInfix || node.kind == ExprKind::kMin ||
      node.kind == ExprKind::kMax) {
    return emit_infix(node);
  }
  const auto operand = [&](size_t i) { return emit(node.operands[i]); };
  switch (node.kind) {
    case ExprKind::kConst:
      if (node.type.dtype == DType::kF32 || node.type.dtype == DType::kF64) {
        return llvm::ConstantFP::get(type, node.float_value);
      }
      return llvm::ConstantInt::get(type, static_cast<uint64_t>(node.int_value), true);
    case ExprKind::kVector: {
      std::vector<llvm::Constant*> values;
      llvm::Type* element = llvm_type(context, node.type.with_lanes(1));
      for (const int value : node.indices) {
        values.push_back(llvm::ConstantInt::get(element, static_cast<uint64_t>(value), true));
      }
      return llvm::ConstantVector::get(values);
    }
    case ExprKind::kVar:
      return vars_.at(node.var.get());
    case ExprKind::kAbs: {
      llvm::Value* a = operand(0);
      if (is_float(node.type.dtype)) {
        return b_.CreateIntrinsic(llvm::Intrinsic::fabs, {type}, {a});
      }
      return b_.CreateIntrinsic(llvm::Intrinsic::abs, {type}, {a, b_.getFalse()});
    }
    case ExprKind::kSqrt:
      return b_.CreateIntrinsic(llvm::Intrinsic::sqrt, {type}, {operand(0)});
    case ExprKind::kRound:
      return emit_round(operand(0));
    case ExprKind::kFma: {
      llvm::Value* a = operand(0);
      llvm::Value* b = operand(1);
      return emit_fma(node.type, a, b, operand(2));
    }
    case ExprKind::kSelect: {
      llvm::Value* condition = operand(0);
      llvm::Value* a = operand(1);
      return b_.CreateSelect(condition, a, operand(2));
    }
    case ExprKind::kDot4: {
      llvm::Value* acc = operand(0);
      llvm::Value* a = operand(1);
      return dots_.dot4(acc, a, operand(2));
    }
    case ExprKind::kDot2: {
      llvm::Value* a = operand(0);
      return dots_.dot2(a, operand(1));
    }
    case ExprKind::kBlockDot: {
      llvm::Value* acc = operand(0);
      llvm::Value* a = operand(1);
      return dots_.block_dot(acc, a, operand(2));
    }
    case ExprKind::kPairSum:
      return dots_.pair_sum(operand(0));
    case ExprKind::kCast:
      return emit_cast(node);
    case ExprKind::kBitcast:
      return b_.CreateBitCast(operand(0), type);
    case ExprKind::kBroadcast:
      return b_.CreateVectorSplat(static_cast<unsigned>(node.type.lanes), operand(0));
    case ExprKind::kRamp: {
      std::vector<llvm::Constant*> steps;
      llvm::Type* element = llvm_type(context, node.type.with_lanes(1));
      for (int i = 0; i < node.type.lanes; ++i) {
        steps.push_back(
            llvm::ConstantInt::get(element, static_cast<uint64_t>(i * node.int_value), true));
      }
      llvm::Value* base = b_.CreateVectorSplat(static_cast<unsigned>(node.type.lanes), operand(0));
      return b_.CreateAdd(base, llvm::ConstantVector::get(steps));
    }
    case ExprKind::kLoad:
      return emit_load(node);
    case ExprKind::kShuffle:
      return emit_shuffle(node);
    default:
      MLC_UNREACHABLE() << kernel::expr_name(node.kind)
                        << " must be lowered before code generation";
  }
}

}  // namespace mlc::codegen
