// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kLlama3Factors = "rope_freqs.weight";
constexpr std::string_view kLongFactors = "rope_factors_long.weight";
constexpr std::string_view kShortFactors = "rope_factors_short.weight";

// One factor for each rotated pair.
Result<std::vector<double>> read_factors(const GgufFile& file, std::string_view name,
                                         const GgufRope& rope) {
  const GgufTensor* tensor = file.find_tensor(name);
  if (tensor == nullptr) {
    return user_error(file.path(), cat("lacks the tensor ", name), "both sets of longrope factors");
  }
  const std::string where = file.tensor_where(name);
  const int64_t pairs = rope.dimensions / 2;
  if (tensor->type != GgufType::kF32 || tensor->shape != std::vector<int64_t>{pairs}) {
    return user_error(
        where,
        cat("has ", tensor->elements(), " elements of the type ", gguf_type_name(tensor->type)),
        cat(pairs, " of the type F32, half of the rotated dimensions"));
  }
  std::vector<double> factors;
  for (int64_t i = 0; i < pairs; ++i) {
    float factor;
    gguf_dequantize(tensor->type, tensor->data.data(), i, 1, reinterpret_cast<std::byte*>(&factor));
    if (!(factor > 0) || !std::isfinite(factor)) {
      return user_error(where, cat("has the factor ", static_cast<double>(factor)),
                        "finite factors above 0");
    }
    factors.push_back(shortest_double(factor));
  }
  return factors;
}

Json list(const std::vector<double>& values) {
  Json::Array items;
  for (const double value : values) items.emplace_back(value);
  return items;
}

// How far frequency i of Llama 3's scaling goes from "divided by the factor" (0) to "kept" (1).
struct Llama3Scaling {
  static constexpr double kLow = 1;
  static constexpr double kHigh = 4;
  double factor;
  double original_context;

  double divisor(double wavelength) const {
    const double kept =
        std::clamp((original_context / wavelength - kLow) / (kHigh - kLow), 0.0, 1.0);
    return 1 / ((1 - kept) / factor + kept);
  }
};

double wavelength(const GgufRope& rope, size_t pair) {
  return 2 * std::numbers::pi *
         std::pow(rope.theta, 2 * static_cast<double>(pair) / static_cast<double>(rope.dimensions));
}

// Only original_context / low and / high are determined by the factors: low 1 and high 4 are what
// all releases have. Frequencies between kept and divided each tell the original context.
std::optional<Llama3Scaling> recover_llama3(const std::vector<double>& factors,
                                            const GgufRope& rope) {
  const double factor = *std::max_element(factors.begin(), factors.end());
  constexpr double kMargin = 1e-3;  // near the ends the rounding of the factors is too coarse
  std::vector<double> contexts;
  for (size_t i = 0; i < factors.size(); ++i) {
    const double kept = (1 / factors[i] - 1 / factor) / (1 - 1 / factor);
    if (kept <= kMargin || kept >= 1 - kMargin) continue;
    contexts.push_back(wavelength(rope, i) *
                       (kept * (Llama3Scaling::kHigh - Llama3Scaling::kLow) + Llama3Scaling::kLow));
  }
  if (contexts.empty()) return {};
  std::sort(contexts.begin(), contexts.end());
  const size_t middle = contexts.size() / 2;
  const double median =
      contexts.size() % 2 == 1 ? contexts[middle] : (contexts[middle - 1] + contexts[middle]) / 2;
  const Llama3Scaling scaling{factor, std::nearbyint(median)};
  if (!(scaling.original_context >= 1 && scaling.original_context <= INT32_MAX)) return {};
  for (size_t i = 0; i < factors.size(); ++i) {
    const double expected = scaling.divisor(wavelength(rope, i));
    if (std::abs(factors[i] - expected) > 1e-4 * expected) return {};
  }
  return scaling;
}

Result<Json> llama3_scaling(const GgufFile& file, const GgufRope& rope) {
  if (file.find_tensor(kLlama3Factors) == nullptr) return Json();
  MLC_ASSIGN_OR_RETURN(const std::vector<double> factors, read_factors(file, kLlama3Factors, rope));
  if (std::all_of(factors.begin(), factors.end(), [](double factor) { return factor == 1; })) {
    return Json();
  }
  const std::optional<Llama3Scaling> scaling = recover_llama3(factors, rope);
  Json json = Json::object();
  if (scaling.has_value()) {
    json.set("rope_type", "llama3");
    json.set("factor", scaling->factor);
    json.set("high_freq_factor", Llama3Scaling::kHigh);
    json.set("low_freq_factor", Llama3Scaling::kLow);
    json.set("original_max_position_embeddings", static_cast<int64_t>(scaling->original_context));
    return json;
  }
  // Another rule made the factors: longrope with two equal sets divides the same frequencies.
  json.set("rope_type", "longrope");
  json.set("short_factor", list(factors));
  json.set("long_factor", list(factors));
  json.set("attention_factor", 1.0);
  json.set("original_max_position_embeddings", rope.context);
  return json;
}

