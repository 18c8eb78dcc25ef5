// SPDX-License-Identifier: Apache-2.0
// What a conversion checks and reports. That its bytes are right is shown by
// convert_golden_test.cpp.
#include "compiler/convert_weight.h"

#include <gtest/gtest.h>

#include <cmath>

#include "compiler/memory_checkpoint.h"
#include "formats/open_checkpoint.h"
#include "formats/parameter_shards.h"
#include "quantization/group.h"
#include "support/half.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using quantization::WeightKind;

ParameterToConvert parameter(const std::string& name, std::vector<int64_t> shape, WeightKind kind,
                             std::vector<std::string> sources, DType dtype = DType::kF16) {
  return {{name, std::move(shape), dtype, kind}, {name, std::move(sources)}};
}

class ConvertWeight : public testing::Test {
 protected:
  ConvertSummary run(const std::vector<ParameterToConvert>& parameters, std::string_view mode,
                     ConvertOptions options = {}) {
    options.source = "model";
    options.directory = directory_.path();
    return convert(checkpoint_, parameters, **quantization::find_quantization(mode, ""), options);
  }
  std::string error(const std::vector<ParameterToConvert>& parameters, std::string_view mode) {
    try {
      run(parameters, mode);
      return "no error";
    } catch (const UserError& error) {
      EXPECT_TRUE(list_directory(directory_.path())->empty());
      return error.what();
    }
  }
  // Names in the order of the shards.
  std::vector<std::string> stored_names() const {
    std::vector<std::string> names;
    const auto shards = formats::ParameterShards::open(directory_.path()).value();
    for (const auto& record : shards.index().parameters) names.push_back(record.info.name);
    return names;
  }

  MemoryCheckpoint checkpoint_;
  TemporaryDirectory directory_;
};

TEST_F(ConvertWeight, ParametersStandWhereTheirFirstSourceStands) {
  for (const char* name : {"down", "k", "norm", "o", "q"}) {
    checkpoint_.add_counted(cat(name, ".weight"), {2, 32});
  }
  run({parameter("qk.weight", {4, 32}, WeightKind::kLinear, {"q.weight", "k.weight"}),
       parameter("norm.weight", {2, 32}, WeightKind::kPlain, {"norm.weight"}),
       parameter("copy.weight", {2, 32}, WeightKind::kPlain, {"down.weight"}),
       parameter("down.weight", {2, 32}, WeightKind::kLinear, {"down.weight"}),
       parameter("o.weight", {2, 32}, WeightKind::kLinear, {"o.weight"})},
      "q4f16_1");
  EXPECT_EQ(stored_names(),
            (std::vector<std::string>{"copy.weight", "down.q_weight", "down.q_scale", "qk.q_weight",
                                      "qk.q_scale", "norm.weight", "o.q_weight", "o.q_scale"}));
}

TEST_F(ConvertWeight, TheSummaryCountsSourcesOfTheFilesThatWereUsed) {
  checkpoint_.add("a.weight", DType::kF32, {2, 32}, std::vector<float>(64, 1.0f), 0);
  checkpoint_.add("unused", DType::kF32, {16}, std::vector<float>(16), 0);
  checkpoint_.add("inv_freq", DType::kF32, {1000}, std::vector<float>(1000), 0);
  checkpoint_.add("vision", DType::kF32, {5000}, std::vector<float>(5000), 1);
  ConvertOptions options;
  options.unused_sources = {"inv_freq", "not there"};
  int64_t last_done = 0;
  options.progress = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 256);
    last_done = done;
  };
  const ConvertSummary summary =
      run({parameter("a.weight", {2, 32}, WeightKind::kLinear, {"a.weight"}, DType::kF32)},
          "q4f32_1", options);
  EXPECT_EQ(summary.stored_tensors, 2);
  EXPECT_EQ(summary.parameter_bytes, 2 * 16 + 2 * 4);
  EXPECT_EQ(summary.parameters, 80);
  EXPECT_EQ(summary.bits_per_parameter, 4.0);
  EXPECT_EQ(summary.warnings, std::vector<std::string>{"model: no parameter uses unused, vision"});
  EXPECT_EQ(last_done, 256);
}

TEST_F(ConvertWeight, ManyUnusedSourcesAreCutShort) {
  checkpoint_.add_counted("a", {2});
  for (int i = 0; i < 10; ++i) checkpoint_.add_counted(cat("u", i), {1});
  const ConvertSummary summary = run({parameter("a", {2}, WeightKind::kPlain, {"a"})}, "q0f16");
  EXPECT_EQ(summary.warnings,
            std::vector<std::string>{
                "model: no parameter uses u0, u1, u2, u3, u4, u5, u6, u7 and 2 more"});
}

