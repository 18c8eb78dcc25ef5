// SPDX-License-Identifier: Apache-2.0
// The decoder that most families share: pre-norm blocks of attention with rotary positions and a
// gated MLP, with switches. A family reads its config into a DecoderConfig.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "models/config_reader.h"
#include "models/model.h"
#include "models/rope.h"

namespace mlc::models {

// Which positions a layer sees; layers of one visibility share pages.
struct Visibility {
  int64_t window = 0;  // 0: all before it
  int64_t sink = 0;
  bool operator==(const Visibility&) const = default;
};

struct DecoderConfig {
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t num_layers = 0;
  int64_t num_heads = 0;
  int64_t num_kv_heads = 0;
  int64_t head_dim = 0;
  int64_t vocab_size = 0;
  double norm_eps = 0;
  graph::Op activation = graph::Op::kSilu;
  bool tie_word_embeddings = false;
  bool qkv_bias = false;
  bool output_bias = false;
  bool mlp_bias = false;
  std::string qkv_name = "self_attn.qkv_proj";  // of the joined projection
  std::vector<Visibility> layers;               // one for each layer; empty: all see everything
  Rope rope;
};

// The sizes that all families name alike, checked to fit each other.
DecoderConfig read_decoder_config(const ConfigReader& config);

Model build_decoder(const DecoderConfig& config, const ModelOptions& options);

// Inputs of every graph.
struct GraphInputs {
  explicit GraphInputs(graph::GraphBuilder& b);
  graph::NodeId tokens;      // i32 [num_tokens]
  graph::NodeId positions;   // i32 [num_tokens]
  graph::NodeId lengths;     // i32 [num_tokens]
  graph::NodeId logit_rows;  // i32 [num_logits]
};

// Groups of layers with equal visibility, in the order of their first layer.
std::vector<graph::CacheGroup> cache_groups(const std::vector<Visibility>& layers, int64_t kv_heads,
                                            int64_t head_dim, DType dtype);

// Adds parameters, matmuls and norms with the rule of where the parameter comes from.
class ModelBuilder {
 public:
  explicit ModelBuilder(const ModelOptions& options) : options_(options) {}

  graph::GraphBuilder& graph() { return graph_; }
  // A parameter whose sources are joined along their rows.
  graph::NodeId parameter(const std::string& name, std::vector<int64_t> shape,
                          std::vector<std::string> sources,
                          graph::ParameterKind kind = graph::ParameterKind::kPlain);
  graph::NodeId parameter(WeightRule rule, std::vector<int64_t> shape, graph::ParameterKind kind,
                          DType dtype);
  // x times name.weight, plus name.bias where `bias` is set; sources as name without suffix.
  graph::NodeId linear(graph::NodeId x, const std::string& name, int64_t out,
                       const std::vector<std::string>& sources, bool bias);
  graph::NodeId rms_norm(graph::NodeId x, const std::string& name, double eps);
  graph::NodeId layer_norm(graph::NodeId x, const std::string& name, double eps);
  graph::NodeId add(graph::NodeId a, graph::NodeId b) {
    return graph_.add_node(graph::Op::kAdd, {a, b});
  }
  void unused(const std::string& source) { unused_.push_back(source); }

  // `hidden`: what the head gets, as a value of its own beside the one that the logits are made
  // of, so that the fusion of those is as without it; `embeddings`: what the first block gets.
  Model finish(graph::NodeId logits, graph::NodeId hidden, graph::NodeId embeddings,
               std::vector<graph::CacheGroup> cache);
  const ModelOptions& options() const { return options_; }

 private:
  ModelOptions options_;
  graph::GraphBuilder graph_;
  std::vector<WeightRule> rules_;
  std::vector<std::string> unused_;
};

}  // namespace mlc::models
