// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_limits.h"

#include <cmath>

#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

constexpr int64_t kMaxWidth = 1 << 24;  // rows or columns of a matrix
constexpr int64_t kMaxHeads = 1 << 16;  // also experts and groups
constexpr int64_t kMaxLayers = 1 << 13;
constexpr int64_t kMaxDevices = 1 << 10;

enum class Kind { kInteger, kPositive, kNumber, kFlag, kText, kAnything };

struct Rule {
  std::string_view name;
  Kind kind;
  int64_t minimum = 0;
  int64_t maximum = 0;
  bool null_allowed = false;
};

constexpr Rule kRules[] = {
    // widths
    {"hidden_size", Kind::kInteger, 1, kMaxWidth},
    {"intermediate_size", Kind::kInteger, 1, kMaxWidth},
    {"ffn_hidden_size", Kind::kInteger, 1, kMaxWidth},
    {"moe_intermediate_size", Kind::kInteger, 0, kMaxWidth},
    {"shared_expert_intermediate_size", Kind::kInteger, 0, kMaxWidth},
    {"n_embd", Kind::kInteger, 1, kMaxWidth},
    {"n_inner", Kind::kInteger, -1, kMaxWidth, true},
    {"vocab_size", Kind::kInteger, 1, kMaxWidth},
    {"type_vocab_size", Kind::kInteger, 1, kMaxWidth},
    {"head_dim", Kind::kInteger, 0, kMaxWidth},
    {"head_size", Kind::kInteger, 1, kMaxWidth},
    {"kv_channels", Kind::kInteger, 1, kMaxWidth},
    {"kv_lora_rank", Kind::kInteger, 1, kMaxWidth},
    {"q_lora_rank", Kind::kInteger, 1, kMaxWidth, true},
    {"qk_rope_head_dim", Kind::kInteger, 1, kMaxWidth},
    {"qk_nope_head_dim", Kind::kInteger, 1, kMaxWidth},
    {"v_head_dim", Kind::kInteger, 1, kMaxWidth},
    {"rotary_dim", Kind::kInteger, 0, kMaxWidth, true},
    {"dim_model_base", Kind::kInteger, 1, kMaxWidth},
    {"linear_key_head_dim", Kind::kInteger, 1, kMaxWidth},
    {"linear_value_head_dim", Kind::kInteger, 1, kMaxWidth},
    {"linear_conv_kernel_dim", Kind::kInteger, 1, kMaxWidth},
    {"image_size", Kind::kInteger, 1, kMaxWidth},
    {"patch_size", Kind::kInteger, 1, kMaxWidth},
    {"projection_dim", Kind::kInteger, 1, kMaxWidth},
    {"num_channels", Kind::kInteger, 1, kMaxWidth},
    // layers, heads, experts
    {"num_hidden_layers", Kind::kInteger, 1, kMaxLayers},
    {"num_layers", Kind::kInteger, 1, kMaxLayers},
    {"n_layer", Kind::kInteger, 1, kMaxLayers},
    {"medusa_num_layers", Kind::kInteger, 1, kMaxLayers},
    {"num_attention_heads", Kind::kInteger, 1, kMaxHeads},
    {"num_key_value_heads", Kind::kInteger, 1, kMaxHeads},
    {"n_head", Kind::kInteger, 1, kMaxHeads},
    {"n_head_kv", Kind::kInteger, 1, kMaxHeads},
    {"num_heads", Kind::kInteger, 1, kMaxHeads},
    {"multi_query_group_num", Kind::kInteger, 1, kMaxHeads},
    {"medusa_num_heads", Kind::kInteger, 1, kMaxHeads},
    {"linear_num_key_heads", Kind::kInteger, 1, kMaxHeads},
    {"linear_num_value_heads", Kind::kInteger, 1, kMaxHeads},
    {"num_experts", Kind::kInteger, 0, kMaxHeads},
    {"num_local_experts", Kind::kInteger, 0, kMaxHeads},
    {"num_experts_per_tok", Kind::kInteger, 0, kMaxHeads},
    {"n_routed_experts", Kind::kInteger, 1, kMaxHeads},
    {"n_shared_experts", Kind::kInteger, 0, kMaxHeads, true},
    {"n_group", Kind::kInteger, 1, kMaxHeads, true},
    {"topk_group", Kind::kInteger, 1, kMaxHeads, true},
    {"moe_layer_freq", Kind::kInteger, 1, kMaxLayers},
    {"first_k_dense_replace", Kind::kInteger, 0, kMaxLayers},
    {"decoder_sparse_step", Kind::kInteger, 0, kMaxLayers},
    {"full_attention_interval", Kind::kInteger, 1, kMaxLayers},
    {"interleave_moe_layer_step", Kind::kInteger, 1, kMaxLayers},
    {"no_rope_layer_interval", Kind::kInteger, 1, kMaxLayers},
    {"rescale_every", Kind::kInteger, 0, kMaxLayers},
    // positions and tokens; -1: no limit
    {"n_positions", Kind::kInteger, 1, kMaxTokens},
    {"max_position_embeddings", Kind::kInteger, 1, kMaxTokens},
    {"original_max_position_embeddings", Kind::kInteger, 0, kMaxTokens},
    {"context_window_size", Kind::kInteger, -1, kMaxTokens},
    {"sliding_window_size", Kind::kInteger, -1, kMaxTokens, true},
    {"sliding_window", Kind::kInteger, 1, kMaxTokens, true},
    {"prefill_chunk_size", Kind::kInteger, -1, kMaxTokens},
    {"attention_sink_size", Kind::kInteger, 0, kMaxTokens},
    {"floor_scale", Kind::kInteger, 1, kMaxTokens},
    {"image_token_index", Kind::kInteger, 0, kMaxTokens},
    {"position_offset", Kind::kInteger, 0, kMaxTokens},
    {"max_batch_size", Kind::kInteger, 1, kMaxHeads},
    {"tensor_parallel_shards", Kind::kInteger, 1, kMaxDevices},
    {"pipeline_parallel_stages", Kind::kInteger, 1, kMaxDevices},
    // numbers that are not negative
    {"rms_norm_eps", Kind::kNumber},
    {"layer_norm_eps", Kind::kNumber},
    {"layer_norm_epsilon", Kind::kNumber},
    {"layernorm_epsilon", Kind::kNumber},
    {"norm_eps", Kind::kNumber},
    {"norm_epsilon", Kind::kNumber},
    {"position_embedding_base", Kind::kPositive},
    {"rope_theta", Kind::kPositive},
    {"rotary_emb_base", Kind::kPositive},
    {"rotary_pct", Kind::kPositive},
    {"partial_rotary_factor", Kind::kPositive},
    {"initializer_range", Kind::kNumber},
    {"routed_scaling_factor", Kind::kNumber},
    {"scale_emb", Kind::kNumber},
    {"scale_depth", Kind::kNumber},
    {"attn_scale", Kind::kNumber},
    {"query_pre_attn_scalar", Kind::kNumber, 0, 0, true},
    {"attn_logit_softcapping", Kind::kNumber, 0, 0, true},
    {"final_logit_softcapping", Kind::kNumber, 0, 0, true},
    {"clip_qkv", Kind::kNumber, 0, 0, true},
    // flags
    {"tie_word_embeddings", Kind::kFlag},
    {"attention_bias", Kind::kFlag},
    {"mlp_bias", Kind::kFlag},
    {"use_qkv_bias", Kind::kFlag},
    {"use_bias", Kind::kFlag},
    {"bias", Kind::kFlag},
    {"add_bias_linear", Kind::kFlag},
    {"add_qkv_bias", Kind::kFlag},
    {"use_parallel_residual", Kind::kFlag},
    {"use_qk_norm", Kind::kFlag},
    {"use_cache", Kind::kFlag},
    {"scale_attn_weights", Kind::kFlag},
    {"scale_attn_by_inverse_layer_idx", Kind::kFlag},
    {"norm_topk_prob", Kind::kFlag},
    {"post_layer_norm", Kind::kFlag},
    {"rmsnorm", Kind::kFlag},
    {"apply_query_key_layer_scaling", Kind::kFlag},
    {"multi_query_attention", Kind::kFlag},
    {"attn_temperature_tuning", Kind::kFlag},
    {"is_text_model", Kind::kFlag},
    {"disaggregation", Kind::kFlag},
    // texts
    {"hidden_act", Kind::kText},
    {"hidden_activation", Kind::kText, 0, 0, true},
    {"activation_function", Kind::kText},
    {"dtype", Kind::kText},
    {"ffn_out_dtype", Kind::kText},
    {"model_type", Kind::kText},
    {"model_version", Kind::kText},
    {"scoring_func", Kind::kText},
    {"topk_method", Kind::kText},
    {"text_architecture", Kind::kText},
    // objects and lists, checked where they are read; ids are book-keeping
    {"rope_scaling", Kind::kAnything},
    {"rope_parameters", Kind::kAnything},
    {"text_config", Kind::kAnything},
    {"vision_config", Kind::kAnything},
    {"img_processor", Kind::kAnything},
    {"weight_block_size", Kind::kAnything},
    {"modules_to_not_convert", Kind::kAnything},
    {"no_rope_layers", Kind::kAnything},
    {"moe_layers", Kind::kAnything},
    {"pad_token_id", Kind::kAnything},
    {"bos_token_id", Kind::kAnything},
    {"eos_token_id", Kind::kAnything},
};

