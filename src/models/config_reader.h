// SPDX-License-Identifier: Apache-2.0
// Reads keys of a model_config: from its object `hf` first, which holds what the fields lose, then
// from the fields.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "graph/graph.h"
#include "support/json.h"

namespace mlc::models {

class ConfigReader {
 public:
  explicit ConfigReader(const Json& model_config) : config_(model_config) {}

  // The value, or null where the key is absent or null.
  const Json* find(std::string_view key) const;
  // Sizes: positive and below 2^31; throws UserError otherwise.
  int64_t size(std::string_view key) const;
  int64_t size_or(std::string_view key, int64_t otherwise) const;
  int64_t integer_or(std::string_view key, int64_t otherwise) const;
  double number(std::string_view key) const;
  double number_or(std::string_view key, double otherwise) const;
  bool boolean_or(std::string_view key, bool otherwise) const;
  std::string text_or(std::string_view key, std::string_view otherwise) const;
  // An activation by its Hugging Face name.
  graph::Op activation_or(std::string_view key, std::string_view otherwise) const;

  [[noreturn]] void fail(std::string_view key, std::string found, std::string expected = {}) const;

 private:
  const Json& config_;
};

}  // namespace mlc::models
