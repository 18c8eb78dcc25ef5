// SPDX-License-Identifier: Apache-2.0
// Every level of instruction sets that this machine has must give the same bytes: those of the
// plain functions of support/half.h and of a group quantizer that is written value by value.
#include "quantization/pack_kernels.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "support/half.h"

namespace mlc::quantization {
namespace {

float to_float(Element element, const std::vector<uint8_t>& bytes, size_t i) {
  if (element == Element::kF32) {
    float value;
    std::memcpy(&value, &bytes[4 * i], 4);
    return value;
  }
  uint16_t bits;
  std::memcpy(&bits, &bytes[2 * i], 2);
  return element == Element::kF16 ? f16_to_f32(bits) : bf16_to_f32(bits);
}

void append(Element element, float value, std::vector<uint8_t>& bytes) {
  uint8_t stored[4];
  const uint16_t half = element == Element::kF16 ? f32_to_f16(value) : f32_to_bf16(value);
  const size_t size = element == Element::kF32 ? 4 : 2;
  std::memcpy(stored, element == Element::kF32 ? static_cast<const void*>(&value) : &half, size);
  bytes.insert(bytes.end(), stored, stored + size);
}

float round_to(Element element, float value) {
  std::vector<uint8_t> bytes;
  append(element, value, bytes);
  return to_float(element, bytes, 0);
}

struct Packed {
  std::vector<uint32_t> words;
  std::vector<uint8_t> scales;
  bool has_nan = false;
  bool operator==(const Packed&) const = default;
};

Element element_of(GroupRounding rounding) {
  if (rounding == GroupRounding::kF16) return Element::kF16;
  return rounding == GroupRounding::kF32 ? Element::kF32 : Element::kBF16;
}

// One row, one value after the other, as the format's description says it.
void pack_row_plainly(int bits, GroupRounding rounding, const std::vector<float>& row,
                      Packed& out) {
  const size_t group = bits == 4 ? 32 : 40;
  const size_t per_word = static_cast<size_t>(32 / bits);
  const float largest = static_cast<float>((1 << (bits - 1)) - 1);
  const Element element = element_of(rounding);
  const auto step = [&](float value) {
    return rounding == GroupRounding::kF16 ? round_to(Element::kF16, value) : value;
  };
  for (size_t first = 0; first < row.size(); first += group) {
    float amax = 0;
    for (size_t i = first; i < std::min(first + group, row.size()); ++i) {
      if (std::isnan(row[i])) out.has_nan = true;
      if (std::abs(row[i]) > amax) amax = std::abs(row[i]);
    }
    const float exact = amax / largest;
    append(element, exact, out.scales);
    const float divisor =
        rounding == GroupRounding::kBF16ExactDivisor ? exact : round_to(element, exact);
    std::vector<uint32_t> words(group / per_word);
    for (size_t i = first; i < std::min(first + group, row.size()); ++i) {
      const float t = step(step(row[i] / divisor) + largest);
      const float code =
          std::isnan(t) ? 0 : std::min(std::max(std::nearbyint(t), 0.0f), 2 * largest);
      const size_t at = i - first;
      words[at / per_word] |= static_cast<uint32_t>(code)
                              << (at % per_word * static_cast<size_t>(bits));
    }
    out.words.insert(out.words.end(), words.begin(), words.end());
  }
}

// Rows of random values of many magnitudes, and of the values at which something changes.
std::vector<float> test_row(int number, size_t k, std::mt19937& random) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::normal_distribution<float> normal;
  std::vector<float> row(k);
  const auto fill = [&](auto value) {
    for (float& x : row) x = value();
  };
  switch (number) {
    case 0:
      fill([&] { return normal(random); });
      break;
    case 1:
      fill([&] { return normal(random) * std::exp2(static_cast<float>(random() % 30) - 25); });
      break;
    case 2:
      fill([&] { return 0.0f; });
      break;
    case 3:
      fill([&] { return random() % 2 == 0 ? 0.0f : -0.0f; });
      break;
    // Halves of a scale of 1/8: every quotient is a tie.
    case 4:
      fill([&] { return (static_cast<float>(random() % 15) - 7) / 16.0f; });
      row[0] = 0.875f;
      break;
    case 5:
      fill([&] { return static_cast<float>(random() % 3) * 0x1p-24f; });
      break;  // f16 subnormals
    case 6:
      fill([&] { return static_cast<float>(random() % 5) * 0x1p-140f; });
      break;  // f32 subnormals
    case 7:
      fill([&] { return normal(random) * 60000; });
      break;  // f16: infinity among them
    case 8:
      fill([&] { return normal(random); });
      row[k / 2] = kInf;
      row[k - 1] = -kInf;
      break;
    case 9:
      fill([&] { return normal(random); });
      row[k / 3] = std::nanf("");
      break;
    case 10:
      fill([&] { return std::nanf(""); });
      break;
    case 11:
      fill([&] { return std::bit_cast<float>(static_cast<uint32_t>(random())); });
      break;
    case 12:
      fill([&] { return 3.0e38f * (random() % 2 == 0 ? 1.0f : -1.0f); });
      break;
    default:
      fill([&] { return normal(random) * 0.02f; });
  }
  return row;
}

class PackKernelsOfLevel : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    const PackKernelList list = available_pack_kernels();
    if (GetParam() >= list.count) GTEST_SKIP() << "this CPU lacks the level";
    kernels_ = list.kernels[GetParam()];
  }
  const PackKernels* kernels_ = nullptr;
};

