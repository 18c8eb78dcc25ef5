// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_model.h"

#include <gtest/gtest.h>

#include "compiler/gen_config_limits.h"
#include "formats/model_presets.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using formats::find_architecture;

Json parse(std::string_view text) { return parse_json(text, "test").value(); }

// A small config.json of llama's kind, with members changed or added.
Json llama(std::string_view changes = "{}") {
  Json config = parse(R"({"model_type": "llama", "hidden_size": 64, "intermediate_size": 160,
      "num_attention_heads": 4, "num_hidden_layers": 2, "rms_norm_eps": 1e-05, "vocab_size": 384,
      "max_position_embeddings": 4096})");
  const Json parsed = parse(changes);
  for (const auto& [key, value] : parsed.as_object()) config.set(key, value);
  return config;
}

Json without(Json config, std::string_view key) {
  config.erase(key);
  return config;
}

Json derive(const Json& config, const ModelConfigOverrides& overrides = {},
            std::string_view type = "auto") {
  const formats::Architecture& architecture = select_architecture(type, config, "config.json");
  return override_model_config(architecture,
                               derive_model_config(architecture, config, "config.json"), overrides,
                               "config.json");
}

// A member as text; "absent" where there is none.
std::string get(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value == nullptr ? "absent" : value->dump();
}

std::string config_error(const Json& config, const ModelConfigOverrides& overrides = {},
                         std::string_view type = "auto") {
  try {
    derive(config, overrides, type);
  } catch (const UserError& e) {
    return e.what();
  }
  return "no error";
}

TEST(DeriveModelConfig, DefaultsAreFilledInTheOrderOfTheFields) {
  EXPECT_EQ(
      without(derive(llama()), "hf").dump(),
      R"({"hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4, )"
      R"("num_hidden_layers": 2, "rms_norm_eps": 1e-05, "vocab_size": 384, )"
      R"("tie_word_embeddings": false, "position_embedding_base": 10000, "rope_scaling": null, )"
      R"("context_window_size": 4096, "prefill_chunk_size": 4096, "num_key_value_heads": 4, )"
      R"("head_dim": 16, "tensor_parallel_shards": 1, "pipeline_parallel_stages": 1, )"
      R"("max_batch_size": 1, "disaggregation": false})");
}

TEST(DeriveModelConfig, PrefillChunkIsAtMost8192ByDefaultAndCutToTheContext) {
  EXPECT_EQ(get(derive(llama(R"({"max_position_embeddings": 131072})")), "prefill_chunk_size"),
            "8192");
  const Json cut =
      derive(llama(R"({"max_position_embeddings": 131072})"), {.context_window_size = 1024});
  EXPECT_EQ(get(cut, "prefill_chunk_size"), "1024");
  EXPECT_EQ(get(derive(llama(R"({"prefill_chunk_size": 9999})")), "prefill_chunk_size"), "4096");
  EXPECT_EQ(get(derive(llama(), {.prefill_chunk_size = 512}), "prefill_chunk_size"), "512");
  EXPECT_EQ(get(derive(llama(R"({"model_type": "internlm2"})")), "prefill_chunk_size"), "2048");
  const Json bert = parse(R"({"model_type": "bert", "vocab_size": 9, "hidden_size": 8,
      "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": -1, "layer_norm_eps": 1e-12,
      "max_position_embeddings": 20000})");
  EXPECT_EQ(get(derive(bert), "prefill_chunk_size"), "20000");
  EXPECT_EQ(get(derive(bert), "intermediate_size"), "32");
}

