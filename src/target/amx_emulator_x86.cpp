// SPDX-License-Identifier: Apache-2.0
// Encodings and meaning: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2
// (the pages of LDTILECFG to TDPBF16PS) and volume 1, chapter 18. What the manual answers with a
// fault is not emulated: the signal then takes its way.
#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>

#include "target/amx_emulator.h"

namespace mlc::target {
namespace {

constexpr int kTiles = 8;
constexpr int kRows = 16;
constexpr int kRowBytes = 64;

// Of one thread. Zeros: no tile is configured.
struct TileState {
  uint8_t config[64];
  uint8_t data[kTiles][kRows][kRowBytes];

  bool configured() const { return config[0] == 1; }
  int rows(int tile) const { return config[48 + tile]; }
  int row_bytes(int tile) const { return config[16 + 2 * tile]; }
};
thread_local constinit TileState tile_state{};

std::atomic<int64_t> emulated_count{0};
std::atomic<int> alive{0};
struct sigaction previous_action;

// An instruction with a VEX prefix of three bytes in the opcode map 0F38, as all of AMX are.
struct Instruction {
  int prefix;  // 0: none, 1: 66, 2: F3, 3: F2
  int opcode;
  int vvvv;
  bool is_memory;
  int reg;         // with its extension
  int rm;          // a register, where it is no memory
  uint64_t base;   // address without the index
  uint64_t index;  // scaled; 0 where there is none. For tiles: the stride of rows
  int length;
};

uint64_t general_register(const ucontext_t& context, int number) {
  constexpr int kOrder[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};
  return static_cast<uint64_t>(context.uc_mcontext.gregs[kOrder[number]]);
}

// False where the bytes are none of AMX's.
bool decode(const uint8_t* code, const ucontext_t& context, Instruction* result) {
  if (code[0] != 0xc4 || (code[1] & 0x1f) != 2) return false;
  if ((code[2] & 0x84) != 0) return false;  // W or 256 bits
  Instruction& i = *result;
  const auto extension = [&](int bit) { return (code[1] >> bit & 1) ? 0 : 8; };
  i.prefix = code[2] & 3;
  i.vvvv = ~(code[2] >> 3) & 15;
  i.opcode = code[3];
  const int mod = code[4] >> 6;
  const int low = code[4] & 7;
  i.reg = (code[4] >> 3 & 7) + extension(7);
  i.rm = low + extension(5);
  i.is_memory = mod != 3;
  i.length = 5;
  i.base = i.index = 0;
  if (!i.is_memory) return true;
  bool has_base = true;
  if (low == 4) {
    const uint8_t sib = code[i.length++];
    const int index = (sib >> 3 & 7) + extension(6);
    if (index != 4) i.index = general_register(context, index) << (sib >> 6);
    has_base = (sib & 7) != 5 || mod != 0;
    if (has_base) i.base = general_register(context, (sib & 7) + extension(5));
  } else {
    has_base = low != 5 || mod != 0;
    if (has_base) i.base = general_register(context, i.rm);
  }
  if (mod == 1) {
    i.base += static_cast<uint64_t>(int64_t{static_cast<int8_t>(code[i.length])});
    i.length += 1;
  } else if (mod == 2 || !has_base) {
    int32_t displacement;
    std::memcpy(&displacement, code + i.length, 4);
    i.length += 4;
    i.base += static_cast<uint64_t>(int64_t{displacement});
    // From the end of the instruction, which has no immediate.
    if (!has_base && low == 5) i.base += reinterpret_cast<uint64_t>(code) + i.length;
  }
  return true;
}

bool load_config(const Instruction& i, TileState& s) {
  uint8_t config[64];
  std::memcpy(config, reinterpret_cast<const void*>(i.base + i.index), 64);
  if (config[0] > 1) return false;
  for (int tile = 0; tile < kTiles; ++tile) {
    // One without the other is a fault; the high byte of row bytes and what has no tile is zero.
    if (config[48 + tile] > kRows || config[16 + 2 * tile] > kRowBytes ||
        (config[48 + tile] == 0) != (config[16 + 2 * tile] == 0))
      return false;
  }
  for (int k = 1; k < 64; ++k) {
    const bool used = (k >= 16 && k < 32 && k % 2 == 0) || (k >= 48 && k < 56);
    if (!used && config[k] != 0) return false;
  }
  s = {};
  if (config[0] == 1) std::memcpy(s.config, config, 64);
  return true;
}

// An unused tile has no rows.
bool usable(const TileState& s, int tile) {
  return s.configured() && tile < kTiles && s.rows(tile) > 0;
}

bool load_tile(const Instruction& i, TileState& s) {
  if (!usable(s, i.reg)) return false;
  std::memset(s.data[i.reg], 0, sizeof(s.data[i.reg]));
  for (int row = 0; row < s.rows(i.reg); ++row) {
    std::memcpy(s.data[i.reg][row],
                reinterpret_cast<const void*>(i.base + static_cast<uint64_t>(row) * i.index),
                static_cast<size_t>(s.row_bytes(i.reg)));
  }
  return true;
}

bool store_tile(const Instruction& i, const TileState& s) {
  if (!usable(s, i.reg)) return false;
  for (int row = 0; row < s.rows(i.reg); ++row) {
    std::memcpy(reinterpret_cast<void*>(i.base + static_cast<uint64_t>(row) * i.index),
                s.data[i.reg][row], static_cast<size_t>(s.row_bytes(i.reg)));
  }
  return true;
}

// The shapes of C += A * B: C in reg, A in rm, B in vvvv.
bool shapes_fit(const Instruction& i, const TileState& s) {
  if (i.is_memory || !usable(s, i.reg) || !usable(s, i.rm) || !usable(s, i.vvvv)) return false;
  if (i.reg == i.rm || i.reg == i.vvvv || i.rm == i.vvvv) return false;
  const int a_bytes = s.row_bytes(i.rm);
  return s.row_bytes(i.reg) % 4 == 0 && a_bytes % 4 == 0 && s.rows(i.reg) == s.rows(i.rm) &&
         s.row_bytes(i.reg) == s.row_bytes(i.vvvv) && a_bytes / 4 == s.rows(i.vvvv);
}

// 32-bit sums that wrap.
void multiply_bytes(const Instruction& i, TileState& s, bool a_signed, bool b_signed) {
  const auto value = [](uint8_t byte, bool is_signed) {
    return is_signed ? int32_t{static_cast<int8_t>(byte)} : int32_t{byte};
  };
  for (int m = 0; m < s.rows(i.reg); ++m) {
    for (int n = 0; n < s.row_bytes(i.reg) / 4; ++n) {
      uint32_t sum;
      std::memcpy(&sum, &s.data[i.reg][m][4 * n], 4);
      for (int k = 0; k < s.row_bytes(i.rm); ++k) {
        sum += static_cast<uint32_t>(value(s.data[i.rm][m][k], a_signed) *
                                     value(s.data[i.vvvv][k / 4][4 * n + k % 4], b_signed));
      }
      std::memcpy(&s.data[i.reg][m][4 * n], &sum, 4);
    }
  }
}

float flushed(float value) { return std::fpclassify(value) == FP_SUBNORMAL ? value * 0 : value; }

// Sums of the even and of the odd terms, each with one rounding a term, then of both, then with C.
// Denormals count as zeros.
void multiply_bf16(const Instruction& i, TileState& s) {
  const auto value = [](const uint8_t* bytes) {
    uint16_t bits;
    std::memcpy(&bits, bytes, 2);
    return flushed(std::bit_cast<float>(uint32_t{bits} << 16));
  };
  for (int m = 0; m < s.rows(i.reg); ++m) {
    for (int n = 0; n < s.row_bytes(i.reg) / 4; ++n) {
      float sums[2] = {0, 0};
      for (int k = 0; k < s.row_bytes(i.rm) / 2; ++k) {
        float& sum = sums[k % 2];
        sum = flushed(std::fma(value(&s.data[i.rm][m][2 * k]),
                               value(&s.data[i.vvvv][k / 2][4 * n + 2 * (k % 2)]), sum));
      }
      float c;
      std::memcpy(&c, &s.data[i.reg][m][4 * n], 4);
      c = flushed(flushed(c) + flushed(sums[0] + sums[1]));
      std::memcpy(&s.data[i.reg][m][4 * n], &c, 4);
    }
  }
}

bool execute(const Instruction& i, TileState& s) {
  constexpr int kNone = 0, k66 = 1, kF3 = 2, kF2 = 3;
  switch (i.opcode) {
    case 0x49:
      if (i.is_memory && i.reg == 0 && i.prefix == kNone) return load_config(i, s);
      if (i.is_memory && i.reg == 0 && i.prefix == k66) {  // sttilecfg
        std::memcpy(reinterpret_cast<void*>(i.base + i.index), s.config, 64);
        return true;
      }
      if (!i.is_memory && i.reg == 0 && i.rm == 0 && i.prefix == kNone) {  // tilerelease
        s = {};
        return true;
      }
      if (!i.is_memory && i.prefix == kF2 && usable(s, i.reg)) {  // tilezero
        std::memset(s.data[i.reg], 0, sizeof(s.data[i.reg]));
        return true;
      }
      return false;
    case 0x4b:  // tileloadd, tileloaddt1 (a hint for caches), tilestored
      if (!i.is_memory) return false;
      if (i.prefix == kF2 || i.prefix == k66) return load_tile(i, s);
      return i.prefix == kF3 && store_tile(i, s);
    case 0x5e:  // tdpbuud, tdpbusd, tdpbsud, tdpbssd
      if (!shapes_fit(i, s)) return false;
      multiply_bytes(i, s, i.prefix == kF3 || i.prefix == kF2, i.prefix == k66 || i.prefix == kF2);
      return true;
    case 0x5c:  // tdpbf16ps
      if (i.prefix != kF3 || !shapes_fit(i, s)) return false;
      multiply_bf16(i, s);
      return true;
    default:
      return false;
  }
}

void on_illegal_instruction(int, siginfo_t*, void* context_pointer) {
  auto& context = *static_cast<ucontext_t*>(context_pointer);
  auto& address = context.uc_mcontext.gregs[REG_RIP];
  Instruction instruction;
  if (decode(reinterpret_cast<const uint8_t*>(address), context, &instruction) &&
      execute(instruction, tile_state)) {
    address += instruction.length;
    emulated_count.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  sigaction(SIGILL, &previous_action, nullptr);  // and once more, to what was there before
}

bool host_has_amx() { return host_cpu_features().has(CpuFeature::kAmxInt8); }

}  // namespace

AmxEmulator::AmxEmulator() {
  if (host_has_amx()) return;
  struct sigaction action{};
  action.sa_sigaction = on_illegal_instruction;
  action.sa_flags = SA_SIGINFO;
  sigemptyset(&action.sa_mask);
  struct sigaction before{};
  sigaction(SIGILL, &action, &before);
  if (before.sa_sigaction != on_illegal_instruction) previous_action = before;
  ++alive;
}

AmxEmulator::~AmxEmulator() {
  if (!host_has_amx() && --alive == 0) sigaction(SIGILL, &previous_action, nullptr);
}

CpuFeatures AmxEmulator::features() {
  CpuFeatures features = host_cpu_features();
  if (host_has_amx()) return features;
  // A CPU that knows the instructions, in a process that may not use them, reports only some.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("amx-tile")) return features;
  features.add(CpuFeature::kAmxTile);
  features.add(CpuFeature::kAmxInt8);
  features.add(CpuFeature::kAmxBf16);
  return features;
}

int64_t AmxEmulator::emulated() { return emulated_count.load(std::memory_order_relaxed); }

}  // namespace mlc::target
