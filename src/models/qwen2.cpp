// SPDX-License-Identifier: Apache-2.0
// qwen2 (Qwen 1.5, 2, 2.5, QwQ, R1-distill): llama with biases on q, k and v, and windows on some
// layers.
#include "models/decoder.h"
#include "support/strings.h"

namespace mlc::models {
namespace {

// A layer is windowed by its layer_types entry, or from max_window_layers on.
std::vector<Visibility> read_windows(const ConfigReader& config, int64_t num_layers) {
  if (!config.boolean_or("use_sliding_window", false) || config.find("sliding_window") == nullptr)
    return {};
  const int64_t window = config.size("sliding_window");
  const Json* types = config.find("layer_types");
  if (types != nullptr &&
      (!types->is_array() || static_cast<int64_t>(types->as_array().size()) != num_layers)) {
    config.fail("layer_types", "is no list of the right length",
                cat("a list of ", num_layers, " entries"));
  }
  const int64_t first = config.integer_or("max_window_layers", 28);
  std::vector<Visibility> layers;
  for (int64_t i = 0; i < num_layers; ++i) {
    bool windowed = i >= first;
    if (types != nullptr) {
      const Json& type = types->as_array()[static_cast<size_t>(i)];
      windowed = type.is_string() && type.as_string() == "sliding_attention";
    }
    layers.push_back({windowed ? window : 0, 0});
  }
  return layers;
}

}  // namespace

Model build_qwen2(const Json& model_config, const ModelOptions& options) {
  const ConfigReader config(model_config);
  DecoderConfig c = read_decoder_config(config);
  c.activation = config.activation_or("hidden_act", "silu");
  c.tie_word_embeddings = config.boolean_or("tie_word_embeddings", false);
  c.qkv_bias = true;
  c.qkv_name = "self_attn.c_attn";
  c.rope = read_rope(config, c.head_dim, "rope_theta", 10000);
  c.layers = read_windows(config, c.num_layers);
  return build_decoder(c, options);
}

}  // namespace mlc::models
