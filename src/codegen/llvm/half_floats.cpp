// SPDX-License-Identifier: Apache-2.0
// f16 and bf16 in LLVM IR. LLVM's own conversions call library functions below x86-64-v3 and abort
// on WebAssembly, so where there is no instruction the bits are computed (as support/half.h does).
#include "codegen/llvm/emitter.h"

namespace mlc::codegen {
namespace {

// The type of `like` with another element type.
llvm::Type* element_like(llvm::Value* like, llvm::Type* element) {
  if (auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(like->getType())) {
    return llvm::FixedVectorType::get(element, vector->getNumElements());
  }
  return element;
}

}  // namespace

bool HalfFloats::has_f16_instructions() const {
  return target_.features.has(target::CpuFeature::kF16c) || target_.architecture == "aarch64";
}

llvm::Value* HalfFloats::constant_like(llvm::Value* value, uint64_t bits) {
  return llvm::ConstantInt::get(value->getType(), bits);
}

llvm::Value* HalfFloats::f16_to_f32(llvm::Value* bits) {
  llvm::Type* const f32 = element_like(bits, b_.getFloatTy());
  if (has_f16_instructions()) {
    return b_.CreateFPExt(b_.CreateBitCast(bits, element_like(bits, b_.getHalfTy())), f32);
  }
  llvm::Value* wide = b_.CreateZExt(bits, element_like(bits, b_.getInt32Ty()));
  const auto c = [&](uint64_t value) { return constant_like(wide, value); };
  llvm::Value* sign = b_.CreateShl(b_.CreateAnd(wide, c(0x8000)), c(16));
  llvm::Value* magnitude = b_.CreateAnd(wide, c(0x7fff));
  llvm::Value* shifted = b_.CreateShl(magnitude, c(13));
  llvm::Value* normal = b_.CreateAdd(shifted, c(0x38000000));
  llvm::Value* quiet =
      b_.CreateSelect(b_.CreateICmpUGT(magnitude, c(0x7c00)), c(0x7fc00000), c(0x7f800000));
  llvm::Value* special = b_.CreateOr(shifted, quiet);
  llvm::Value* subnormal = b_.CreateBitCast(
      b_.CreateFMul(b_.CreateSIToFP(magnitude, f32), llvm::ConstantFP::get(f32, 0x1p-24)),
      wide->getType());
  llvm::Value* result = b_.CreateSelect(b_.CreateICmpULT(magnitude, c(0x400)), subnormal, normal);
  result = b_.CreateSelect(b_.CreateICmpUGE(magnitude, c(0x7c00)), special, result);
  return b_.CreateBitCast(b_.CreateOr(result, sign), f32);
}

llvm::Value* HalfFloats::f32_to_f16(llvm::Value* value) {
  llvm::Type* const i16 = element_like(value, b_.getInt16Ty());
  if (has_f16_instructions()) {
    return b_.CreateBitCast(b_.CreateFPTrunc(value, element_like(value, b_.getHalfTy())), i16);
  }
  llvm::Type* const f32 = value->getType();
  llvm::Value* bits = b_.CreateBitCast(value, element_like(value, b_.getInt32Ty()));
  const auto c = [&](uint64_t v) { return constant_like(bits, v); };
  llvm::Value* sign = b_.CreateAnd(b_.CreateLShr(bits, c(16)), c(0x8000));
  llvm::Value* magnitude = b_.CreateAnd(bits, c(0x7fffffff));
  llvm::Value* odd = b_.CreateAnd(b_.CreateLShr(magnitude, c(13)), c(1));
  llvm::Value* normal = b_.CreateLShr(
      b_.CreateAdd(b_.CreateAdd(b_.CreateSub(magnitude, c(0x38000000)), c(0xfff)), odd), c(13));
  llvm::Value* aligned = b_.CreateBitCast(
      b_.CreateFAdd(b_.CreateBitCast(magnitude, f32), llvm::ConstantFP::get(f32, 0.5)),
      bits->getType());
  llvm::Value* subnormal = b_.CreateSub(aligned, c(0x3f000000));
  llvm::Value* result =
      b_.CreateSelect(b_.CreateICmpULT(magnitude, c(0x38800000)), subnormal, normal);
  result = b_.CreateSelect(b_.CreateICmpUGE(magnitude, c(0x477ff000)), c(0x7c00), result);
  llvm::Value* nan =
      b_.CreateOr(b_.CreateAnd(b_.CreateLShr(magnitude, c(13)), c(0x3ff)), c(0x7e00));
  result = b_.CreateSelect(b_.CreateICmpUGT(magnitude, c(0x7f800000)), nan, result);
  return b_.CreateTrunc(b_.CreateOr(result, sign), i16);
}

llvm::Value* HalfFloats::bf16_to_f32(llvm::Value* bits) {
  llvm::Value* wide = b_.CreateZExt(bits, element_like(bits, b_.getInt32Ty()));
  return b_.CreateBitCast(b_.CreateShl(wide, constant_like(wide, 16)),
                          element_like(bits, b_.getFloatTy()));
}

llvm::Value* HalfFloats::f32_to_bf16(llvm::Value* value) {
  llvm::Value* bits = b_.CreateBitCast(value, element_like(value, b_.getInt32Ty()));
  const auto c = [&](uint64_t v) { return constant_like(bits, v); };
  llvm::Value* high = b_.CreateLShr(bits, c(16));
  llvm::Value* odd = b_.CreateAnd(high, c(1));
  llvm::Value* rounded = b_.CreateLShr(b_.CreateAdd(b_.CreateAdd(bits, c(0x7fff)), odd), c(16));
  llvm::Value* is_nan = b_.CreateICmpUGT(b_.CreateAnd(bits, c(0x7fffffff)), c(0x7f800000));
  llvm::Value* result = b_.CreateSelect(is_nan, b_.CreateOr(high, c(0x40)), rounded);
  return b_.CreateTrunc(result, element_like(value, b_.getInt16Ty()));
}

}  // namespace mlc::codegen
