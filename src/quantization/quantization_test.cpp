// SPDX-License-Identifier: Apache-2.0
#include "quantization/quantization.h"
#include "quantization/test_helpers.h"

#include <gtest/gtest.h>

#include "support/strings.h"

namespace mlc::quantization {
namespace {

// "name dtype [shape]" of each stored tensor, or the error.
std::vector<std::string> stored(std::string_view name, const Weight& weight) {
  const auto tensors = stored_tensors(mode(name), weight);
  if (!tensors.ok()) return {tensors.error().to_string()};
  std::vector<std::string> texts;
  for (const StoredTensor& tensor : *tensors) {
    std::vector<std::string> shape;
    for (const int64_t dimension : tensor.shape) shape.push_back(std::to_string(dimension));
    texts.push_back(cat(tensor.name, " ", dtype_name(tensor.dtype), " [", join(shape, ", "), "]"));
  }
  return texts;
}

using Texts = std::vector<std::string>;
const Weight kLinear{"a.weight", {96, 144}, DType::kF16, WeightKind::kLinear};
const Weight kEmbedding{"e.weight", {512, 144}, DType::kF16, WeightKind::kEmbedding};

TEST(Quantizations, UnknownNamesListNearOnes) {
  const auto found = find_quantization("q4f16_3", "--quantization");
  ASSERT_FALSE(found.ok());
  const std::string text = found.error().to_string();
  EXPECT_TRUE(
      text.starts_with("error: --quantization q4f16_3: unknown quantization\n  expected one of "
                       "q0f16, q0bf16, q0f32, q3f16_0"))
      << text;
  EXPECT_NE(text.find("did you mean q4f16_"), std::string::npos);
}

TEST(Quantizations, ModesWithoutKernelsAreRefusedWithTheReason) {
  for (const auto& [name, reason] : std::vector<std::pair<std::string, std::string>>{
           {"q4f16_ft", "is for FasterTransformer kernels on CUDA"},
           {"e5m2_e5m2_f16", "needs fp8 kernels on CUDA"},
           {"e4m3_e4m3_f16", "needs fp8 kernels on CUDA"},
           {"e4m3_e4m3_f16_max_calibrate", "needs fp8 kernels on CUDA"},
           {"fp8_e4m3fn_bf16_block_scale", "needs fp8 kernels on CUDA"},
           {"fp8_e4m3fn_bf16_block_scale_static_activation", "needs fp8 kernels on CUDA"}}) {
    const auto found = find_quantization(name, "--quantization");
    ASSERT_FALSE(found.ok()) << name;
    EXPECT_TRUE(found.error().to_string().starts_with(
        cat("error: --quantization ", name, ": ", reason, "\n  expected one of q0f16")));
    EXPECT_NE(found.error().to_string().find("this program has no such kernels"),
              std::string::npos);
  }
}

TEST(Quantizations, BothNamesOfAwqAreOneMode) {
  for (const char* name : {"q4f16_awq", "q4f16_autoawq"}) {
    EXPECT_EQ(mode(name).scheme, Scheme::kAwq);
    EXPECT_EQ(mode(name).name, name);
  }
}

TEST(StoredTensors, LinearsAndEmbeddingsOfGroupModes) {
  EXPECT_EQ(stored("q4f16_1", kLinear),
            (Texts{"a.q_weight uint32 [96, 20]", "a.q_scale float16 [96, 5]"}));
  EXPECT_EQ(stored("q3f16_1", kLinear),
            (Texts{"a.q_weight uint32 [96, 16]", "a.q_scale float16 [96, 4]"}));
  EXPECT_EQ(stored("q4f32_1", kEmbedding),
            (Texts{"e.q_weight uint32 [512, 20]", "e.q_scale float32 [512, 5]"}));
  EXPECT_EQ(stored("q4f16_2", kEmbedding), (Texts{"e.weight float16 [512, 144]"}));
  EXPECT_EQ(stored("q0f16", kLinear), (Texts{"a.weight float16 [96, 144]"}));
}

TEST(StoredTensors, OnlyLinearsAreTransposed) {
  EXPECT_EQ(stored("q4bf16_0", kLinear),
            (Texts{"a.q_weight uint32 [20, 96]", "a.q_scale bfloat16 [5, 96]"}));
  EXPECT_EQ(stored("q3f16_0", kEmbedding),
            (Texts{"e.q_weight uint32 [512, 16]", "e.q_scale float16 [512, 4]"}));
}

TEST(StoredTensors, ExpertsHaveThreeAxesAndNoTransposedForm) {
  const Weight experts{"moe.e1_e3.weight", {4, 96, 64}, DType::kF16, WeightKind::kExperts};
  EXPECT_EQ(stored("q4f16_1", experts), (Texts{"moe.e1_e3.q_weight uint32 [4, 96, 8]",
                                               "moe.e1_e3.q_scale float16 [4, 96, 2]"}));
  EXPECT_EQ(
      stored("q4f16_0", experts),
      (Texts{"error: moe.e1_e3.weight: belongs to experts, which q4f16_0 lacks\n  expected a mode "
             "that stores [out, in], such as q4f16_1"}));
  EXPECT_NE(
      stored("q4f16_awq", experts)[0].find("belongs to experts, which AWQ checkpoints cannot"),
      std::string::npos);
}

TEST(StoredTensors, AwqKeepsThreeTensors) {
  EXPECT_EQ(
      stored("q4f16_awq", {"a.weight", {96, 256}, DType::kF16, WeightKind::kLinear}),
      (Texts{"a.qweight uint32 [256, 12]", "a.qzeros uint32 [2, 12]", "a.scales float16 [2, 96]"}));
  EXPECT_EQ(stored("q4f16_awq", kEmbedding), (Texts{"e.weight float16 [512, 144]"}));
  EXPECT_EQ(stored("q4f16_awq", kLinear),
            (Texts{"error: a.weight: is a matrix of 96 outputs and 144 inputs\n  expected outputs "
                   "divisible by 8 and inputs by 128, as AWQ needs them"}));
}

bool quantized(std::string_view mode_name, std::string name, int64_t rows = 512) {
  return is_quantized(mode(mode_name),
                      {std::move(name), {rows, 64}, DType::kF16, WeightKind::kLinear});
}

TEST(IsQuantized, HeadsAreToldByTheirName) {
  for (const char* name :
       {"head.weight", "lm_head.weight", "lm_head.linear.weight", "embed_out.weight"}) {
    EXPECT_TRUE(quantized("q4f16_1", name)) << name;
    EXPECT_FALSE(quantized("q4f16_2", name)) << name;
    EXPECT_FALSE(quantized("q4f16_awq", name)) << name;
  }
  EXPECT_TRUE(quantized("q4f16_2", "transformer.output_layer.weight"));
  EXPECT_TRUE(quantized("q4f16_2", "model.lm_head.weight"));
}

TEST(IsQuantized, SmallGatesAreRouters) {
  EXPECT_FALSE(quantized("q4f16_1", "model.layers.0.moe.gate.weight", 256));
  EXPECT_TRUE(quantized("q4f16_1", "model.layers.0.moe.gate.weight", 257));
  EXPECT_FALSE(quantized("q4f16_1", "model.layers.0.mlp.shared_expert_gate.weight", 1));
  EXPECT_TRUE(quantized("q4f16_1", "model.layers.0.mlp.gate_proj.weight", 8));
}

TEST(IsQuantized, NormsAndExemptedWeightsStay) {
  EXPECT_FALSE(
      is_quantized(mode("q4f16_1"), {"model.norm.weight", {64}, DType::kF16, WeightKind::kPlain}));
  EXPECT_FALSE(is_quantized(mode("q4f16_1"),
                            {"v.weight", {64, 64}, DType::kF16, WeightKind::kLinear, true}));
  EXPECT_FALSE(quantized("q0f16", "a.weight"));
}

}  // namespace
}  // namespace mlc::quantization
