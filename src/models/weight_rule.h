// SPDX-License-Identifier: Apache-2.0
// How a parameter is made from the tensors of a checkpoint. Data only: each model lists its rules,
// the converter carries them out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mlc::models {

// Rows begin, begin + step, ... (count of them) of a source. A source is seen as a matrix: its last
// axis makes the row, all others together count the rows; a vector has rows of one value.
struct SourceRows {
  int source = 0;  // number in WeightRule::sources
  int64_t begin = 0;
  int64_t count = 0;
  int64_t step = 1;
};

// In this order: `transpose`, `rows`, `transpose_result`, `add_one`, then the cast to the
// parameter's dtype.
struct WeightRule {
  std::string parameter;             // "model.layers.0.self_attn.qkv_proj.weight"
  std::vector<std::string> sources;  // names in the checkpoint
  std::vector<SourceRows> rows{};    // one below the other; empty: all rows of all sources in order
  bool transpose = false;            // exchanges the last two axes of each source first
  bool transpose_result = false;     // exchanges the last two axes of what the rows make
  bool add_one = false;              // in the arithmetic of the source's dtype
};

}  // namespace mlc::models
