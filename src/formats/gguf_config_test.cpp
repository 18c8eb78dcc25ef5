// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "formats/gguf_test_file.h"
#include "support/strings.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

// 2 heads of 4, hidden 8, vocabulary 5, one layer; q without bias.
GgufTestFile model(std::string_view architecture) {
  GgufTestFile file(architecture);
  file.size("block_count", 1).size("context_length", 128).size("embedding_length", 8);
  file.size("feed_forward_length", 16).size("attention.head_count", 2);
  file.number("attention.layer_norm_rms_epsilon", 1e-6);
  file.number("attention.layer_norm_epsilon", 1e-5);
  file.counting("token_embd.weight", {5, 8});
  return file;
}

Result<Json> config_of(const GgufTestFile& made) {
  const std::string bytes = made.bytes();
  MLC_ASSIGN_OR_RETURN(const GgufFile file, GgufFile::parse(as_bytes(bytes), "m.gguf"));
  return gguf_config(file);
}
std::string config_error(const GgufTestFile& made) { return error_text(config_of(made)); }

// A member of the config as text.
std::string value_of(const GgufTestFile& made, std::string_view key) {
  const Result<Json> config = config_of(made);
  if (!config.ok()) return error_text(config);
  return config->contains(key) ? config->find(key)->dump() : "absent";
}

TEST(GgufConfig, LlamaWhole) {
  GgufTestFile made = model("llama");
  made.size("attention.head_count_kv", 1).number("rope.freq_base", 500000);
  made.integer("tokenizer.ggml.bos_token_id", 1).integer("tokenizer.ggml.eos_token_id", 2);
  made.counting("blk.0.attn_q.bias", {8});
  EXPECT_EQ(config_of(made).value().dump(),
            R"({"architectures": ["LlamaForCausalLM"], "attention_bias": true, "bos_token_id": 1, )"
            R"("eos_token_id": 2, "head_dim": 4, "hidden_act": "silu", "hidden_size": 8, )"
            R"("intermediate_size": 16, "max_position_embeddings": 128, "mlp_bias": false, )"
            R"("model_type": "llama", "num_attention_heads": 2, "num_hidden_layers": 1, )"
            R"("num_key_value_heads": 1, "rms_norm_eps": 1e-06, "rope_scaling": null, )"
            R"("rope_theta": 500000.0, "tie_word_embeddings": true, "use_cache": true, )"
            R"("vocab_size": 5})");
}

TEST(GgufConfig, GptNeoxWhole) {
  GgufTestFile made = model("gptneox");
  made.size("rope.dimension_count", 1).flag("gptneox.use_parallel_residual", false);
  made.counting("output.weight", {5, 8}).counting("blk.0.attn_qkv.bias", {24});
  EXPECT_EQ(
      config_of(made).value().dump(),
      R"({"architectures": ["GPTNeoXForCausalLM"], "attention_bias": true, "hidden_act": "gelu", )"
      R"("hidden_size": 8, "intermediate_size": 16, "layer_norm_eps": 1e-05, )"
      R"("max_position_embeddings": 128, "model_type": "gpt_neox", "num_attention_heads": 2, )"
      R"("num_hidden_layers": 1, "rope_scaling": null, "rotary_emb_base": 10000.0, )"
      R"("rotary_pct": 0.25, "tie_word_embeddings": false, "use_cache": true, )"
      R"("use_parallel_residual": false, "vocab_size": 5})");
}

TEST(GgufConfig, Gpt2Whole) {
  GgufTestFile made = model("gpt2");
  made.counting("blk.0.ffn_up.weight", {12, 8});  // writers state 4 * hidden whatever it is
  EXPECT_EQ(config_of(made).value().dump(),
            R"({"activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], )"
            R"("layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 128, "n_embd": 8, )"
            R"("n_head": 2, "n_inner": 12, "n_layer": 1, "n_positions": 128, )"
            R"("tie_word_embeddings": true, "use_cache": true, "vocab_size": 5})");
}

