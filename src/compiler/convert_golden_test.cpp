// SPDX-License-Identifier: Apache-2.0
// Conversions of small models, compared byte for byte with what MLC LLM's own converter wrote.
#include <gtest/gtest.h>

#include <algorithm>

#include "compiler/convert_weight.h"
#include "formats/open_checkpoint.h"
#include "support/json.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using models::SourceRows;
using models::WeightRule;
using quantization::Quantization;
using quantization::WeightKind;

// The parameters of one model, in the form that the model registry will give them.
class ParameterList {
 public:
  ParameterList(const std::string& golden, const Quantization& mode)
      : config_(read_json_file(path_join(golden, "source/config.json")).value()), mode_(mode) {}

  int64_t config(std::string_view key) const { return config_.find(key)->as_int(); }
  int64_t config(std::string_view key, int64_t absent) const {
    return config_.contains(key) ? config_.find(key)->as_int() : absent;
  }
  bool is_tied() const {
    return config_.contains("tie_word_embeddings") &&
           config_.find("tie_word_embeddings")->as_bool();
  }

  void add(const std::string& name, std::vector<int64_t> shape, WeightKind kind, WeightRule rule,
           std::optional<DType> dtype = {}) {
    rule.parameter = name;
    parameters_.push_back(
        {{name, std::move(shape), dtype.value_or(mode_.model_dtype), kind}, std::move(rule)});
  }
  void add_same(const std::string& name, std::vector<int64_t> shape, WeightKind kind) {
    add(name, std::move(shape), kind, {"", {name}});
  }
  const std::vector<ParameterToConvert>& list() const { return parameters_; }

 private:
  Json config_;
  const Quantization& mode_;
  std::vector<ParameterToConvert> parameters_;
};

void list_llama(ParameterList& list, const std::string& qkv_name) {
  const int64_t hidden = list.config("hidden_size");
  const int64_t inner = list.config("intermediate_size");
  const int64_t vocab = list.config("vocab_size");
  const int64_t heads = list.config("num_attention_heads");
  const int64_t head_dim = hidden / heads;
  const int64_t qkv = (heads + 2 * list.config("num_key_value_heads")) * head_dim;
  list.add_same("model.embed_tokens.weight", {vocab, hidden}, WeightKind::kEmbedding);
  for (int64_t i = 0; i < list.config("num_hidden_layers"); ++i) {
    const std::string layer = cat("model.layers.", i, ".");
    const std::string attention = layer + "self_attn.";
    const auto heads_of = [&](std::string_view part) {
      return WeightRule{"",
                        {cat(attention, "q_proj.", part), cat(attention, "k_proj.", part),
                         cat(attention, "v_proj.", part)}};
    };
    list.add(cat(attention, qkv_name, ".weight"), {qkv, hidden}, WeightKind::kLinear,
             heads_of("weight"));
    if (qkv_name == "c_attn") {
      list.add(attention + "c_attn.bias", {qkv}, WeightKind::kPlain, heads_of("bias"));
    }
    list.add_same(attention + "o_proj.weight", {hidden, heads * head_dim}, WeightKind::kLinear);
    list.add(layer + "mlp.gate_up_proj.weight", {2 * inner, hidden}, WeightKind::kLinear,
             {"", {layer + "mlp.gate_proj.weight", layer + "mlp.up_proj.weight"}});
    list.add_same(layer + "mlp.down_proj.weight", {hidden, inner}, WeightKind::kLinear);
    list.add_same(layer + "input_layernorm.weight", {hidden}, WeightKind::kPlain);
    list.add_same(layer + "post_attention_layernorm.weight", {hidden}, WeightKind::kPlain);
  }
  list.add_same("model.norm.weight", {hidden}, WeightKind::kPlain);
  if (!list.is_tied()) list.add_same("lm_head.weight", {vocab, hidden}, WeightKind::kLinear);
}

void list_gpt_neox(ParameterList& list) {
  const int64_t hidden = list.config("hidden_size");
  const int64_t inner = list.config("intermediate_size");
  const int64_t vocab = list.config("vocab_size");
  const int64_t heads = list.config("num_attention_heads");
  const int64_t head_dim = hidden / heads;
  const auto norm = [&](const std::string& name) {
    list.add_same(name + ".weight", {hidden}, WeightKind::kPlain);
    list.add_same(name + ".bias", {hidden}, WeightKind::kPlain);
  };
  std::vector<SourceRows> regrouped;  // [heads, 3, head_dim] rows become [3, heads, head_dim]
  for (int64_t part = 0; part < 3; ++part) {
    for (int64_t head = 0; head < heads; ++head) {
      regrouped.push_back({0, (head * 3 + part) * head_dim, head_dim});
    }
  }
  list.add_same("gpt_neox.embed_in.weight", {vocab, hidden}, WeightKind::kEmbedding);
  for (int64_t i = 0; i < list.config("num_hidden_layers"); ++i) {
    const std::string layer = cat("gpt_neox.layers.", i, ".");
    norm(layer + "input_layernorm");
    norm(layer + "post_attention_layernorm");
    const std::string qkv = layer + "attention.query_key_value";
    list.add(qkv + ".weight", {3 * hidden, hidden}, WeightKind::kLinear,
             {"", {qkv + ".weight"}, regrouped});
    list.add(qkv + ".bias", {3 * hidden}, WeightKind::kPlain, {"", {qkv + ".bias"}, regrouped});
    list.add_same(layer + "attention.dense.weight", {hidden, hidden}, WeightKind::kLinear);
    list.add_same(layer + "attention.dense.bias", {hidden}, WeightKind::kPlain);
    const std::string up = layer + "mlp.dense_h_to_4h";
    const std::string down = layer + "mlp.dense_4h_to_h";
    list.add_same(up + ".weight", {inner, hidden}, WeightKind::kLinear);
    list.add(up + ".bias", {inner}, WeightKind::kPlain, {"", {up + ".bias"}}, DType::kF32);
    list.add_same(down + ".weight", {hidden, inner}, WeightKind::kLinear);
    list.add(down + ".bias", {hidden}, WeightKind::kPlain, {"", {down + ".bias"}}, DType::kF32);
  }
  norm("gpt_neox.final_layer_norm");
  list.add_same("embed_out.weight", {vocab, hidden}, WeightKind::kLinear);
}

