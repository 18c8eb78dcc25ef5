// SPDX-License-Identifier: Apache-2.0
#include "engine/memory_report.h"

#include <gtest/gtest.h>

namespace mlc::engine {
namespace {

using formats::PlanArgument;

PlanArgument weight(uint32_t index) {
  PlanArgument a;
  a.kind = PlanArgument::Kind::kWeight;
  a.index = index;
  return a;
}

// A table and a head; `tied`: the head is the table.
formats::Plan make_plan(bool tied) {
  formats::Plan plan;
  plan.weights = {{"embed", DType::kF16, {100, 8}},
                  {"norm", DType::kBF16, {8}},
                  {"head", DType::kU32, {100, 4}}};
  plan.kernels = {{"embedding_8_v3", 0}, {"rms_norm_8_v3", 0}, {"gemv_v3", 0}, {"gemm_v3", 0}};
  const uint32_t head = tied ? 0 : 2;
  plan.calls.push_back({"embed", 1, {{INT64_MAX, 0, {}, {weight(0)}}}});
  plan.calls.push_back({"norm", 1, {{INT64_MAX, 1, {}, {weight(1), weight(1)}}}});
  plan.calls.push_back(
      {"head", 1, {{1, 2, {}, {weight(head)}}, {INT64_MAX, 3, {}, {weight(head), weight(1)}}}});
  plan.calls.push_back({"merge", 1, {{INT64_MAX, formats::PlanVariant::kNoKernel, {}, {}}}});
  return plan;
}

TEST(WeightBytesRead, LeaveOutATableThatIsNotAlsoTheHead) {
  EXPECT_EQ(weight_bytes_read(make_plan(false), 1), 16 + 1600);
  EXPECT_EQ(weight_bytes_read(make_plan(true), 1), 16 + 1600);
  EXPECT_EQ(weight_bytes_read(make_plan(true), 8), 16 + 1600) << "each weight once";
}

Json metadata(const char* shape) {
  const std::string text =
      std::string(
          R"({"params": [{"name": "a", "shape": [4, 8], "dtype": "float16"}, {"name": "b", "shape": )") +
      shape +
      R"(, "dtype": "uint32"}], "memory_usage": {"prefill": 10, "decode": 2}, "kv_cache": {"bytes_per_token": 7}})";
  return parse_json(text, "lib.so").value();
}

TEST(MemoryReport, AddsUpTheParameters) {
  const Json report = memory_report(metadata("[3]"), "lib.so").value();
  EXPECT_EQ(
      report.dump(),
      R"({"parameter_bytes": 76, "temporary_buffer_bytes": {"prefill": 10, "decode": 2}, "kv_cache_bytes_per_token": 7})");
}

TEST(MemoryReport, NamesWhatItCannotRead) {
  EXPECT_EQ(memory_report(metadata("[\"vocab_size\"]"), "lib.so").error().to_string(),
            "error: lib.so: params: shape: holds vocab_size\n  expected integers\n  give the "
            "model's config with --mlc-chat-config");
  EXPECT_FALSE(memory_report(metadata("3"), "lib.so").ok());
  Json foreign = metadata("[1]");
  foreign.find("params")->as_array()[0].set("dtype", "float7");
  EXPECT_EQ(memory_report(foreign, "lib.so").error().to_string(),
            "error: lib.so: params: have the dtype float7\n  expected one that is known");
  foreign.erase("kv_cache");
  EXPECT_FALSE(memory_report(foreign, "lib.so").ok());
}

}  // namespace
}  // namespace mlc::engine
