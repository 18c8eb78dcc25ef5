// SPDX-License-Identifier: Apache-2.0
// The config.json and generation_config.json that a GGUF file's metadata and tensors stand for.
#pragma once

#include "formats/gguf.h"
#include "support/json.h"

namespace mlc::formats {

// Keys in alphabetical order, as Hugging Face writes them. What a file cannot say (the activation,
// for one) has the value that all models of the architecture have. Errors: unknown architectures,
// keys that are missing, of another kind or out of range, keys and tensors that contradict each
// other.
Result<Json> gguf_config(const GgufFile& file);

// bos_token_id, pad_token_id, and as eos_token_id every token that ends a turn: a list if there are
// several.
Result<Json> gguf_generation_config(const GgufFile& file);

}  // namespace mlc::formats
