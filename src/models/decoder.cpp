// SPDX-License-Identifier: Apache-2.0
#include "models/decoder.h"

#include <algorithm>
#include <cmath>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::models {

using graph::Attr;
using graph::NodeId;
using graph::Op;

GraphInputs::GraphInputs(graph::GraphBuilder& b) {
  tokens = b.input("tokens", DType::kI32, {graph::Symbol::kNumTokens});
  positions = b.input("positions", DType::kI32, {graph::Symbol::kNumTokens});
  lengths = b.input("lengths", DType::kI32, {graph::Symbol::kNumTokens});
  logit_rows = b.input("logit_rows", DType::kI32, {graph::Symbol::kNumLogits});
}

std::vector<graph::CacheGroup> cache_groups(const std::vector<Visibility>& layers, int64_t kv_heads,
                                            int64_t head_dim, DType dtype) {
  std::vector<graph::CacheGroup> groups;
  for (size_t i = 0; i < layers.size(); ++i) {
    const Visibility& v = layers[i];
    auto found = std::find_if(groups.begin(), groups.end(), [&](const graph::CacheGroup& g) {
      return g.window == v.window && g.sink == v.sink;
    });
    if (found == groups.end()) {
      graph::CacheGroup group;
      group.kind = v.window > 0 ? graph::CacheGroup::Kind::kWindow : graph::CacheGroup::Kind::kFull;
      group.window = v.window;
      group.sink = v.sink;
      group.kv_heads = kv_heads;
      group.head_dim = head_dim;
      group.dtype = dtype;
      found = groups.insert(groups.end(), group);
    }
    found->layers.push_back(static_cast<int64_t>(i));
  }
  return groups;
}

NodeId ModelBuilder::parameter(WeightRule rule, std::vector<int64_t> shape,
                               graph::ParameterKind kind, DType dtype) {
  const std::string name = rule.parameter;
  const bool known = std::any_of(rules_.begin(), rules_.end(),
                                 [&](const WeightRule& r) { return r.parameter == name; });
  if (!known) rules_.push_back(std::move(rule));
  return graph_.parameter(name, dtype, std::move(shape), kind);
}

NodeId ModelBuilder::parameter(const std::string& name, std::vector<int64_t> shape,
                               std::vector<std::string> sources, graph::ParameterKind kind) {
  return parameter(WeightRule{.parameter = name, .sources = std::move(sources)}, std::move(shape),
                   kind, options_.dtype);
}

NodeId ModelBuilder::linear(NodeId x, const std::string& name, int64_t out,
                            const std::vector<std::string>& sources, bool bias) {
  const auto with_suffix = [&](const char* suffix) {
    std::vector<std::string> names;
    for (const std::string& source : sources) names.push_back(source + suffix);
    return names;
  };
  const NodeId w = parameter(name + ".weight", {out, graph_.type(x).last()}, with_suffix(".weight"),
                             graph::ParameterKind::kLinear);
  NodeId y = graph_.add_node(Op::kMatmul, {x, w});
  if (bias) y = add(y, parameter(name + ".bias", {out}, with_suffix(".bias")));
  return y;
}

NodeId ModelBuilder::rms_norm(NodeId x, const std::string& name, double eps) {
  const NodeId w = parameter(name + ".weight", {graph_.type(x).last()}, {name + ".weight"});
  return graph_.add_node(Op::kRmsNorm, {x, w}, {{Attr::kEps, eps}});
}

NodeId ModelBuilder::layer_norm(NodeId x, const std::string& name, double eps) {
  const NodeId w = parameter(name + ".weight", {graph_.type(x).last()}, {name + ".weight"});
  const NodeId b = parameter(name + ".bias", {graph_.type(x).last()}, {name + ".bias"});
  return graph_.add_node(Op::kLayerNorm, {x, w, b}, {{Attr::kEps, eps}});
}

Model ModelBuilder::finish(NodeId logits, NodeId hidden, NodeId embeddings,
                           std::vector<graph::CacheGroup> cache) {
  return {graph_.finish(
              logits, std::move(cache),
              {{formats::Output::kHidden, hidden}, {formats::Output::kEmbeddings, embeddings}}),
          std::move(rules_), std::move(unused_)};
}

