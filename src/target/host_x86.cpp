// SPDX-License-Identifier: Apache-2.0
// The CPU at hand, x86-64: decided by features, never by the CPU's name.
#include <sys/syscall.h>
#include <unistd.h>

#include "target/target.h"

namespace mlc::target {
namespace {

// The kernel grants the AMX tile registers to a process on request only (Linux, arch_prctl).
bool amx_allowed() {
#if defined(__linux__)
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

std::string host_architecture() { return "x86_64"; }

CpuFeatures host_cpu_features() {
  __builtin_cpu_init();
  CpuFeatures features;
  const auto add_if = [&](bool present, CpuFeature feature) {
    if (present) features.add(feature);
  };
  using enum CpuFeature;
  add_if(__builtin_cpu_supports("sse3"), kSse3);
  add_if(__builtin_cpu_supports("ssse3"), kSsse3);
  add_if(__builtin_cpu_supports("sse4.1"), kSse41);
  add_if(__builtin_cpu_supports("sse4.2"), kSse42);
  add_if(__builtin_cpu_supports("popcnt"), kPopcnt);
  add_if(__builtin_cpu_supports("avx"), kAvx);
  add_if(__builtin_cpu_supports("avx2"), kAvx2);
  add_if(__builtin_cpu_supports("fma"), kFma);
  add_if(__builtin_cpu_supports("f16c"), kF16c);
  add_if(__builtin_cpu_supports("bmi"), kBmi);
  add_if(__builtin_cpu_supports("bmi2"), kBmi2);
  add_if(__builtin_cpu_supports("lzcnt"), kLzcnt);
  add_if(__builtin_cpu_supports("avx512f"), kAvx512f);
  add_if(__builtin_cpu_supports("avx512bw"), kAvx512bw);
  add_if(__builtin_cpu_supports("avx512cd"), kAvx512cd);
  add_if(__builtin_cpu_supports("avx512dq"), kAvx512dq);
  add_if(__builtin_cpu_supports("avx512vl"), kAvx512vl);
  add_if(__builtin_cpu_supports("avx512vnni"), kAvx512vnni);
  add_if(__builtin_cpu_supports("avx512vbmi"), kAvx512vbmi);
  add_if(__builtin_cpu_supports("avx512bf16"), kAvx512bf16);
  add_if(__builtin_cpu_supports("avxvnni"), kAvxvnni);
  if (__builtin_cpu_supports("amx-tile") && __builtin_cpu_supports("amx-int8") && amx_allowed()) {
    features.add(kAmxTile);
    features.add(kAmxInt8);
    add_if(__builtin_cpu_supports("amx-bf16"), kAmxBf16);
  }
  return features;
}

}  // namespace mlc::target
