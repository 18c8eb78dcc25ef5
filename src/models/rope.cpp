// SPDX-License-Identifier: Apache-2.0
// Formulas as in transformers' modeling_rope_utils (checked against its logits).
#include "models/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "support/strings.h"
#include "support/throw.h"

namespace mlc::models {
namespace {

constexpr double kPi = std::numbers::pi;

// The scaling object: keys of its own, each perhaps absent or null.
class Scaling {
 public:
  Scaling(const ConfigReader& config, const Json* object) : config_(config), object_(object) {}

  std::string kind() const {
    for (const char* key : {"rope_type", "type"}) {
      const Json* value = find(key);
      if (value == nullptr) continue;
      if (!value->is_string())
        config_.fail(cat("rope_scaling.", key), cat("is ", value->kind_name()), "a string");
      return value->as_string();
    }
    return "default";
  }
  const Json* find(std::string_view key) const {
    const Json* value = object_ == nullptr ? nullptr : object_->find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  double number_or(std::string_view key, double otherwise) const {
    const Json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!value->is_number() || !std::isfinite(value->as_double())) {
      config_.fail(cat("rope_scaling.", key), cat("is ", value->kind_name()), "a number");
    }
    return value->as_double();
  }
  double positive(std::string_view key) const {
    if (find(key) == nullptr) config_.fail(cat("rope_scaling.", key), "is missing");
    const double value = number_or(key, 0);
    if (value <= 0) config_.fail(cat("rope_scaling.", key), cat("is ", value), "a positive number");
    return value;
  }
  bool flag_or(std::string_view key, bool otherwise) const {
    const Json* value = find(key);
    return value == nullptr || !value->is_bool() ? otherwise : value->as_bool();
  }
  std::vector<double> factors(std::string_view key, size_t count) const {
    const Json* value = find(key);
    if (value == nullptr || !value->is_array() || value->as_array().size() != count) {
      config_.fail(cat("rope_scaling.", key), "is no list of the right length",
                   cat(count, " numbers"));
    }
    std::vector<double> list;
    for (const Json& item : value->as_array()) {
      if (!item.is_number() || item.as_double() <= 0)
        config_.fail(cat("rope_scaling.", key), "has an entry that is no positive number");
      list.push_back(item.as_double());
    }
    return list;
  }
  // The length before scaling: the top-level key wins, then the object's, then the model's.
  double original_length(int64_t max_positions) const {
    const int64_t top = config_.integer_or("original_max_position_embeddings", 0);
    if (top > 0) return static_cast<double>(top);
    return number_or("original_max_position_embeddings", static_cast<double>(max_positions));
  }

 private:
  const ConfigReader& config_;
  const Json* object_;
};

double yarn_mscale(double scale, double m) {
  return scale <= 1 ? 1.0 : 0.1 * m * std::log(scale) + 1.0;
}

void apply_llama3(Rope& rope, const Scaling& scaling, double original) {
  const double factor = scaling.positive("factor");
  const double low = scaling.number_or("low_freq_factor", 1);
  const double high = scaling.number_or("high_freq_factor", 4);
  for (double& frequency : rope.frequencies) {
    const double wavelength = 2 * kPi / frequency;
    if (wavelength < original / high) continue;
    if (wavelength > original / low) {
      frequency /= factor;
    } else {
      const double smooth = (original / wavelength - low) / (high - low);
      frequency *= (1 - smooth) / factor + smooth;
    }
  }
}

void apply_yarn(Rope& rope, const Scaling& scaling, double original, double base, int64_t dims) {
  const double factor = scaling.positive("factor");
  const auto d = static_cast<double>(dims);
  const auto correction = [&](double rotations) {
    return d * std::log(original / (rotations * 2 * kPi)) / (2 * std::log(base));
  };
  double low = correction(scaling.number_or("beta_fast", 32));
  double high = correction(scaling.number_or("beta_slow", 1));
  if (scaling.flag_or("truncate", true)) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, d - 1);
  if (low == high) high += 0.001;
  for (size_t i = 0; i < rope.frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    rope.frequencies[i] = rope.frequencies[i] / factor * ramp + rope.frequencies[i] * (1 - ramp);
  }
  const double mscale = scaling.number_or("mscale", 0);
  const double mscale_all = scaling.number_or("mscale_all_dim", 0);
  if (scaling.find("attention_factor") != nullptr) {
    rope.multiplier = scaling.number_or("attention_factor", 1);
  } else if (mscale != 0 && mscale_all != 0) {
    rope.multiplier = yarn_mscale(factor, mscale) / yarn_mscale(factor, mscale_all);
  } else {
    rope.multiplier = yarn_mscale(factor, 1);
  }
}

void apply_longrope(Rope& rope, const Scaling& scaling, double original, int64_t max_positions) {
  const std::vector<double> near = scaling.factors("short_factor", rope.frequencies.size());
  const std::vector<double> far = scaling.factors("long_factor", rope.frequencies.size());
  rope.long_frequencies = rope.frequencies;
  for (size_t i = 0; i < near.size(); ++i) {
    rope.frequencies[i] /= near[i];
    rope.long_frequencies[i] /= far[i];
  }
  rope.switch_length = static_cast<int64_t>(original);
  const double scale = scaling.number_or("factor", static_cast<double>(max_positions) / original);
  rope.multiplier = scaling.number_or(
      "attention_factor", scale <= 1 ? 1.0 : std::sqrt(1 + std::log(scale) / std::log(original)));
}

}  // namespace

