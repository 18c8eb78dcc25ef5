// SPDX-License-Identifier: Apache-2.0
#include "engine/prompt.h"

#include "support/strings.h"

namespace mlc::engine {
namespace {

bool is_token_id(int64_t id) { return id >= 0 && id <= INT32_MAX; }

}  // namespace

Result<std::vector<int32_t>> prompt_ids(const formats::Conversation& conversation,
                                        const tokenizers::Tokenizer& tokenizer,
                                        const formats::PromptInput& input) {
  MLC_ASSIGN_OR_RETURN(const std::string text, formats::render_prompt(conversation, input));
  std::vector<int32_t> ids;
  if (conversation.system_prefix_token_ids) {
    for (const int64_t id : *conversation.system_prefix_token_ids) {
      if (!is_token_id(id))
        return user_error("conv_template: system_prefix_token_ids", cat("hold ", id), "token ids");
      ids.push_back(static_cast<int32_t>(id));
    }
  }
  const std::vector<int32_t> rest = tokenizer.encode(text);
  ids.insert(ids.end(), rest.begin(), rest.end());
  if (ids.empty()) return user_error("prompt", "is empty", "at least one token", "write a message");
  return ids;
}

StopLists stop_lists(const formats::Conversation& conversation) {
  StopLists lists;
  lists.strings = conversation.stop_str;
  for (const int64_t id : conversation.stop_token_ids) {
    if (is_token_id(id))
      lists.token_ids.push_back(static_cast<int32_t>(id));  // no other id can come
  }
  return lists;
}

}  // namespace mlc::engine
