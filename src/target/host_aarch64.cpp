// SPDX-License-Identifier: Apache-2.0
// The CPU at hand, AArch64: what Linux says that every core has. Elsewhere it is the baseline.
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

#include "target/target.h"

namespace mlc::target {

std::string host_architecture() { return "aarch64"; }

CpuFeatures host_cpu_features() {
  CpuFeatures features;
  features.add(CpuFeature::kNeon);
#if defined(__linux__)
  const unsigned long first = getauxval(AT_HWCAP);
  const unsigned long second = getauxval(AT_HWCAP2);
  if (first & HWCAP_ASIMDDP) features.add(CpuFeature::kDotprod);
  if ((first & HWCAP_FPHP) && (first & HWCAP_ASIMDHP)) features.add(CpuFeature::kFullfp16);
  if (second & HWCAP2_I8MM) features.add(CpuFeature::kI8mm);
  if (second & HWCAP2_BF16) features.add(CpuFeature::kBf16);
#endif
  return features;
}

}  // namespace mlc::target
