// SPDX-License-Identifier: Apache-2.0
// Chooses the kernels for this CPU.
#include "quantization/pack_kernels.h"

#include "support/process.h"

namespace mlc::quantization {

namespace baseline {
const PackKernels& kernels();
}
#if defined(__x86_64__)
namespace v3 {
const PackKernels& kernels();
}
namespace v4 {
const PackKernels& kernels();
}
#endif

PackKernelList available_pack_kernels() {
  PackKernelList list{{&baseline::kernels()}, 1};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v3")) list.kernels[list.count++] = &v3::kernels();
  if (__builtin_cpu_supports("x86-64-v4")) list.kernels[list.count++] = &v4::kernels();
#endif
  return list;
}

const PackKernels& pack_kernels() {
  static const PackKernels& chosen = []() -> const PackKernels& {
    const PackKernelList list = available_pack_kernels();
    const auto wanted = environment("MLC_CPU_LEVEL");
    for (int i = 0; wanted.has_value() && i < list.count; ++i) {
      if (*wanted == list.kernels[i]->level) return *list.kernels[i];
    }
    return *list.kernels[list.count - 1];
  }();
  return chosen;
}

}  // namespace mlc::quantization
