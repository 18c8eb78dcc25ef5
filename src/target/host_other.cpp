// SPDX-License-Identifier: Apache-2.0
// The CPU at hand where it is no x86-64: the baseline of the architecture.
#include "target/target.h"

namespace mlc::target {

std::string host_architecture() {
#if defined(__aarch64__)
  return "aarch64";
#elif defined(__wasm32__)
  return "wasm32";
#else
  return "unknown";
#endif
}

CpuFeatures host_cpu_features() {
  CpuFeatures features;
#if defined(__aarch64__)
  features.add(CpuFeature::kNeon);
#elif defined(__wasm_simd128__)
  features.add(CpuFeature::kSimd128);
#endif
  return features;
}

}  // namespace mlc::target
