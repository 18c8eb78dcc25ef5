// SPDX-License-Identifier: Apache-2.0
#include "quantization/group.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "quantization/awq.h"
#include "quantization/cast.h"
#include "quantization/test_helpers.h"
#include "support/half.h"
#include "support/strings.h"

namespace mlc::quantization {
namespace {

struct Group {
  std::vector<uint32_t> words;
  std::vector<std::byte> scales;
  std::vector<float> values;  // unpacked
};

// Packs one row, given in float32, and unpacks it.
Group pack(std::string_view name, const std::vector<float>& row,
           WeightKind kind = WeightKind::kLinear) {
  const Quantization& q = mode(name);
  const auto k = static_cast<int64_t>(row.size());
  std::vector<std::byte> values(static_cast<size_t>(k * dtype_bytes(q.model_dtype)));
  cast_values(DType::kF32, q.model_dtype, reinterpret_cast<const std::byte*>(row.data()), k,
              values.data());
  Group group;
  group.words.resize(static_cast<size_t>(q.words_per_row(k)));
  group.scales.resize(static_cast<size_t>(q.groups_per_row(k) * dtype_bytes(q.model_dtype)));
  pack_rows(q, kind, values.data(), 1, k, group.words.data(), group.scales.data());
  group.values = unpack_rows(q, group.words.data(), group.scales.data(), 1, k);
  return group;
}

uint16_t half_scale(const Group& group, size_t i = 0) {
  uint16_t bits;
  std::memcpy(&bits, group.scales.data() + 2 * i, 2);
  return bits;
}

TEST(GroupQuantization, ValuesOnTheGridComeBackExactly) {
  std::vector<float> row;
  for (int i = 0; i < 64; ++i) row.push_back(static_cast<float>(i % 15 - 7) * 0.25f);
  for (const char* name : {"q4f16_1", "q4f16_0", "q4f16_2", "q4f32_1", "q4bf16_1", "q4bf16_0"}) {
    EXPECT_EQ(pack(name, row).values, row) << name;
  }
  for (float& value : row) value = std::trunc(value);  // -1, 0, 1
  row[0] = 3;
  row[40] = -3;
  for (const char* name : {"q3f16_1", "q3f16_0"}) EXPECT_EQ(pack(name, row).values, row) << name;
}

TEST(GroupQuantization, LowestBitsComeFirstAndTheRestOfARaggedGroupIsZero) {
  const Group four = pack("q4f16_1", {-7, -6, -5, 7, 0, 1, 2, 3, 4});
  EXPECT_EQ(four.words, (std::vector<uint32_t>{0xa987e210, 0x0000000b, 0, 0}));
  EXPECT_EQ(f16_to_f32(half_scale(four)), 1);
  const Group three = pack("q3f16_1", {-3, 3, 0, 0, 0, 0, 0, 0, 0, 2, 1});
  EXPECT_EQ(three.words, (std::vector<uint32_t>{05333333360, 4, 0, 0}));
}

TEST(GroupQuantization, ZeroGroupsHaveCodeZero) {
  const Group group = pack("q4f16_1", std::vector<float>(32, 0.0f));
  EXPECT_EQ(group.words, std::vector<uint32_t>(4, 0));
  EXPECT_EQ(half_scale(group), 0);
  for (const float value : group.values) {
    EXPECT_EQ(value, 0);
    EXPECT_TRUE(std::signbit(value));
  }
}

TEST(GroupQuantization, ScalesThatUnderflowSendValuesToTheEnds) {
  const Group group = pack("q4f16_1", {0x1p-24f, -0x1p-24f, 0.0f});
  EXPECT_EQ(half_scale(group), 0);
  EXPECT_EQ(group.words[0], 0x00eu);
}

TEST(GroupQuantization, InfinityMakesTheOthersZero) {
  const Group group = pack("q4f16_1", {1, INFINITY, -INFINITY, -2});
  EXPECT_EQ(half_scale(group), 0x7c00);
  EXPECT_EQ(group.words[0], 0x7007u);
}

TEST(GroupQuantization, LinearsOfQ4bf16_0DivideByTheUnroundedScale) {
  // amax / 7 = 0.2857...; as bf16 0.28515625, by which the second value is a little more than 3.5
  // scales.
  const std::vector<float> row = {2, 1};
  const Group linear = pack("q4bf16_0", row, WeightKind::kLinear);
  const Group embedding = pack("q4bf16_0", row, WeightKind::kEmbedding);
  EXPECT_EQ(half_scale(linear), half_scale(embedding));
  EXPECT_EQ(linear.words[0], 0xaeu);  // 10.5 is a tie: 10
  EXPECT_EQ(embedding.words[0], 0xbeu);
}

TEST(GroupQuantization, ProductsAreRoundedToTheModelDtype) {
  const Quantization& q = mode("q4f16_1");
  const uint16_t scale = 0x3555;  // 0.333251953125: three times it needs one bit more
  const uint32_t word = 0x0000000a;
  const std::vector<float> values =
      unpack_rows(q, &word, reinterpret_cast<const std::byte*>(&scale), 1, 1);
  EXPECT_EQ(values[0], f16_to_f32(f32_to_f16(3 * f16_to_f32(scale))));
  EXPECT_NE(values[0], 3 * f16_to_f32(scale));
}

TEST(Transpose, EveryElementSize) {
  constexpr int64_t kRows = 37;
  constexpr int64_t kColumns = 70;
  for (const int64_t bytes : {1, 2, 4, 8}) {
    std::vector<std::byte> in(static_cast<size_t>(kRows * kColumns * bytes));
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<std::byte>(i * 31 + i / 251);
    std::vector<std::byte> out(in.size());
    transpose(in.data(), kRows, kColumns, bytes, out.data(), kRows);
    int wrong = 0;
    for (int64_t r = 0; r < kRows; ++r) {
      for (int64_t c = 0; c < kColumns; ++c) {
        wrong += std::memcmp(in.data() + (r * kColumns + c) * bytes,
                             out.data() + (c * kRows + r) * bytes, static_cast<size_t>(bytes)) != 0;
      }
    }
    EXPECT_EQ(wrong, 0) << bytes;
  }
}

TEST(Awq, NibblesAreInterleaved) {
  // k = 128 rows, all equal; outputs 0 ... 7 have the codes 8 ... 15, zeros 1, scales 0.5.
  constexpr int64_t kInputs = 128;
  uint32_t word = 0;
  const int order[] = {0, 4, 1, 5, 2, 6, 3, 7};
  for (int n = 0; n < 8; ++n) word |= static_cast<uint32_t>(8 + n) << (4 * order[n]);
  const std::vector<uint32_t> qweight(kInputs, word);
  const uint32_t zeros = 0x11111111;
  const std::vector<uint16_t> scales(8, f32_to_f16(0.5f));
  const std::vector<float> values = unpack_awq(qweight.data(), &zeros, scales.data(), 8, kInputs);
  for (int n = 0; n < 8; ++n) {
    EXPECT_EQ(values[static_cast<size_t>(n * kInputs)], static_cast<float>(7 + n) / 2);
    EXPECT_EQ(values[static_cast<size_t>(n * kInputs + 127)], static_cast<float>(7 + n) / 2);
  }
}

TEST(Cast, DoublesAreRoundedOnce) {
  const auto cast = [](double value, DType to) {
    uint16_t out;
    cast_values(DType::kF64, to, reinterpret_cast<const std::byte*>(&value), 1,
                reinterpret_cast<std::byte*>(&out));
    return out;
  };
  // Just above a tie: by way of f32 it would become the tie, and go down.
  EXPECT_EQ(cast(1.0 + 0x1p-11 + 0x1p-40, DType::kF16), 0x3c01);
  EXPECT_EQ(cast(1.0 + 0x1p-11, DType::kF16), 0x3c00);
  EXPECT_EQ(cast(-1.0 - 0x1p-11 - 0x1p-40, DType::kF16), 0xbc01);
  EXPECT_EQ(cast(1.0 + 0x1p-8 + 0x1p-40, DType::kBF16), 0x3f81);
  EXPECT_EQ(cast(1.0 + 0x1p-8 - 0x1p-40, DType::kBF16), 0x3f80);
  EXPECT_EQ(cast(1e300, DType::kF16), 0x7c00);
  EXPECT_EQ(cast(-1e300, DType::kBF16), 0xff80);
  EXPECT_EQ(cast(1e-300, DType::kF16), 0);
  EXPECT_EQ(cast(std::nan(""), DType::kF16), 0x7e00);
}

TEST(Cast, OneIsAddedInTheArithmeticOfTheType) {
  uint16_t bf16 = f32_to_bf16(0.001f);
  add_one(DType::kBF16, 1, reinterpret_cast<std::byte*>(&bf16));
  EXPECT_EQ(bf16_to_f32(bf16), 1);
  uint16_t f16 = f32_to_f16(0.001f);
  add_one(DType::kF16, 1, reinterpret_cast<std::byte*>(&f16));
  EXPECT_EQ(f16_to_f32(f16), 1 + 0x1p-10f);
  float f32 = 0.001f;
  add_one(DType::kF32, 1, reinterpret_cast<std::byte*>(&f32));
  EXPECT_EQ(f32, 1.001f);
  double f64 = 0.001;
  add_one(DType::kF64, 1, reinterpret_cast<std::byte*>(&f64));
  EXPECT_EQ(f64, 1.001);
}

}  // namespace
}  // namespace mlc::quantization