TEST_P(PackKernelsOfLevel, PackAsTheFormatIsDescribed) {
  std::mt19937 random(1);
  for (const GroupRounding rounding : {GroupRounding::kF16, GroupRounding::kF32,
                                       GroupRounding::kBF16, GroupRounding::kBF16ExactDivisor}) {
    for (const int bits : {3, 4}) {
      for (const size_t k : {1, 7, 32, 40, 64, 120, 144, 333}) {
        Packed expected;
        std::vector<uint8_t> values;
        constexpr int kRows = 16;
        for (int row = 0; row < kRows; ++row) {
          std::vector<float> floats = test_row(row, k, random);
          for (float& value : floats) {
            append(element_of(rounding), value, values);
            value = round_to(element_of(rounding), value);
          }
          pack_row_plainly(bits, rounding, floats, expected);
        }
        Packed found;
        found.words.resize(expected.words.size());
        found.scales.resize(expected.scales.size());
        found.has_nan =
            kernels_->pack(bits, rounding, values.data(), kRows, static_cast<int64_t>(k),
                           found.words.data(), found.scales.data());
        EXPECT_TRUE(found == expected)
            << kernels_->level << " rounding " << static_cast<int>(rounding) << " bits " << bits
            << " k " << k;
      }
    }
  }
}

TEST_P(PackKernelsOfLevel, NaNIsReportedOnlyWhereItIs) {
  std::vector<uint16_t> values(64, f32_to_f16(1));
  std::vector<uint32_t> words(8);
  std::vector<uint16_t> scales(2);
  EXPECT_FALSE(
      kernels_->pack(4, GroupRounding::kF16, values.data(), 2, 32, words.data(), scales.data()));
  values[63] = 0x7e00;
  EXPECT_TRUE(
      kernels_->pack(4, GroupRounding::kF16, values.data(), 2, 32, words.data(), scales.data()));
}

TEST_P(PackKernelsOfLevel, CastEvery16BitPattern) {
  std::vector<uint16_t> patterns(65536);
  for (size_t i = 0; i < patterns.size(); ++i) patterns[i] = static_cast<uint16_t>(i);
  const auto cast = [&](Element from, Element to) {
    std::vector<uint32_t> out(65536);
    kernels_->cast(from, to, patterns.data(), 65536, out.data());
    return out;
  };
  const std::vector<uint32_t> f16 = cast(Element::kF16, Element::kF32);
  const std::vector<uint32_t> bf16 = cast(Element::kBF16, Element::kF32);
  const std::vector<uint32_t> f16_as_bf16 = cast(Element::kF16, Element::kBF16);
  const std::vector<uint32_t> bf16_as_f16 = cast(Element::kBF16, Element::kF16);
  const auto half = [](const std::vector<uint32_t>& words, size_t i) {
    return static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16));
  };
  int wrong = 0;
  for (size_t i = 0; i < 65536; ++i) {
    const float a = f16_to_f32(patterns[i]);
    const float b = bf16_to_f32(patterns[i]);
    wrong += f16[i] != std::bit_cast<uint32_t>(a);
    wrong += bf16[i] != std::bit_cast<uint32_t>(b);
    wrong += half(f16_as_bf16, i) != f32_to_bf16(a);
    wrong += half(bf16_as_f16, i) != f32_to_f16(b);
  }
  EXPECT_EQ(wrong, 0) << kernels_->level;
}

TEST_P(PackKernelsOfLevel, CastFloats) {
  std::mt19937 random(2);
  std::vector<uint32_t> bits;
  for (uint32_t high = 0; high < 0x10000; high += 7) {  // around each tie of f16 and of bf16
    for (const uint32_t low : {0u, 0x1000u, 0x0fffu, 0x1001u, 0x8000u, 0x7fffu, 0x8001u, 0xffffu}) {
      bits.push_back(high << 16 | low);
    }
  }
  for (int i = 0; i < 100003; ++i) bits.push_back(static_cast<uint32_t>(random()));
  std::vector<uint16_t> f16(bits.size());
  std::vector<uint16_t> bf16(bits.size());
  const auto count = static_cast<int64_t>(bits.size());
  kernels_->cast(Element::kF32, Element::kF16, bits.data(), count, f16.data());
  kernels_->cast(Element::kF32, Element::kBF16, bits.data(), count, bf16.data());
  int wrong = 0;
  for (size_t i = 0; i < bits.size(); ++i) {
    wrong += f16[i] != f32_to_f16(std::bit_cast<float>(bits[i]));
    wrong += bf16[i] != f32_to_bf16(std::bit_cast<float>(bits[i]));
  }
  EXPECT_EQ(wrong, 0) << kernels_->level;
}

INSTANTIATE_TEST_SUITE_P(AllLevels, PackKernelsOfLevel, testing::Range(0, 3));

}  // namespace
}  // namespace mlc::quantization
