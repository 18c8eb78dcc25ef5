// SPDX-License-Identifier: Apache-2.0
// What each family makes of its config: graph, cache groups, rules of where parameters come from,
// and the words of its errors. That the graphs compute the right logits is tested against
// transformers elsewhere (../shared/conformance).
#include <gtest/gtest.h>

#include <algorithm>

#include "models/decoder.h"
#include "models/model.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::models {
namespace {

Json llama_config() {
  return parse_json(
             R"({"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "vocab_size": 50, "rms_norm_eps": 1e-05})",
             "test")
      .value();
}

Json neox_config() {
  return parse_json(
             R"({"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50})",
             "test")
      .value();
}

Json with(Json config, const std::string& changes) {
  const Json parsed = parse_json(changes, "test").value();
  for (const auto& [key, value] : parsed.as_object()) config.set(key, value);
  return config;
}

Model build(const char* family, const Json& config, const ModelOptions& options = {}) {
  return find_model(family, "test").build(config, options);
}

std::string refusal(const char* family, const Json& config) {
  try {
    build(family, config);
  } catch (const UserError& error) {
    return error.what();
  }
  return "nothing";
}

const WeightRule& rule(const Model& model, const std::string& parameter) {
  const auto found = std::find_if(model.rules.begin(), model.rules.end(),
                                  [&](const WeightRule& r) { return r.parameter == parameter; });
  EXPECT_NE(found, model.rules.end()) << parameter;
  return *found;
}

std::string type_of(const Model& model, const std::string& parameter) {
  for (const graph::NodeId id : model.graph.parameters()) {
    if (model.graph.node(id).name == parameter) return to_text(model.graph.node(id).type);
  }
  return "absent";
}

int count(const Model& model, graph::Op op) {
  return static_cast<int>(std::count_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                                        [&](const graph::Node& n) { return n.op == op; }));
}

TEST(Models, AreFoundByNameAndUnknownOnesListThem) {
  for (const ModelFamily& family : model_families())
    EXPECT_EQ(&find_model(family.name, "test"), &family);
  try {
    find_model("llamma", "config.json");
    FAIL();
  } catch (const UserError& error) {
    EXPECT_TRUE(std::string_view(error.what())
                    .starts_with("error: config.json: unknown model type llamma\n  expected one of "
                                 "llama, mistral, qwen2, gpt_neox"))
        << error.what();
    EXPECT_TRUE(std::string_view(error.what()).ends_with("did you mean llama?"));
  }
}

TEST(Models, EveryParameterHasOneRuleAndSourcesOfItsOwn) {
  for (const auto& [family, config] :
       {std::pair{"llama", llama_config()}, std::pair{"mistral", llama_config()},
        std::pair{"qwen2", llama_config()}, std::pair{"gpt_neox", neox_config()}}) {
    const Model model = build(family, config);
    std::vector<std::string> parameters;
    for (const graph::NodeId id : model.graph.parameters())
      parameters.push_back(model.graph.node(id).name);
    std::vector<std::string> named;
    std::vector<std::string> sources;
    for (const WeightRule& r : model.rules) {
      named.push_back(r.parameter);
      sources.insert(sources.end(), r.sources.begin(), r.sources.end());
    }
    EXPECT_EQ(named, parameters) << family;
    std::sort(sources.begin(), sources.end());
    EXPECT_EQ(std::adjacent_find(sources.begin(), sources.end()), sources.end()) << family;
    const std::string text = to_text(model.graph);
    EXPECT_EQ(to_text(graph::parse_graph(text, "test")), text) << family;
  }
}

