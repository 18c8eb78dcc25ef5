// SPDX-License-Identifier: Apache-2.0
// The CPU at hand where it is neither x86-64 nor AArch64: what this program was compiled for.
#include "target/target.h"

namespace mlc::target {

std::string host_architecture() {
#if defined(__wasm32__)
  return "wasm32";
#else
  return "unknown";
#endif
}

CpuFeatures host_cpu_features() {
  CpuFeatures features;
#if defined(__wasm_simd128__)
  features.add(CpuFeature::kSimd128);
#endif
  return features;
}

}  // namespace mlc::target
