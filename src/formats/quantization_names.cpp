// SPDX-License-Identifier: Apache-2.0
#include "formats/quantization_names.h"

#include <algorithm>

namespace mlc::formats {

const std::vector<std::string>& quantization_names() {
  static const std::vector<std::string> names = {
      "q0f16",
      "q0bf16",
      "q0f32",
      "q3f16_0",
      "q3f16_1",
      "q4f16_0",
      "q4f16_1",
      "q4bf16_0",
      "q4bf16_1",
      "q4f32_1",
      "q4f16_2",
      "q4f16_autoawq",
      "q4f16_awq",
      "q4f16_ft",
      "e5m2_e5m2_f16",
      "e4m3_e4m3_f16",
      "e4m3_e4m3_f16_max_calibrate",
      "fp8_e4m3fn_bf16_block_scale",
      "fp8_e4m3fn_bf16_block_scale_static_activation",
  };
  return names;
}

std::optional<std::string> canonical_quantization(std::string_view name) {
  if (name == "q4f16_awq") return "q4f16_autoawq";
  const std::vector<std::string>& names = quantization_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) return {};
  return std::string(name);
}

}  // namespace mlc::formats
