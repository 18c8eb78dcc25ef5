// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_checkpoint.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "formats/gguf_test_file.h"
#include "formats/gguf_test_hash.h"
#include "support/half.h"
#include "support/json.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

// Two heads, one kv head, rows of one head hold four values, one layer.
GgufTestFile small(std::string_view architecture, int64_t kv_heads = 1) {
  GgufTestFile file(architecture);
  file.size("block_count", 1).size("attention.head_count", 2);
  file.size("attention.head_count_kv", kv_heads);
  return file;
}

// The bytes of the file must outlive the checkpoint.
struct Opened {
  explicit Opened(const GgufTestFile& made) : bytes(made.bytes()) {
    auto file = GgufFile::parse(as_bytes(bytes), "m.gguf");
    auto result = file.ok() ? make_gguf_checkpoint(std::move(*file)) : file.error();
    error = error_text(result);
    if (result.ok()) checkpoint = std::move(*result);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> list;
    for (const CheckpointTensor& tensor : checkpoint->tensors()) list.push_back(tensor.name);
    return list;
  }
  std::string bytes;
  std::string error;
  std::unique_ptr<Checkpoint> checkpoint;
};

int64_t number_of(const Checkpoint& checkpoint, std::string_view name) {
  const auto& tensors = checkpoint.tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const CheckpointTensor& t) { return t.name == name; });
  EXPECT_NE(found, tensors.end()) << name;
  return found - tensors.begin();
}

// The values of a tensor, read `chunk` rows at a time.
std::vector<float> values_of(const Checkpoint& checkpoint, int64_t number,
                             int64_t chunk = std::numeric_limits<int64_t>::max()) {
  const CheckpointTensor& tensor = checkpoint.tensors()[static_cast<size_t>(number)];
  int64_t row = 1;
  for (size_t axis = 1; axis < tensor.shape.size(); ++axis) row *= tensor.shape[axis];
  std::vector<std::byte> raw(
      static_cast<size_t>(tensor.shape[0] * row * dtype_bytes(tensor.dtype)));
  for (int64_t begin = 0; begin < tensor.shape[0];) {
    const int64_t count = std::min(chunk, tensor.shape[0] - begin);
    EXPECT_TRUE(
        checkpoint
            .read_rows(number, begin, count, raw.data() + begin * row * dtype_bytes(tensor.dtype))
            .ok());
    checkpoint.release_rows(number, begin, count);
    begin += count;
  }
  std::vector<float> values(static_cast<size_t>(tensor.shape[0] * row));
  for (size_t i = 0; i < values.size(); ++i) {
    if (tensor.dtype == DType::kF32) {
      std::memcpy(&values[i], raw.data() + 4 * i, 4);
      continue;
    }
    uint16_t half;
    std::memcpy(&half, raw.data() + 2 * i, 2);
    values[i] = tensor.dtype == DType::kF16 ? f16_to_f32(half) : bf16_to_f32(half);
  }
  return values;
}

// The first value of each row, which tells where the row came from.
std::vector<float> rows_of(const Opened& opened, std::string_view name) {
  const int64_t number = number_of(*opened.checkpoint, name);
  const auto& shape = opened.checkpoint->tensors()[static_cast<size_t>(number)].shape;
  const std::vector<float> values = values_of(*opened.checkpoint, number);
  const size_t length = shape.size() == 1 ? 1 : static_cast<size_t>(shape.back());
  std::vector<float> rows;
  for (size_t i = 0; i < values.size(); i += length) rows.push_back(values[i]);
  return rows;
}

using Rows = std::vector<float>;

