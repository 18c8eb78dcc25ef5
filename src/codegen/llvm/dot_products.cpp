// SPDX-License-Identifier: Apache-2.0
// Tensor intrinsics as instructions: vpdpbusd, vpmaddubsw and vpmaddwd, sdot, smmla, or widened
// arithmetic. All give the same integers: the unsigned operand has seven bits, so nothing
// saturates.
#include <optional>

#include "codegen/llvm/emitter.h"

namespace mlc::codegen {
namespace {

int lanes_of(llvm::Value* value) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(value->getType());
  return vector == nullptr ? 1 : static_cast<int>(vector->getNumElements());
}

// An intrinsic for each register width in bytes, widest first.
struct Width {
  int bytes;
  llvm::Intrinsic::ID id;
};

// The widest entry that the target has and that divides `bytes`.
std::optional<Width> choose(std::initializer_list<Width> widths, int64_t register_bytes,
                            int bytes) {
  for (const Width& width : widths) {
    if (width.bytes <= register_bytes && bytes % width.bytes == 0) return width;
  }
  return std::nullopt;
}

// Lane i of the result is the sum of lanes 2 i and 2 i + 1; of two lanes it is a scalar.
llvm::Value* sum_of_pairs(llvm::IRBuilder<>& b, llvm::Value* v) {
  if (lanes_of(v) == 2) {
    return b.CreateAdd(b.CreateExtractElement(v, uint64_t{0}),
                       b.CreateExtractElement(v, uint64_t{1}));
  }
  std::vector<int> even;
  std::vector<int> odd;
  for (int i = 0; i < lanes_of(v); i += 2) {
    even.push_back(i);
    odd.push_back(i + 1);
  }
  return b.CreateAdd(b.CreateShuffleVector(v, even), b.CreateShuffleVector(v, odd));
}

}  // namespace

llvm::Value* VectorPieces::slice(llvm::IRBuilder<>& b, llvm::Value* vector, int begin, int lanes) {
  if (begin == 0 && lanes == lanes_of(vector)) return vector;
  std::vector<int> indices;
  for (int i = 0; i < lanes; ++i) indices.push_back(begin + i);
  return b.CreateShuffleVector(vector, indices);
}

llvm::Value* VectorPieces::join(llvm::IRBuilder<>& b, const std::vector<llvm::Value*>& pieces) {
  std::vector<llvm::Value*> level = pieces;
  while (level.size() > 1) {
    std::vector<llvm::Value*> next;
    for (size_t i = 0; i + 1 < level.size(); i += 2) {
      std::vector<int> indices;
      for (int k = 0; k < 2 * lanes_of(level[i]); ++k) indices.push_back(k);
      next.push_back(b.CreateShuffleVector(level[i], level[i + 1], indices));
    }
    level = std::move(next);
  }
  return level[0];
}

llvm::Value* DotProducts::dot4(llvm::Value* acc, llvm::Value* a, llvm::Value* b) {
  const int lanes = lanes_of(acc);
  const bool vnni = target_.features.has(target::CpuFeature::kAvx512vnni);
  const bool avxvnni = target_.features.has(target::CpuFeature::kAvxvnni);
  const auto as_i32 = [&](llvm::Value* bytes) { return b_.CreateBitCast(bytes, acc->getType()); };
  if (lanes >= 4 && (vnni || avxvnni)) {
    const std::optional<Width> width = choose({{64, llvm::Intrinsic::x86_avx512_vpdpbusd_512},
                                               {32, llvm::Intrinsic::x86_avx512_vpdpbusd_256},
                                               {16, llvm::Intrinsic::x86_avx512_vpdpbusd_128}},
                                              vnni ? 64 : 32, 4 * lanes);
    if (width) {
      llvm::Value* a32 = as_i32(a);
      llvm::Value* b32 = as_i32(b);
      std::vector<llvm::Value*> pieces;
      const int step = width->bytes / 4;
      for (int i = 0; i < lanes; i += step) {
        pieces.push_back(b_.CreateIntrinsic(
            width->id, {},
            {VectorPieces::slice(b_, acc, i, step), VectorPieces::slice(b_, a32, i, step),
             VectorPieces::slice(b_, b32, i, step)}));
      }
      return VectorPieces::join(b_, pieces);
    }
  }
  if (lanes % 4 == 0 && target_.features.has(target::CpuFeature::kDotprod)) {
    std::vector<llvm::Value*> pieces;
    auto* const v4i32 = llvm::FixedVectorType::get(b_.getInt32Ty(), 4);
    auto* const v16i8 = llvm::FixedVectorType::get(b_.getInt8Ty(), 16);
    for (int i = 0; i < lanes; i += 4) {
      pieces.push_back(b_.CreateIntrinsic(
          llvm::Intrinsic::aarch64_neon_sdot, {v4i32, v16i8},
          {VectorPieces::slice(b_, acc, i, 4), VectorPieces::slice(b_, a, 4 * i, 16),
           VectorPieces::slice(b_, b, 4 * i, 16)}));
    }
    return VectorPieces::join(b_, pieces);
  }
  return b_.CreateAdd(acc, pair_sum(dot2(a, b)));
}