TEST(DeriveModelConfig, ContextComesFromTheArchitecturesOwnKey) {
  const Json neither = without(llama(), "max_position_embeddings");
  EXPECT_EQ(config_error(neither),
            "error: config.json: does not tell the context size\n"
            "  expected one of max_position_embeddings, max_sequence_length\n"
            "  give it with --context-window-size");
  Json other = neither;
  other.set("max_sequence_length", 77);
  EXPECT_EQ(get(derive(other), "context_window_size"), "77");
  EXPECT_EQ(get(derive(llama(R"({"context_window_size": 33})")), "context_window_size"), "33");
  EXPECT_EQ(config_error(llama(R"({"max_position_embeddings": 0})")),
            "error: config.json: max_position_embeddings: is 0\n  expected an integer from 1 to "
            "2147483647");
  EXPECT_EQ(config_error(llama(R"({"max_position_embeddings": "2k"})")),
            "error: config.json: max_position_embeddings: is \"2k\"\n"
            "  expected an integer from 1 to 2147483647");
  EXPECT_EQ(config_error(llama(), {.context_window_size = 0}),
            "error: context_window_size: is 0\n  expected a number of tokens\n"
            "  leave the option out to take it from config.json");
  EXPECT_EQ(config_error(llama(), {.context_window_size = -1}),
            "error: context_window_size: is -1\n  expected a number of tokens");
}

TEST(DeriveModelConfig, RopeBaseKeepsItsKindAndIsFoundInBothPlaces) {
  EXPECT_EQ(get(derive(llama(R"({"rope_theta": 500000.0})")), "position_embedding_base"),
            "500000.0");
  EXPECT_EQ(get(derive(llama(R"({"rope_theta": 1, "rope_parameters": {"rope_theta": 7.0}})")),
                "position_embedding_base"),
            "7.0");
  EXPECT_EQ(get(derive(llama(R"({"rope_scaling": {"type": "linear", "rope_theta": 5},
                                 "rope_parameters": {"rope_theta": 7}})")),
                "position_embedding_base"),
            "5");
  EXPECT_EQ(config_error(llama(R"({"rope_theta": 0.0})")),
            "error: config.json: position_embedding_base: is 0.0\n  expected a number above zero");
  const Json qwen = llama(R"({"model_type": "qwen2", "rope_parameters": {"rope_theta": 1e6}})");
  EXPECT_EQ(get(derive(qwen), "rope_theta"), "1000000.0");
}

TEST(DeriveModelConfig, HeadsFollowFromOthersWhereTheyAreNotGiven) {
  EXPECT_EQ(get(derive(llama(R"({"num_key_value_heads": null, "head_dim": null})")), "head_dim"),
            "16");
  EXPECT_EQ(get(derive(llama(R"({"num_key_value_heads": 2, "head_dim": 40})")), "head_dim"), "40");
  EXPECT_EQ(config_error(llama(R"({"num_key_value_heads": 3})")),
            "error: config.json: num_key_value_heads: is 3\n"
            "  expected a divisor of num_attention_heads, which is 4");
  EXPECT_EQ(config_error(llama(R"({"hidden_size": 66})")),
            "error: config.json: hidden_size: is 66\n  expected a multiple of num_attention_heads, "
            "which is "
            "4, where head_dim is not given");
  EXPECT_EQ(get(derive(llama(R"({"model_type": "qwen3", "num_key_value_heads": 2})")), "head_dim"),
            "0");
}

TEST(DeriveModelConfig, LlamaKeepsOnlyRopeScalingOfKindLlama3InItsField) {
  const Json llama3 = derive(llama(R"({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}})"));
  EXPECT_EQ(get(llama3, "rope_scaling"), R"({"rope_type": "llama3", "factor": 8.0})");
  EXPECT_EQ(get(*llama3.find("hf"), "rope_scaling"), "absent");
  for (const char* form :
       {R"({"type": "linear", "factor": 2.0})", R"({"rope_type": "yarn", "factor": 2.0})"}) {
    const Json other = derive(llama(cat(R"({"rope_scaling": )", form, "}")));
    EXPECT_EQ(get(other, "rope_scaling"), "null");
    EXPECT_EQ(get(*other.find("hf"), "rope_scaling"), form);
  }
  EXPECT_EQ(config_error(llama(R"({"rope_scaling": {"rope_type": "lama3"}})")),
            "error: config.json: rope_scaling.rope_type: unknown kind of rope scaling lama3\n"
            "  expected one of default, linear, dynamic, yarn, longrope, llama3\n"
            "  did you mean llama3?");
  EXPECT_EQ(config_error(llama(R"({"rope_scaling": {"rope_type": 3}})")),
            "error: config.json: rope_scaling.rope_type: is an integer\n  expected a string");
  EXPECT_EQ(config_error(llama(R"({"rope_scaling": "linear"})")),
            "error: config.json: rope_scaling: is a string\n  expected an object or null");
}

