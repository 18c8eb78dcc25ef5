// SPDX-License-Identifier: Apache-2.0
// mistral: llama with a sliding window on all layers. MLC's sinks (attention_sink_size) are
// honoured as written; Hugging Face has none.
#include "models/decoder.h"
#include "support/strings.h"

namespace mlc::models {

Model build_mistral(const Json& model_config, const ModelOptions& options) {
  const ConfigReader config(model_config);
  DecoderConfig c = read_decoder_config(config);
  c.activation = config.activation_or("hidden_act", "silu");
  c.tie_word_embeddings = config.boolean_or("tie_word_embeddings", false);
  c.rope = read_rope(config, c.head_dim, "position_embedding_base", 10000);
  const int64_t window = config.integer_or("sliding_window_size", -1);
  if (window > 0) {
    const int64_t sink = config.integer_or("attention_sink_size", 0);
    if (sink < 0 || sink >= window) {
      config.fail("attention_sink_size", cat("is ", sink),
                  cat("from 0 to below sliding_window_size, ", window));
    }
    c.layers.assign(static_cast<size_t>(c.num_layers), {window, sink});
  }
  return build_decoder(c, options);
}

}  // namespace mlc::models
