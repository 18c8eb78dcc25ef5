// SPDX-License-Identifier: Apache-2.0
// The scaling of the rotary embedding, as a config.json has it, from the keys and tensors of a GGUF
// file.
#pragma once

#include "formats/gguf_architecture.h"
#include "support/json.h"

namespace mlc::formats {

struct GgufRope {
  int64_t dimensions;  // that are rotated
  double theta;        // base of the frequencies
  int64_t context;     // max_position_embeddings
};

// "rope_scaling", null if there is none. Errors: factors or types that cannot be, and two scalings
// at once. The scaling of Llama 3 is recovered from the factors that GGUF keeps in its place.
Result<Json> gguf_rope_scaling(const GgufFile& file, const GgufRope& rope);

// The length for which a model with longrope was trained first.
Result<int64_t> gguf_original_context(const GgufFile& file, int64_t context);

}  // namespace mlc::formats