void list_gpt2(ParameterList& list) {
  const int64_t hidden = list.config("n_embd");
  const int64_t vocab = list.config("vocab_size");
  const auto plain = [&](const std::string& name, int64_t size) {
    list.add("transformer." + name, {size}, WeightKind::kPlain, {"", {name}});
  };
  const auto norm = [&](const std::string& name) {
    plain(name + ".weight", hidden);
    plain(name + ".bias", hidden);
  };
  const auto conv1d = [&](const std::string& name, int64_t out, int64_t in) {
    list.add(cat("transformer.", name, ".weight"), {out, in}, WeightKind::kLinear,
             {.parameter = "", .sources = {name + ".weight"}, .transpose = true});
    plain(name + ".bias", out);
  };
  // Of two parameters with one source, the first in the list is stored first.
  list.add("lm_head.weight", {vocab, hidden}, WeightKind::kLinear, {"", {"wte.weight"}});
  list.add("transformer.wte.weight", {vocab, hidden}, WeightKind::kEmbedding, {"", {"wte.weight"}});
  list.add("transformer.wpe.weight", {list.config("n_positions"), hidden}, WeightKind::kEmbedding,
           {"", {"wpe.weight"}});
  for (int64_t i = 0; i < list.config("n_layer"); ++i) {
    const std::string layer = cat("h.", i, ".");
    norm(layer + "ln_1");
    conv1d(layer + "attn.c_attn", 3 * hidden, hidden);
    conv1d(layer + "attn.c_proj", hidden, hidden);
    norm(layer + "ln_2");
    conv1d(layer + "mlp.c_fc", 4 * hidden, hidden);
    conv1d(layer + "mlp.c_proj", hidden, 4 * hidden);
  }
  norm("ln_f");
}

struct Case {
  std::string model;
  std::string mode;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) {
    return out << c.model << "_" << c.mode;
  }
};

class ConvertGolden : public testing::TestWithParam<Case> {};

TEST_P(ConvertGolden, WritesTheSameBytesAsTheOriginal) {
  MLC_NEEDS_SHARED();
  const auto& [model, mode_name] = GetParam();
  const std::string golden = shared_path("golden/mlc/" + model);
  const Quantization& mode = **quantization::find_quantization(mode_name, "--quantization");
  ParameterList list(golden, mode);
  if (model == "gpt_neox") {
    list_gpt_neox(list);
  } else if (model == "gpt2") {
    list_gpt2(list);
  } else {
    list_llama(list, model == "qwen2" ? "c_attn" : "qkv_proj");
  }
  const bool is_awq = model == "llama_awq";
  const std::string source = path_join(golden, "source");
  const auto checkpoint =
      or_throw(formats::open_checkpoint(is_awq ? source + "/model.safetensors" : source,
                                        is_awq ? "awq" : "auto", source + "/config.json"));
  for (const int64_t threads : {1, 4}) {
    TemporaryDirectory output;
    const ConvertSummary summary =
        convert(*checkpoint, list.list(), mode,
                {.source = source, .directory = output.path(), .threads = threads});
    EXPECT_EQ(summary.warnings, std::vector<std::string>{});
    const std::string expected = path_join(golden, mode_name);
    std::vector<std::string>
        names;  // of what a conversion writes, the old names of indexes included
    for (const std::string& name : list_directory(expected).value()) {
      if (name == "mlc-chat-config.json") continue;
      EXPECT_EQ(read_file(output.file(name)).value(), read_file(path_join(expected, name)).value())
          << name;
      if (name.ends_with(".json")) {
        const std::string old_name = replace_all(name, "tensor-cache", "ndarray-cache");
        EXPECT_EQ(read_file(output.file(old_name)).value(), read_file(output.file(name)).value());
        names.push_back(old_name);
        names.push_back(name);
      }
    }
    names.push_back(
        "params_shard_0.bin");  // its md5 is in the index even where the golden lacks it
    std::sort(names.begin(), names.end());
    EXPECT_EQ(list_directory(output.path()).value(), names);
  }
}

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* model :
       {"llama_untied", "llama_tied_oddk", "llama_edge", "qwen2", "gpt_neox", "gpt2"}) {
    for (const char* mode : {"q0f16", "q0bf16", "q0f32", "q3f16_0", "q3f16_1", "q4f16_0", "q4f16_1",
                             "q4f16_2", "q4f32_1", "q4bf16_0", "q4bf16_1"}) {
      cases.push_back({model, mode});
    }
  }
  cases.push_back({"llama_awq", "q4f16_autoawq"});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(AllModes, ConvertGolden, testing::ValuesIn(all_cases()),
                         testing::PrintToStringParamName());

}  // namespace
}  // namespace mlc::compiler
