// SPDX-License-Identifier: Apache-2.0
// For tests only: ids of a fixture, and the text of ids that come one by one.
#pragma once

#include <string>
#include <vector>

#include "support/json.h"
#include "tokenizers/tokenizer.h"

namespace mlc::tokenizers {

inline std::vector<int32_t> ids_of(const Json& json) {
  std::vector<int32_t> ids;
  for (const Json& id : json.as_array()) ids.push_back(static_cast<int32_t>(id.as_int()));
  return ids;
}

inline std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids,
                            DecodeOptions options = {}) {
  StreamDecoder decoder(tokenizer, options);
  std::string text;
  for (const int32_t id : ids) text += decoder.put(id);
  return text + decoder.finish();
}

}  // namespace mlc::tokenizers
