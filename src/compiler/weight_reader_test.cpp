// SPDX-License-Identifier: Apache-2.0
#include "compiler/weight_reader.h"

#include <gtest/gtest.h>

#include "compiler/memory_checkpoint.h"
#include "support/half.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using models::WeightRule;
using Floats = std::vector<float>;

class WeightReaderTest : public testing::Test {
 protected:
  // All of the parameter as float32, read `step` rows at a time.
  Floats read(const WeightRule& rule, const std::vector<int64_t>& shape, int64_t step) {
    const ResolvedRule resolved =
        resolve(rule, shape, DType::kF32, checkpoint_, checkpoint_.numbers(), "w");
    Floats values(static_cast<size_t>(resolved.rows * resolved.row_length));
    WeightReader reader(checkpoint_, resolved);
    for (int64_t row = 0; row < resolved.rows; row += step) {
      reader.read(row, std::min(step, resolved.rows - row),
                  reinterpret_cast<std::byte*>(values.data() + row * resolved.row_length));
    }
    return values;
  }
  Floats read(const WeightRule& rule, const std::vector<int64_t>& shape) {
    const Floats whole = read(rule, shape, 1000);
    for (const int64_t step : {1, 2, 3}) EXPECT_EQ(read(rule, shape, step), whole) << step;
    return whole;
  }
  std::string error(const WeightRule& rule, const std::vector<int64_t>& shape,
                    DType dtype = DType::kF32) {
    try {
      resolve(rule, shape, dtype, checkpoint_, checkpoint_.numbers(), "w.bin");
      return "no error";
    } catch (const UserError& error) {
      return error.what();
    }
  }

  MemoryCheckpoint checkpoint_;
};

TEST_F(WeightReaderTest, SourcesAreJoinedAlongRows) {
  checkpoint_.add_counted("a", {2, 2});
  checkpoint_.add_counted("b", {1, 2}, 10);
  EXPECT_EQ(read({"p", {"a", "b"}}, {3, 2}), (Floats{0, 1, 2, 3, 10, 11}));
  checkpoint_.add_counted("c", {2});
  checkpoint_.add_counted("d", {3}, 5);
  EXPECT_EQ(read({"p", {"d", "c"}}, {5}), (Floats{5, 6, 7, 0, 1}));
}

TEST_F(WeightReaderTest, RowsAreRegrouped) {
  checkpoint_.add_counted("a", {6, 1});
  EXPECT_EQ(read({"p", {"a"}, {{0, 4, 2}, {0, 0, 2}, {0, 1, 2, 2}}}, {6, 1}),
            (Floats{4, 5, 0, 1, 1, 3}));
  checkpoint_.add_counted("b", {4});
  EXPECT_EQ(read({"p", {"b"}, {{0, 2, 2}, {0, 0, 1}}}, {3}), (Floats{2, 3, 0}));
}

TEST_F(WeightReaderTest, MatricesAreTransposed) {
  checkpoint_.add_counted("a", {2, 3});
  EXPECT_EQ(read({.parameter = "p", .sources = {"a"}, .transpose = true}, {3, 2}),
            (Floats{0, 3, 1, 4, 2, 5}));
}