TEST(DeriveModelConfig, Phi3RopeScalingGetsItsPositionCounts) {
  const Json config = llama(R"({"model_type": "phi3", "original_max_position_embeddings": 64,
                                "rope_scaling": {"type": "su", "long_factor": [1.0]}})");
  EXPECT_EQ(get(derive(config), "rope_scaling"),
            R"({"type": "longrope", "long_factor": [1.0], "rope_type": "longrope", )"
            R"("max_position_embeddings": 4096, "original_max_position_embeddings": 64})");
  EXPECT_EQ(get(derive(config), "hf"), "absent");
  const Json newer = llama(R"({"model_type": "phi3", "rope_scaling": {"rope_type": "longrope"}})");
  EXPECT_EQ(get(derive(newer), "rope_scaling"), "null");
  EXPECT_EQ(get(derive(newer), "hf"), R"({"rope_scaling": {"rope_type": "longrope"}})");
  EXPECT_EQ(
      config_error(llama(R"({"model_type": "phi3", "rope_scaling": {"type": "yarn"}})")),
      "error: config.json: rope_scaling.type: is yarn\n  expected longrope, or su, its old name");
}

TEST(DeriveModelConfig, MistralsWindowTakesThePlaceOfTheContext) {
  const Json config = llama(R"({"model_type": "mistral", "sliding_window": 1024})");
  const Json plain = derive(config);
  EXPECT_EQ(get(plain, "sliding_window_size"), "1024");
  EXPECT_EQ(get(plain, "context_window_size"), "-1");
  EXPECT_EQ(get(plain, "prefill_chunk_size"), "1024");
  EXPECT_EQ(get(plain, "attention_sink_size"), "4");
  const Json narrower = derive(config, {.sliding_window_size = 256, .attention_sink_size = 0});
  EXPECT_EQ(get(narrower, "sliding_window_size"), "256");
  EXPECT_EQ(get(narrower, "prefill_chunk_size"), "1024");
  EXPECT_EQ(get(narrower, "attention_sink_size"), "0");
  EXPECT_EQ(get(derive(config, {.sliding_window_size = 0}), "sliding_window_size"), "-1");
  const Json none = derive(llama(R"({"model_type": "mistral", "sliding_window": null})"));
  EXPECT_EQ(get(none, "sliding_window_size"), "-1");
  EXPECT_EQ(get(none, "context_window_size"), "4096");
  EXPECT_EQ(
      config_error(config, {.attention_sink_size = -1}),
      "error: config.json: attention_sink_size: is -1\n  expected an integer from 0 to 2147483647");
}

TEST(DeriveModelConfig, Gemma2sContextIsItsWindowButThePrefillFollowsTheOption) {
  const Json config = llama(R"({"model_type": "gemma2", "num_key_value_heads": 2, "head_dim": 16,
                                "sliding_window": 2048, "hidden_act": "silu"})");
  const Json derived = derive(config, {.context_window_size = 1024});
  EXPECT_EQ(get(derived, "context_window_size"), "2048");
  EXPECT_EQ(get(derived, "prefill_chunk_size"), "1024");
  EXPECT_EQ(get(derived, "hidden_activation"), "\"gelu_pytorch_tanh\"");
  EXPECT_EQ(get(*derived.find("hf"), "max_position_embeddings"), "4096");
}

TEST(DeriveModelConfig, GemmaTakesGeluAndNoAttentionBias) {
  const std::string base = R"("model_type": "gemma", "num_key_value_heads": 1, "head_dim": 16)";
  EXPECT_EQ(get(derive(llama(cat("{", base, R"(, "hidden_act": "gelu"})"))), "hidden_activation"),
            "\"gelu\"");
  EXPECT_EQ(
      config_error(llama(cat("{", base, R"(, "hidden_act": "silu"})"))),
      "error: config.json: hidden_activation: is \"silu\"\n  expected gelu_pytorch_tanh or gelu");
  EXPECT_EQ(config_error(llama(cat("{", base, R"(, "attention_bias": true})"))),
            "error: config.json: attention_bias: is true\n  expected false in a gemma model");
}

