// SPDX-License-Identifier: Apache-2.0
// llama: Llama 1, 2, 3 and what is built like them (TinyLlama, SmolLM, ...).
#include "models/decoder.h"

namespace mlc::models {

Model build_llama(const Json& model_config, const ModelOptions& options) {
  const ConfigReader config(model_config);
  DecoderConfig c = read_decoder_config(config);
  c.activation = config.activation_or("hidden_act", "silu");
  c.tie_word_embeddings = config.boolean_or("tie_word_embeddings", false);
  c.qkv_bias = c.output_bias = config.boolean_or("attention_bias", false);
  c.mlp_bias = config.boolean_or("mlp_bias", false);
  c.rope = read_rope(config, c.head_dim, "position_embedding_base", 10000);
  return build_decoder(c, options);
}

}  // namespace mlc::models
