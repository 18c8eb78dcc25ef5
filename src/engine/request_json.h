// SPDX-License-Identifier: Apache-2.0
// Requests as JSON: for the C interface and whatever else takes requests from outside. Names and
// meaning are those of OpenAI's interface (spec: rest_api.md sections 2, 3 and 8) and a few more;
// include/mlc_llm/mlc_llm.h lists them.
#pragma once

#include "engine/request.h"
#include "formats/chat_config.h"
#include "support/json.h"
#include "tokenizers/tokenizer.h"

namespace mlc::engine {

// What a request asks for that says nothing of it.
SamplingOptions default_sampling(const formats::ChatConfig& config);

// Errors name the member: one that there is not, that is of another kind, or that is not
// implemented. Ranges and the sources of a response_format are checked by Engine::add().
Result<Request> request_from_json(const Json& object, const formats::ChatConfig& config,
                                  const tokenizers::Tokenizer& tokenizer);

}  // namespace mlc::engine