const Rule* find_rule(std::string_view name) {
  for (const Rule& rule : kRules) {
    if (rule.name == name) return &rule;
  }
  return nullptr;
}

std::string place(std::string_view where, std::string_view key) { return cat(where, ": ", key); }

[[noreturn]] void refuse(std::string_view where, const Rule& rule, const Json& value,
                         std::string expected) {
  if (rule.null_allowed) expected += ", or null";
  const bool scalar = value.is_number() || value.is_string() || value.is_bool();
  throw UserError(place(where, rule.name),
                  cat("is ", scalar ? value.dump() : std::string(value.kind_name())), expected);
}

void check_field(const Rule& rule, const Json& value, std::string_view where) {
  if (value.is_null() && rule.null_allowed) return;
  switch (rule.kind) {
    case Kind::kInteger:
      if (!value.is_int() || value.as_int() < rule.minimum || value.as_int() > rule.maximum) {
        refuse(where, rule, value, cat("an integer from ", rule.minimum, " to ", rule.maximum));
      }
      return;
    case Kind::kPositive:
      if (!value.is_number() || !std::isfinite(value.as_double()) || value.as_double() <= 0) {
        refuse(where, rule, value, "a number above zero");
      }
      return;
    case Kind::kNumber:
      if (!value.is_number() || !std::isfinite(value.as_double()) || value.as_double() < 0) {
        refuse(where, rule, value, "a number that is not negative");
      }
      return;
    case Kind::kFlag:
      if (!value.is_bool()) refuse(where, rule, value, "true or false");
      return;
    case Kind::kText:
      if (!value.is_string()) refuse(where, rule, value, "a string");
      return;
    case Kind::kAnything:
      return;
  }
}

}  // namespace

int64_t integer_field(const Json& fields, std::string_view key, std::string_view where) {
  const Json* value = fields.find(key);
  if (value == nullptr) throw UserError(std::string(where), cat("lacks the key ", key));
  if (!value->is_int() || value->as_int() < -kMaxTokens || value->as_int() > kMaxTokens) {
    const Rule* known = find_rule(key);
    const Rule rule{key, Kind::kInteger};
    refuse(where, rule, *value,
           known != nullptr && known->kind == Kind::kInteger
               ? cat("an integer from ", known->minimum, " to ", known->maximum)
               : cat("an integer up to ", kMaxTokens));
  }
  return value->as_int();
}

void check_fields(const formats::Architecture& architecture, const Json& fields,
                  std::string_view where) {
  for (const formats::ModelConfigField& field : architecture.fields) {
    const Rule* rule = find_rule(field.name);
    const Json* value = fields.find(field.name);
    if (rule != nullptr && value != nullptr) check_field(*rule, *value, where);
  }
}

bool is_checked_field(std::string_view name) { return find_rule(name) != nullptr; }

}  // namespace mlc::compiler