Rope read_rope(const ConfigReader& config, int64_t dims, std::string_view base_key,
               double default_base) {
  const Json* object = config.find("rope_scaling");
  if (object == nullptr) object = config.find("rope_parameters");
  if (object != nullptr && !object->is_object())
    config.fail("rope_scaling", cat("is ", object->kind_name()), "an object");
  const Scaling scaling(config, object);
  double base = config.number_or(base_key, default_base);
  base = scaling.number_or("rope_theta", base);
  if (base <= 0) config.fail(base_key, cat("is ", base), "a positive number");
  Rope rope;
  rope.rotary_dim = (dims + 1) / 2 * 2;
  for (int64_t i = 0; i < rope.rotary_dim / 2; ++i) {
    rope.frequencies.push_back(
        std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(dims)));
  }
  const std::string kind = scaling.kind();
  if (kind == "default") return rope;
  const int64_t max_positions =
      config.size_or("max_position_embeddings", config.size_or("context_window_size", 2048));
  const double original = scaling.original_length(max_positions);
  if (original <= 0)
    config.fail("rope_scaling.original_max_position_embeddings", cat("is ", original),
                "a positive number");
  if (kind == "linear") {
    for (double& frequency : rope.frequencies) frequency /= scaling.positive("factor");
  } else if (kind == "dynamic") {
    rope.ntk_factor = scaling.positive("factor");
    rope.switch_length = max_positions;
  } else if (kind == "llama3") {
    apply_llama3(rope, scaling, original);
  } else if (kind == "yarn") {
    apply_yarn(rope, scaling, original, base, dims);
  } else if (kind == "longrope" || kind == "su") {
    apply_longrope(rope, scaling, original, max_positions);
  } else {
    throw UserError(
        unknown_name_error(ErrorKind::kUser, "model_config: rope_scaling", "rope type", kind,
                           {"default", "linear", "dynamic", "llama3", "yarn", "longrope"}));
  }
  return rope;
}

graph::NodeId add_rope_table(graph::GraphBuilder& b, const Rope& rope, graph::NodeId positions,
                             graph::NodeId lengths) {
  std::vector<graph::NodeId> operands = {positions, lengths, b.constant(rope.frequencies)};
  graph::Attrs attrs;
  if (rope.multiplier != 1) attrs.set(graph::Attr::kMultiplier, rope.multiplier);
  if (rope.switch_length > 0) attrs.set(graph::Attr::kSwitchLength, rope.switch_length);
  if (rope.ntk_factor > 0) attrs.set(graph::Attr::kNtkFactor, rope.ntk_factor);
  if (!rope.long_frequencies.empty()) operands.push_back(b.constant(rope.long_frequencies));
  return b.add_node(graph::Op::kRopeTable, std::move(operands), std::move(attrs));
}

}  // namespace mlc::models
