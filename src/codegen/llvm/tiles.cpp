// SPDX-License-Identifier: Apache-2.0
// Products of tiles on AMX's registers (Intel's manual, volume 1, chapter 18), which are named
// here, since nothing else uses them.
//
// tile_dot: the left operand has unsigned codes, the right one signed ones, and 32-bit sums cannot
// overflow. It needs three registers: sums, left, right. The next product takes three others, so
// that its loads need not wait for the one before.
//
// tile_sum: registers 0 to 3 hold the sums of two left tiles (4, 5) with two right ones (6, 7), so
// that four products share four loads, and each waits for its sum while three others run.
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
  for (unsigned tile = 3 * kProducts; tile < 8; ++tile)
    set(tile, kernel::kTileDotSize, kTileRowBytes);
  llvm::Constant* data = llvm::ConstantDataArray::get(b_.getContext(), shapes);
  auto* global = new llvm::GlobalVariable(module, data->getType(), true,
                                          llvm::GlobalValue::PrivateLinkage, data, "tile_shapes");
  global->setAlignment(llvm::Align(64));
  b_.CreateIntrinsic(llvm::Intrinsic::x86_ldtilecfg, {}, {global});
}

void Tiles::dot(llvm::Value* c, llvm::Value* a, int64_t row_bytes, llvm::Value* b) {
  const unsigned sums = next_;
  next_ = (next_ + 3) % (3 * kProducts);
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {}, {number(sums)});
  load(sums + 1, a, row_bytes);
  load(sums + 2, b, kTileRowBytes);
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tdpbusd, {},
                     {number(sums), number(sums + 1), number(sums + 2)});
  store(sums, c);
}

void Tiles::sum(llvm::Value* c, llvm::Value* a, llvm::Value* b, int64_t steps, int64_t tile_steps) {
  constexpr int64_t kTileBytes = kernel::kTileDotSize * kTileRowBytes;
  const auto at = [&](llvm::Value* base, int64_t tiles) {
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), base,
                                         static_cast<uint64_t>(tiles * kTileBytes));
  };
  for (unsigned i = 0; i < 4; ++i) load(i, at(c, i), kTileRowBytes);
  llvm::Function* function = b_.GetInsertBlock()->getParent();
  llvm::BasicBlock* before = b_.GetInsertBlock();
  auto* body = llvm::BasicBlock::Create(b_.getContext(), "tiles", function);
  auto* after = llvm::BasicBlock::Create(b_.getContext(), "tiles.end", function);
  b_.CreateBr(body);
  b_.SetInsertPoint(body);
  auto* step = b_.CreatePHI(b_.getInt64Ty(), 2);
  step->addIncoming(b_.getInt64(0), before);
  llvm::Value* offset = b_.CreateMul(step, b_.getInt64(kTileBytes));
  for (unsigned i = 0; i < 2; ++i) {
    load(4 + i, b_.CreateInBoundsGEP(b_.getInt8Ty(), at(a, i * tile_steps), offset), kTileRowBytes);
    load(6 + i, b_.CreateInBoundsGEP(b_.getInt8Ty(), at(b, i * tile_steps), offset), kTileRowBytes);
  }
  for (unsigned i = 0; i < 4; ++i) {
    b_.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps, {},
                       {number(i), number(4 + i / 2), number(6 + i % 2)});
  }
  llvm::Value* next = b_.CreateAdd(step, b_.getInt64(1));
  step->addIncoming(next, body);
  b_.CreateCondBr(b_.CreateICmpULT(next, b_.getInt64(static_cast<uint64_t>(steps))), body, after);
  b_.SetInsertPoint(after);
  for (unsigned i = 0; i < 4; ++i) store(i, at(c, i));
}

void Tiles::release() { b_.CreateIntrinsic(llvm::Intrinsic::x86_tilerelease, {}, {}); }

llvm::Value* Tiles::number(unsigned tile) { return b_.getInt8(static_cast<uint8_t>(tile)); }

void Tiles::load(unsigned tile, llvm::Value* from, int64_t row_bytes) {
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tileloadd64, {},
                     {number(tile), from, b_.getInt64(static_cast<uint64_t>(row_bytes))});
}

void Tiles::store(unsigned tile, llvm::Value* to) {
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilestored64, {},
                     {number(tile), to, b_.getInt64(kTileRowBytes)});
}

}  // namespace mlc::codegen
