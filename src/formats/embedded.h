// SPDX-License-Identifier: Apache-2.0
// Text files of this folder that are compiled into the program (cmake/mlc_embed.cmake), so that it
// needs nothing installed. Parsed by conversation.cpp, model_config_fields.cpp and
// model_presets.cpp only.
#pragma once

#include <span>
#include <string_view>

namespace mlc::formats {

struct EmbeddedFile {
  std::string_view name;  // without folder and extension
  std::string_view text;
};

std::span<const EmbeddedFile> embedded_conversations();
std::span<const EmbeddedFile> embedded_model_config_fields();
std::span<const EmbeddedFile> embedded_model_presets();

}  // namespace mlc::formats