DecoderConfig read_decoder_config(const ConfigReader& config) {
  DecoderConfig c;
  c.hidden_size = config.size("hidden_size");
  c.intermediate_size = config.size("intermediate_size");
  c.num_layers = config.size("num_hidden_layers");
  c.num_heads = config.size("num_attention_heads");
  c.num_kv_heads = config.size_or("num_key_value_heads", c.num_heads);
  c.vocab_size = config.size("vocab_size");
  c.norm_eps = config.number("rms_norm_eps");
  if (c.num_layers > 10000)
    config.fail("num_hidden_layers", cat("is ", c.num_layers), "at most 10000");
  if (c.num_heads % c.num_kv_heads != 0) {
    config.fail("num_attention_heads", cat("is ", c.num_heads),
                cat("a multiple of num_key_value_heads, ", c.num_kv_heads));
  }
  c.head_dim = config.size_or("head_dim", 0);
  if (c.head_dim == 0) {
    if (c.hidden_size % c.num_heads != 0) {
      config.fail("hidden_size", cat("is ", c.hidden_size),
                  cat("a multiple of num_attention_heads, ", c.num_heads, ", or a head_dim"));
    }
    c.head_dim = c.hidden_size / c.num_heads;
  }
  if (c.head_dim > 4096) config.fail("head_dim", cat("is ", c.head_dim), "at most 4096");
  if (c.head_dim % 2 != 0)
    config.fail("head_dim", cat("is ", c.head_dim), "an even number: rotary positions turn pairs");
  return c;
}

Model build_decoder(const DecoderConfig& c, const ModelOptions& options) {
  ModelBuilder m(options);
  graph::GraphBuilder& b = m.graph();
  const GraphInputs in(b);
  const NodeId table = add_rope_table(b, c.rope, in.positions, in.lengths);
  const NodeId embedding =
      m.parameter("model.embed_tokens.weight", {c.vocab_size, c.hidden_size},
                  {"model.embed_tokens.weight"}, graph::ParameterKind::kEmbedding);
  const NodeId embedded = b.add_node(Op::kEmbedding, {in.tokens, embedding});
  NodeId x = embedded;
  for (int64_t i = 0; i < c.num_layers; ++i) {
    const std::string prefix = cat("model.layers.", i, ".");
    const auto sources = [&](const std::string& block, std::initializer_list<const char*> names) {
      std::vector<std::string> list;
      for (const char* name : names) list.push_back(prefix + block + name);
      return list;
    };
    NodeId n = m.rms_norm(x, prefix + "input_layernorm", c.norm_eps);
    NodeId qkv = m.linear(n, prefix + c.qkv_name, (c.num_heads + 2 * c.num_kv_heads) * c.head_dim,
                          sources("self_attn.", {"q_proj", "k_proj", "v_proj"}), c.qkv_bias);
    qkv = b.add_node(Op::kRope, {qkv, table},
                     {{Attr::kHeads, c.num_heads + c.num_kv_heads},
                      {Attr::kHeadDim, c.head_dim},
                      {Attr::kRotaryDim, c.rope.rotary_dim},
                      {Attr::kStyle, std::string("half")}});
    const graph::Attrs heads = {{Attr::kLayer, i},
                                {Attr::kHeads, c.num_heads},
                                {Attr::kKvHeads, c.num_kv_heads},
                                {Attr::kHeadDim, c.head_dim}};
    const NodeId q = b.add_node(Op::kKvAppend, {qkv}, heads);
    graph::Attrs attention = heads;
    attention.set(Attr::kScaleFactor, 1 / std::sqrt(static_cast<double>(c.head_dim)));
    const NodeId attended = b.add_node(Op::kAttention, {q}, attention);
    const NodeId projected = m.linear(attended, prefix + "self_attn.o_proj", c.hidden_size,
                                      {prefix + "self_attn.o_proj"}, c.output_bias);
    x = m.add(projected, x);
    n = m.rms_norm(x, prefix + "post_attention_layernorm", c.norm_eps);
    NodeId h = m.linear(n, prefix + "mlp.gate_up_proj", 2 * c.intermediate_size,
                        sources("mlp.", {"gate_proj", "up_proj"}), c.mlp_bias);
    h = b.add_node(Op::kGate, {h}, {{Attr::kActivation, c.activation}});
    x = m.add(m.linear(h, prefix + "mlp.down_proj", c.hidden_size, {prefix + "mlp.down_proj"},
                       c.mlp_bias),
              x);
    m.unused(prefix + "self_attn.rotary_emb.inv_freq");
  }
  x = b.add_node(Op::kGatherRows, {x, in.logit_rows});
  const NodeId hidden = m.rms_norm(x, "model.norm", c.norm_eps);
  x = m.rms_norm(x, "model.norm", c.norm_eps);
  const NodeId logits = c.tie_word_embeddings
                            ? b.add_node(Op::kMatmul, {x, embedding})
                            : m.linear(x, "lm_head", c.vocab_size, {"lm_head"}, false);
  std::vector<Visibility> layers = c.layers;
  layers.resize(static_cast<size_t>(c.num_layers));
  return m.finish(logits, hidden, embedded,
                  cache_groups(layers, c.num_kv_heads, c.head_dim, options.kv_dtype));
}

}  // namespace mlc::models