TEST(DeriveModelConfig, Gemma3NestsItsTextModelAndTakesSizesFromIt) {
  const Json config = llama(R"({"model_type": "gemma3_text", "head_dim": 16, "sliding_window": 16,
                                "num_key_value_heads": 2, "rope_theta": 1000000.0})");
  const Json derived = derive(config, {.context_window_size = 1024});
  EXPECT_EQ(get(derived, "is_text_model"), "true");
  EXPECT_EQ(get(derived, "context_window_size"), "1024");
  EXPECT_EQ(get(derived, "prefill_chunk_size"), "8192");
  EXPECT_EQ(get(derived, "sliding_window_size"), "16");
  const Json& text = *derived.find("text_config");
  EXPECT_EQ(text.as_object().back().first, "kwargs");
  EXPECT_EQ(get(text, "context_window_size"), "8192");
  EXPECT_EQ(get(text, "position_embedding_base"), "1000000.0");
  EXPECT_EQ(get(*text.find("kwargs"), "sliding_window"), "16");
  EXPECT_EQ(get(*text.find("kwargs"), "rope_theta"), "absent");
  const Json nested = Json::Object{
      {"model_type", "gemma3"}, {"text_config", config}, {"tie_word_embeddings", false}};
  EXPECT_EQ(get(derive(nested), "vocab_size"), "384");
  EXPECT_EQ(get(derive(nested), "hf"), R"({"tie_word_embeddings": false})");
  EXPECT_EQ(config_error(Json::Object{{"model_type", "gemma3"}, {"text_config", 3}}),
            "error: config.json: text_config: is an integer\n  expected an object");
}

TEST(DeriveModelConfig, Llama4ListsItsLayerKinds) {
  const Json config = parse(R"({"model_type": "llama4", "text_config": {"hidden_size": 64,
      "intermediate_size": 160, "num_attention_heads": 4, "num_hidden_layers": 4, "rms_norm_eps": 1e-05,
      "rope_theta": 500000.0, "use_qk_norm": true, "interleave_moe_layer_step": 2,
      "num_experts_per_tok": 1, "num_local_experts": 4, "hidden_act": "silu", "vocab_size": 300,
      "max_position_embeddings": 5000, "attention_chunk_size": 64}})");
  const Json derived = derive(config);
  EXPECT_EQ(get(derived, "context_window_size"), "5000");
  EXPECT_EQ(get(derived, "vocab_size"), "300");
  const Json& text = *derived.find("text_config");
  EXPECT_EQ(get(text, "no_rope_layers"), "[1, 1, 1, 0]");
  EXPECT_EQ(get(text, "moe_layers"), "[1, 3]");
  EXPECT_EQ(get(text, "kwargs"),
            R"({"max_position_embeddings": 5000, "attention_chunk_size": 64})");
  Json endless = config;
  endless.find("text_config")->set("num_hidden_layers", 2000000000);
  EXPECT_EQ(config_error(endless),
            "error: config.json: text_config: num_hidden_layers: is 2000000000\n"
            "  expected an integer from 1 to 8192");
}

TEST(DeriveModelConfig, LlavaFindsItsTextModelByName) {
  Json config = parse(R"({"model_type": "llava", "image_token_index": 5, "vocab_size": 32064,
      "vision_config": {"hidden_size": 32, "image_size": 28, "intermediate_size": 64,
        "num_attention_heads": 2, "num_hidden_layers": 2, "patch_size": 14, "projection_dim": 16,
        "vocab_size": 100, "model_type": "clip"},
      "text_config": {"_name_or_path": "mistralai/Mistral-7B-v0.1"}})");
  const Json derived = derive(config);
  EXPECT_EQ(get(derived, "text_architecture"), "\"MistralForCausalLM\"");
  EXPECT_EQ(get(derived, "sliding_window_size"), "4096");
  EXPECT_EQ(get(*derived.find("vision_config"), "kwargs"), R"({"model_type": "clip"})");
  config.set("text_config", Json::Object{{"_name_or_path", "mistralai/Mistral-7B-v0.2"}});
  EXPECT_EQ(config_error(config),
            "error: config.json: text_config._name_or_path: unknown text model "
            "mistralai/Mistral-7B-v0.2\n"
            "  expected one of meta-llama/Llama-2-7b-hf, meta-llama/Llama-2-13b-hf, "
            "lmsys/vicuna-7b-v1.5, "
            "mistralai/Mistral-7B-v0.1\n"
            "  did you mean mistralai/Mistral-7B-v0.1?");
  config.set("text_config", llama(R"({"architectures": ["QwenForCausalLM"]})"));
  EXPECT_EQ(config_error(config),
            "error: config.json: text_config.architectures: is \"QwenForCausalLM\"\n"
            "  expected LlamaForCausalLM or MistralForCausalLM");
}