TEST(GgufConfig, Gemma3Whole) {
  GgufTestFile made = model("gemma3");
  made.size("attention.key_length", 6).size("attention.value_length", 6);
  made.size("attention.sliding_window", 64).number("rope.freq_base", 1e6);
  made.text("gemma3.rope.scaling.type", "linear").number("rope.scaling.factor", 8);
  EXPECT_EQ(
      config_of(made).value().dump(),
      R"({"architectures": ["Gemma3ForCausalLM"], "attention_bias": false, )"
      R"("attn_logit_softcapping": null, "final_logit_softcapping": null, "head_dim": 6, )"
      R"("hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh", )"
      R"("hidden_size": 8, "intermediate_size": 16, "max_position_embeddings": 128, )"
      R"("model_type": "gemma3_text", "num_attention_heads": 2, "num_hidden_layers": 1, )"
      R"("num_key_value_heads": 2, "query_pre_attn_scalar": 6, "rms_norm_eps": 1e-06, )"
      R"("rope_local_base_freq": 10000.0, "rope_scaling": {"rope_type": "linear", "factor": 8.0}, )"
      R"("rope_theta": 1000000.0, "sliding_window": 64, "sliding_window_pattern": 6, )"
      R"("tie_word_embeddings": true, "use_cache": true, "vocab_size": 5})");
}

TEST(GgufConfig, EveryArchitectureHasItsModelType) {
  const std::pair<const char*, const char*> types[] = {
      {"llama", "llama"},      {"qwen2", "qwen2"},           {"qwen2moe", "qwen2_moe"},
      {"qwen3", "qwen3"},      {"qwen3moe", "qwen3_moe"},    {"gemma", "gemma"},
      {"gemma2", "gemma2"},    {"gemma3", "gemma3_text"},    {"phi2", "phi"},
      {"phi3", "phi3"},        {"starcoder2", "starcoder2"}, {"gpt2", "gpt2"},
      {"gptneox", "gpt_neox"}, {"baichuan", "baichuan"},     {"internlm2", "internlm2"},
      {"minicpm", "minicpm"},  {"granite", "granite"},       {"smollm3", "smollm3"}};
  for (const auto& [architecture, type] : types) {
    GgufTestFile made = model(architecture);
    if (std::string_view(architecture) == "granite") made.number("logit_scale", 8);
    EXPECT_EQ(value_of(made, "model_type"), cat("\"", type, "\"")) << architecture;
  }
  EXPECT_HAS(config_error(model("lama")), "unknown architecture lama");
}

TEST(GgufConfig, LlamaWithAWindowIsMistralAndWithExpertsMixtral) {
  GgufTestFile mistral = model("llama");
  mistral.size("attention.sliding_window", 32);
  EXPECT_EQ(value_of(mistral, "model_type"), "\"mistral\"");
  EXPECT_EQ(value_of(mistral, "architectures"), "[\"MistralForCausalLM\"]");
  EXPECT_EQ(value_of(mistral, "sliding_window"), "32");
  GgufTestFile none = model("llama");
  none.size("attention.sliding_window", 0);
  EXPECT_EQ(value_of(none, "model_type"), "\"llama\"");
  EXPECT_EQ(value_of(none, "sliding_window"), "absent");
  GgufTestFile mixtral = model("llama");
  mixtral.size("expert_count", 4).size("expert_used_count", 2);
  EXPECT_EQ(value_of(mixtral, "model_type"), "\"mixtral\"");
  EXPECT_EQ(value_of(mixtral, "num_local_experts"), "4");
  EXPECT_EQ(value_of(mixtral, "num_experts_per_tok"), "2");
  EXPECT_EQ(value_of(mixtral, "sliding_window"), "null");
  EXPECT_EQ(value_of(mixtral, "attention_bias"), "absent");
}

