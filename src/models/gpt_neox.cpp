// SPDX-License-Identifier: Apache-2.0
// gpt_neox: Pythia, RedPajama-INCITE, Dolly. LayerNorms with bias, rotary positions on a part of
// each head, attention and MLP side by side on the same input (or one after the other). The MLP's
// biases are stored as float32.
#include <cmath>

#include "models/decoder.h"
#include "support/strings.h"

namespace mlc::models {

using graph::Attr;
using graph::NodeId;
using graph::Op;

namespace {

// Hugging Face has q, k and v head by head; ours are all q, all k, all v.
WeightRule regroup(const std::string& parameter, const std::string& source, int64_t heads,
                   int64_t head_dim) {
  WeightRule rule{.parameter = parameter, .sources = {source}};
  for (int64_t part = 0; part < 3; ++part) {
    for (int64_t head = 0; head < heads; ++head) {
      rule.rows.push_back({.source = 0, .begin = (head * 3 + part) * head_dim, .count = head_dim});
    }
  }
  return rule;
}

}  // namespace

Model build_gpt_neox(const Json& model_config, const ModelOptions& options) {
  const ConfigReader config(model_config);
  const int64_t hidden = config.size("hidden_size");
  const int64_t inner = config.size("intermediate_size");
  const int64_t num_layers = config.size("num_hidden_layers");
  const int64_t heads = config.size("num_attention_heads");
  const int64_t vocab = config.size("vocab_size");
  const double eps = config.number_or("layer_norm_eps", 1e-5);
  if (num_layers > 10000) config.fail("num_hidden_layers", cat("is ", num_layers), "at most 10000");
  if (hidden % heads != 0)
    config.fail("hidden_size", cat("is ", hidden),
                cat("a multiple of num_attention_heads, ", heads));
  const int64_t head_dim = hidden / heads;
  const bool parallel = config.boolean_or("use_parallel_residual", true);
  const bool bias = config.boolean_or("attention_bias", true);
  const graph::Op activation = config.activation_or("hidden_act", "gelu");
  // The rotated part and the base: new configs nest both.
  double part = config.number_or("rotary_pct", 0.25);
  if (const Json* nested = config.find("rope_parameters");
      nested != nullptr && nested->is_object()) {
    if (const Json* factor = nested->find("partial_rotary_factor");
        factor != nullptr && factor->is_number())
      part = factor->as_double();
  }
  if (part < 0 || part > 1) config.fail("rotary_pct", cat("is ", part), "from 0 to 1");
  const Rope rope = read_rope(config, static_cast<int64_t>(static_cast<double>(head_dim) * part),
                              "rotary_emb_base", 10000);
  if (rope.rotary_dim > head_dim)
    config.fail("hidden_size", cat("makes heads of ", head_dim),
                "an even number: rotary positions turn pairs");
  // What MLC stores as float32 beside 16-bit weights.
  const bool float_biases = config.text_or("ffn_out_dtype", "float32") == "float32";
  const DType mlp_bias = float_biases ? DType::kF32 : options.dtype;

  ModelBuilder m(options);
  graph::GraphBuilder& b = m.graph();
  const GraphInputs in(b);
  const bool rotates = rope.rotary_dim > 0;
  const NodeId table = rotates ? add_rope_table(b, rope, in.positions, in.lengths) : -1;
  const NodeId embedding =
      m.parameter("gpt_neox.embed_in.weight", {vocab, hidden}, {"gpt_neox.embed_in.weight"},
                  graph::ParameterKind::kEmbedding);
  const NodeId embedded = b.add_node(Op::kEmbedding, {in.tokens, embedding});
  NodeId x = embedded;
  for (int64_t i = 0; i < num_layers; ++i) {
    const std::string prefix = cat("gpt_neox.layers.", i, ".");
    const std::string qkv_name = prefix + "attention.query_key_value";
    NodeId n = m.layer_norm(x, prefix + "input_layernorm", eps);
    const NodeId w =
        m.parameter(regroup(qkv_name + ".weight", qkv_name + ".weight", heads, head_dim),
                    {3 * hidden, hidden}, graph::ParameterKind::kLinear, options.dtype);
    NodeId qkv = b.add_node(Op::kMatmul, {n, w});
    if (bias) {
      qkv = m.add(qkv, m.parameter(regroup(qkv_name + ".bias", qkv_name + ".bias", heads, head_dim),
                                   {3 * hidden}, graph::ParameterKind::kPlain, options.dtype));
    }
    if (rotates) {
      qkv = b.add_node(Op::kRope, {qkv, table},
                       {{Attr::kHeads, 2 * heads},
                        {Attr::kHeadDim, head_dim},
                        {Attr::kRotaryDim, rope.rotary_dim},
                        {Attr::kStyle, std::string("half")}});
    }
    const graph::Attrs shape = {{Attr::kLayer, i},
                                {Attr::kHeads, heads},
                                {Attr::kKvHeads, heads},
                                {Attr::kHeadDim, head_dim}};
    graph::Attrs attention = shape;
    attention.set(Attr::kScaleFactor, 1 / std::sqrt(static_cast<double>(head_dim)));
    const NodeId attended =
        b.add_node(Op::kAttention, {b.add_node(Op::kKvAppend, {qkv}, shape)}, attention);
    const NodeId dense =
        m.linear(attended, prefix + "attention.dense", hidden, {prefix + "attention.dense"}, bias);
    const auto mlp = [&](NodeId input) {
      const auto linear = [&](NodeId value, const std::string& name, int64_t out) {
        const NodeId weight = m.parameter(name + ".weight", {out, b.type(value).last()},
                                          {name + ".weight"}, graph::ParameterKind::kLinear);
        const NodeId offset =
            m.parameter(WeightRule{.parameter = name + ".bias", .sources = {name + ".bias"}}, {out},
                        graph::ParameterKind::kPlain, mlp_bias);
        return m.add(b.add_node(Op::kMatmul, {value, weight}), offset);
      };
      const NodeId h = b.add_node(
          activation, {linear(m.layer_norm(input, prefix + "post_attention_layernorm", eps),
                              prefix + "mlp.dense_h_to_4h", inner)});
      return linear(h, prefix + "mlp.dense_4h_to_h", hidden);
    };
    if (parallel) {
      x = m.add(m.add(mlp(x), dense), x);
    } else {
      x = m.add(dense, x);
      x = m.add(mlp(x), x);
    }
    for (const char* name : {"rotary_emb.inv_freq", "bias", "masked_bias"})
      m.unused(prefix + "attention." + name);
  }
  x = b.add_node(Op::kGatherRows, {x, in.logit_rows});
  const NodeId last_hidden = m.layer_norm(x, "gpt_neox.final_layer_norm", eps);
  x = m.layer_norm(x, "gpt_neox.final_layer_norm", eps);
  const NodeId logits = config.boolean_or("tie_word_embeddings", false)
                            ? b.add_node(Op::kMatmul, {x, embedding})
                            : m.linear(x, "embed_out", vocab, {"embed_out"}, false);
  const std::vector<Visibility> layers(static_cast<size_t>(num_layers));
  return m.finish(logits, last_hidden, embedded,
                  cache_groups(layers, heads, head_dim, options.kv_dtype));
}

}  // namespace mlc::models
