// SPDX-License-Identifier: Apache-2.0
// The names of quantization modes, as --quantization takes them and files record them.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlc::formats {

// All accepted spellings, in the order of --help.
const std::vector<std::string>& quantization_names();

// The spelling that files record ("q4f16_autoawq" for "q4f16_awq"), or nothing for an unknown name.
std::optional<std::string> canonical_quantization(std::string_view name);

}  // namespace mlc::formats