TEST(GgufConfig, QwenModels) {
  GgufTestFile qwen2 = model("qwen2");
  qwen2.size("attention.sliding_window", 32);  // which layers it concerns is not in the file
  EXPECT_EQ(value_of(qwen2, "use_sliding_window"), "false");
  EXPECT_EQ(value_of(qwen2, "sliding_window"), "absent");
  EXPECT_EQ(value_of(model("qwen3"), "attention_bias"), "false");

  GgufTestFile moe = model("qwen2moe");
  moe.size("expert_count", 4).size("expert_used_count", 2);
  moe.size("expert_feed_forward_length", 6).size("expert_shared_feed_forward_length", 10);
  EXPECT_EQ(value_of(moe, "num_experts"), "4");
  EXPECT_EQ(value_of(moe, "norm_topk_prob"), "false");
  EXPECT_EQ(value_of(moe, "decoder_sparse_step"), "1");
  EXPECT_EQ(value_of(moe, "moe_intermediate_size"), "6");
  EXPECT_EQ(value_of(moe, "shared_expert_intermediate_size"), "10");
  EXPECT_EQ(value_of(moe, "mlp_only_layers"), "[]");

  GgufTestFile old = model("qwen3moe");  // before the keys were written
  old.size("expert_count", 4).size("expert_used_count", 2);
  old.counting("blk.0.ffn_down_exps.weight", {4, 8, 7}).counting("blk.0.ffn_gate.weight", {1});
  EXPECT_EQ(value_of(old, "moe_intermediate_size"), "7");
  EXPECT_EQ(value_of(old, "norm_topk_prob"), "true");
  EXPECT_EQ(value_of(old, "mlp_only_layers"), "[0]");
}

TEST(GgufConfig, ExpertsMustBePossible) {
  GgufTestFile many = model("llama");
  many.size("expert_count", 4).size("expert_used_count", 5);
  EXPECT_HAS(config_error(many), "key llama.expert_used_count: is 5\n  expected at most 4");
  GgufTestFile missing = model("llama");
  missing.size("expert_count", 4);
  EXPECT_HAS(config_error(missing), "lacks the key llama.expert_used_count");
  GgufTestFile dense = model("qwen2");
  dense.size("expert_count", 4);
  EXPECT_HAS(config_error(dense),
             "key qwen2.expert_count: is 4\n  expected 0 or none: no qwen2 has experts");
  GgufTestFile width = model("qwen3moe");
  width.size("expert_count", 4).size("expert_used_count", 1);
  EXPECT_HAS(config_error(width), "lacks the key qwen3moe.expert_feed_forward_length");
}

TEST(GgufConfig, GemmaModels) {
  EXPECT_EQ(value_of(model("gemma"), "hidden_activation"), "\"gelu_pytorch_tanh\"");
  EXPECT_EQ(value_of(model("gemma"), "rope_theta"), "10000.0");
  GgufTestFile gemma2 = model("gemma2");
  EXPECT_EQ(value_of(gemma2, "attn_logit_softcapping"), "50.0");
  EXPECT_EQ(value_of(gemma2, "final_logit_softcapping"), "30.0");
  EXPECT_EQ(value_of(gemma2, "sliding_window"), "4096");
  EXPECT_EQ(value_of(gemma2, "query_pre_attn_scalar"), "4");
  gemma2.number("attn_logit_softcapping", 5).number("final_logit_softcapping", 0);
  gemma2.size("attention.sliding_window", 16);
  EXPECT_EQ(value_of(gemma2, "attn_logit_softcapping"), "5.0");
  EXPECT_EQ(value_of(gemma2, "final_logit_softcapping"), "null");
  EXPECT_EQ(value_of(gemma2, "sliding_window"), "16");
}

TEST(GgufConfig, TheLargestGemmasScaleQueriesByTheirHiddenSize) {
  for (const auto& [architecture, layers] : {std::pair("gemma2", 46), std::pair("gemma3", 62)}) {
    GgufTestFile made(architecture);
    made.size("block_count", layers).size("context_length", 128).size("embedding_length", 8);
    made.size("feed_forward_length", 16).size("attention.head_count", 2);
    made.size("attention.key_length", 2).number("attention.layer_norm_rms_epsilon", 1e-6);
    made.counting("token_embd.weight", {5, 8});
    for (int i = 0; i < layers; ++i) made.counting(cat("blk.", i, ".attn_norm.weight"), {8});
    EXPECT_EQ(value_of(made, "query_pre_attn_scalar"), "4");
    EXPECT_EQ(value_of(made, "head_dim"), "2");
  }
}

