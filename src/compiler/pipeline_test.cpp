// SPDX-License-Identifier: Apache-2.0
// The whole way from a config to kernels, for small models in every mode and on every CPU level:
// what comes out is right by its own rules and reads back from its text.
#include "compiler/pipeline.h"

#include <gtest/gtest.h>

#include "graph/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "models/model.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

Json config(const char* text) { return parse_json(text, "test").value(); }

// K is no whole number of groups or words; grouped queries; a bias.
graph::Graph small_llama(DType dtype) {
  return models::find_model("llama", "test")
      .build(
          config(
              R"({"hidden_size": 72, "intermediate_size": 172, "num_hidden_layers": 1, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 20,
          "vocab_size": 203, "rms_norm_eps": 1e-05, "attention_bias": true, "rope_scaling": {"rope_type": "dynamic", "factor": 2.0}})"),
          {.dtype = dtype, .kv_dtype = dtype})
      .graph;
}

graph::Graph small_awq() {
  return models::find_model("mistral", "test")
      .build(
          config(
              R"({"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 203,
          "rms_norm_eps": 1e-05, "sliding_window_size": 64, "attention_sink_size": 2})"),
          {})
      .graph;
}

graph::Graph small_neox() {
  return models::find_model("gpt_neox", "test")
      .build(
          config(
              R"({"hidden_size": 72, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 3, "vocab_size": 203})"),
          {})
      .graph;
}

const quantization::Quantization& mode(const std::string& name) {
  return *or_throw(quantization::find_quantization(name, "test"));
}

graph::Graph graph_for(const std::string& quantization) {
  const quantization::Quantization& q = mode(quantization);
  return q.scheme == quantization::Scheme::kAwq ? small_awq() : small_llama(q.model_dtype);
}

void expect_kernels_read_back(const PlanAndKernels& planned) {
  ASSERT_EQ(planned.kernels.size(), planned.plan.kernels.size());
  for (size_t i = 0; i < planned.kernels.size(); ++i) {
    const kernel::Kernel& k = planned.kernels[i];
    EXPECT_EQ(k.name, planned.plan.kernels[i].name);
    kernel::verify(k);
    const std::string text = kernel::to_text(k);
    const kernel::Kernel read = kernel::parse_kernel(text, k.name);
    kernel::verify(read);
    EXPECT_EQ(kernel::to_text(read), text) << k.name;
    EXPECT_EQ(kernel::scratch_bytes(read), planned.plan.kernels[i].scratch_bytes);
  }
}

void expect_plan_reads_back(const formats::Plan& plan) {
  const std::string bytes = formats::serialize_plan(plan);
  const formats::Plan read = formats::parse_plan(bytes, "test").value();
  EXPECT_EQ(formats::serialize_plan(read), bytes);
  EXPECT_EQ(formats::to_text(read), formats::to_text(plan));
}

class PipelineByMode : public testing::TestWithParam<std::string> {};

// Modes that differ from others in how weights lie are tried on every level, the others on three.
std::vector<std::string_view> levels_for(const std::string& mode) {
  std::vector<std::string_view> levels = {"x86-64", "x86-64-v4-vnni", "armv8-dotprod"};
  if (mode == "q0f16" || mode == "q3f16_1" || mode == "q4f16_1" || mode == "q4f16_0" ||
      mode == "q4f16_awq") {
    levels.clear();
    for (const target::CpuLevel& level : target::cpu_levels()) levels.push_back(level.name);
  }
  return levels;
}

TEST_P(PipelineByMode, KernelsAndPlanReadBackOnEveryLevel) {
  const graph::Graph graph = graph_for(GetParam());
  for (const std::string_view level : levels_for(GetParam())) {
    SCOPED_TRACE(level);
    const PlanAndKernels planned =
        run_pipeline(graph, mode(GetParam()), target::cpu_level_target(level).value(), {}, nullptr);
    EXPECT_FALSE(planned.kernels.empty());
    expect_kernels_read_back(planned);
    expect_plan_reads_back(planned.plan);
    if (HasFailure()) return;
  }
}

TEST_P(PipelineByMode, KernelsOfFloatActivationsReadBack) {
  PipelineOptions options;
  options.int8_activations = false;
  expect_kernels_read_back(run_pipeline(graph_for(GetParam()), mode(GetParam()),
                                        target::cpu_level_target("x86-64-v3").value(), options,
                                        nullptr));
}

TEST_P(PipelineByMode, GraphsReadBackAfterEveryPass) {
  graph::Graph graph = graph_for(GetParam());
  for (const std::string& pass : pass_names()) {
    run_graph_pass(graph, pass, mode(GetParam()));
    const std::string text = graph::to_text(graph);
    EXPECT_EQ(graph::to_text(graph::parse_graph(text, "test")), text) << pass;
  }
}

std::vector<std::string> modes() { return quantization::quantization_names(); }

INSTANTIATE_TEST_SUITE_P(Modes, PipelineByMode, testing::ValuesIn(modes()),
                         [](const auto& info) { return info.param; });

