// SPDX-License-Identifier: Apache-2.0
// mlc-chat-config.json: what a compiled model needs besides its weights. Written by gen_config,
// read by compile, chat and serve. Old files are read too: absent fields get defaults, unknown keys
// are ignored.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "formats/conversation.h"
#include "support/error.h"
#include "support/json.h"

namespace mlc::formats {

inline constexpr std::string_view kChatConfigFile = "mlc-chat-config.json";

// How raw tokens become bytes.
struct TokenizerInfo {
  std::string token_postproc_method = "byte_fallback";  // or "byte_level"
  bool prepend_space_in_encode = false;
  bool strip_space_in_decode = false;

  bool operator==(const TokenizerInfo&) const = default;
  // From a tokenizer.json: its decoder and normalizer.
  static TokenizerInfo detect(const Json& tokenizer);
  Json to_json() const;
};

struct ChatConfig {
  std::string version = "0.1.0";
  std::string model_type;
  std::string quantization;
  Json model_config =
      Json::object();  // the architecture's fields (model_config_fields.h), then `hf`
  int64_t vocab_size = 0;
  int64_t context_window_size = -1;  // -1: no limit
  int64_t sliding_window_size = -1;  // -1: no window
  int64_t prefill_chunk_size = -1;
  int64_t attention_sink_size = -1;
  int64_t tensor_parallel_shards = 1;
  int64_t pipeline_parallel_stages = 1;
  int64_t active_vocab_size = 0;  // distinct tokens of the tokenizer
  // These five are numbers; the kind is kept (1 stays 1).
  Json temperature = 1.0;
  Json presence_penalty = 0.0;
  Json frequency_penalty = 0.0;
  Json repetition_penalty = 1.0;
  Json top_p = 1.0;
  std::vector<std::string> tokenizer_files;
  TokenizerInfo tokenizer_info;
  Conversation conv_template;
  // Book-keeping: answers end by the template's stop lists. Integers; eos may be a list of them.
  Json pad_token_id = 0;
  Json bos_token_id = 1;
  Json eos_token_id = 2;
  std::string model_task = "chat";  // or "embedding"
  Json embedding_metadata;          // null or an object

  // Errors begin with `where`, the file, and name the key.
  static Result<ChatConfig> from_json(const Json& object, std::string_view where);
  Json to_json() const;
  // The file's contents: two-space indent, non-ASCII escaped, no final newline.
  std::string to_text() const;
};

// `path` is the file or its folder.
Result<ChatConfig> read_chat_config(const std::string& path);

}  // namespace mlc::formats