TEST(GgufConfig, LayersWithAWindowInGemma3) {
  const std::string key = "gemma3.attention.sliding_window_pattern";
  GgufTestFile none = model("gemma3");
  EXPECT_EQ(value_of(none, "sliding_window"), "null");
  EXPECT_EQ(value_of(none, "sliding_window_pattern"), "1");
  GgufTestFile period = model("gemma3");
  period.size("attention.sliding_window", 16).integer(key, 3);
  EXPECT_EQ(value_of(period, "sliding_window_pattern"), "3");
  GgufTestFile zero = model("gemma3");
  zero.size("attention.sliding_window", 16).integer(key, 0);
  EXPECT_HAS(config_error(zero), cat("key ", key, ": is 0\n  expected a number from 1"));
  GgufTestFile list = model("gemma3");
  list.size("attention.sliding_window", 16).integers(key, {1}, GgufValueType::kBool);
  EXPECT_EQ(value_of(list, "layer_types"), "[\"sliding_attention\"]");
  EXPECT_EQ(value_of(list, "sliding_window_pattern"), "absent");
  GgufTestFile wrong = model("gemma3");
  wrong.size("attention.sliding_window", 16).integers(key, {1, 0}, GgufValueType::kBool);
  EXPECT_HAS(config_error(wrong),
             cat("key ", key, ": has 2 elements\n  expected 1, one for each layer"));
}

TEST(GgufConfig, PhiModels) {
  GgufTestFile phi2 = model("phi2");
  phi2.size("rope.dimension_count", 2).counting("blk.0.ffn_up.weight", {20, 8});
  EXPECT_EQ(value_of(phi2, "partial_rotary_factor"), "0.5");
  EXPECT_EQ(value_of(phi2, "layer_norm_eps"), "1e-05");
  EXPECT_EQ(value_of(phi2, "hidden_act"), "\"gelu_new\"");
  EXPECT_EQ(value_of(phi2, "intermediate_size"), "20");
  GgufTestFile phi3 = model("phi3");
  EXPECT_EQ(value_of(phi3, "partial_rotary_factor"), "absent");
  EXPECT_EQ(value_of(phi3, "original_max_position_embeddings"), "128");
  EXPECT_EQ(value_of(phi3, "sliding_window"), "null");
  EXPECT_EQ(value_of(phi3, "head_dim"), "absent");
  phi3.size("rope.scaling.original_context_length", 64).size("attention.sliding_window", 16);
  phi3.size("rope.dimension_count", 2);
  EXPECT_EQ(value_of(phi3, "original_max_position_embeddings"), "64");
  EXPECT_EQ(value_of(phi3, "sliding_window"), "16");
  EXPECT_EQ(value_of(phi3, "partial_rotary_factor"), "0.5");
}

TEST(GgufConfig, ThePartThatIsRotatedGivesItsDimensionsBack) {
  for (int64_t head = 2; head <= 160; ++head) {
    for (int64_t rotated = 1; rotated <= head; ++rotated) {
      if (head % 16 != 0 && rotated % 7 != 0) continue;
      GgufTestFile made("gptneox");
      made.size("block_count", 1).size("context_length", 128).size("embedding_length", head);
      made.size("feed_forward_length", 16).size("attention.head_count", 1);
      made.number("attention.layer_norm_epsilon", 1e-5).counting("token_embd.weight", {2, 1});
      made.size("rope.dimension_count", rotated);
      const double part = config_of(made).value().find("rotary_pct")->as_double();
      ASSERT_EQ(static_cast<int64_t>(static_cast<double>(head) * part), rotated) << head;
    }
  }
}

TEST(GgufConfig, Starcoder2) {
  GgufTestFile made = model("starcoder2");
  made.number("rope.freq_base", 100000).counting("blk.0.attn_q.bias", {8});
  EXPECT_EQ(value_of(made, "norm_epsilon"), "1e-05");
  EXPECT_EQ(value_of(made, "use_bias"), "true");
  EXPECT_EQ(value_of(made, "hidden_act"), "\"gelu_pytorch_tanh\"");
  EXPECT_EQ(value_of(made, "sliding_window"), "null");
}