// Where the target sums tiles, a free order has kernels of its own; elsewhere it changes nothing.
TEST(Pipeline, AFreeOrderHasOtherKernelsWhereTilesAreSummed) {
  const auto names = [](const char* level, bool fixed_order) {
    target::Target target = target::cpu_level_target(level).value();
    target.fixed_order = fixed_order;
    std::string text;
    for (const kernel::Kernel& k :
         run_pipeline(graph_for("q4f16_1"), mode("q4f16_1"), target, {}, nullptr).kernels)
      text += k.name + "\n";
    return text;
  };
  EXPECT_EQ(names("x86-64-v4-vnni", false), names("x86-64-v4-vnni", true));
  EXPECT_EQ(names("x86-64-v4-amx", true).find("bf16"), std::string::npos);
  EXPECT_NE(names("x86-64-v4-amx", false).find("gemm_bf16_"), std::string::npos);
  EXPECT_NE(names("x86-64-v4-amx", false).find("pack_bf16_"), std::string::npos);
}

TEST(Pipeline, GptNeoxReadsBack) {
  for (const char* level : {"x86-64", "x86-64-v3", "armv8-dotprod"}) {
    const PlanAndKernels planned = run_pipeline(
        small_neox(), mode("q4f16_1"), target::cpu_level_target(level).value(), {}, nullptr);
    expect_kernels_read_back(planned);
    expect_plan_reads_back(planned.plan);
  }
}

TEST(Pipeline, MoreLayersNeedNoMoreKernels) {
  const auto kernels = [](int layers) {
    const Json model_config =
        config(("{\"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": " +
                std::to_string(layers) +
                ", \"num_attention_heads\": 2, \"vocab_size\": 64, \"rms_norm_eps\": 1e-05}")
                   .c_str());
    return run_pipeline(models::find_model("llama", "test").build(model_config, {}).graph,
                        mode("q4f16_1"), target::cpu_level_target("x86-64-v3").value(), {},
                        nullptr);
  };
  const PlanAndKernels two = kernels(2);
  const PlanAndKernels five = kernels(5);
  EXPECT_EQ(five.kernels.size(), two.kernels.size());
  EXPECT_GT(five.plan.calls.size(), two.plan.calls.size());
  EXPECT_EQ(five.plan.arena_bytes, two.plan.arena_bytes)
      << "values of a layer lie where those of the one before it did";
}

TEST(Pipeline, TheSameInputGivesTheSameBytes) {
  const auto bytes = [] {
    const PlanAndKernels planned =
        run_pipeline(small_llama(DType::kF16), mode("q4f16_1"),
                     target::cpu_level_target("x86-64-v3").value(), {}, nullptr);
    std::string text = formats::serialize_plan(planned.plan);
    for (const kernel::Kernel& k : planned.kernels) text += kernel::to_text(k);
    return text;
  };
  EXPECT_EQ(bytes(), bytes());
}

TEST(Pipeline, PassesAreTimedLeftOutAndDumped) {
  const TemporaryDirectory directory;
  std::vector<PassTime> times;
  PipelineOptions options;
  options.disabled_passes = {"fuse-epilogues"};
  options.dump_directory = directory.file("dump");
  run_pipeline(small_llama(DType::kF16), mode("q4f16_1"),
               target::cpu_level_target("x86-64-v3").value(), options, &times);
  std::vector<std::string> names;
  for (const PassTime& time : times) names.push_back(time.name);
  EXPECT_EQ(names, (std::vector<std::string>{"quantize-parameters", "quantize-activations",
                                             "remove-dead-nodes", "build-plan"}));
  const std::vector<std::string> files = list_directory(directory.file("dump")).value();
  EXPECT_EQ(files, (std::vector<std::string>{
                       "00-model.ir", "01-quantize-parameters.ir", "02-quantize-activations.ir",
                       "03-remove-dead-nodes.ir", "04-plan.txt", "05-kernels.kernel"}));
  const std::string last = read_file(directory.file("dump/03-remove-dead-nodes.ir")).value();
  EXPECT_EQ(last.find("epilogue"), std::string::npos);
  EXPECT_EQ(graph::to_text(graph::parse_graph(last, "dump")), last);
}

TEST(Pipeline, FewerPassesGiveTheSamePlanInputsAndResult) {
  for (const std::string& pass : {std::string("fuse-epilogues"), std::string("remove-dead-nodes"),
                                  std::string("quantize-activations")}) {
    PipelineOptions options;
    options.disabled_passes = {pass};
    const PlanAndKernels planned =
        run_pipeline(small_llama(DType::kF16), mode("q4f16_1"),
                     target::cpu_level_target("x86-64-v3").value(), options, nullptr);
    EXPECT_EQ(planned.plan.vocab_size, 203) << pass;
    expect_kernels_read_back(planned);
  }
}

TEST(Pipeline, UnknownPassesListWhatThereIs) {
  graph::Graph graph = small_neox();
  try {
    run_graph_pass(graph, "fuse-epilogue", mode("q0f16"));
    FAIL();
  } catch (const UserError& error) {
    EXPECT_EQ(
        std::string(error.what()),
        "error: unknown pass fuse-epilogue\n  expected one of quantize-parameters, "
        "quantize-activations, remove-dead-nodes, fuse-epilogues\n  did you mean fuse-epilogues?");
  }
}

}  // namespace
}  // namespace mlc::compiler
