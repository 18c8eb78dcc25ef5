// SPDX-License-Identifier: Apache-2.0
// Where keys and values lie in a page of the KV cache (docs/library_format.md).
#pragma once

#include <cstdint>

#include "graph/graph.h"
#include "support/dtype.h"

namespace mlc::kernel {

inline constexpr int64_t kPageTokens = 64;    // positions a page
inline constexpr int64_t kBlockTokens = 128;  // positions that attention sums at once

// A page of one layer, [kv_head][K: head_dim x page_tokens | V: page_tokens x head_dim]. Where the
// dtype is i8, a head's K and V are codes, and behind them lie the f32 scales of its positions, K's
// and then V's. All numbers count elements of the cache's dtype.
struct PageLayout {
  explicit PageLayout(const graph::CacheGroup& group)
      : kv_heads(group.kv_heads), head_dim(group.head_dim), dtype(group.dtype) {}

  int64_t kv_heads;
  int64_t head_dim;
  DType dtype;

  static constexpr int64_t kScaleBytes = 4;
  bool quantized() const { return dtype == DType::kI8; }
  // From the beginning of a head:
  int64_t values() const { return head_dim * kPageTokens; }
  int64_t key_scales() const { return 2 * head_dim * kPageTokens; }
  int64_t value_scales() const { return key_scales() + kPageTokens * kScaleBytes; }
  int64_t head_elements() const {
    return quantized() ? value_scales() + kPageTokens * kScaleBytes : key_scales();
  }

  int64_t page_bytes() const { return kv_heads * head_elements() * dtype_bytes(dtype); }
};

}  // namespace mlc::kernel