TEST(GgufConfig, ScalesOfGraniteAndMinicpm) {
  GgufTestFile granite = model("granite");
  granite.number("embedding_scale", 12)
      .number("residual_scale", 0.22)
      .number("attention.scale", 0.015625);
  granite.number("logit_scale", 8);
  EXPECT_EQ(value_of(granite, "embedding_multiplier"), "12.0");
  EXPECT_EQ(value_of(granite, "residual_multiplier"), "0.22");
  EXPECT_EQ(value_of(granite, "attention_multiplier"), "0.015625");
  EXPECT_EQ(value_of(granite, "logits_scaling"), "8.0");
  granite.flag("granite.rope.scaling.finetuned", false);
  EXPECT_HAS(config_error(granite), "is false: the model has no rotary embedding");
  EXPECT_HAS(config_error(model("granite")), "lacks the key granite.logit_scale");
  GgufTestFile usual = model("granite");
  usual.number("logit_scale", 8);
  EXPECT_EQ(value_of(usual, "attention_multiplier"), "0.5");  // 1 / sqrt(4)

  GgufTestFile minicpm = model("minicpm");
  EXPECT_EQ(value_of(minicpm, "scale_emb"), "12.0");
  EXPECT_EQ(value_of(minicpm, "scale_depth"), "1.4");
  EXPECT_EQ(value_of(minicpm, "dim_model_base"), "256");
  minicpm.number("embedding_scale", 6).number("residual_scale", 0.7).number("logit_scale", 2);
  EXPECT_EQ(value_of(minicpm, "scale_emb"), "6.0");
  EXPECT_EQ(value_of(minicpm, "scale_depth"), "0.7");
  EXPECT_EQ(value_of(minicpm, "dim_model_base"), "4");
  GgufTestFile zero = model("minicpm");
  zero.number("logit_scale", 0);
  EXPECT_HAS(config_error(zero), "minicpm.logit_scale: is 0.0\n  expected embedding_length");
}

TEST(GgufConfig, BaichuanIsTheModelWithARotaryEmbedding) {
  EXPECT_EQ(value_of(model("baichuan"), "model_max_length"), "128");
  EXPECT_EQ(value_of(model("baichuan"), "num_key_value_heads"), "absent");
  GgufTestFile large("baichuan");
  large.size("block_count", 40).size("context_length", 128).size("embedding_length", 8);
  large.size("feed_forward_length", 16).size("attention.head_count", 2);
  large.number("attention.layer_norm_rms_epsilon", 1e-6).counting("token_embd.weight", {5, 8});
  for (int i = 0; i < 40; ++i) large.counting(cat("blk.", i, ".attn_norm.weight"), {8});
  EXPECT_HAS(config_error(large), "is 40: Baichuan 13B has ALiBi instead of a rotary embedding");
  GgufTestFile grouped = model("baichuan");
  grouped.size("attention.head_count_kv", 1);
  EXPECT_HAS(config_error(grouped), "is 1\n  expected 2, the head_count, as in every baichuan");
}

TEST(GgufConfig, HeadsAreCheckedAgainstTheHiddenSize) {
  GgufTestFile wide = model("llama");
  wide.size("attention.key_length", 8).size("attention.value_length", 8);
  EXPECT_EQ(value_of(wide, "head_dim"), "8");
  GgufTestFile values = model("llama");
  values.size("attention.value_length", 8);
  EXPECT_HAS(config_error(values),
             "key llama.attention.value_length: is 8\n  expected 4, the length of a key");
  GgufTestFile three("llama");
  three.size("block_count", 1).size("context_length", 1).size("embedding_length", 8);
  three.size("feed_forward_length", 1)
      .size("attention.head_count", 3)
      .counting("token_embd.weight", {5, 8});
  EXPECT_HAS(config_error(three), "is 3\n  expected a divisor of embedding_length, 8");
  GgufTestFile rotated = model("llama");
  rotated.size("rope.dimension_count", 2);
  EXPECT_HAS(config_error(rotated), "is 2\n  expected 4: such models rotate whole heads");
  GgufTestFile beyond = model("gptneox");
  beyond.size("rope.dimension_count", 5);
  EXPECT_HAS(config_error(beyond), "gptneox.rope.dimension_count: is 5\n  expected from 1 to 4");
  GgufTestFile gpt2 = model("gpt2");
  gpt2.size("attention.key_length", 8);
  EXPECT_HAS(config_error(gpt2),
             "is 8\n  expected embedding_length / head_count, as in every gpt2");
  GgufTestFile grouped = model("gpt2");
  grouped.size("attention.head_count_kv", 1);
  EXPECT_HAS(config_error(grouped), "is 1\n  expected 2, the head_count, as in every gpt2");
}