TEST(DeriveModelConfig, Ministral3ReadsItsNestedTextModel) {
  const Json config = Json::Object{
      {"model_type", "mistral3"},
      {"tie_word_embeddings", true},
      {"quantization_config",
       parse(
           R"({"quant_method": "fp8", "activation_scheme": "static", "modules_to_not_convert": ["x"]})")},
      {"text_config", llama(R"({"tie_word_embeddings": false, "rope_parameters":
                                {"rope_theta": 1e6, "rope_type": "yarn", "factor": 16.0}})")}};
  const Json derived = derive(config);
  EXPECT_EQ(get(derived, "tie_word_embeddings"), "true");
  EXPECT_EQ(get(derived, "position_embedding_base"), "1000000.0");
  EXPECT_EQ(get(derived, "rope_parameters"), R"({"rope_type": "yarn", "factor": 16.0})");
  EXPECT_EQ(get(derived, "weight_block_size"), "[128, 128]");
  EXPECT_EQ(get(derived, "modules_to_not_convert"), R"(["x"])");
  EXPECT_EQ(get(derived, "attention_sink_size"), "0");
}

TEST(DeriveModelConfig, QuantizedCheckpointsOfOtherKindsAreRefused) {
  const auto qwen = [](std::string_view quantization) {
    return llama(cat(R"({"model_type": "qwen3", "num_key_value_heads": 2, "quantization_config": )",
                     quantization, "}"));
  };
  EXPECT_EQ(
      get(derive(qwen(R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                                "weight_block_size": [128, 64]})")),
          "weight_block_size"),
      "[128, 64]");
  EXPECT_EQ(
      config_error(qwen(R"({"quant_method": "awq"})")),
      "error: config.json: quantization_config: is of a kind that is not supported here\n"
      "  expected quant_method fp8, fmt e4m3, activation_scheme dynamic and a weight_block_size\n"
      "  take the checkpoint without quantization");
  EXPECT_EQ(
      config_error(qwen(R"({"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                           "weight_block_size": [0, 64]})")),
      "error: config.json: quantization_config.weight_block_size: is [0, 64]\n"
      "  expected a list of two sizes");
}

TEST(DeriveModelConfig, CohereDoesNotCutAnOverriddenChunk) {
  const Json config = llama(R"({"model_type": "cohere", "layer_norm_eps": 1e-05})");
  const Json derived = derive(config, {.context_window_size = 1024});
  EXPECT_EQ(get(derived, "prefill_chunk_size"), "4096");
}

TEST(DeriveModelConfig, RwkvHasNoContextLimitAndRunsOnOneDevice) {
  const Json config = parse(R"({"model_type": "rwkv5", "hidden_size": 128, "num_hidden_layers": 2,
                                "vocab_size": 99, "model_version": "5_2", "intermediate_size": null})");
  const Json derived = derive(config);
  EXPECT_EQ(get(derived, "context_window_size"), "-1");
  EXPECT_EQ(get(derived, "prefill_chunk_size"), "4096");
  EXPECT_EQ(get(derived, "intermediate_size"), "448");
  EXPECT_EQ(get(derived, "num_heads"), "2");
  EXPECT_EQ(config_error(config, {.tensor_parallel_shards = 2}),
            "error: tensor_parallel_shards: is 2\n  expected 1: rwkv5 runs on one device");
  Json other = config;
  other.set("model_version", "5_1");
  EXPECT_EQ(config_error(other), "error: config.json: model_version: is \"5_1\"\n  expected 5_2");
  other = config;
  other.set("hidden_size", 130);
  EXPECT_EQ(
      config_error(other),
      "error: config.json: hidden_size: is 130\n  expected a multiple of head_size, which is 64");
}