TEST(Llama, JoinsProjectionsAlongTheirRows) {
  const Model model = build("llama", llama_config());
  EXPECT_EQ(rule(model, "model.layers.1.self_attn.qkv_proj.weight").sources,
            (std::vector<std::string>{"model.layers.1.self_attn.q_proj.weight",
                                      "model.layers.1.self_attn.k_proj.weight",
                                      "model.layers.1.self_attn.v_proj.weight"}));
  EXPECT_EQ(rule(model, "model.layers.0.mlp.gate_up_proj.weight").sources,
            (std::vector<std::string>{"model.layers.0.mlp.gate_proj.weight",
                                      "model.layers.0.mlp.up_proj.weight"}));
  EXPECT_TRUE(rule(model, "lm_head.weight").rows.empty());
  EXPECT_EQ(type_of(model, "model.layers.1.self_attn.qkv_proj.weight"), "f16[48, 24]")
      << "(4 + 2 * 2) heads of 6";
  EXPECT_EQ(type_of(model, "model.layers.0.mlp.gate_up_proj.weight"), "f16[80, 24]");
  EXPECT_EQ(type_of(model, "model.layers.0.self_attn.qkv_proj.bias"), "absent");
  EXPECT_EQ(model.unused_sources,
            (std::vector<std::string>{"model.layers.0.self_attn.rotary_emb.inv_freq",
                                      "model.layers.1.self_attn.rotary_emb.inv_freq"}));
  EXPECT_EQ(model.graph.cache.size(), 1u);
  EXPECT_EQ(model.graph.cache[0].layers, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(to_text(model.graph.node(model.graph.result).type), "f32[num_logits, 50]");
}

TEST(Llama, ItsSwitches) {
  Model model = build("llama", with(llama_config(), R"({"tie_word_embeddings": true})"));
  EXPECT_EQ(type_of(model, "lm_head.weight"), "absent");
  EXPECT_EQ(model.graph.node(model.graph.node(model.graph.result).operands[1]).name,
            "model.embed_tokens.weight");
  model = build("llama", with(llama_config(), R"({"attention_bias": true, "mlp_bias": true})"));
  for (const char* name :
       {"self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"}) {
    EXPECT_NE(type_of(model, cat("model.layers.0.", name, ".bias")), "absent") << name;
  }
  model = build("llama", with(llama_config(), R"({"head_dim": 16, "num_key_value_heads": null})"),
                {.dtype = DType::kBF16, .kv_dtype = DType::kF32});
  EXPECT_EQ(type_of(model, "model.layers.0.self_attn.qkv_proj.weight"), "bf16[192, 24]")
      << "as many KV heads as heads";
  EXPECT_EQ(model.graph.cache[0].dtype, DType::kF32);
  EXPECT_EQ(model.graph.cache[0].head_dim, 16);
  for (const auto& [name, op] :
       {std::pair{"silu", graph::Op::kSilu}, std::pair{"swish", graph::Op::kSilu},
        std::pair{"gelu", graph::Op::kGelu}, std::pair{"gelu_new", graph::Op::kGeluTanh},
        std::pair{"gelu_fast", graph::Op::kGeluTanh},
        std::pair{"gelu_pytorch_tanh", graph::Op::kGeluTanh},
        std::pair{"relu", graph::Op::kRelu}}) {
    model = build("llama", with(llama_config(), cat(R"({"hidden_act": ")", name, "\"}")));
    const auto gate = std::find_if(model.graph.nodes.begin(), model.graph.nodes.end(),
                                   [](const graph::Node& n) { return n.op == graph::Op::kGate; });
    EXPECT_EQ(gate->attrs.op_of(graph::Attr::kActivation), op) << name;
  }
}

TEST(Models, WhatIsWrongWithAConfig) {
  const auto llama = [](const char* changes) {
    return refusal("llama", with(llama_config(), changes));
  };
  EXPECT_EQ(llama("{}"), "nothing");
  EXPECT_EQ(llama(R"({"hidden_size": null})"), "error: model_config: hidden_size: is missing");
  EXPECT_EQ(llama(R"({"hidden_size": "24"})"),
            "error: model_config: hidden_size: is a string\n  expected an integer");
  EXPECT_EQ(llama(R"({"hidden_size": 24.5})"),
            "error: model_config: hidden_size: is a float\n  expected an integer");
  EXPECT_EQ(llama(R"({"vocab_size": 0})"),
            "error: model_config: vocab_size: is 0\n  expected a size from 1 to 2147483647");
  EXPECT_EQ(
      llama(R"({"vocab_size": 2147483648})"),
      "error: model_config: vocab_size: is 2147483648\n  expected a size from 1 to 2147483647");
  EXPECT_EQ(llama(R"({"num_hidden_layers": 10001})"),
            "error: model_config: num_hidden_layers: is 10001\n  expected at most 10000");
  EXPECT_EQ(llama(R"({"num_key_value_heads": 3})"),
            "error: model_config: num_attention_heads: is 4\n  expected a multiple of "
            "num_key_value_heads, 3");
  EXPECT_EQ(llama(R"({"hidden_size": 25})"),
            "error: model_config: hidden_size: is 25\n  expected a multiple of "
            "num_attention_heads, 4, or a head_dim");
  EXPECT_EQ(llama(R"({"head_dim": 5000})"),
            "error: model_config: head_dim: is 5000\n  expected at most 4096");
  EXPECT_EQ(llama(R"({"rms_norm_eps": true})"),
            "error: model_config: rms_norm_eps: is a boolean\n  expected a number");
  EXPECT_EQ(llama(R"({"rms_norm_eps": null})"), "error: model_config: rms_norm_eps: is missing");
  EXPECT_EQ(llama(R"({"tie_word_embeddings": 1})"),
            "error: model_config: tie_word_embeddings: is an integer\n  expected true or false");
  EXPECT_EQ(llama(R"({"hidden_act": 1})"),
            "error: model_config: hidden_act: is an integer\n  expected a string");
  EXPECT_EQ(llama(R"({"hidden_act": "geluu"})"),
            "error: model_config: hidden_act: unknown activation geluu\n  expected one of gelu, "
            "gelu_fast, gelu_new, gelu_pytorch_tanh, relu, silu, swish\n  did you mean gelu?");
}

