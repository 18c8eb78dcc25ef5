// SPDX-License-Identifier: Apache-2.0
// The weights of a GGUF file in the form of a Hugging Face checkpoint: names, order of rows and
// heads, one tensor for each expert, q, k and v joined or apart as the architecture has them.
#pragma once

#include <memory>
#include <string>

#include "formats/checkpoint.h"
#include "formats/gguf.h"

namespace mlc::formats {

// Tensors in ascending byte order of their names. float16 and bfloat16 stay what they are;
// quantized tensors and float32 are read as float32, and so are tensors that are joined from
// different types and the norms of the gemma family, whose 1 is taken off. Rows are dequantized
// when they are read.
//
// Errors: an architecture or a tensor that is not known (it would change the model); tensors of
// layers beyond the model's; tensors whose dimensions do not fit their meaning or the number of
// heads or experts.
Result<std::unique_ptr<Checkpoint>> make_gguf_checkpoint(GgufFile file);

// Opens a file, or a split model by any of its parts.
Result<std::unique_ptr<Checkpoint>> open_gguf_checkpoint(const std::string& path);

}  // namespace mlc::formats