TEST(GgufConfig, TheVocabularyIsThatOfTheEmbedding) {
  GgufTestFile stated = model("llama");
  stated.size("vocab_size", 6);
  EXPECT_HAS(config_error(stated),
             "key llama.vocab_size: is 6\n  expected 5, the rows of token_embd.weight");
  GgufTestFile tokens = model("llama");
  tokens.texts("tokenizer.ggml.tokens", {"a", "b", "c", "d", "e", "f"});
  EXPECT_HAS(config_error(tokens),
             "tokenizer.ggml.tokens: has 6 tokens\n  expected at most 5, the rows");
  GgufTestFile none("llama");
  none.size("block_count", 1).size("context_length", 1).size("embedding_length", 8);
  none.size("feed_forward_length", 1)
      .size("attention.head_count", 2)
      .counting("output_norm.weight", {8});
  EXPECT_HAS(config_error(none), "has no tensor token_embd.weight of two dimensions");
}

TEST(GgufConfig, MissingKeysAreNamed) {
  GgufTestFile made("llama");
  made.size("block_count", 1).size("attention.head_count", 2).counting("token_embd.weight", {5, 8});
  EXPECT_HAS(config_error(made), "m.gguf: lacks the key llama.embedding_length");
  made.size("embedding_length", 8);
  EXPECT_HAS(config_error(made), "lacks the key llama.context_length");
  made.size("context_length", 8);
  EXPECT_HAS(config_error(made), "lacks the key llama.feed_forward_length");
  made.integers("llama.feed_forward_length", {16, 16});
  EXPECT_HAS(config_error(made), "lacks the key llama.attention.layer_norm_rms_epsilon");
}

// -------------------------------------------------------------------------------------------
// scaling

std::string scaling_of(const GgufTestFile& made) { return value_of(made, "rope_scaling"); }

TEST(GgufRope, LinearScaling) {
  GgufTestFile made = model("llama");
  made.text("llama.rope.scaling.type", "linear").number("rope.scaling.factor", 2.5);
  EXPECT_EQ(scaling_of(made), R"({"rope_type": "linear", "factor": 2.5})");
  GgufTestFile untyped = model("llama");
  EXPECT_EQ(scaling_of(untyped.number("rope.scaling.factor", 4)),
            R"({"rope_type": "linear", "factor": 4.0})");
  GgufTestFile old = model("llama");
  EXPECT_EQ(scaling_of(old.number("rope.scale_linear", 2)),
            R"({"rope_type": "linear", "factor": 2.0})");
  for (const double factor : {0.0, 1.0}) {
    GgufTestFile nothing = model("llama");
    EXPECT_EQ(scaling_of(nothing.number("rope.scaling.factor", factor)), "null");
  }
  GgufTestFile none = model("llama");
  none.text("llama.rope.scaling.type", "none").number("rope.scaling.factor", 2);
  EXPECT_EQ(scaling_of(none), "null");
}

TEST(GgufRope, YarnScaling) {
  GgufTestFile made = model("qwen2");
  made.text("qwen2.rope.scaling.type", "yarn").number("rope.scaling.factor", 4);
  EXPECT_EQ(scaling_of(made),
            R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128})");
  made.size("rope.scaling.original_context_length", 32).number("rope.scaling.yarn_beta_fast", 24);
  made.number("rope.scaling.yarn_beta_slow", 2).number("rope.scaling.yarn_attn_factor", 0.9);
  made.number("rope.scaling.yarn_ext_factor", 1);
  EXPECT_EQ(scaling_of(made),
            R"({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, )"
            R"("beta_fast": 24.0, "beta_slow": 2.0, "attention_factor": 0.9})");
  GgufTestFile extrapolated = model("qwen2");
  extrapolated.text("qwen2.rope.scaling.type", "yarn").number("rope.scaling.factor", 4);
  extrapolated.number("rope.scaling.yarn_ext_factor", 0.5);
  EXPECT_HAS(config_error(extrapolated), "yarn_ext_factor: is 0.5\n  expected 1, which is all");
  GgufTestFile bare = model("qwen2");
  bare.text("qwen2.rope.scaling.type", "yarn");
  EXPECT_HAS(config_error(bare), "is yarn without rope.scaling.factor\n  expected both");
}

