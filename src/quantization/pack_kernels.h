// SPDX-License-Identifier: Apache-2.0
// The inner loops of conversion: casts between float types and group packing. pack_kernels.inc is
// compiled once for each level of instruction sets; all give the same bytes.
#pragma once

#include <cstdint>

namespace mlc::quantization {

// How a group's scale is rounded and what its values are divided by (the arithmetic of MLC LLM's
// converter).
enum class GroupRounding {
  kF16,               // every step rounded to f16
  kF32,               // every step rounded to f32
  kBF16,              // scale rounded to bf16, quotient and sum in f32
  kBF16ExactDivisor,  // the same, but divides by the f32 scale before its rounding
};

// Types of elements that kernels know. bf16 and f16 are the bit patterns.
enum class Element { kF16, kBF16, kF32 };

struct PackKernels {
  const char* level;  // "baseline", "x86-64-v3" or "x86-64-v4"

  // Converts `count` values, to nearest even; overflow gives infinity.
  void (*cast)(Element from, Element to, const void* in, int64_t count, void* out);

  // Packs `rows` rows of k values (f16, f32 or bf16, as the rounding says) into words_per_row(k)
  // words and groups_per_row(k) scales each, of the same type as the values. Returns whether there
  // was a NaN. bits 4 with groups of 32, or bits 3 with groups of 40.
  bool (*pack)(int bits, GroupRounding rounding, const void* values, int64_t rows, int64_t k,
               uint32_t* words, void* scales);
};

// The best one for this CPU. The variable MLC_CPU_LEVEL picks a lower one by its name.
const PackKernels& pack_kernels();

// All that this CPU can run, the baseline first.
struct PackKernelList {
  const PackKernels* kernels[3];
  int count;
};
PackKernelList available_pack_kernels();

}  // namespace mlc::quantization
