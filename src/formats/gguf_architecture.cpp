// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_architecture.h"

#include <algorithm>
#include <cstring>

#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kArchitectureNames[] = {
#define MLC_GGUF_ARCHITECTURE(enumerator, name) name,
#include "formats/gguf_architectures.def"
};

Result<GgufArchitecture> parse_architecture(const GgufFile& file) {
  std::vector<std::string> known;
  for (size_t i = 0; i < std::size(kArchitectureNames); ++i) {
    if (kArchitectureNames[i] == file.architecture()) return static_cast<GgufArchitecture>(i);
    known.emplace_back(kArchitectureNames[i]);
  }
  return unknown_name_error(ErrorKind::kUser, file.key_where("general.architecture"),
                            "architecture", file.architecture(), known);
}

using enum GgufTensorRole;

constexpr GgufTensorName kLlamaTop[] = {
    {"token_embd", "model.embed_tokens", kMatrix},
    {"output_norm", "model.norm", kNorm},
    {"output", "lm_head", kMatrix},
};
constexpr GgufTensorName kLlamaLayer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm},
    {"ffn_gate", "mlp.gate_proj", kMatrix},
    {"ffn_up", "mlp.up_proj", kMatrix},
    {"ffn_down", "mlp.down_proj", kMatrix},
};
constexpr GgufTensorName kMixtralLayer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm},
    {"ffn_gate_inp", "block_sparse_moe.gate", kMatrix},
    {"ffn_gate_exps", "", kGateExperts},
    {"ffn_up_exps", "", kUpExperts},
    {"ffn_down_exps", "", kDownExperts},
    {"ffn_gate_up_exps", "", kGateUpExperts},
};
constexpr GgufTensorName kQwen3Layer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_q_norm", "self_attn.q_norm", kNorm},
    {"attn_k_norm", "self_attn.k_norm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm},
    {"ffn_gate", "mlp.gate_proj", kMatrix},
    {"ffn_up", "mlp.up_proj", kMatrix},
    {"ffn_down", "mlp.down_proj", kMatrix},
};
// qwen2moe has the shared expert, qwen3moe the norms of q and k.
constexpr GgufTensorName kQwenMoeLayer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_q_norm", "self_attn.q_norm", kNorm},
    {"attn_k_norm", "self_attn.k_norm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm},
    {"ffn_gate", "mlp.gate_proj", kMatrix},
    {"ffn_up", "mlp.up_proj", kMatrix},
    {"ffn_down", "mlp.down_proj", kMatrix},
    {"ffn_gate_inp", "mlp.gate", kMatrix},
    {"ffn_gate_exps", "", kGateExperts},
    {"ffn_up_exps", "", kUpExperts},
    {"ffn_down_exps", "", kDownExperts},
    {"ffn_gate_up_exps", "", kGateUpExperts},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate", kMatrix},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj", kMatrix},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj", kMatrix},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj", kMatrix},
};
constexpr GgufTensorName kGemma2Layer[] = {
    // and gemma3, which alone has the norms of q and k
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_q_norm", "self_attn.q_norm", kNorm},
    {"attn_k_norm", "self_attn.k_norm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"post_attention_norm", "post_attention_layernorm", kNorm},
    {"ffn_norm", "pre_feedforward_layernorm", kNorm},
    {"ffn_gate", "mlp.gate_proj", kMatrix},
    {"ffn_up", "mlp.up_proj", kMatrix},
    {"ffn_down", "mlp.down_proj", kMatrix},
    {"post_ffw_norm", "post_feedforward_layernorm", kNorm},
};
constexpr GgufTensorName kPhi2Top[] = {
    {"token_embd", "model.embed_tokens", kMatrix},
    {"output_norm", "model.final_layernorm", kNorm},
    {"output", "lm_head", kMatrix},
};
constexpr GgufTensorName kPhi2Layer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_output", "self_attn.dense", kMatrix},
    {"ffn_up", "mlp.fc1", kMatrix},
    {"ffn_down", "mlp.fc2", kMatrix},
};
constexpr GgufTensorName kPhi3Layer[] = {
    {"attn_norm", "input_layernorm", kNorm},         {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm}, {"ffn_up", "mlp.gate_up_proj", kMatrix},
    {"ffn_down", "mlp.down_proj", kMatrix},
};
constexpr GgufTensorName kStarcoder2Layer[] = {
    {"attn_norm", "input_layernorm", kNorm},
    {"attn_output", "self_attn.o_proj", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm},
    {"ffn_up", "mlp.c_fc", kMatrix},
    {"ffn_down", "mlp.c_proj", kMatrix},
};
constexpr GgufTensorName kGpt2Top[] = {
    {"token_embd", "wte", kMatrix},
    {"position_embd", "wpe", kMatrix},
    {"output_norm", "ln_f", kNorm},
    {"output", "lm_head", kMatrix},
};
constexpr GgufTensorName kGpt2Layer[] = {
    {"attn_norm", "ln_1", kNorm},        {"attn_output", "attn.c_proj", kConv1d},
    {"ffn_norm", "ln_2", kNorm},         {"ffn_up", "mlp.c_fc", kConv1d},
    {"ffn_down", "mlp.c_proj", kConv1d},
};
constexpr GgufTensorName kGptNeoxTop[] = {
    {"token_embd", "gpt_neox.embed_in", kMatrix},
    {"output_norm", "gpt_neox.final_layer_norm", kNorm},
    {"output", "embed_out", kMatrix},
};
constexpr GgufTensorName kGptNeoxLayer[] = {
    {"attn_norm", "input_layernorm", kNorm},         {"attn_output", "attention.dense", kMatrix},
    {"ffn_norm", "post_attention_layernorm", kNorm}, {"ffn_up", "mlp.dense_h_to_4h", kMatrix},
    {"ffn_down", "mlp.dense_4h_to_h", kMatrix},
};
constexpr GgufTensorName kInternlm2Top[] = {
    {"token_embd", "model.tok_embeddings", kMatrix},
    {"output_norm", "model.norm", kNorm},
    {"output", "output", kMatrix},
};
constexpr GgufTensorName kInternlm2Layer[] = {
    {"attn_norm", "attention_norm", kNorm}, {"attn_output", "attention.wo", kMatrix},
    {"ffn_norm", "ffn_norm", kNorm},        {"ffn_gate", "feed_forward.w1", kMatrix},
    {"ffn_up", "feed_forward.w3", kMatrix}, {"ffn_down", "feed_forward.w2", kMatrix},
};