Result<Json> yarn_scaling(GgufKeyReader& keys, double factor, int64_t original_context) {
  Json json = Json::object();
  json.set("rope_type", "yarn");
  json.set("factor", factor);
  json.set("original_max_position_embeddings", original_context);
  struct Option {
    std::string_view key;
    std::string_view hf;
  };
  for (const Option& option : {Option{"rope.scaling.yarn_beta_fast", "beta_fast"},
                               Option{"rope.scaling.yarn_beta_slow", "beta_slow"},
                               Option{"rope.scaling.yarn_attn_factor", "attention_factor"}}) {
    const std::optional<double> value = keys.find_float(option.key);
    if (value.has_value()) json.set(option.hf, *value);
  }
  const std::optional<double> extrapolation = keys.find_float("rope.scaling.yarn_ext_factor");
  if (extrapolation.value_or(1) != 1) {
    keys.fail("rope.scaling.yarn_ext_factor", cat("is ", *extrapolation),
              "1, which is all that is supported");
  }
  if (!keys.ok()) return keys.error();
  return json;
}

Result<Json> longrope_scaling(const GgufFile& file, GgufKeyReader& keys, const GgufRope& rope,
                              int64_t original_context) {
  MLC_ASSIGN_OR_RETURN(const std::vector<double> short_factors,
                       read_factors(file, kShortFactors, rope));
  MLC_ASSIGN_OR_RETURN(const std::vector<double> long_factors,
                       read_factors(file, kLongFactors, rope));
  Json json = Json::object();
  json.set("rope_type", "longrope");
  json.set("long_factor", list(long_factors));
  json.set("short_factor", list(short_factors));
  json.set("original_max_position_embeddings", original_context);
  // Writers store the factor that follows from the two lengths; only another one needs to be said.
  const double ratio = static_cast<double>(rope.context) / static_cast<double>(original_context);
  const double usual =
      ratio <= 1 ? 1
                 : std::sqrt(1 + std::log(ratio) / std::log(static_cast<double>(original_context)));
  const std::optional<double> stored = keys.find_float("rope.scaling.attn_factor");
  if (!keys.ok()) return keys.error();
  if (stored.has_value() && !(std::abs(*stored - usual) <= 1e-5 * usual)) {
    json.set("attention_factor", *stored);
  }
  return json;
}

}  // namespace

Result<int64_t> gguf_original_context(const GgufFile& file, int64_t context) {
  GgufKeyReader keys(file);
  const std::optional<int64_t> stored = keys.find_size("rope.scaling.original_context_length");
  if (!keys.ok()) return keys.error();
  return stored.value_or(0) > 0 ? *stored : context;
}

Result<Json> gguf_rope_scaling(const GgufFile& file, const GgufRope& rope) {
  GgufKeyReader keys(file);
  const std::optional<std::string_view> type = keys.find_string("rope.scaling.type");
  const std::optional<double> new_factor = keys.find_float("rope.scaling.factor");
  const std::optional<double> old_factor = keys.find_float("rope.scale_linear");
  const std::optional<double> attention_factor = keys.find_float("rope.scaling.attn_factor");
  const double factor = new_factor.value_or(old_factor.value_or(0));
  if (factor < 0) keys.fail("rope.scaling.factor", cat("is ", factor), "a number above 0");
  if (!keys.ok()) return keys.error();
  MLC_ASSIGN_OR_RETURN(const int64_t original_context, gguf_original_context(file, rope.context));
  MLC_ASSIGN_OR_RETURN(const Json llama3, llama3_scaling(file, rope));

  Json scaling;
  const bool has_factor = factor != 0 && factor != 1;  // 0 is absent, 1 scales nothing
  const bool has_longrope_factors =
      file.find_tensor(kLongFactors) != nullptr || file.find_tensor(kShortFactors) != nullptr;
  if (has_longrope_factors || type == "longrope") {
    if (type.value_or("longrope") != "longrope" && type != "none") {
      keys.fail("rope.scaling.type", cat("is ", *type, " and the file has factors for longrope"),
                "longrope");
      return keys.error();
    }
    MLC_ASSIGN_OR_RETURN(scaling, longrope_scaling(file, keys, rope, original_context));
  } else if (type == "yarn") {
    if (factor == 0) {
      keys.fail("rope.scaling.type", "is yarn without rope.scaling.factor", "both");
      return keys.error();
    }
    MLC_ASSIGN_OR_RETURN(scaling, yarn_scaling(keys, factor, original_context));
  } else if (type.value_or("linear") == "linear") {
    if (has_factor) {
      scaling = Json::object();
      scaling.set("rope_type", "linear");
      scaling.set("factor", factor);
    }
  } else if (type != "none") {
    return unknown_name_error(ErrorKind::kUser, file.key_where(keys.full_key("rope.scaling.type")),
                              "type", *type, {"none", "linear", "yarn", "longrope"});
  }
  if (attention_factor.value_or(1) != 1 &&
      (scaling.is_null() || !scaling.contains("long_factor"))) {
    keys.fail("rope.scaling.attn_factor", cat("is ", *attention_factor),
              "1 where the scaling is not longrope");
    return keys.error();
  }
  if (llama3.is_null()) return scaling;
  if (!scaling.is_null()) {
    return user_error(
        file.tensor_where(kLlama3Factors),
        cat("scales the rotary embedding, and so does ", keys.full_key("rope.scaling.type")),
        "one of the two", "this combination is not supported");
  }
  return llama3;
}

}  // namespace mlc::formats