TEST_F(WeightReaderTest, LargeMatricesAreTransposedInParts) {
  checkpoint_.add_counted("a", {700, 900});
  const Floats values =
      read({.parameter = "p", .sources = {"a"}, .transpose = true}, {900, 700}, 100);
  int wrong = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    wrong += values[i] != static_cast<float>(i % 700 * 900 + i / 700);
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(WeightReaderTest, ExpertsAreTransposedOneByOneAndTheirRowsPicked) {
  checkpoint_.add_counted("e",
                          {2, 2, 4});  // used as x * W: gate in the even columns, up in the odd
  EXPECT_EQ(read({.parameter = "p",
                  .sources = {"e"},
                  .rows = {{0, 0, 2, 2}, {0, 1, 2, 2}, {0, 4, 2, 2}, {0, 5, 2, 2}},
                  .transpose = true},
                 {2, 4, 2}),
            (Floats{0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15}));
}

TEST_F(WeightReaderTest, BlocksOfTheResultAreTransposed) {
  checkpoint_.add_counted("kv_b", {8, 2});  // two heads of [3 + 1, 2]: of each the first three rows
  EXPECT_EQ(read({.parameter = "w_uk",
                  .sources = {"kv_b"},
                  .rows = {{0, 0, 3}, {0, 4, 3}},
                  .transpose_result = true},
                 {2, 2, 3}),
            (Floats{0, 2, 4, 1, 3, 5, 8, 10, 12, 9, 11, 13}));
}

TEST_F(WeightReaderTest, ExpertsAreStacked) {
  checkpoint_.add_counted("0.w1", {1, 2});
  checkpoint_.add_counted("0.w3", {1, 2}, 10);
  checkpoint_.add_counted("1.w1", {1, 2}, 20);
  checkpoint_.add_counted("1.w3", {1, 2}, 30);
  EXPECT_EQ(read({"p", {"0.w1", "0.w3", "1.w1", "1.w3"}}, {2, 2, 2}),
            (Floats{0, 1, 10, 11, 20, 21, 30, 31}));
  checkpoint_.add_counted("stacked", {2, 2, 2});
  EXPECT_EQ(read({"p", {"stacked"}, {{0, 1, 2}, {0, 3, 1}}}, {3, 2}), (Floats{2, 3, 4, 5, 6, 7}));
}

TEST_F(WeightReaderTest, AxesOfSizeOneDoNotMatter) {
  checkpoint_.add_counted("conv", {3, 1, 2});
  EXPECT_EQ(read({"p", {"conv"}}, {3, 2}), (Floats{0, 1, 2, 3, 4, 5}));
  checkpoint_.add_counted("row", {1, 3});
  EXPECT_EQ(read({"p", {"row"}}, {3}), (Floats{0, 1, 2}));
  checkpoint_.add_counted("scalar", {});
  EXPECT_EQ(read({"p", {"scalar"}}, {1}), Floats{0});
}

TEST_F(WeightReaderTest, SourcesOfDifferentTypesAreCast) {
  checkpoint_.add("h", DType::kF16, {1}, std::vector<uint16_t>{f32_to_f16(1.5f)});
  checkpoint_.add("b", DType::kBF16, {1}, std::vector<uint16_t>{f32_to_bf16(-2)});
  checkpoint_.add("d", DType::kF64, {1}, std::vector<double>{0.25});
  checkpoint_.add_counted("f", {1}, 7);
  EXPECT_EQ(read({"p", {"h", "b", "d", "f"}}, {4}), (Floats{1.5, -2, 0.25, 7}));
}

TEST_F(WeightReaderTest, OneIsAddedBeforeTheCast) {
  checkpoint_.add("b", DType::kBF16, {2},
                  std::vector<uint16_t>{f32_to_bf16(0.001f), f32_to_bf16(1)});
  EXPECT_EQ(read({.parameter = "p", .sources = {"b"}, .add_one = true}, {2}), (Floats{1, 2}));
  checkpoint_.add_counted("f", {2}, 0.001f);
  EXPECT_EQ(read({.parameter = "p", .sources = {"f"}, .add_one = true}, {2})[0], 1.001f);
}

TEST_F(WeightReaderTest, SourcesOfAnotherShapeAreRefused) {
  checkpoint_.add_counted("a", {2, 3});
  EXPECT_EQ(
      error({"p", {"a"}}, {3, 2}),
      "error: w.bin: parameter p: cannot be made from a [2, 3]\n  expected sources for the shape "
      "[3, 2], which config.json implies\n  is this the config of another checkpoint?");
  EXPECT_EQ(error({"p", {"a"}}, {2, 3}), "no error");
  EXPECT_NE(error({"p", {"a"}}, {6}), "no error");
  EXPECT_NE(error({"p", {"a", "a"}}, {3, 3}), "no error");
  EXPECT_NE(error({"p", {"a"}, {{0, 1, 2}}}, {2, 3}), "no error");
  EXPECT_NE(error({.parameter = "p", .sources = {"a"}, .transpose = true}, {2, 3}), "no error");
  EXPECT_NE(error({.parameter = "p", .sources = {"a"}, .transpose_result = true}, {2, 3}),
            "no error");
  checkpoint_.add_counted("cube", {2, 2, 3});
  EXPECT_NE(error({"p", {"cube"}}, {2, 6}), "no error");
  EXPECT_NE(error({"p", {"cube"}}, {4, 3}), "no error");
  EXPECT_NE(error({"p", {"a", "a", "a", "a", "a"}}, {1, 3}).find("a [2, 3], ... (5 tensors)"),
            std::string::npos);
}

TEST_F(WeightReaderTest, SourcesThatAreNoFloatsAreRefused) {
  checkpoint_.add("i", DType::kI32, {1}, std::vector<int32_t>{1});
  checkpoint_.add("e", DType::kF8E4M3, {1}, std::string("x"));
  EXPECT_EQ(error({"p", {"i"}}, {1}),
            "error: w.bin: tensor i: has the dtype int32\n  expected float16, bfloat16, float32 or "
            "float64 "
            "for the parameter p\n  is the checkpoint quantized? take one with float weights");
  EXPECT_NE(error({"p", {"e"}}, {1}).find("has the dtype float8_e4m3fn"), std::string::npos);
  EXPECT_EQ(error({"p", {"i"}}, {1}, DType::kU32), "no error");
  EXPECT_NE(error({"p", {"e"}}, {1}, DType::kU8).find("expected uint8 for the parameter p"),
            std::string::npos);
}

}  // namespace
}  // namespace mlc::compiler
