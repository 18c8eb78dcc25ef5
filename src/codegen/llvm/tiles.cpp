// SPDX-License-Identifier: Apache-2.0
// tile_dot on AMX's tile registers (Intel's manual, volume 1, chapter 18): the left operand has
// unsigned codes, the right one signed ones, and 32-bit sums cannot overflow. Registers are named
// here, since a kernel needs three at a time: sums, left, right. The next product takes three
// others, so that its loads need not wait for the one before.
#include <array>

#include "codegen/llvm/emitter.h"

namespace mlc::codegen {
namespace {

constexpr unsigned kProducts = 2;  // that are in the registers at once: 2 * 3 of the 8
constexpr int64_t kTileRowBytes = 4 * kernel::kTileDotSize;

}  // namespace

void Tiles::configure(llvm::Module& module, int64_t quads) {
  // Byte 0: the palette, which is the only one. From 16: bytes a row of each register, 16 bits.
  // From 48: rows of each register.
  std::array<uint8_t, 64> shapes{};
  shapes[0] = 1;
  const auto set = [&](unsigned tile, int64_t rows, int64_t row_bytes) {
    shapes[16 + 2 * tile] = static_cast<uint8_t>(row_bytes);
    shapes[48 + tile] = static_cast<uint8_t>(rows);
  };
  for (unsigned tile = 0; tile < 3 * kProducts; tile += 3) {
    set(tile, kernel::kTileDotSize, kTileRowBytes);
    set(tile + 1, kernel::kTileDotSize, 4 * quads);
    set(tile + 2, quads, kTileRowBytes);
  }
  llvm::Constant* data = llvm::ConstantDataArray::get(b_.getContext(), shapes);
  auto* global = new llvm::GlobalVariable(module, data->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, data, "tile_shapes");
  global->setAlignment(llvm::Align(64));
  b_.CreateIntrinsic(llvm::Intrinsic::x86_ldtilecfg, {}, {global});
}

void Tiles::dot(llvm::Value* c, llvm::Value* a, int64_t row_bytes, llvm::Value* b) {
  llvm::Value* sums = b_.getInt8(static_cast<uint8_t>(next_));
  llvm::Value* left = b_.getInt8(static_cast<uint8_t>(next_ + 1));
  llvm::Value* right = b_.getInt8(static_cast<uint8_t>(next_ + 2));
  next_ = (next_ + 3) % (3 * kProducts);
  const auto stride = [&](int64_t bytes) { return b_.getInt64(static_cast<uint64_t>(bytes)); };
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {}, {sums});
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {}, {left, a, stride(row_bytes)});
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {}, {right, b, stride(kTileRowBytes)});
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tdpbusd, {}, {sums, left, right});
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilestored64, {}, {sums, c, stride(kTileRowBytes)});
}

void Tiles::release() { b_.CreateIntrinsic(llvm::Intrinsic::x86_tilerelease, {}, {}); }

}  // namespace mlc::codegen
