// SPDX-License-Identifier: Apache-2.0
// Any bytes as mlc-chat-config.json: read, written, read again, and a prompt rendered.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "formats/chat_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = mlc::parse_json({reinterpret_cast<const char*>(data), size}, "fuzz");
  if (!json.ok()) return 0;
  const auto config = mlc::formats::ChatConfig::from_json(*json, "fuzz");
  if (!config.ok()) return 0;
  const auto again = mlc::formats::ChatConfig::from_json(config->to_json(), "fuzz");
  if (!again.ok() || again->to_text() != config->to_text()) __builtin_trap();
  const auto prompt = mlc::formats::render_prompt(config->conv_template, {{}, {}, {{"user", {}}}});
  if (prompt.ok() && config->conv_template.roles.empty()) __builtin_trap();
  return 0;
}