TEST(DeriveModelConfig, StagesMustFitTheLayers) {
  EXPECT_EQ(config_error(llama(), {.pipeline_parallel_stages = 3}),
            "error: pipeline_parallel_stages: is 3\n  expected 1 to 2, the number of layers");
}

TEST(DeriveModelConfig, OlmosClipMustBePositive) {
  EXPECT_EQ(config_error(llama(R"({"model_type": "olmo", "clip_qkv": 0})")),
            "error: config.json: clip_qkv: is 0\n  expected a number above 0");
}

TEST(DeriveModelConfig, MissingKeysAreListedTogether) {
  EXPECT_EQ(
      config_error(parse(
          R"({"model_type": "llama", "hidden_size": 64, "vocab_size": 9, "num_hidden_layers": 1})")),
      "error: config.json: lacks intermediate_size, num_attention_heads, rms_norm_eps\n"
      "  expected the keys of model type llama\n"
      "  is this the config.json of another architecture? --model-type chooses one");
}

TEST(DeriveModelConfig, AbsurdSizesAreRefusedByName) {
  const std::string sizes = "expected an integer from 1 to 16777216";
  for (const char* value : {"0", "-64", "99999999999", "1e30", "64.0", "\"64\"", "true"}) {
    const std::string message =
        config_error(llama(cat(R"({"hidden_size": )", value, R"(, "head_dim": 16})")));
    EXPECT_TRUE(message.starts_with("error: config.json: hidden_size: is ")) << message;
    EXPECT_NE(message.find(sizes), std::string::npos) << message;
  }
  EXPECT_EQ(
      config_error(llama(R"({"num_hidden_layers": 1000000})")),
      "error: config.json: num_hidden_layers: is 1000000\n  expected an integer from 1 to 8192");
  EXPECT_EQ(config_error(llama(R"({"num_attention_heads": 0})")),
            "error: config.json: num_attention_heads: is 0\n  expected an integer from 1 to 65536");
  EXPECT_EQ(config_error(llama(R"({"vocab_size": null})")),
            "error: config.json: vocab_size: is null\n  expected an integer from 1 to 16777216");
  EXPECT_EQ(
      config_error(llama(R"({"rms_norm_eps": "small"})")),
      "error: config.json: rms_norm_eps: is \"small\"\n  expected a number that is not negative");
  EXPECT_EQ(config_error(llama(R"({"rms_norm_eps": NaN})")),
            "error: config.json: rms_norm_eps: is NaN\n  expected a number that is not negative");
  EXPECT_EQ(config_error(llama(R"({"tie_word_embeddings": 1})")),
            "error: config.json: tie_word_embeddings: is 1\n  expected true or false");
  EXPECT_EQ(config_error(llama(R"({"model_type": "qwen2", "hidden_act": 3})")),
            "error: config.json: hidden_act: is 3\n  expected a string");
  EXPECT_EQ(
      config_error(llama(R"({"prefill_chunk_size": -3})")),
      "error: config.json: prefill_chunk_size: is -3\n  expected an integer from -1 to 2147483647");
  EXPECT_EQ(config_error(llama(R"({"prefill_chunk_size": -1})")),
            "error: prefill_chunk_size: is -1\n  expected a number of tokens");
}