TEST(GgufCheckpoint, ReadsWhatOtherProgramsWrote) {
  const std::string folder = source_path("tests/fixtures/gguf");
  const Json expected = read_json_file(path_join(folder, "expected.json")).value();
  for (const auto& [model, tensors] : expected.find("models")->as_object()) {
    const std::string file = model == "llama" ? "llama-00002-of-00002.gguf" : model + ".gguf";
    const auto checkpoint = open_gguf_checkpoint(path_join(folder, file));
    ASSERT_TRUE(checkpoint.ok()) << error_text(checkpoint);
    ASSERT_EQ((*checkpoint)->tensors().size(), tensors.as_object().size()) << model;
    for (size_t i = 0; i < tensors.as_object().size(); ++i) {
      const auto& [name, hash] = tensors.as_object()[i];  // sorted by name, as ours
      const CheckpointTensor& tensor = (*checkpoint)->tensors()[i];
      EXPECT_EQ(tensor.name, name);
      for (const int64_t chunk : {1, 3, 1000}) {
        EXPECT_EQ(
            shape_and_hash(tensor.shape, values_of(**checkpoint, static_cast<int64_t>(i), chunk)),
            hash.as_string())
            << model << ": " << name << " by " << chunk;
      }
    }
  }
}

TEST(GgufCheckpoint, TensorsAreInTheOrderOfTheirNames) {
  GgufTestFile made("llama");
  made.size("block_count", 11).size("attention.head_count", 1);
  for (int i = 0; i < 11; ++i) made.counting(cat("blk.", i, ".attn_norm.weight"), {2});
  made.counting("token_embd.weight", {2, 2}).counting("output.weight", {2, 2});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const std::vector<std::string> names = opened.names();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  EXPECT_EQ(names[0], "lm_head.weight");
  EXPECT_EQ(names[4], "model.layers.10.input_layernorm.weight");
  EXPECT_EQ(names[5], "model.layers.2.input_layernorm.weight");
}

