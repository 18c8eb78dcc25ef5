// SPDX-License-Identifier: Apache-2.0
#include "quantization/quantization.h"

#include <algorithm>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::quantization {
namespace {

constexpr auto kNone = Scheme::kNone;
constexpr auto kGroup = Scheme::kGroup;
constexpr auto kAwq = Scheme::kAwq;
constexpr auto kNK = Layout::kNK;
constexpr auto kKN = Layout::kKN;
constexpr auto kPlain = Treatment::kPlain;
constexpr auto kQuantized = Treatment::kQuantized;

constexpr Quantization kModes[] = {
#define MLC_QUANTIZATION(name, scheme, dtype, bits, group_size, layout, embeddings, head) \
  {name, scheme, DType::dtype, bits, group_size, layout, embeddings, head},
#define MLC_REFUSED_QUANTIZATION(name, reason)
#include "quantization/quantizations.def"
};

struct RefusedMode {
  std::string_view name;
  std::string_view reason;
};
constexpr RefusedMode kRefusedModes[] = {
#define MLC_QUANTIZATION(name, scheme, dtype, bits, group_size, layout, embeddings, head)
#define MLC_REFUSED_QUANTIZATION(name, reason) {name, reason},
#include "quantization/quantizations.def"
};

constexpr int64_t kMaxRouterOutputs = 256;

bool is_head(std::string_view module) {
  return module == "head" || module == "lm_head" || module == "lm_head.linear" ||
         module == "embed_out";
}

Result<std::vector<StoredTensor>> group_tensors(const Quantization& quantization,
                                                const Weight& weight) {
  const int64_t k = weight.shape.back();
  std::vector<int64_t> words(weight.shape.begin(), weight.shape.end() - 1);
  std::vector<int64_t> scales = words;
  words.push_back(quantization.words_per_row(k));
  scales.push_back(quantization.groups_per_row(k));
  if (quantization.linear_layout == kKN) {
    if (weight.kind == WeightKind::kExperts) {
      return user_error(weight.name, cat("belongs to experts, which ", quantization.name, " lacks"),
                        "a mode that stores [out, in], such as q4f16_1");
    }
    if (weight.kind == WeightKind::kLinear) {
      std::reverse(words.begin(), words.end());
      std::reverse(scales.begin(), scales.end());
    }
  }
  const std::string module(module_name(weight.name));
  return std::vector<StoredTensor>{
      {module + ".q_weight", std::move(words), DType::kU32},
      {module + ".q_scale", std::move(scales), quantization.model_dtype}};
}

Result<std::vector<StoredTensor>> awq_tensors(const Quantization& quantization,
                                              const Weight& weight) {
  if (weight.kind == WeightKind::kExperts) {
    return user_error(weight.name, "belongs to experts, which AWQ checkpoints cannot hold here",
                      "a model without experts, or another quantization");
  }
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  const int64_t per_word = quantization.values_per_word();
  if (n % per_word != 0 || k % quantization.group_size != 0) {
    return user_error(weight.name, cat("is a matrix of ", n, " outputs and ", k, " inputs"),
                      cat("outputs divisible by ", per_word, " and inputs by ",
                          quantization.group_size, ", as AWQ needs them"));
  }
  const std::string module(module_name(weight.name));
  const int64_t groups = k / quantization.group_size;
  return std::vector<StoredTensor>{{module + ".qweight", {k, n / per_word}, DType::kU32},
                                   {module + ".qzeros", {groups, n / per_word}, DType::kU32},
                                   {module + ".scales", {groups, n}, quantization.model_dtype}};
}

}  // namespace

Result<const Quantization*> find_quantization(std::string_view name, std::string_view where) {
  for (const Quantization& mode : kModes) {
    if (mode.name == name) return &mode;
  }
  for (const RefusedMode& mode : kRefusedModes) {
    if (mode.name != name) continue;
    return user_error(cat(where, " ", name), std::string(mode.reason),
                      cat("one of ", join(quantization_names(), ", ")),
                      "this program has no such kernels; q4f16_1 suits most devices");
  }
  const ErrorKind kind = where.starts_with("--") ? ErrorKind::kUsage : ErrorKind::kUser;
  Error error = unknown_name_error(kind, cat(where, " ", name), "quantization", "",
                                   quantization_names());
  const std::vector<std::string> near = near_matches(name, quantization_names());
  if (!near.empty()) error.remedy = cat("did you mean ", join(near, " or "), "?");
  return error;
}

std::vector<std::string> quantization_names() {
  std::vector<std::string> names;
  for (const Quantization& mode : kModes) names.emplace_back(mode.name);
  return names;
}

std::string_view module_name(std::string_view parameter) {
  constexpr std::string_view kSuffix = ".weight";
  MLC_CHECK(parameter.ends_with(kSuffix)) << "the parameter " << parameter << " is quantized";
  return parameter.substr(0, parameter.size() - kSuffix.size());
}

bool is_quantized(const Quantization& quantization, const Weight& weight) {
  if (quantization.scheme == kNone || weight.keep_float) return false;
  switch (weight.kind) {
    case WeightKind::kPlain:
      return false;
    case WeightKind::kEmbedding:
      return quantization.embeddings == kQuantized;
    case WeightKind::kExperts:
      return true;
    case WeightKind::kLinear:
      break;
  }
  const std::string_view module = module_name(weight.name);
  if (module.ends_with("gate") && weight.shape[0] <= kMaxRouterOutputs) return false;
  return quantization.head == kQuantized || !is_head(module);
}

Result<std::vector<StoredTensor>> stored_tensors(const Quantization& quantization,
                                                 const Weight& weight) {
  if (!is_quantized(quantization, weight)) {
    return std::vector<StoredTensor>{{weight.name, weight.shape, weight.dtype}};
  }
  MLC_CHECK(weight.shape.size() == (weight.kind == WeightKind::kExperts ? 3u : 2u))
      << weight.name << " has " << weight.shape.size() << " axes";
  return quantization.scheme == kGroup ? group_tensors(quantization, weight)
                                       : awq_tensors(quantization, weight);
}

}  // namespace mlc::quantization
