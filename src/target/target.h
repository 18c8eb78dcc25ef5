// SPDX-License-Identifier: Apache-2.0
// What code is generated for: the device, its host, and what templates may ask of them. No LLVM
// here.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace mlc::target {

enum class DeviceKind : uint8_t {
#define MLC_DEVICE(enumerator, name, summary) enumerator,
#include "target/devices.def"
#undef MLC_DEVICE
};

std::string_view device_name(DeviceKind kind);  // "cpu"
// Refuses what --device names and this version has no code for: all but "auto", "cpu" and "cpu:N".
Result<void> check_device(const std::string& device);

// Instruction-set extensions that code may use; each is a bit of CpuFeatures. The names are LLVM's.
enum class CpuFeature : uint8_t {
#define MLC_CPU_FEATURE(enumerator, architecture, name) enumerator,
#include "target/cpu_features.def"
#undef MLC_CPU_FEATURE
};

// A set of CpuFeature. Its bits are part of the library format: entries of cpu_features.def are
// only appended.
class CpuFeatures {
 public:
  CpuFeatures() = default;
  explicit CpuFeatures(uint64_t bits) : bits_(bits) {}
  bool has(CpuFeature feature) const { return (bits_ >> static_cast<int>(feature)) & 1; }
  void add(CpuFeature feature) { bits_ |= uint64_t{1} << static_cast<int>(feature); }
  uint64_t bits() const { return bits_; }
  // True when every feature of `needed` is here.
  bool contains(CpuFeatures needed) const { return (bits_ & needed.bits_) == needed.bits_; }
  std::vector<std::string> names() const;
  bool operator==(const CpuFeatures&) const = default;

 private:
  uint64_t bits_ = 0;
};

// Named sets of features: what --host builds for, and what the environment variable MLC_CPU_LEVEL
// pins.
struct CpuLevel {
  std::string_view name;  // "x86-64-v3"
  std::string_view architecture;
  CpuFeatures features;
};
const std::vector<CpuLevel>& cpu_levels();

// What templates ask. They never ask for an instruction set by name.
struct Target {
  DeviceKind device = DeviceKind::kCpu;
  std::string triple;  // "x86_64-unknown-linux-gnu": of the host, where the device is not the CPU
  std::string architecture;  // "x86_64", "aarch64", "wasm32"
  std::string level;         // the name of the CpuLevel, or "native"
  std::string
      tune_cpu;  // LLVM's name of the CPU to order instructions for; "" for none in particular
  CpuFeatures features;
  // Sums have the order of docs/numerics.md. False: a template may choose a faster one.
  bool fixed_order = true;

  int64_t vector_bytes() const;  // of one register
  int64_t vector_registers() const;
  bool has_fma() const;              // fused multiply-add in f32
  bool has_dot4() const;             // u8 x s8 dot products of four, summed into i32
  bool has_block_dot() const;        // the same of two rows with two
  bool has_tile_dot() const;         // the same as products of tiles of 16 x 16
  bool has_tile_sum() const;         // the same in bf16, summed into f32 in an order of its own
  bool has_dot2_saturating() const;  // u8 x s8 pairs, summed into i16
  // Bytes of the caches of a core, as templates use them for tiles.
  int64_t l1_bytes() const { return 32 << 10; }
  int64_t l2_bytes() const { return 512 << 10; }

  // Templates have two classes of schedules: lanes of vectors (CPU), and blocks of threads (GPU).
  bool is_gpu() const { return device != DeviceKind::kCpu; }
  // Threads of a block of rowwise kernels: a power of two, and no more than any device allows
  // (OpenCL and WebGPU promise 256 at the least).
  int64_t block_threads() const { return 128; }
};

// Features of the CPU that runs this program.
CpuFeatures host_cpu_features();
std::string host_architecture();

// The CPU at hand, or the level that MLC_CPU_LEVEL names; an error if the name is unknown or this
// CPU lacks it.
Result<Target> host_cpu_target();
// Code for a level by name; the triple's system is Linux.
Result<Target> cpu_level_target(std::string_view level);
// Code for a GPU of this kind. Its host is left open: the text of kernels does not depend on it.
Target gpu_target(DeviceKind device);

}  // namespace mlc::target
