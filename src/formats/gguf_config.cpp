// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_config.h"

#include <algorithm>
#include <cmath>

#include "formats/gguf_architecture.h"
#include "formats/gguf_rope.h"
#include "formats/gguf_tokenizer.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

using enum GgufArchitecture;

struct ModelType {
  std::string_view model_type;
  std::string_view class_name;
};

class ConfigBuilder {
 public:
  ConfigBuilder(const GgufFile& file, const GgufModel& model)
      : file_(file), model_(model), keys_(file) {}

  Result<Json> build() {
    read_sizes();
    if (!keys_.ok()) return keys_.error();
    MLC_RETURN_IF_ERROR(set_vocabulary());
    const ModelType type = model_type();
    set("model_type", type.model_type);
    config_.set("architectures", Json::Array{Json(type.class_name)});
    set("use_cache", true);
    set("tie_word_embeddings", !has_own_head(file_, model_.architecture));
    if (model_.architecture == kGpt2) {
      set_gpt2();
    } else {
      set_sizes();
      MLC_RETURN_IF_ERROR(set_rope());
      set_norms_and_activation();
      set_biases();
      set_attention();
      set_family();
    }
    if (model_.experts > 0) set_experts();
    if (!keys_.ok()) return keys_.error();
    std::stable_sort(
        config_.as_object().begin(), config_.as_object().end(),
        [](const Json::Member& a, const Json::Member& b) { return a.first < b.first; });
    return std::move(config_);
  }

 private:
  void set(std::string_view key, Json value) { config_.set(key, std::move(value)); }
  bool has_tensor(std::string_view name) const { return file_.find_tensor(name) != nullptr; }

  void read_sizes() {
    hidden_ = keys_.size("embedding_length");
    context_ = keys_.size("context_length");
    feed_forward_ = feed_forward_width();
    head_dim_is_usual_ = !keys_.contains("attention.key_length");
    if (!keys_.ok()) return;
    if (head_dim_is_usual_) {
      head_dim_ = hidden_ / model_.heads;
      if (hidden_ % model_.heads != 0) {
        keys_.fail("attention.head_count", cat("is ", model_.heads),
                   cat("a divisor of embedding_length, ", hidden_));
      }
    } else {
      head_dim_ = keys_.size("attention.key_length");
      head_dim_is_usual_ = head_dim_ * model_.heads == hidden_;
    }
    const std::optional<int64_t> value_length = keys_.find_size("attention.value_length");
    if (value_length.value_or(head_dim_) != head_dim_) {
      keys_.fail("attention.value_length", cat("is ", *value_length),
                 cat(head_dim_, ", the length of a key"));
    }
    rotated_ = keys_.find_size("rope.dimension_count").value_or(head_dim_);
    if (rotated_ < 1 || rotated_ > head_dim_) {
      keys_.fail("rope.dimension_count", cat("is ", rotated_), cat("from 1 to ", head_dim_));
    }
    window_ = keys_.find_size("attention.sliding_window").value_or(0);
  }

  // For two architectures writers state 4 * hidden whatever it is.
  int64_t feed_forward_width() {
    const int64_t stated = keys_.size("feed_forward_length");
    const GgufTensor* up = file_.find_tensor("blk.0.ffn_up.weight");
    const bool is_guess = model_.architecture == kPhi2 || model_.architecture == kGpt2;
    return is_guess && up != nullptr && up->shape.size() == 2 ? up->shape[0] : stated;
  }