TEST_F(ConvertWeight, WeightsWithNaNAreNamed) {
  std::vector<float> values(64, 1.0f);
  checkpoint_.add("good.weight", DType::kF32, {2, 32}, values);
  values[40] = std::nanf("");
  checkpoint_.add("bad.weight", DType::kF32, {2, 32}, values);
  const ConvertSummary summary =
      run({parameter("good.weight", {2, 32}, WeightKind::kLinear, {"good.weight"}),
           parameter("bad.weight", {2, 32}, WeightKind::kLinear, {"bad.weight"})},
          "q4f16_0");
  EXPECT_EQ(summary.warnings,
            std::vector<std::string>{
                "model: not a number (NaN) occurs in bad.weight; is the checkpoint damaged?"});
}

TEST_F(ConvertWeight, AllMissingSourcesAreNamed) {
  checkpoint_.add_counted("a", {2});
  EXPECT_EQ(
      error({parameter("p", {4}, WeightKind::kPlain, {"a", "b"}),
             parameter("r.weight", {2, 32}, WeightKind::kLinear, {"c.weight"}),
             parameter("s", {2}, WeightKind::kPlain, {"b"})},
            "q4f16_1"),
      "error: model: lacks 2 tensors that the model needs:\n    b\n    c.weight\n  is this the "
      "config of another checkpoint, or a part of a checkpoint?");
}

TEST_F(ConvertWeight, QuantizedCheckpointsAreRecognised) {
  checkpoint_.add("a.qweight", DType::kI32, {1}, std::string(4, 'x'));
  const std::vector<ParameterToConvert> list = {
      parameter("a.weight", {8, 128}, WeightKind::kLinear, {"a.weight"})};
  EXPECT_NE(error(list, "q4f16_1")
                .find("lacks 1 tensor that the model needs:\n    a.weight\n  the "
                      "checkpoint is quantized: if by AWQ, use q4f16_awq and "
                      "--source-format awq"),
            std::string::npos);
  EXPECT_NE(error(list, "q4f16_awq")
                .find("a.qzeros\n    a.scales\n  q4f16_awq imports AWQ checkpoints "
                      "only; quantize others with q4f16_1"),
            std::string::npos);
}

TEST_F(ConvertWeight, EachParameterIsProducedOnce) {
  checkpoint_.add_counted("a.weight", {2, 32});
  EXPECT_EQ(error({parameter("p.weight", {2, 32}, WeightKind::kLinear, {"a.weight"}),
                   parameter("p.weight", {2, 32}, WeightKind::kEmbedding, {"a.weight"})},
                  "q4f16_1"),
            "error: parameter p.q_weight: is produced twice\n  expected each once");
}

TEST_F(ConvertWeight, OtherShapesAndTypesAreRefused) {
  checkpoint_.add_counted("a.weight", {2, 32});
  checkpoint_.add("i", DType::kI64, {1}, std::string(8, 'x'));
  EXPECT_NE(error({parameter("a.weight", {32, 2}, WeightKind::kLinear, {"a.weight"})}, "q4f16_1")
                .find("model: parameter a.weight: cannot be made from a.weight [2, 32]"),
            std::string::npos);
  EXPECT_NE(error({parameter("i", {1}, WeightKind::kPlain, {"i"})}, "q0f16")
                .find("tensor i: has the dtype int64"),
            std::string::npos);
}

TEST_F(ConvertWeight, ErrorsOfReadingEndTheConversion) {
  checkpoint_.add("a", DType::kF16, {1 << 20, 1}, std::string(2 << 20, 'x'));
  checkpoint_.add("short", DType::kF16, {2}, std::string(3, 'x'));
  EXPECT_EQ(error({parameter("a", {1 << 20, 1}, WeightKind::kPlain, {"a"}),
                   parameter("short", {2}, WeightKind::kPlain, {"short"})},
                  "q0f16"),
            "error: short: is cut off");
}

class ConvertAwq : public ConvertWeight {
 protected:
  void add_linear(const std::string& name, int64_t n, int64_t k, DType scale_dtype = DType::kF16) {
    const auto add = [&](const char* part, DType dtype, int64_t rows, int64_t columns) {
      std::string bytes;
      for (int64_t i = 0; i < rows * columns * dtype_bytes(dtype); ++i) {
        bytes += static_cast<char>(i * 7 + static_cast<int64_t>(name.size()));
      }
      checkpoint_.add(cat(name, ".", part), dtype, {rows, columns}, bytes);
    };
    add("qweight", DType::kI32, k, n / 8);
    add("qzeros", DType::kI32, k / 128, n / 8);
    add("scales", scale_dtype, k / 128, n);
  }
};