llvm::Value* DotProducts::dot2(llvm::Value* a, llvm::Value* b) {
  const int bytes = lanes_of(a);
  if (target_.has_dot2_saturating()) {
    const bool wide = target_.features.has(target::CpuFeature::kAvx2);
    const std::optional<Width> width = choose({{64, llvm::Intrinsic::x86_avx512_pmaddubs_w_512},
                                               {32, llvm::Intrinsic::x86_avx2_pmadd_ub_sw},
                                               {16, llvm::Intrinsic::x86_ssse3_pmadd_ub_sw_128}},
                                              wide ? target_.vector_bytes() : 16, bytes);
    if (width) {
      std::vector<llvm::Value*> pieces;
      for (int i = 0; i < bytes; i += width->bytes) {
        pieces.push_back(b_.CreateIntrinsic(width->id, {},
                                            {VectorPieces::slice(b_, a, i, width->bytes),
                                             VectorPieces::slice(b_, b, i, width->bytes)}));
      }
      return VectorPieces::join(b_, pieces);
    }
  }
  auto* const i16 = llvm::FixedVectorType::get(b_.getInt16Ty(), static_cast<unsigned>(bytes));
  llvm::Value* product = b_.CreateMul(b_.CreateZExt(a, i16), b_.CreateSExt(b, i16));
  return sum_of_pairs(b_, product);
}

llvm::Value* DotProducts::block_dot(llvm::Value* acc, llvm::Value* a, llvm::Value* b) {
  const int lanes = lanes_of(acc);
  if (target_.features.has(target::CpuFeature::kI8mm)) {
    std::vector<llvm::Value*> pieces;
    auto* const v4i32 = llvm::FixedVectorType::get(b_.getInt32Ty(), 4);
    auto* const v16i8 = llvm::FixedVectorType::get(b_.getInt8Ty(), 16);
    for (int i = 0; i < lanes; i += 4) {
      pieces.push_back(b_.CreateIntrinsic(
          llvm::Intrinsic::aarch64_neon_smmla, {v4i32, v16i8},
          {VectorPieces::slice(b_, acc, i, 4), VectorPieces::slice(b_, a, 4 * i, 16),
           VectorPieces::slice(b_, b, 4 * i, 16)}));
    }
    return VectorPieces::join(b_, pieces);
  }
  // Two dot products of four: of the first words of the rows, then of the second ones.
  const auto words = [&](llvm::Value* bytes, std::initializer_list<int> of_block) {
    std::vector<int> indices;
    for (int i = 0; i < lanes; i += 4) {
      for (const int word : of_block) indices.push_back(i + word);
    }
    llvm::Value* spread = b_.CreateShuffleVector(b_.CreateBitCast(bytes, acc->getType()), indices);
    return b_.CreateBitCast(spread, bytes->getType());
  };
  acc = dot4(acc, words(a, {0, 0, 2, 2}), words(b, {0, 2, 0, 2}));
  return dot4(acc, words(a, {1, 1, 3, 3}), words(b, {1, 3, 1, 3}));
}

llvm::Value* DotProducts::pair_sum(llvm::Value* a) {
  const int lanes = lanes_of(a);
  if (target_.architecture == "x86_64") {
    const std::optional<Width> width = choose(
        {{64, llvm::Intrinsic::x86_avx512_pmaddw_d_512},
         {32, llvm::Intrinsic::x86_avx2_pmadd_wd},
         {16, llvm::Intrinsic::x86_sse2_pmadd_wd}},
        target_.features.has(target::CpuFeature::kAvx2) ? target_.vector_bytes() : 16, 2 * lanes);
    if (width) {
      const int step = width->bytes / 2;
      llvm::Value* ones = llvm::ConstantInt::get(
          llvm::FixedVectorType::get(b_.getInt16Ty(), static_cast<unsigned>(step)), 1);
      std::vector<llvm::Value*> pieces;
      for (int i = 0; i < lanes; i += step) {
        pieces.push_back(
            b_.CreateIntrinsic(width->id, {}, {VectorPieces::slice(b_, a, i, step), ones}));
      }
      return VectorPieces::join(b_, pieces);
    }
  }
  llvm::Value* wide =
      b_.CreateSExt(a, llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(lanes)));
  return sum_of_pairs(b_, wide);
}

}  // namespace mlc::codegen
