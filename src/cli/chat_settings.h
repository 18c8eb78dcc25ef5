// SPDX-License-Identifier: Apache-2.0
// What a chat asks for besides its messages: from the model's config, then the command line, then
// /set.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/sampler.h"
#include "formats/chat_config.h"

namespace mlc::cli {

struct ChatSettings {
  engine::SamplingOptions sampling;  // its seed is not used
  std::optional<uint64_t> seed;      // absent: another one for each answer
  int64_t max_tokens = -1;
  std::vector<std::string> stop;  // besides the template's

  static ChatSettings of(const formats::ChatConfig& config);
  // "key=value;key=value" of temperature, top_p, top_k, min_p, repetition_penalty,
  // presence_penalty, frequency_penalty, max_tokens, seed (random: another one for each answer),
  // stop (strings separated by commas). Throws UserError; then nothing changed. `vocab_size` as in
  // check_sampling_options.
  void set(std::string_view assignments, int64_t vocab_size);
  std::string to_text() const;
};

}  // namespace mlc::cli
