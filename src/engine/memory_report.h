// SPDX-License-Identifier: Apache-2.0
// What a library needs: the sizes behind `model_metadata --memory-only` and behind decode's share
// of the memory bandwidth.
#pragma once

#include "formats/plan.h"
#include "support/json.h"

namespace mlc::engine {

// Bytes of weights that a step of `tokens` tokens reads. An embedding table counts only if it is
// also a matrix of the model's: a step reads a row of it for each token.
int64_t weight_bytes_read(const formats::Plan& plan, int64_t tokens);

// {"parameter_bytes", "temporary_buffer_bytes": {function: bytes}, "kv_cache_bytes_per_token"}.
// `metadata` is the library's, `where` its path. Errors: a key is missing or of another kind.
Result<Json> memory_report(const Json& metadata, std::string_view where);

}  // namespace mlc::engine