  Result<void> set_vocabulary() {
    const GgufTensor* embedding = file_.find_tensor("token_embd.weight");
    if (embedding == nullptr || embedding->shape.size() != 2) {
      return user_error(file_.path(), "has no tensor token_embd.weight of two dimensions", "",
                        "is this a file of a tokenizer only?");
    }
    const int64_t rows = embedding->shape[0];
    const std::optional<int64_t> stated = keys_.find_int("vocab_size");
    if (!keys_.ok()) return keys_.error();
    if (stated.value_or(rows) != rows) {
      return user_error(file_.key_where(keys_.full_key("vocab_size")), cat("is ", *stated),
                        cat(rows, ", the rows of token_embd.weight"));
    }
    const int64_t tokens = file_.list_length("tokenizer.ggml.tokens").value_or(0);
    if (tokens > rows) {
      return user_error(file_.key_where("tokenizer.ggml.tokens"), cat("has ", tokens, " tokens"),
                        cat("at most ", rows, ", the rows of token_embd.weight"));
    }
    set("vocab_size", rows);
    struct Token {
      std::string_view name;
      std::string_view hf;
    };
    for (const Token& token : {Token{"bos", "bos_token_id"}, Token{"eos", "eos_token_id"},
                               Token{"padding", "pad_token_id"}}) {
      MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> id, gguf_token_id(file_, token.name));
      if (id.has_value()) set(token.hf, *id);
    }
    return {};
  }

  ModelType model_type() const {
    switch (model_.architecture) {
      case kLlama:
        if (model_.experts > 0) return {"mixtral", "MixtralForCausalLM"};
        if (window_ > 0) return {"mistral", "MistralForCausalLM"};
        return {"llama", "LlamaForCausalLM"};
      case kQwen2:
        return {"qwen2", "Qwen2ForCausalLM"};
      case kQwen2Moe:
        return {"qwen2_moe", "Qwen2MoeForCausalLM"};
      case kQwen3:
        return {"qwen3", "Qwen3ForCausalLM"};
      case kQwen3Moe:
        return {"qwen3_moe", "Qwen3MoeForCausalLM"};
      case kGemma:
        return {"gemma", "GemmaForCausalLM"};
      case kGemma2:
        return {"gemma2", "Gemma2ForCausalLM"};
      case kGemma3:
        return {"gemma3_text", "Gemma3ForCausalLM"};
      case kPhi2:
        return {"phi", "PhiForCausalLM"};
      case kPhi3:
        return {"phi3", "Phi3ForCausalLM"};
      case kStarcoder2:
        return {"starcoder2", "Starcoder2ForCausalLM"};
      case kGpt2:
        return {"gpt2", "GPT2LMHeadModel"};
      case kGptNeox:
        return {"gpt_neox", "GPTNeoXForCausalLM"};
      case kBaichuan:
        return {"baichuan", "BaichuanForCausalLM"};
      case kInternlm2:
        return {"internlm2", "InternLM2ForCausalLM"};
      case kMinicpm:
        return {"minicpm", "MiniCPMForCausalLM"};
      case kGranite:
        return {"granite", "GraniteForCausalLM"};
      case kSmollm3:
        return {"smollm3", "SmolLM3ForCausalLM"};
    }
    return {};
  }

  void set_gpt2() {
    set("n_layer", model_.layers);
    set("n_embd", hidden_);
    set("n_inner", feed_forward_);
    set("n_positions", context_);
    set("n_ctx", context_);
    set("n_head", model_.heads);
    set("layer_norm_epsilon", keys_.number("attention.layer_norm_epsilon"));
    set("activation_function", "gelu_new");
    if (!head_dim_is_usual_) {
      keys_.fail("attention.key_length", cat("is ", head_dim_),
                 "embedding_length / head_count, as in every gpt2");
    }
    if (model_.kv_heads != model_.heads) {
      keys_.fail("attention.head_count_kv", cat("is ", model_.kv_heads),
                 cat(model_.heads, ", the head_count, as in every gpt2"));
    }
  }

  // Whether the Hugging Face config has a key for it.
  bool has_kv_heads() const {
    return model_.architecture != kGptNeox && model_.architecture != kBaichuan;
  }
  bool has_head_dim() const {
    switch (model_.architecture) {
      case kLlama:
      case kQwen2:
      case kQwen2Moe:
      case kQwen3:
      case kQwen3Moe:
      case kGemma:
      case kGemma2:
      case kGemma3:
      case kSmollm3:
        return true;
      default:
        return false;
    }
  }

  void set_sizes() {
    set("num_hidden_layers", model_.layers);
    set("hidden_size", hidden_);
    set("intermediate_size", feed_forward_);
    set("max_position_embeddings", context_);
    set("num_attention_heads", model_.heads);
    if (has_kv_heads()) {
      set("num_key_value_heads", model_.kv_heads);
    } else if (model_.kv_heads != model_.heads) {
      keys_.fail("attention.head_count_kv", cat("is ", model_.kv_heads),
                 cat(model_.heads, ", the head_count, as in every ", file_.architecture()));
    }
    // Where the config has no key of its own for it, only an unusual one is written.
    if (has_head_dim() || !head_dim_is_usual_) set("head_dim", head_dim_);
  }

  // The part of a head that is rotated. Readers multiply it by the head's size and round down.
  double rotated_part() const {
    const auto size = static_cast<double>(head_dim_);
    double part = static_cast<double>(rotated_) / size;
    while (std::floor(part * size) < static_cast<double>(rotated_))
      part = std::nextafter(part, 2.0);
    return part;
  }

  Result<void> set_rope() {
    const double theta = keys_.find_float("rope.freq_base").value_or(10000.0);
    if (!(theta > 0)) keys_.fail("rope.freq_base", cat("is ", theta), "a number above 0");
    if (!keys_.ok()) return keys_.error();
    MLC_ASSIGN_OR_RETURN(const Json scaling, gguf_rope_scaling(file_, {rotated_, theta, context_}));
    set("rope_scaling", scaling);
    set(model_.architecture == kGptNeox ? "rotary_emb_base" : "rope_theta", theta);
    switch (model_.architecture) {
      case kGptNeox:
        set("rotary_pct", rotated_part());
        break;
      case kPhi2:
        set("partial_rotary_factor", rotated_part());
        break;
      case kPhi3: {
        if (rotated_ != head_dim_) set("partial_rotary_factor", rotated_part());
        MLC_ASSIGN_OR_RETURN(const int64_t original, gguf_original_context(file_, context_));
        set("original_max_position_embeddings", original);
        break;
      }
      default:
        if (rotated_ != head_dim_) {
          keys_.fail("rope.dimension_count", cat("is ", rotated_),
                     cat(head_dim_, ": such models rotate whole heads"));
        }
    }
    return {};
  }

  void set_norms_and_activation() {
    const auto set_epsilon = [&](std::string_view key, std::string_view gguf) {
      set(key, keys_.number(gguf));
    };
    constexpr std::string_view kLayerNorm = "attention.layer_norm_epsilon";
    switch (model_.architecture) {
      case kGptNeox:
        set_epsilon("layer_norm_eps", kLayerNorm);
        set("hidden_act", "gelu");
        break;
      case kPhi2:
        set_epsilon("layer_norm_eps", kLayerNorm);
        set("hidden_act", "gelu_new");
        set("qk_layernorm", false);
        break;
      case kStarcoder2:
        set_epsilon("norm_epsilon", kLayerNorm);
        set("hidden_act", "gelu_pytorch_tanh");
        break;
      case kGemma:
      case kGemma2:
      case kGemma3:
        set_epsilon("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        set("hidden_act", "gelu_pytorch_tanh");
        set("hidden_activation", "gelu_pytorch_tanh");
        break;
      default:
        set_epsilon("rms_norm_eps", "attention.layer_norm_rms_epsilon");
        set("hidden_act", "silu");
    }
  }

  bool has_attention_bias() const {
    return has_tensor("blk.0.attn_q.bias") || has_tensor("blk.0.attn_qkv.bias");
  }

  void set_biases() {
    switch (model_.architecture) {
      case kLlama:
        if (model_.experts > 0) break;
        [[fallthrough]];
      case kGranite:
      case kSmollm3:
        set("attention_bias", has_attention_bias());
        set("mlp_bias", has_tensor("blk.0.ffn_up.bias"));
        break;
      case kQwen3:
      case kQwen3Moe:
      case kGemma:
      case kGemma2:
      case kGemma3:
      case kPhi3:
        set("attention_bias", has_attention_bias());
        break;
      case kQwen2Moe:
        set("qkv_bias", has_attention_bias());
        break;
      case kInternlm2:
        set("bias", has_attention_bias());
        break;
      case kStarcoder2:
        set("use_bias", has_attention_bias());
        break;
      case kGptNeox:
        set("attention_bias", has_attention_bias());
        break;
      default:
        break;
    }
  }

  void set_attention() {
    const Json window = window_ > 0 ? Json(window_) : Json();
    switch (model_.architecture) {
      case kLlama:
        if (model_.experts > 0 || window_ > 0) set("sliding_window", window);
        break;
      // Whether and in which layers the window of such a model is used is not in the file.
      case kQwen2:
      case kQwen2Moe:
      case kQwen3:
      case kQwen3Moe:
      case kSmollm3:
        set("use_sliding_window", false);
        break;
      case kPhi3:
      case kStarcoder2:
        set("sliding_window", window);
        break;
      case kGemma2: {
        constexpr int64_t kUsualWindow = 4096;  // of the files before the key was written
        set("sliding_window", window_ > 0 ? window_ : kUsualWindow);
        set_softcap("attn_logit_softcapping", 50.0);
        set_softcap("final_logit_softcapping", 30.0);
        constexpr int64_t kLayersOf27B = 46;
        set_query_scale(kLayersOf27B);
        break;
      }
      case kGemma3: {
        set("sliding_window", window);
        set("rope_local_base_freq", keys_.find_float("rope.freq_base_swa").value_or(10000.0));
        set_window_pattern();
        set_softcap("attn_logit_softcapping", {});
        set_softcap("final_logit_softcapping", {});
        constexpr int64_t kLayersOf27B = 62;
        set_query_scale(kLayersOf27B);
        break;
      }
      default:
        break;
    }
  }

  void set_softcap(std::string_view key, std::optional<double> usual) {
    std::optional<double> value = keys_.find_float(key);
    if (!value.has_value()) value = usual;
    set(key, value.value_or(0) > 0 ? Json(*value) : Json());
  }

  void set_query_scale(int64_t layers_of_27b) {
    set("query_pre_attn_scalar",
        model_.layers == layers_of_27b ? hidden_ / model_.heads : head_dim_);
  }

  // The layers that attend to all tokens: every sixth, every so many, or by a list of layers with a
  // window.
  void set_window_pattern() {
    constexpr std::string_view kKey = "attention.sliding_window_pattern";
    if (window_ == 0) {
      set("sliding_window_pattern", 1);
      return;
    }
    if (!file_.list_length(keys_.full_key(kKey)).has_value()) {
      const std::optional<int64_t> period = keys_.find_size(kKey);
      if (period == 0) keys_.fail(kKey, "is 0", "a number from 1");
      set("sliding_window_pattern", period.value_or(6));
      return;
    }
    const auto layers = file_.find_ints(keys_.full_key(kKey));
    if (!layers.ok()) return keys_.fail(layers.error());
    if (static_cast<int64_t>((*layers)->size()) != model_.layers) {
      return keys_.fail(kKey, cat("has ", (*layers)->size(), " elements"),
                        cat(model_.layers, ", one for each layer"));
    }
    Json::Array types;
    for (const int64_t has_window : **layers) {
      types.emplace_back(has_window != 0 ? "sliding_attention" : "full_attention");
    }
    set("layer_types", std::move(types));
  }

  // What only one architecture has.
  void set_family() {
    switch (model_.architecture) {
      case kGptNeox:
        set("use_parallel_residual", keys_.find_bool("use_parallel_residual").value_or(true));
        break;
      case kSmollm3: {
        constexpr int64_t kInterval = 4;
        set("no_rope_layer_interval", kInterval);
        break;
      }
      case kGranite:
        set("embedding_multiplier", keys_.find_float("embedding_scale").value_or(1.0));
        set("residual_multiplier", keys_.find_float("residual_scale").value_or(1.0));
        set("attention_multiplier", keys_.find_float("attention.scale")
                                        .value_or(1 / std::sqrt(static_cast<double>(head_dim_))));
        set("logits_scaling", keys_.number("logit_scale"));
        if (!keys_.find_bool("rope.scaling.finetuned").value_or(true)) {
          keys_.fail("rope.scaling.finetuned", "is false: the model has no rotary embedding",
                     "true, which is all that is supported");
        }
        break;
      case kMinicpm:
        set_minicpm();
        break;
      case kInternlm2:
        if (!config_.contains("pad_token_id")) set("pad_token_id", 2);
        break;
      case kBaichuan: {
        constexpr int64_t kLayersOf13B = 40;
        if (model_.layers == kLayersOf13B) {
          keys_.fail("block_count", "is 40: Baichuan 13B has ALiBi instead of a rotary embedding",
                     "Baichuan 7B, which is all that is supported");
        }
        set("initializer_range", 0.02);
        set("model_max_length", context_);
        if (!config_.contains("pad_token_id")) set("pad_token_id", 0);
        break;
      }
      default:
        break;
    }
  }

  // The file has the factors that result; the defaults are those of the files before the keys were
  // written.
  void set_minicpm() {
    const auto layers = static_cast<double>(model_.layers);
    const auto hidden = static_cast<double>(hidden_);
    const double residual = keys_.find_float("residual_scale").value_or(1.4 / std::sqrt(layers));
    const double logits = keys_.find_float("logit_scale").value_or(hidden / 256);
    set("scale_emb", keys_.find_float("embedding_scale").value_or(12.0));
    // The factor was rounded to float32, and its root was taken off: five digits are left of what
    // it was.
    set("scale_depth", std::round(residual * std::sqrt(layers) * 1e5) / 1e5);
    const double base = logits == 0 ? 0 : hidden / logits;
    if (!(std::abs(base - std::nearbyint(base)) < 1e-3 * base) || base < 0.5 ||
        base > hidden * 1e6) {
      keys_.fail("logit_scale", cat("is ", logits), "embedding_length / dim_model_base");
      return;
    }
    set("dim_model_base", static_cast<int64_t>(std::nearbyint(base)));
  }

  void set_experts() {
    if (!may_have_experts()) {
      keys_.fail("expert_count", cat("is ", model_.experts),
                 cat("0 or none: no ", file_.architecture(), " has experts"));
      return;
    }
    const int64_t used = keys_.size("expert_used_count");
    if (keys_.ok() && used > model_.experts) {
      keys_.fail("expert_used_count", cat("is ", used), cat("at most ", model_.experts));
    }
    set("num_experts_per_tok", used);
    if (model_.architecture == kLlama) {
      set("num_local_experts", model_.experts);
      return;
    }
    set("num_experts", model_.experts);
    set("norm_topk_prob", model_.architecture == kQwen3Moe);
    set("decoder_sparse_step", 1);
    Json::Array dense;
    for (int64_t layer = 0; layer < model_.layers; ++layer) {
      if (has_tensor(cat("blk.", layer, ".ffn_gate.weight"))) dense.emplace_back(layer);
    }
    set("mlp_only_layers", std::move(dense));
    set("moe_intermediate_size", width("expert_feed_forward_length", "ffn_down_exps"));
    if (model_.architecture == kQwen2Moe) {
      set("shared_expert_intermediate_size",
          width("expert_shared_feed_forward_length", "ffn_down_shexp"));
    }
  }

  bool may_have_experts() const {
    return model_.architecture == kLlama || model_.architecture == kQwen2Moe ||
           model_.architecture == kQwen3Moe;
  }

  // The key, or the row length of such a tensor: old files lack the key.
  int64_t width(std::string_view key, std::string_view stem) {
    const std::optional<int64_t> stated = keys_.find_size(key);
    if (stated.has_value()) return *stated;
    for (int64_t layer = 0; layer < model_.layers; ++layer) {
      const GgufTensor* tensor = file_.find_tensor(cat("blk.", layer, ".", stem, ".weight"));
      if (tensor != nullptr) return tensor->shape.back();
    }
    return keys_.size(key);
  }

  const GgufFile& file_;
  const GgufModel model_;
  GgufKeyReader keys_;
  Json config_ = Json::object();
  int64_t hidden_ = 0;
  int64_t context_ = 0;
  int64_t feed_forward_ = 0;
  int64_t head_dim_ = 0;
  bool head_dim_is_usual_ = false;  // hidden / heads
  int64_t rotated_ = 0;             // dimensions of a head
  int64_t window_ = 0;              // 0: none
};

}  // namespace

Result<Json> gguf_config(const GgufFile& file) {
  MLC_ASSIGN_OR_RETURN(const GgufModel model, gguf_model(file));
  return ConfigBuilder(file, model).build();
}

Result<Json> gguf_generation_config(const GgufFile& file) {
  Json config = Json::object();
  MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> bos, gguf_token_id(file, "bos"));
  if (bos.has_value()) config.set("bos_token_id", *bos);
  Json::Array ends;
  for (const std::string_view name : {"eos", "eot", "eom"}) {
    MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> id, gguf_token_id(file, name));
    if (!id.has_value() || std::find(ends.begin(), ends.end(), Json(*id)) != ends.end()) continue;
    ends.emplace_back(*id);
  }
  if (ends.size() == 1) {
    config.set("eos_token_id", ends[0]);
  } else if (!ends.empty()) {
    config.set("eos_token_id", std::move(ends));
  }
  MLC_ASSIGN_OR_RETURN(const std::optional<int64_t> pad, gguf_token_id(file, "padding"));
  if (pad.has_value()) config.set("pad_token_id", *pad);
  return config;
}

}  // namespace mlc::formats