constexpr GgufNames kLlamaNames = {
    .layer_prefix = "model.layers.",
    .top = kLlamaTop,
    .layer = kLlamaLayer,
    .qkv_form = GgufQkvForm::kSeparate,
    .q = "self_attn.q_proj",
    .k = "self_attn.k_proj",
    .v = "self_attn.v_proj",
    .qkv = {},
    .expert_prefix = "mlp.experts.",
    .gate_expert = "gate_proj",
    .up_expert = "up_proj",
    .down_expert = "down_proj",
};

GgufNames with_layer(std::span<const GgufTensorName> layer) {
  GgufNames names = kLlamaNames;
  names.layer = layer;
  return names;
}

GgufNames joined(GgufNames names, GgufQkvForm form, std::string_view name) {
  names.qkv_form = form;
  names.qkv = name;
  return names;
}

}  // namespace

Result<GgufModel> gguf_model(const GgufFile& file) {
  MLC_ASSIGN_OR_RETURN(const GgufArchitecture architecture, parse_architecture(file));
  GgufKeyReader keys(file);
  GgufModel model{.architecture = architecture,
                  .layers = keys.size("block_count"),
                  .heads = keys.size("attention.head_count"),
                  .kv_heads = 0,
                  .experts = keys.find_size("expert_count").value_or(0)};
  model.kv_heads = keys.find_size("attention.head_count_kv").value_or(model.heads);
  if (model.kv_heads == 0 || model.heads % std::max<int64_t>(model.kv_heads, 1) != 0) {
    keys.fail("attention.head_count_kv", cat("is ", model.kv_heads),
              cat("a divisor of the ", model.heads, " heads"));
  }
  const auto tensors = static_cast<int64_t>(file.tensors().size());
  if (keys.ok() && model.layers > tensors) {
    keys.fail("block_count", cat("is ", model.layers),
              cat("at most ", tensors, ", the number of tensors"));
  }
  if (!keys.ok()) return keys.error();
  return model;
}

bool has_own_head(const GgufFile& file, GgufArchitecture architecture) {
  const GgufTensor* head = file.find_tensor("output.weight");
  if (head == nullptr) return false;
  const GgufTensor* embedding = file.find_tensor("token_embd.weight");
  const bool is_copy =
      architecture == GgufArchitecture::kGpt2 && embedding != nullptr &&
      head->type == embedding->type && head->shape == embedding->shape &&
      head->data.size() == embedding->data.size() &&
      std::memcmp(head->data.data(), embedding->data.data(), head->data.size()) == 0;
  return !is_copy;
}