TEST(GgufRope, LongropeScaling) {
  GgufTestFile made = model("phi3");
  made.size("rope.scaling.original_context_length", 32);
  made.tensor("rope_factors_long.weight", {2}, {1.1f, 5})
      .tensor("rope_factors_short.weight", {2}, {1, 1.02f});
  const std::string scaling =
      R"({"rope_type": "longrope", "long_factor": [1.1, 5.0], "short_factor": [1.0, 1.02], )"
      R"("original_max_position_embeddings": 32)";
  EXPECT_EQ(scaling_of(made), scaling + "}");
  // The factor that follows from the lengths is not repeated: sqrt(1 + ln 4 / ln 32).
  GgufTestFile usual = made;
  EXPECT_EQ(scaling_of(usual.number("rope.scaling.attn_factor", std::sqrt(1 + 0.4))),
            scaling + "}");
  GgufTestFile other = made;
  EXPECT_EQ(scaling_of(other.number("rope.scaling.attn_factor", 1.5)),
            scaling + R"(, "attention_factor": 1.5})");
  GgufTestFile typed = made;
  typed.text("phi3.rope.scaling.type", "yarn");
  EXPECT_HAS(config_error(typed),
             "is yarn and the file has factors for longrope\n  expected longrope");
}

TEST(GgufRope, ImpossibleScalingsAreRefused) {
  GgufTestFile unknown = model("llama");
  unknown.text("llama.rope.scaling.type", "yarm");
  EXPECT_HAS(config_error(unknown),
             "key llama.rope.scaling.type: unknown type yarm\n  expected one of "
             "none, linear, yarn, longrope\n  did you mean yarn?");
  GgufTestFile negative = model("llama");
  EXPECT_HAS(config_error(negative.number("rope.scaling.factor", -2)),
             "is -2.0\n  expected a number above 0");
  GgufTestFile theta = model("llama");
  EXPECT_HAS(config_error(theta.number("rope.freq_base", 0)),
             "key llama.rope.freq_base: is 0.0\n  expected a number above 0");
  GgufTestFile factor = model("llama");
  EXPECT_HAS(config_error(factor.number("rope.scaling.attn_factor", 1.2)),
             "attn_factor: is 1.2\n  expected 1 where the scaling is not longrope");
  GgufTestFile half = model("phi3");
  half.tensor("rope_factors_long.weight", {2}, {1, 2});
  EXPECT_HAS(config_error(half),
             "lacks the tensor rope_factors_short.weight\n  expected both sets");
  GgufTestFile count = model("llama");
  EXPECT_HAS(
      config_error(count.tensor("rope_freqs.weight", {3}, {1, 1, 1})),
      "tensor rope_freqs.weight: has 3 elements of the type F32\n  expected 2 of the type F32");
  GgufTestFile zero = model("llama");
  EXPECT_HAS(config_error(zero.tensor("rope_freqs.weight", {2}, {1, 0})),
             "has the factor 0.0\n  expected finite factors above 0");
  GgufTestFile both = model("llama");
  both.number("rope.scaling.factor", 2).tensor("rope_freqs.weight", {2}, {1, 4});
  EXPECT_HAS(config_error(both),
             "tensor rope_freqs.weight: scales the rotary embedding, and so does "
             "llama.rope.scaling.type");
}

// The factors that a writer keeps of Llama 3's scaling, in float32.
std::vector<float> llama3_factors(double theta, int64_t dimensions, double factor, double low,
                                  double high, double original) {
  std::vector<float> factors;
  for (int64_t i = 0; i < dimensions; i += 2) {
    const double wavelength =
        2 * std::numbers::pi *
        std::pow(theta, static_cast<double>(i) / static_cast<double>(dimensions));
    double kept = (original / wavelength - low) / (high - low);
    kept = std::min(std::max(kept, 0.0), 1.0);
    factors.push_back(static_cast<float>(1 / ((1 - kept) / factor + kept)));
  }
  return factors;
}

GgufTestFile with_factors(double theta, int64_t head_dim, const std::vector<float>& factors) {
  GgufTestFile file("llama");
  file.size("block_count", 1).size("context_length", 131072).size("embedding_length", head_dim * 2);
  file.size("feed_forward_length", 16).size("attention.head_count", 2);
  file.number("attention.layer_norm_rms_epsilon", 1e-5).number("rope.freq_base", theta);
  file.counting("token_embd.weight", {5, 2});
  file.tensor("rope_freqs.weight", {static_cast<int64_t>(factors.size())}, factors);
  return file;
}

