// SPDX-License-Identifier: Apache-2.0
// For tests only.
#pragma once

#include "quantization/quantization.h"

namespace mlc::quantization {

inline const Quantization& mode(std::string_view name) {
  return **find_quantization(name, "--quantization");
}

}  // namespace mlc::quantization
