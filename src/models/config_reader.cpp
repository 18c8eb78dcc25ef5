// SPDX-License-Identifier: Apache-2.0
#include "models/config_reader.h"

#include <cmath>
#include <map>

#include "support/strings.h"
#include "support/throw.h"

namespace mlc::models {

void ConfigReader::fail(std::string_view key, std::string found, std::string expected) const {
  throw UserError(cat("model_config: ", key), std::move(found), std::move(expected));
}

const Json* ConfigReader::find(std::string_view key) const {
  if (const Json* hf = config_.find("hf")) {
    const Json* value = hf->find(key);
    if (value != nullptr && !value->is_null()) return value;
  }
  const Json* value = config_.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

int64_t ConfigReader::size(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) fail(key, "is missing");
  if (!value->is_int()) fail(key, cat("is ", value->kind_name()), "an integer");
  constexpr int64_t kLimit = int64_t{1} << 31;
  if (value->as_int() <= 0 || value->as_int() >= kLimit) {
    fail(key, cat("is ", value->as_int()), "a size from 1 to 2147483647");
  }
  return value->as_int();
}

int64_t ConfigReader::size_or(std::string_view key, int64_t otherwise) const {
  const Json* value = find(key);
  // 0 means "not given" in MLC's fields.
  if (value == nullptr || (value->is_int() && value->as_int() == 0)) return otherwise;
  return size(key);
}

int64_t ConfigReader::integer_or(std::string_view key, int64_t otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_int()) fail(key, cat("is ", value->kind_name()), "an integer");
  return value->as_int();
}

double ConfigReader::number(std::string_view key) const {
  const Json* value = find(key);
  if (value == nullptr) fail(key, "is missing");
  if (!value->is_number()) fail(key, cat("is ", value->kind_name()), "a number");
  if (!std::isfinite(value->as_double())) fail(key, "is not finite");
  return value->as_double();
}

double ConfigReader::number_or(std::string_view key, double otherwise) const {
  return find(key) == nullptr ? otherwise : number(key);
}

bool ConfigReader::boolean_or(std::string_view key, bool otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) fail(key, cat("is ", value->kind_name()), "true or false");
  return value->as_bool();
}

std::string ConfigReader::text_or(std::string_view key, std::string_view otherwise) const {
  const Json* value = find(key);
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string()) fail(key, cat("is ", value->kind_name()), "a string");
  return value->as_string();
}

graph::Op ConfigReader::activation_or(std::string_view key, std::string_view otherwise) const {
  static const std::map<std::string, graph::Op, std::less<>> kActivations = {
      {"silu", graph::Op::kSilu},          {"swish", graph::Op::kSilu},
      {"gelu", graph::Op::kGelu},          {"gelu_new", graph::Op::kGeluTanh},
      {"gelu_fast", graph::Op::kGeluTanh}, {"gelu_pytorch_tanh", graph::Op::kGeluTanh},
      {"relu", graph::Op::kRelu},
  };
  const std::string name = text_or(key, otherwise);
  const auto found = kActivations.find(name);
  if (found == kActivations.end()) {
    std::vector<std::string> names;
    for (const auto& [known, op] : kActivations) names.push_back(known);
    throw UserError(unknown_name_error(ErrorKind::kUser, cat("model_config: ", key), "activation",
                                       name, names));
  }
  return found->second;
}

}  // namespace mlc::models