TEST(Models, WhatTheFieldsLoseIsReadFromHfFirst) {
  const Model model = build(
      "llama",
      with(
          llama_config(),
          R"({"intermediate_size": 8, "hf": {"intermediate_size": 64, "num_key_value_heads": null}})"));
  EXPECT_EQ(type_of(model, "model.layers.0.mlp.down_proj.weight"), "f16[24, 64]");
  EXPECT_EQ(model.graph.cache[0].kv_heads, 2) << "null is as absent";
}

TEST(Mistral, HasAWindowOnAllLayersWithItsSinks) {
  Model model = build(
      "mistral", with(llama_config(), R"({"sliding_window_size": 128, "attention_sink_size": 4})"));
  ASSERT_EQ(model.graph.cache.size(), 1u);
  EXPECT_EQ(model.graph.cache[0].kind, graph::CacheGroup::Kind::kWindow);
  EXPECT_EQ(model.graph.cache[0].window, 128);
  EXPECT_EQ(model.graph.cache[0].sink, 4);
  for (const char* none :
       {"{}", R"({"sliding_window_size": -1})", R"({"sliding_window_size": 0})"}) {
    EXPECT_EQ(build("mistral", with(llama_config(), none)).graph.cache[0].kind,
              graph::CacheGroup::Kind::kFull)
        << none;
  }
  EXPECT_EQ(refusal("mistral", with(llama_config(),
                                    R"({"sliding_window_size": 8, "attention_sink_size": 8})")),
            "error: model_config: attention_sink_size: is 8\n  expected from 0 to below "
            "sliding_window_size, 8");
  EXPECT_EQ(refusal("mistral", with(llama_config(),
                                    R"({"sliding_window_size": 8, "attention_sink_size": -1})")),
            "error: model_config: attention_sink_size: is -1\n  expected from 0 to below "
            "sliding_window_size, 8");
}

TEST(Qwen2, HasBiasesOnQkvAloneAndWindowsOnSomeLayers) {
  const Json four = with(llama_config(), R"({"num_hidden_layers": 4})");
  Model model = build("qwen2", four);
  EXPECT_EQ(type_of(model, "model.layers.0.self_attn.c_attn.bias"), "f16[48]");
  EXPECT_EQ(rule(model, "model.layers.0.self_attn.c_attn.bias").sources[2],
            "model.layers.0.self_attn.v_proj.bias");
  EXPECT_EQ(type_of(model, "model.layers.0.self_attn.o_proj.bias"), "absent");
  EXPECT_EQ(model.graph.cache.size(), 1u);
  const auto layers = [&](const char* changes) {
    std::string text;
    for (const graph::CacheGroup& group : build("qwen2", with(four, changes)).graph.cache) {
      text += cat(group.window, ":");
      for (const int64_t layer : group.layers) text += cat(" ", layer);
      text += "; ";
    }
    return text;
  };
  EXPECT_EQ(layers(R"({"sliding_window": 64})"), "0: 0 1 2 3; ")
      << "only where use_sliding_window says so";
  EXPECT_EQ(layers(R"({"sliding_window": 64, "use_sliding_window": true, "max_window_layers": 3})"),
            "0: 0 1 2; 64: 3; ");
  EXPECT_EQ(layers(R"({"sliding_window": 64, "use_sliding_window": true})"), "0: 0 1 2 3; ")
      << "from layer 28 on";
  EXPECT_EQ(layers(R"({"sliding_window": 64, "use_sliding_window": true, "max_window_layers": 0,
      "layer_types": ["sliding_attention", "full_attention", "sliding_attention", "full_attention"]})"),
            "64: 0 2; 0: 1 3; ");
  EXPECT_EQ(
      refusal(
          "qwen2",
          with(
              four,
              R"({"sliding_window": 64, "use_sliding_window": true, "layer_types": ["full_attention"]})")),
      "error: model_config: layer_types: is no list of the right length\n  expected a list of 4 "
      "entries");
}

