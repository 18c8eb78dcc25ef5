// SPDX-License-Identifier: Apache-2.0
// A source of weights as Hugging Face names and orders them, whatever file it lies in: safetensors,
// PyTorch pickles, AWQ, GGUF. The converter sees nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "support/dtype.h"
#include "support/error.h"

namespace mlc::formats {

struct CheckpointTensor {
  std::string name;            // "model.layers.0.self_attn.q_proj.weight"
  DType dtype = DType::kF32;   // of what read_rows() writes
  std::vector<int64_t> shape;  // [] for a scalar
  int64_t file = 0;            // number of the file that holds it
};

class Checkpoint {
 public:
  virtual ~Checkpoint() = default;

  // In the order of the weight map, which decides the order of the converted parameters.
  virtual const std::vector<CheckpointTensor>& tensors() const = 0;

  // Writes rows [begin, begin + count) of the first axis (elements of a 1-D tensor, one row of a
  // scalar) to `out`, in C order, little-endian, without gaps. Several threads may call it at once.
  virtual Result<void> read_rows(int64_t tensor, int64_t begin, int64_t count,
                                 std::byte* out) const = 0;

  // Says that these rows will not be read again soon: mapped pages are given back.
  virtual void release_rows(int64_t tensor, int64_t begin, int64_t count) const = 0;
};

}  // namespace mlc::formats
