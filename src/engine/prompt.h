// SPDX-License-Identifier: Apache-2.0
// A conversation as token ids, and where its answer ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/conversation.h"
#include "tokenizers/tokenizer.h"

namespace mlc::engine {

// The template's system_prefix_token_ids, then the rendered prompt's ids: special tokens that it
// spells are recognised, no bos is added (spec: chat_config.md section 4). Errors: a role that the
// template lacks, images, no tokens at all.
Result<std::vector<int32_t>> prompt_ids(const formats::Conversation& conversation,
                                        const tokenizers::Tokenizer& tokenizer,
                                        const formats::PromptInput& input);

struct StopLists {
  std::vector<std::string> strings;
  std::vector<int32_t> token_ids;
};
StopLists stop_lists(const formats::Conversation& conversation);

}  // namespace mlc::engine