GgufNames gguf_names(const GgufModel& model) {
  switch (model.architecture) {
    case GgufArchitecture::kLlama: {
      GgufNames names = with_layer(kLlamaLayer);
      names.interleaved = true;
      if (model.experts > 0) {
        names.layer = kMixtralLayer;
        names.expert_prefix = "block_sparse_moe.experts.";
        names.gate_expert = "w1";
        names.up_expert = "w3";
        names.down_expert = "w2";
      }
      return names;
    }
    case GgufArchitecture::kMinicpm:
    case GgufArchitecture::kGranite:
    case GgufArchitecture::kSmollm3: {
      GgufNames names = kLlamaNames;
      names.interleaved = true;
      return names;
    }
    case GgufArchitecture::kBaichuan: {
      GgufNames names = joined(kLlamaNames, GgufQkvForm::kRows, "self_attn.W_pack");
      names.interleaved = true;
      return names;
    }
    case GgufArchitecture::kInternlm2: {
      GgufNames names = joined(with_layer(kInternlm2Layer), GgufQkvForm::kGroups, "attention.wqkv");
      names.top = kInternlm2Top;
      names.interleaved = true;
      return names;
    }
    case GgufArchitecture::kQwen2:
      return kLlamaNames;
    case GgufArchitecture::kQwen3:
      return with_layer(kQwen3Layer);
    case GgufArchitecture::kQwen2Moe:
    case GgufArchitecture::kQwen3Moe:
      return with_layer(kQwenMoeLayer);
    case GgufArchitecture::kGemma:
    case GgufArchitecture::kGemma2:
    case GgufArchitecture::kGemma3: {
      GgufNames names = with_layer(model.architecture == GgufArchitecture::kGemma
                                       ? std::span<const GgufTensorName>(kLlamaLayer)
                                       : kGemma2Layer);
      names.norms_hold_one_more = true;
      return names;
    }
    case GgufArchitecture::kPhi2: {
      GgufNames names = with_layer(kPhi2Layer);
      names.top = kPhi2Top;
      return names;
    }
    case GgufArchitecture::kPhi3:
      return joined(with_layer(kPhi3Layer), GgufQkvForm::kRows, "self_attn.qkv_proj");
    case GgufArchitecture::kStarcoder2:
      return with_layer(kStarcoder2Layer);
    case GgufArchitecture::kGpt2: {
      GgufNames names = joined(with_layer(kGpt2Layer), GgufQkvForm::kRows, "attn.c_attn");
      names.layer_prefix = "h.";
      names.top = kGpt2Top;
      names.qkv_is_conv1d = true;
      return names;
    }
    case GgufArchitecture::kGptNeox: {
      GgufNames names =
          joined(with_layer(kGptNeoxLayer), GgufQkvForm::kHeads, "attention.query_key_value");
      names.layer_prefix = "gpt_neox.layers.";
      names.top = kGptNeoxTop;
      return names;
    }
  }
  return kLlamaNames;
}

bool is_ignored_tensor(std::string_view name) {
  return name == "rope_freqs" || name == "rope_factors_long" || name == "rope_factors_short" ||
         name == "attn_rot_embd";
}

bool GgufKeyReader::contains(std::string_view key) const { return file_.contains(full_key(key)); }

std::string GgufKeyReader::full_key(std::string_view key) const {
  return cat(file_.architecture(), ".", key);
}

template <class T>
std::optional<T> GgufKeyReader::taken(Result<std::optional<T>> result) {
  if (!result.ok()) {
    fail(result.error());
    return {};
  }
  return *result;
}

std::optional<int64_t> GgufKeyReader::find_int(std::string_view key) {
  return taken(file_.find_int(full_key(key)));
}
std::optional<double> GgufKeyReader::find_float(std::string_view key) {
  return taken(file_.find_float(full_key(key)));
}
std::optional<bool> GgufKeyReader::find_bool(std::string_view key) {
  return taken(file_.find_bool(full_key(key)));
}
std::optional<std::string_view> GgufKeyReader::find_string(std::string_view key) {
  return taken(file_.find_string(full_key(key)));
}

std::optional<int64_t> GgufKeyReader::find_size(std::string_view key) {
  const std::optional<int64_t> value = find_int(key);
  if (value.has_value() && (*value < 0 || *value > INT32_MAX)) {
    fail(key, cat("is ", *value), "a number from 0 to 2147483647");
    return {};
  }
  return value;
}

int64_t GgufKeyReader::size(std::string_view key) {
  const std::optional<int64_t> value = find_size(key);
  if (value.has_value() && *value > 0) return *value;
  if (ok()) {
    if (value.has_value()) {
      fail(key, "is 0", "a number from 1 to 2147483647");
    } else {
      fail(missing(key));
    }
  }
  return 0;
}

double GgufKeyReader::number(std::string_view key) {
  const std::optional<double> value = find_float(key);
  if (!value.has_value() && ok()) fail(missing(key));
  return value.value_or(0);
}

void GgufKeyReader::fail(Error error) {
  if (ok()) error_ = std::move(error);
}

void GgufKeyReader::fail(std::string_view key, std::string found, std::string expected) {
  fail(user_error(file_.key_where(full_key(key)), std::move(found), std::move(expected)));
}

Error GgufKeyReader::missing(std::string_view key) const {
  return user_error(file_.path(), cat("lacks the key ", full_key(key)), "",
                    "is this a file of a tokenizer only?");
}

}  // namespace mlc::formats