TEST(GgufRope, TheScalingOfLlama3IsRecovered) {
  struct Case {
    double theta;
    int64_t head_dim;
    double factor;
    int64_t original;
  };
  // Llama 3.1, 3.2 and 3.3, and others.
  for (const Case& c : {Case{500000, 128, 8, 8192}, Case{500000, 64, 32, 8192},
                        Case{500000, 16, 8, 64}, Case{10000, 32, 4, 1000}}) {
    const std::vector<float> factors =
        llama3_factors(c.theta, c.head_dim, c.factor, 1, 4, static_cast<double>(c.original));
    EXPECT_EQ(scaling_of(with_factors(c.theta, c.head_dim, factors)),
              cat(R"({"rope_type": "llama3", "factor": )", python_float(c.factor),
                  R"(, "high_freq_factor": 4.0, "low_freq_factor": 1.0, )",
                  R"("original_max_position_embeddings": )", c.original, "}"));
  }
}

TEST(GgufRope, FactorsOfAnotherRuleAreKept) {
  // Other ends of the ramp, and no frequency on the ramp.
  const std::vector<float> other = llama3_factors(500000, 32, 8, 1, 8, 8192);
  std::vector<std::string> texts;
  for (const float factor : other) texts.push_back(python_float(shortest_double(factor)));
  EXPECT_EQ(scaling_of(with_factors(500000, 32, other)),
            cat(R"({"rope_type": "longrope", "short_factor": [)", join(texts, ", "),
                R"(], "long_factor": [)", join(texts, ", "),
                R"(], "attention_factor": 1.0, "original_max_position_embeddings": 131072})"));
  EXPECT_EQ(scaling_of(with_factors(10000, 4, {1, 8})),
            R"({"rope_type": "longrope", "short_factor": [1.0, 8.0], "long_factor": [1.0, 8.0], )"
            R"("attention_factor": 1.0, "original_max_position_embeddings": 131072})");
  EXPECT_EQ(scaling_of(with_factors(10000, 4, {1, 1})), "null");
}

// -------------------------------------------------------------------------------------------
// tokens

Json generation_of(const GgufTestFile& made) {
  const std::string bytes = made.bytes();
  return gguf_generation_config(GgufFile::parse(as_bytes(bytes), "m.gguf").value()).value();
}

TEST(GgufGenerationConfig, ListsTheEndsOfATurn) {
  GgufTestFile made;
  EXPECT_EQ(generation_of(made).dump(), "{}");
  made.integer("tokenizer.ggml.eos_token_id", 2).integer("tokenizer.ggml.eot_token_id", 2);
  EXPECT_EQ(generation_of(made).dump(), R"({"eos_token_id": 2})");
  made.integer("tokenizer.ggml.eom_token_id", 4).integer("tokenizer.ggml.bos_token_id", 1);
  made.integer("tokenizer.ggml.padding_token_id", 0);
  EXPECT_EQ(generation_of(made).dump(),
            R"({"bos_token_id": 1, "eos_token_id": [2, 4], "pad_token_id": 0})");
}

TEST(GgufGenerationConfig, SentencePieceHasDefaults) {
  GgufTestFile made;
  made.text("tokenizer.ggml.model", "llama");
  EXPECT_EQ(generation_of(made).dump(), R"({"bos_token_id": 1, "eos_token_id": 2})");
  GgufTestFile bytes;
  bytes.text("tokenizer.ggml.model", "gpt2");
  EXPECT_EQ(generation_of(bytes).dump(), "{}");
}

TEST(GgufGenerationConfig, NumbersThatNoTokenHasCountAsNone) {
  GgufTestFile made;
  made.texts("tokenizer.ggml.tokens", {"a", "b"});
  made.integer("tokenizer.ggml.eos_token_id", 2).integer("tokenizer.ggml.bos_token_id", 1);
  made.integer("tokenizer.ggml.padding_token_id", -1, GgufValueType::kI32);
  EXPECT_EQ(generation_of(made).dump(), R"({"bos_token_id": 1})");
}

}  // namespace
}  // namespace mlc::formats