TEST_F(ConvertAwq, ColumnsAreJoinedAndPicked) {
  add_linear("q", 16, 128);
  add_linear("kv", 8, 128);
  ParameterToConvert joined =
      parameter("joined.weight", {24, 128}, WeightKind::kLinear, {"q.weight", "kv.weight"});
  ParameterToConvert picked =
      parameter("picked.weight", {16, 128}, WeightKind::kLinear, {"q.weight", "kv.weight"});
  picked.rule.rows = {{1, 0, 8}, {0, 8, 8}};
  run({joined, picked}, "q4f16_awq");
  const auto shards = formats::ParameterShards::open(directory_.path()).value();
  const auto stored = [&](const char* name) { return shards.bytes(*shards.find(name)); };
  const auto source = [&](int64_t tensor, int64_t row, size_t bytes) {
    std::vector<std::byte> out(bytes);
    EXPECT_TRUE(checkpoint_.read_rows(tensor, row, 1, out.data()).ok());
    return out;
  };
  const auto equal = [](Bytes a, const std::vector<std::byte>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
  };
  EXPECT_TRUE(equal(stored("joined.qweight").subspan(5 * 12, 8), source(0, 5, 8)));
  EXPECT_TRUE(equal(stored("joined.qweight").subspan(5 * 12 + 8, 4), source(3, 5, 4)));
  EXPECT_TRUE(equal(stored("picked.qweight").subspan(5 * 8, 4), source(3, 5, 4)));
  std::vector<std::byte> second = source(0, 5, 8);
  second.erase(second.begin(), second.begin() + 4);
  EXPECT_TRUE(equal(stored("picked.qweight").subspan(5 * 8 + 4, 4), second));
  EXPECT_EQ(stored("picked.scales").size(), 32u);
}

TEST_F(ConvertAwq, OtherShapesAndTypesAreRefused) {
  add_linear("q", 16, 128);
  EXPECT_NE(
      error({parameter("p.weight", {24, 128}, WeightKind::kLinear, {"q.weight"})}, "q4f16_awq")
          .find("parameter p.qweight: cannot be made from q.qweight [128, 2]\n  expected columns "
                "for the shape [128, 3]"),
      std::string::npos);
  ParameterToConvert uneven = parameter("p.weight", {8, 128}, WeightKind::kLinear, {"q.weight"});
  uneven.rule.rows = {{0, 4, 8}};
  EXPECT_NE(error({uneven}, "q4f16_awq").find("cannot be made from"), std::string::npos);
  uneven.rule.transpose = true;
  EXPECT_NE(error({uneven}, "q4f16_awq").find("p.weight: has no AWQ form"), std::string::npos);
  add_linear("b", 16, 128, DType::kF32);
  EXPECT_NE(
      error({parameter("p.weight", {16, 128}, WeightKind::kLinear, {"b.weight"})}, "q4f16_awq")
          .find("tensor b.scales: has the dtype float32\n  expected float16, as AWQ stores it"),
      std::string::npos);
}

TEST(ConvertFiles, TorchFilesGiveTheSameBytesWhateverTheirFormat) {
  std::vector<std::string> shards;
  for (const char* name : {"views.bin", "views-legacy.bin"}) {
    TemporaryDirectory directory;
    const std::string path = source_path(cat("tests/fixtures/checkpoints/", name));
    const auto checkpoint = or_throw(formats::open_checkpoint(path, "auto", "config.json"));
    convert(*checkpoint,
            std::vector<ParameterToConvert>{
                parameter("t", {6, 4}, WeightKind::kPlain, {"transposed"}),
                parameter("f.weight", {3, 2}, WeightKind::kLinear, {"expanded"}),
                parameter("types", {12}, WeightKind::kPlain,
                          {"float16", "bfloat16", "float32", "float64"})},
            **quantization::find_quantization("q4f16_1", ""),
            {.source = path, .directory = directory.path()});
    shards.push_back(read_file(directory.file("params_shard_0.bin")).value());
  }
  EXPECT_EQ(shards[0].size(), 48u + 3 * 16 + 3 * 2 + 24);
  EXPECT_EQ(shards[0], shards[1]);
}

}  // namespace
}  // namespace mlc::compiler