TEST(GptNeox, RegroupsHeadsOfQkv) {
  const Model model = build("gpt_neox", neox_config());
  const WeightRule& r = rule(model, "gpt_neox.layers.0.attention.query_key_value.weight");
  // Hugging Face: head 0 has rows 0..11 of q, 12..23 of k, 24..35 of v; head 1 follows.
  std::vector<std::pair<int64_t, int64_t>> rows;
  for (const SourceRows& s : r.rows) rows.emplace_back(s.begin, s.count);
  EXPECT_EQ(rows, (std::vector<std::pair<int64_t, int64_t>>{
                      {0, 12}, {36, 12}, {12, 12}, {48, 12}, {24, 12}, {60, 12}}));
  const WeightRule& bias = rule(model, "gpt_neox.layers.0.attention.query_key_value.bias");
  EXPECT_EQ(bias.rows.size(), 6u);
  EXPECT_EQ(bias.rows[1].begin, 36);
}

TEST(GptNeox, ItsSwitches) {
  Model model = build("gpt_neox", neox_config());
  EXPECT_EQ(type_of(model, "gpt_neox.layers.0.mlp.dense_h_to_4h.bias"), "f32[40]")
      << "stored as float32 beside 16-bit weights";
  EXPECT_EQ(type_of(model, "gpt_neox.layers.0.attention.dense.bias"), "f16[24]");
  EXPECT_EQ(count(model, graph::Op::kGelu), 1);
  const auto rotary = [](const Model& m) {
    for (const graph::Node& n : m.graph.nodes) {
      if (n.op == graph::Op::kRope) return n.attrs.int_of(graph::Attr::kRotaryDim);
    }
    return int64_t{0};
  };
  EXPECT_EQ(rotary(model), 4) << "a quarter of 12, and one more since it is odd";
  EXPECT_EQ(rotary(build("gpt_neox", with(neox_config(), R"({"rotary_pct": 1.0})"))), 12);
  EXPECT_EQ(rotary(build(
                "gpt_neox",
                with(neox_config(),
                     R"({"rotary_pct": 1.0, "rope_parameters": {"partial_rotary_factor": 0.5}})"))),
            6);
  model = build("gpt_neox", with(neox_config(), R"({"rotary_pct": 0})"));
  EXPECT_EQ(count(model, graph::Op::kRope), 0);
  EXPECT_EQ(count(model, graph::Op::kRopeTable), 0);
  model = build("gpt_neox",
                with(neox_config(), R"({"attention_bias": false, "ffn_out_dtype": "float16"})"));
  EXPECT_EQ(type_of(model, "gpt_neox.layers.0.attention.query_key_value.bias"), "absent");
  EXPECT_EQ(type_of(model, "gpt_neox.layers.0.mlp.dense_4h_to_h.bias"), "f16[24]");
  EXPECT_EQ(type_of(build("gpt_neox", with(neox_config(), R"({"tie_word_embeddings": true})")),
                    "embed_out.weight"),
            "absent");
  // Side by side the MLP's norm reads what attention's reads; one after the other it reads
  // attention's sum.
  const auto norm_inputs = [](const Model& m) {
    std::vector<graph::NodeId> inputs;
    for (const graph::Node& n : m.graph.nodes) {
      if (n.op == graph::Op::kLayerNorm) inputs.push_back(n.operands[0]);
    }
    return inputs;
  };
  std::vector<graph::NodeId> inputs = norm_inputs(build("gpt_neox", neox_config()));
  EXPECT_EQ(inputs[0], inputs[1]);
  inputs =
      norm_inputs(build("gpt_neox", with(neox_config(), R"({"use_parallel_residual": false})")));
  EXPECT_NE(inputs[0], inputs[1]);
}

TEST(GptNeox, WhatIsWrongWithItsConfig) {
  EXPECT_EQ(refusal("gpt_neox", with(neox_config(), R"({"rotary_pct": 1.5})")),
            "error: model_config: rotary_pct: is 1.5\n  expected from 0 to 1");
  EXPECT_EQ(
      refusal("gpt_neox", with(neox_config(), R"({"hidden_size": 25})")),
      "error: model_config: hidden_size: is 25\n  expected a multiple of num_attention_heads, 2");
  EXPECT_EQ(refusal("gpt_neox", with(neox_config(), R"({"num_hidden_layers": 20000})")),
            "error: model_config: num_hidden_layers: is 20000\n  expected at most 10000");
}

TEST(Decoder, LayersOfOneVisibilityShareACacheGroup) {
  const std::vector<graph::CacheGroup> groups =
      cache_groups({{0, 0}, {64, 0}, {64, 4}, {64, 0}, {0, 0}}, 2, 8, DType::kBF16);
  ASSERT_EQ(groups.size(), 3u);
  EXPECT_EQ(groups[0].layers, (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(groups[1].layers, (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(groups[2].layers, (std::vector<int64_t>{2}));
  EXPECT_EQ(groups[2].sink, 4);
  EXPECT_EQ(groups[1].dtype, DType::kBF16);
}

}  // namespace
}  // namespace mlc::models