TEST(GgufCheckpoint, HalvesOfLlamaHeadsAreBroughtTogether) {
  GgufTestFile made = small("llama");
  made.counting("blk.0.attn_q.weight", {8, 1}).counting("blk.0.attn_q.bias", {8});
  made.counting("blk.0.attn_k.weight", {6, 1}, 100).counting("blk.0.attn_v.weight", {4, 1}, 200);
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const std::string attention = "model.layers.0.self_attn.";
  EXPECT_EQ(rows_of(opened, attention + "q_proj.weight"), (Rows{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(rows_of(opened, attention + "q_proj.bias"), (Rows{0, 2, 1, 3, 4, 6, 5, 7}));
  EXPECT_EQ(rows_of(opened, attention + "k_proj.weight"), (Rows{100, 102, 104, 101, 103, 105}));
  EXPECT_EQ(rows_of(opened, attention + "v_proj.weight"), (Rows{200, 201, 202, 203}));
}

TEST(GgufCheckpoint, HeadsOfOtherArchitecturesStayInOrder) {
  for (const std::string architecture : {"qwen2", "qwen2moe", "qwen3", "qwen3moe", "gemma",
                                         "gemma2", "gemma3", "phi2", "starcoder2"}) {
    GgufTestFile made = small(architecture);
    made.counting("blk.0.attn_q.weight", {8, 1});
    const Opened opened(made);
    ASSERT_EQ(opened.error, "no error");
    EXPECT_EQ(rows_of(opened, "model.layers.0.self_attn.q_proj.weight"),
              (Rows{0, 1, 2, 3, 4, 5, 6, 7}))
        << architecture;
  }
  for (const std::string architecture : {"llama", "minicpm", "granite", "smollm3"}) {
    GgufTestFile made = small(architecture);
    made.counting("blk.0.attn_q.weight", {8, 1});
    EXPECT_EQ(rows_of(Opened(made), "model.layers.0.self_attn.q_proj.weight"),
              (Rows{0, 2, 1, 3, 4, 6, 5, 7}))
        << architecture;
  }
}

TEST(GgufCheckpoint, JoinedRowsAreTakenApart) {
  GgufTestFile made = small("llama");
  made.counting("blk.0.attn_qkv.weight", {16, 1}).counting("blk.0.attn_qkv.bias", {16});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  for (const std::string suffix : {"weight", "bias"}) {
    const std::string attention = "model.layers.0.self_attn.";
    EXPECT_EQ(rows_of(opened, attention + "q_proj." + suffix), (Rows{0, 2, 1, 3, 4, 6, 5, 7}));
    EXPECT_EQ(rows_of(opened, attention + "k_proj." + suffix), (Rows{8, 10, 9, 11}));
    EXPECT_EQ(rows_of(opened, attention + "v_proj." + suffix), (Rows{12, 13, 14, 15}));
  }
}

TEST(GgufCheckpoint, RowsAreJoinedWhereTheOtherFormHasOneTensor) {
  const auto with_parts = [](std::string_view architecture, int64_t kv_heads) {
    GgufTestFile made = small(architecture, kv_heads);
    made.counting("blk.0.attn_q.weight", {8, 1});
    made.counting("blk.0.attn_k.weight", {4 * kv_heads, 1}, 100);
    made.counting("blk.0.attn_v.weight", {4 * kv_heads, 1}, 200);
    return made;
  };
  EXPECT_EQ(rows_of(Opened(with_parts("phi3", 1)), "model.layers.0.self_attn.qkv_proj.weight"),
            (Rows{0, 1, 2, 3, 4, 5, 6, 7, 100, 101, 102, 103, 200, 201, 202, 203}));
  EXPECT_EQ(rows_of(Opened(with_parts("baichuan", 1)), "model.layers.0.self_attn.W_pack.weight"),
            (Rows{0, 2, 1, 3, 4, 6, 5, 7, 100, 102, 101, 103, 200, 201, 202, 203}));
  EXPECT_EQ(rows_of(Opened(with_parts("internlm2", 1)), "model.layers.0.attention.wqkv.weight"),
            (Rows{0, 2, 1, 3, 4, 6, 5, 7, 100, 102, 101, 103, 200, 201, 202, 203}));
  EXPECT_EQ(rows_of(Opened(with_parts("internlm2", 2)), "model.layers.0.attention.wqkv.weight"),
            (Rows{0, 2, 1, 3, 100, 102, 101, 103, 200, 201, 202, 203,
                  4, 6, 5, 7, 104, 106, 105, 107, 204, 205, 206, 207}));
  EXPECT_EQ(rows_of(Opened(with_parts("gptneox", 2)),
                    "gpt_neox.layers.0.attention.query_key_value.weight"),
            (Rows{0, 1, 2, 3, 100, 101, 102, 103, 200, 201, 202, 203,
                  4, 5, 6, 7, 104, 105, 106, 107, 204, 205, 206, 207}));
}

TEST(GgufCheckpoint, MatricesOfGpt2AreTransposed) {
  GgufTestFile made = small("gpt2", 2);
  made.counting("blk.0.ffn_up.weight", {3, 2}).counting("blk.0.ffn_up.bias", {3});
  made.counting("token_embd.weight", {3, 2});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const int64_t number = number_of(*opened.checkpoint, "h.0.mlp.c_fc.weight");
  EXPECT_EQ(opened.checkpoint->tensors()[static_cast<size_t>(number)].shape,
            (std::vector<int64_t>{2, 3}));
  for (const int64_t chunk : {1, 2}) {
    EXPECT_EQ(values_of(*opened.checkpoint, number, chunk), (Rows{0, 2, 4, 1, 3, 5}));
  }
  EXPECT_EQ(rows_of(opened, "h.0.mlp.c_fc.bias"), (Rows{0, 1, 2}));
  EXPECT_EQ(rows_of(opened, "wte.weight"), (Rows{0, 2, 4}));
}

TEST(GgufCheckpoint, TheHeadOfGpt2IsLeftOutIfItIsACopy) {
  GgufTestFile made = small("gpt2", 2);
  made.counting("token_embd.weight", {3, 2}).counting("output.weight", {3, 2});
  EXPECT_EQ(Opened(made).names(), (std::vector<std::string>{"wte.weight"}));
  GgufTestFile untied = small("gpt2", 2);
  untied.counting("token_embd.weight", {3, 2}).counting("output.weight", {3, 2}, 1);
  EXPECT_EQ(Opened(untied).names(), (std::vector<std::string>{"lm_head.weight", "wte.weight"}));
  GgufTestFile llama = small("llama");
  llama.counting("token_embd.weight", {3, 2}).counting("output.weight", {3, 2});
  EXPECT_EQ(Opened(llama).names().size(), 2u);
}

TEST(GgufCheckpoint, GemmaNormsLoseTheirOne) {
  for (const std::string architecture : {"gemma", "gemma2", "gemma3"}) {
    GgufTestFile made = small(architecture);
    made.tensor("blk.0.attn_norm.weight", {2}, {1.25f, 0.5f})
        .tensor("output_norm.weight", {1}, {3});
    // float16 norms become float32.
    const uint16_t half = f32_to_f16(1.5f);
    made.typed_tensor("blk.0.ffn_norm.weight", {1}, 1,
                      std::string_view(reinterpret_cast<const char*>(&half), 2));
    const Opened opened(made);
    ASSERT_EQ(opened.error, "no error");
    EXPECT_EQ(rows_of(opened, "model.layers.0.input_layernorm.weight"), (Rows{0.25f, -0.5f}));
    EXPECT_EQ(rows_of(opened, "model.norm.weight"), (Rows{2}));
    const std::string ffn = architecture == "gemma" ? "post_attention" : "pre_feedforward";
    EXPECT_EQ(rows_of(opened, cat("model.layers.0.", ffn, "_layernorm.weight")), (Rows{0.5f}));
    EXPECT_EQ(opened.checkpoint->tensors()[1].dtype, DType::kF32);
  }
  GgufTestFile llama = small("llama");
  llama.tensor("output_norm.weight", {1}, {3});
  EXPECT_EQ(rows_of(Opened(llama), "model.norm.weight"), (Rows{3}));
}

TEST(GgufCheckpoint, ExpertsAreTakenApart) {
  GgufTestFile made = small("llama");
  made.size("expert_count", 2);
  made.counting("blk.0.ffn_gate_exps.weight", {2, 3, 1});
  made.counting("blk.0.ffn_up_exps.weight", {2, 3, 1}, 10);
  made.counting("blk.0.ffn_down_exps.weight", {2, 2, 1}, 20);
  made.counting("blk.0.ffn_gate_inp.weight", {2, 1}, 30);
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const std::string moe = "model.layers.0.block_sparse_moe.";
  EXPECT_EQ(rows_of(opened, moe + "experts.0.w1.weight"), (Rows{0, 1, 2}));
  EXPECT_EQ(rows_of(opened, moe + "experts.1.w1.weight"), (Rows{3, 4, 5}));
  EXPECT_EQ(rows_of(opened, moe + "experts.1.w3.weight"), (Rows{13, 14, 15}));
  EXPECT_EQ(rows_of(opened, moe + "experts.0.w2.weight"), (Rows{20, 21}));
  EXPECT_EQ(rows_of(opened, moe + "gate.weight"), (Rows{30, 31}));
  EXPECT_EQ(opened.names().size(), 7u);
}

TEST(GgufCheckpoint, ExpertsMayHaveGateAndUpInOneTensor) {
  GgufTestFile made = small("qwen3moe");
  made.size("expert_count", 2).counting("blk.0.ffn_gate_up_exps.weight", {2, 4, 1});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const std::string experts = "model.layers.0.mlp.experts.";
  EXPECT_EQ(rows_of(opened, experts + "0.gate_proj.weight"), (Rows{0, 1}));
  EXPECT_EQ(rows_of(opened, experts + "0.up_proj.weight"), (Rows{2, 3}));
  EXPECT_EQ(rows_of(opened, experts + "1.gate_proj.weight"), (Rows{4, 5}));
  EXPECT_EQ(rows_of(opened, experts + "1.up_proj.weight"), (Rows{6, 7}));
}

TEST(GgufCheckpoint, OldFilesHaveATensorForEachExpert) {
  GgufTestFile made = small("llama");
  made.size("expert_count", 2);
  made.counting("blk.0.ffn_gate.1.weight", {2, 1}).counting("blk.0.ffn_up.0.weight", {2, 1});
  made.counting("blk.0.ffn_down.1.weight", {2, 1});
  EXPECT_EQ(Opened(made).names(),
            (std::vector<std::string>{"model.layers.0.block_sparse_moe.experts.0.w3.weight",
                                      "model.layers.0.block_sparse_moe.experts.1.w1.weight",
                                      "model.layers.0.block_sparse_moe.experts.1.w2.weight"}));
  made.counting("blk.0.ffn_gate.2.weight", {2, 1});
  EXPECT_HAS(Opened(made).error, "tensor blk.0.ffn_gate.2.weight: is unknown");
}

TEST(GgufCheckpoint, VectorsOfOneRowBecomeMatrices) {
  GgufTestFile made = small("qwen2moe");
  made.size("expert_count", 1);
  made.counting("blk.0.ffn_gate_inp_shexp.weight", {3});
  made.counting("blk.0.ffn_gate_exps.weight", {1, 1, 3});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  for (const CheckpointTensor& tensor : opened.checkpoint->tensors()) {
    EXPECT_EQ(tensor.shape, (std::vector<int64_t>{1, 3})) << tensor.name;
  }
  EXPECT_EQ(opened.names(),
            (std::vector<std::string>{"model.layers.0.mlp.experts.0.gate_proj.weight",
                                      "model.layers.0.mlp.shared_expert_gate.weight"}));
}

TEST(GgufCheckpoint, HalfTypesStayAndMixturesAreWidened) {
  GgufTestFile made = small("phi3");
  const auto halves = [](uint16_t (*narrow)(float), std::vector<float> values) {
    std::string out;
    for (const float value : values) GgufTestFile::append(out, narrow(value));
    return out;
  };
  made.typed_tensor("output.weight", {2, 1}, 1, halves(f32_to_f16, {1.5f, -2}));
  made.typed_tensor("token_embd.weight", {2, 1}, 30, halves(f32_to_bf16, {3, 4}));
  made.typed_tensor("blk.0.attn_q.weight", {2, 1}, 1, halves(f32_to_f16, {1, 2}));
  made.typed_tensor("blk.0.attn_k.weight", {1, 1}, 30, halves(f32_to_bf16, {3}));
  made.tensor("blk.0.attn_v.weight", {1, 1}, {4});
  const Opened opened(made);
  ASSERT_EQ(opened.error, "no error");
  const auto dtype = [&](std::string_view name) {
    return opened.checkpoint->tensors()[static_cast<size_t>(number_of(*opened.checkpoint, name))]
        .dtype;
  };
  EXPECT_EQ(dtype("lm_head.weight"), DType::kF16);
  EXPECT_EQ(dtype("model.embed_tokens.weight"), DType::kBF16);
  EXPECT_EQ(dtype("model.layers.0.self_attn.qkv_proj.weight"), DType::kF32);
  EXPECT_EQ(rows_of(opened, "lm_head.weight"), (Rows{1.5f, -2}));
  EXPECT_EQ(rows_of(opened, "model.embed_tokens.weight"), (Rows{3, 4}));
  EXPECT_EQ(rows_of(opened, "model.layers.0.self_attn.qkv_proj.weight"), (Rows{1, 2, 3, 4}));
}

TEST(GgufCheckpoint, NamesOfEveryArchitecture) {
  struct Case {
    std::string architecture;
    std::vector<std::string> gguf;
    std::vector<std::string> hf;  // sorted
  };
  const Case cases[] = {
      {"llama",
       {"token_embd.weight", "output_norm.weight", "output.weight", "blk.0.attn_norm.weight",
        "blk.0.attn_output.weight", "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight",
        "blk.0.ffn_up.bias", "blk.0.ffn_down.weight", "blk.0.attn_output.bias"},
       {"lm_head.weight", "model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.up_proj.bias", "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.self_attn.o_proj.bias", "model.layers.0.self_attn.o_proj.weight",
        "model.norm.weight"}},
      {"qwen3",
       {"blk.0.attn_q_norm.weight", "blk.0.attn_k_norm.weight"},
       {"model.layers.0.self_attn.k_norm.weight", "model.layers.0.self_attn.q_norm.weight"}},
      {"qwen2moe",
       {"blk.0.ffn_gate_inp.weight", "blk.0.ffn_gate_shexp.weight", "blk.0.ffn_up_shexp.weight",
        "blk.0.ffn_down_shexp.weight", "blk.0.ffn_gate.weight"},
       {"model.layers.0.mlp.gate.weight", "model.layers.0.mlp.gate_proj.weight",
        "model.layers.0.mlp.shared_expert.down_proj.weight",
        "model.layers.0.mlp.shared_expert.gate_proj.weight",
        "model.layers.0.mlp.shared_expert.up_proj.weight"}},
      {"gemma2",
       {"blk.0.attn_norm.weight", "blk.0.post_attention_norm.weight", "blk.0.ffn_norm.weight",
        "blk.0.post_ffw_norm.weight"},
       {"model.layers.0.input_layernorm.weight", "model.layers.0.post_attention_layernorm.weight",
        "model.layers.0.post_feedforward_layernorm.weight",
        "model.layers.0.pre_feedforward_layernorm.weight"}},
      {"phi2",
       {"output_norm.bias", "output.bias", "blk.0.attn_output.bias", "blk.0.ffn_up.weight",
        "blk.0.ffn_down.weight"},
       {"lm_head.bias", "model.final_layernorm.bias", "model.layers.0.mlp.fc1.weight",
        "model.layers.0.mlp.fc2.weight", "model.layers.0.self_attn.dense.bias"}},
      {"phi3",
       {"blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "blk.0.attn_output.weight"},
       {"model.layers.0.mlp.down_proj.weight", "model.layers.0.mlp.gate_up_proj.weight",
        "model.layers.0.self_attn.o_proj.weight"}},
      {"starcoder2",
       {"blk.0.ffn_up.bias", "blk.0.ffn_down.weight", "blk.0.ffn_norm.bias", "output_norm.bias"},
       {"model.layers.0.mlp.c_fc.bias", "model.layers.0.mlp.c_proj.weight",
        "model.layers.0.post_attention_layernorm.bias", "model.norm.bias"}},
      {"gpt2",
       {"position_embd.weight", "output_norm.weight", "blk.0.attn_norm.weight",
        "blk.0.attn_output.bias", "blk.0.ffn_norm.bias", "blk.0.ffn_down.weight"},
       {"h.0.attn.c_proj.bias", "h.0.ln_1.weight", "h.0.ln_2.bias", "h.0.mlp.c_proj.weight",
        "ln_f.weight", "wpe.weight"}},
      {"gptneox",
       {"token_embd.weight", "output.weight", "output_norm.bias", "blk.0.attn_output.weight",
        "blk.0.ffn_up.weight", "blk.0.ffn_down.bias", "blk.0.ffn_norm.weight"},
       {"embed_out.weight", "gpt_neox.embed_in.weight", "gpt_neox.final_layer_norm.bias",
        "gpt_neox.layers.0.attention.dense.weight", "gpt_neox.layers.0.mlp.dense_4h_to_h.bias",
        "gpt_neox.layers.0.mlp.dense_h_to_4h.weight",
        "gpt_neox.layers.0.post_attention_layernorm.weight"}},
      {"internlm2",
       {"token_embd.weight", "output.weight", "blk.0.attn_norm.weight", "blk.0.attn_output.weight",
        "blk.0.ffn_norm.weight", "blk.0.ffn_gate.weight", "blk.0.ffn_up.weight",
        "blk.0.ffn_down.weight"},
       {"model.layers.0.attention.wo.weight", "model.layers.0.attention_norm.weight",
        "model.layers.0.feed_forward.w1.weight", "model.layers.0.feed_forward.w2.weight",
        "model.layers.0.feed_forward.w3.weight", "model.layers.0.ffn_norm.weight",
        "model.tok_embeddings.weight", "output.weight"}},
  };
  for (const Case& c : cases) {
    GgufTestFile made = small(c.architecture, 2);
    if (c.architecture == "qwen2moe") made.size("expert_count", 2);
    for (const std::string& name : c.gguf) {
      const bool is_vector = name.ends_with(".bias") || has_part(name, "norm");
      made.counting(name, is_vector ? std::vector<int64_t>{2} : std::vector<int64_t>{2, 2});
    }
    const Opened opened(made);
    ASSERT_EQ(opened.error, "no error") << c.architecture;
    EXPECT_EQ(opened.names(), c.hf) << c.architecture;
  }
}

TEST(GgufCheckpoint, FactorsOfTheRotaryEmbeddingAreNoWeights) {
  GgufTestFile made = small("llama");
  made.counting("rope_freqs.weight", {2}).counting("rope_factors_long.weight", {2});
  made.counting("rope_factors_short.weight", {2}).counting("blk.0.attn_rot_embd.weight", {2});
  made.counting("output_norm.weight", {1});
  EXPECT_EQ(Opened(made).names(), (std::vector<std::string>{"model.norm.weight"}));
}

TEST(GgufCheckpoint, UnknownTensorsAreRefusedByName) {
  for (const std::string name :
       {"blk.0.attn_sinks.weight", "blk.0.ffn_gate_exps.weight", "output_norm", "blk.weight",
        "blk.x.attn_norm.weight", "blk.00.attn_norm.weight", "blk.0.attn_q_norm.weight",
        "mm.0.weight", "blk.0.weight", "blk.4294967296.attn_norm.weight", ".weight"}) {
    GgufTestFile made = small("llama");
    made.counting(name, {1});
    EXPECT_EQ(
        Opened(made).error,
        cat("error: m.gguf: tensor ", name, ": is unknown in models of the architecture llama\n",
            "  it would change the model, so it is not left out; this variant of the ",
            "architecture is not supported"));
  }
  GgufTestFile made = small("llama");
  made.counting("blk.1.attn_norm.weight", {1});
  EXPECT_EQ(Opened(made).error,
            "error: m.gguf: tensor blk.1.attn_norm.weight: belongs to layer 1\n"
            "  expected a layer below 1, the block_count");
}

TEST(GgufCheckpoint, UnknownArchitecturesAreRefused) {
  EXPECT_HAS(
      Opened(GgufTestFile("lama")).error,
      "m.gguf: key general.architecture: unknown architecture lama\n  expected one of llama, "
      "qwen2, qwen2moe, qwen3, qwen3moe, gemma, gemma2, gemma3, phi2, phi3, starcoder2, gpt2, "
      "gptneox, baichuan, internlm2, minicpm, granite, smollm3\n  did you mean llama?");
}

TEST(GgufCheckpoint, MissingOrImpossibleHyperparametersAreRefused) {
  EXPECT_EQ(
      Opened(GgufTestFile()).error,
      "error: m.gguf: lacks the key llama.block_count\n  is this a file of a tokenizer only?");
  GgufTestFile no_heads;
  no_heads.size("block_count", 1);
  EXPECT_HAS(Opened(no_heads).error, "lacks the key llama.attention.head_count");
  GgufTestFile zero;
  zero.size("block_count", 0);
  EXPECT_HAS(Opened(zero).error,
             "key llama.block_count: is 0\n  expected a number from 1 to 2147483647");
  GgufTestFile negative;
  negative.integer("llama.block_count", -1, GgufValueType::kI32);
  EXPECT_HAS(Opened(negative).error,
             "key llama.block_count: is -1\n  expected a number from 0 to 2147483647");
  GgufTestFile many = small("llama");
  many.size("expert_count", 1 << 30).counting("output_norm.weight", {1});
  EXPECT_EQ(Opened(many).error, "no error");
  GgufTestFile kv = small("llama", 3);
  kv.counting("output_norm.weight", {1});
  EXPECT_HAS(Opened(kv).error,
             "key llama.attention.head_count_kv: is 3\n  expected a divisor of the 2 heads");
  GgufTestFile layers;
  layers.size("block_count", 1 << 30)
      .size("attention.head_count", 1)
      .counting("output_norm.weight", {1});
  EXPECT_HAS(Opened(layers).error,
             "key llama.block_count: is 1073741824\n  expected at most 1, the number of tensors");
}

TEST(GgufCheckpoint, TensorsOfTheWrongShapeAreRefused) {
  const auto error = [](std::string_view architecture, std::string_view name,
                        const std::vector<int64_t>& shape) {
    GgufTestFile made = small(architecture, architecture == "gptneox" ? 1 : 2);
    made.counting(name, shape);
    return Opened(made).error;
  };
  EXPECT_EQ(error("llama", "output_norm.weight", {2, 2}),
            "error: m.gguf: tensor output_norm.weight: has the shape [2, 2]\n"
            "  expected one dimension");
  EXPECT_HAS(error("llama", "output.weight", {2, 2, 2}), "[2, 2, 2]\n  expected two dimensions");
  EXPECT_HAS(error("llama", "output.weight", {0, 2}), "[0, 2]\n  expected at least one element");
  EXPECT_HAS(error("llama", "blk.0.attn_q.weight", {7, 1}),
             "[7, 1]\n  expected as many rows in each of the 2 heads, an even number");
  EXPECT_HAS(error("llama", "blk.0.attn_q.weight", {6, 1}), "an even number");
  EXPECT_HAS(error("llama", "blk.0.attn_v.weight", {3, 1}),
             "expected as many rows in each of the 2 heads");
  EXPECT_HAS(error("llama", "blk.0.attn_qkv.weight", {13, 1}),
             "expected as many rows in each of the 2 heads of q and 2 of k and of v");
  EXPECT_HAS(error("phi3", "blk.0.attn_q.weight", {8, 1}), "lacks the tensor blk.0.attn_k.weight");
  GgufTestFile both = small("llama");
  both.counting("blk.0.attn_qkv.weight", {16, 1}).counting("blk.0.attn_k.weight", {4, 1});
  EXPECT_HAS(Opened(both).error,
             "tensor blk.0.attn_qkv.weight: holds what blk.0.attn_k.weight holds too\n"
             "  expected either q, k and v or all of them in attn_qkv");
  GgufTestFile lengths = small("llama");
  lengths.counting("blk.0.attn_q.weight", {8, 2}).counting("blk.0.attn_k.weight", {4, 1});
  EXPECT_HAS(Opened(lengths).error,
             "blk.0.attn_k.weight: has the shape [4, 1]\n  expected rows of 2, as the others of q");
  GgufTestFile heads = small("internlm2");
  heads.counting("blk.0.attn_q.weight", {8, 1}).counting("blk.0.attn_k.weight", {4, 1});
  heads.counting("blk.0.attn_v.weight", {6, 1});
  EXPECT_HAS(Opened(heads).error, "layer 0: has heads of 4, 4 and 6 rows in q, k and v");
  EXPECT_HAS(error("gptneox", "blk.0.attn_qkv.weight", {16, 1}),
             "has 2 heads and 1 kv heads\n  expected as many of both in the architecture gptneox");
  GgufTestFile experts = small("llama");
  experts.size("expert_count", 2).counting("blk.0.ffn_up_exps.weight", {3, 2, 1});
  EXPECT_HAS(Opened(experts).error,
             "[3, 2, 1]\n  expected [2, rows, columns]: one matrix for each of the experts");
  GgufTestFile odd = small("qwen3moe");
  odd.size("expert_count", 2).counting("blk.0.ffn_gate_up_exps.weight", {2, 3, 1});
  EXPECT_HAS(Opened(odd).error, "of the experts, with an even number of rows");
}

TEST(GgufCheckpoint, TwoTensorsForOneNameAreRefused) {
  GgufTestFile made = small("llama");
  made.size("expert_count", 1);
  made.counting("blk.0.ffn_up_exps.weight", {2, 1}).counting("blk.0.ffn_up.0.weight", {2, 1});
  const std::string error = Opened(made).error;
  EXPECT_HAS(error, "stands for model.layers.0.block_sparse_moe.experts.0.w3.weight, and so does ");
}

}  // namespace
}  // namespace mlc::formats