TEST(DeriveModelConfig, ArchitecturesAreSelectedByNameAliasOrOption) {
  EXPECT_TRUE(config_error(llama(R"({"model_type": "lama"})"))
                  .starts_with("error: config.json: unknown model type lama\n"
                               "  expected one of llama, llama4, mistral, "));
  EXPECT_NE(config_error(llama(R"({"model_type": "lama"})")).find("did you mean llama"),
            std::string::npos);
  EXPECT_EQ(config_error(llama(), {}, "mistrl").substr(0, 47),
            "error: --model-type: unknown model type mistrl\n");
  EXPECT_EQ(config_error(without(llama(), "model_type")),
            "error: config.json: has no model_type\n  expected the name of an architecture\n"
            "  say which it is with --model-type");
  EXPECT_EQ(config_error(llama(R"({"model_type": 3})")),
            "error: config.json: model_type is an integer\n  expected the name of an architecture\n"
            "  say which it is with --model-type");
  EXPECT_EQ(get(derive(without(llama(), "model_type"), {}, "phi3"), "model_type"), "\"phi3\"");
  EXPECT_EQ(
      select_architecture("auto", parse(R"({"model_config": {"model_type": "gpt2"}})"), "f").name,
      "gpt2");
}

TEST(OverrideModelConfig, OptionsWithoutAFieldAreLeftOutWithAWarning) {
  testing::internal::CaptureStderr();
  const Json derived = derive(llama(), {.sliding_window_size = 256});
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "warning: sliding_window_size 256 is left out: model type llama has no such field\n");
  EXPECT_EQ(get(derived, "sliding_window_size"), "absent");
}

TEST(OverrideModelConfig, OptionsChangeFieldsAndLeaveHfAlone) {
  const Json derived = derive(llama(), {.context_window_size = 100,
                                        .max_batch_size = 7,
                                        .tensor_parallel_shards = 2,
                                        .disaggregation = true});
  EXPECT_EQ(get(derived, "context_window_size"), "100");
  EXPECT_EQ(get(derived, "max_batch_size"), "7");
  EXPECT_EQ(get(derived, "tensor_parallel_shards"), "2");
  EXPECT_EQ(get(derived, "disaggregation"), "true");
  EXPECT_EQ(get(derived, "hf"), R"({"max_position_embeddings": 4096})");
}

TEST(HfKeys, HoldWhatNoFieldCarries) {
  const Json config =
      llama(R"({"attention_bias": true, "hidden_act": "relu", "torch_dtype": "bfloat16",
      "rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 1e4}, "num_key_value_heads": 2})");
  EXPECT_EQ(get(derive(config), "hf"),
            R"({"max_position_embeddings": 4096, "attention_bias": true, "hidden_act": "relu", )"
            R"("rope_parameters": {"rope_type": "yarn", "factor": 4.0, "rope_theta": 10000.0}})");
}

TEST(HfKeys, NullsAreKeptSinceTheyDifferFromAbsentKeys) {
  const Json config = llama(
      R"({"model_type": "qwen3", "num_key_value_heads": 2, "sliding_window": null, "use_sliding_window": false})");
  EXPECT_EQ(
      get(derive(config), "hf"),
      R"({"max_position_embeddings": 4096, "sliding_window": null, "use_sliding_window": false})");
}

TEST(Limits, KnowEveryFieldOfEveryArchitecture) {
  for (const std::string& name : formats::architecture_names()) {
    for (const formats::ModelConfigField& field : find_architecture(name)->fields) {
      EXPECT_TRUE(is_checked_field(field.name)) << name << " " << field.name;
    }
  }
  for (const char* name : {"gemma3_text_config", "llama4_text_config", "clip_vision_config"}) {
    for (const formats::ModelConfigField& field : formats::nested_architecture(name).fields) {
      EXPECT_TRUE(is_checked_field(field.name)) << name << " " << field.name;
    }
  }
}

// One line for each preset; MLC_UPDATE_GOLDENS=1 writes the file anew.
TEST(DeriveModelConfig, PresetsComeOutAsInTheFixture) {
  std::string text;
  for (const std::string& name : formats::model_preset_names()) {
    const Json config = without(derive(*formats::find_model_preset(name)), "hf");
    text += cat(name, " ", config.dump(), "\n");
  }
  const std::string path = source_path("tests/fixtures/chat_config/presets.txt");
  if (environment("MLC_UPDATE_GOLDENS")) ASSERT_TRUE(write_file(path, text).ok());
  EXPECT_EQ(read_file(path).value(), text);
}

}  // namespace
}  // namespace mlc::compiler
