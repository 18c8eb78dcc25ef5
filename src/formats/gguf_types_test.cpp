// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf_types.h"

#include <gtest/gtest.h>

#include <cmath>

#include "formats/gguf.h"
#include "formats/gguf_test_file.h"
#include "formats/gguf_test_hash.h"
#include "support/json.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

std::string fixture(std::string_view name) {
  return path_join(source_path("tests/fixtures/gguf"), name);
}

TEST(GgufTypes, EveryTypeIsWorthWhatTheFormatSays) {
  const GgufFile file = GgufFile::open(fixture("types.gguf")).value();
  const Json expected = read_json_file(fixture("expected.json")).value();
  ASSERT_EQ(file.tensors().size(), 13u);
  for (const GgufTensor& tensor : file.tensors()) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    gguf_dequantize(tensor.type, tensor.data.data(), 0, tensor.elements(),
                    reinterpret_cast<std::byte*>(values.data()));
    EXPECT_EQ(shape_and_hash(tensor.shape, values),
              expected.find("types")->find(tensor.name)->as_string())
        << tensor.name;
  }
}

TEST(GgufTypes, AnyPartOfARowMayBeRead) {
  const GgufFile file = GgufFile::open(fixture("types.gguf")).value();
  for (const GgufTensor& tensor : file.tensors()) {
    const int64_t count = tensor.elements();
    std::vector<float> whole(static_cast<size_t>(count));
    gguf_dequantize(tensor.type, tensor.data.data(), 0, count,
                    reinterpret_cast<std::byte*>(whole.data()));
    for (const auto& [begin, size] : {std::pair<int64_t, int64_t>{1, 1},
                                      {31, 2},
                                      {5, 60},
                                      {33, 95},
                                      {count - 1, 1},
                                      {count, 0}}) {
      // One byte off, since rows may be written anywhere.
      std::vector<std::byte> out(static_cast<size_t>(size * 4 + 1), std::byte{0x5a});
      const int64_t taken = std::min(size, count - begin);
      gguf_dequantize(tensor.type, tensor.data.data(), begin, taken, out.data() + 1);
      EXPECT_EQ(std::memcmp(out.data() + 1, whole.data() + begin, static_cast<size_t>(taken) * 4),
                0)
          << tensor.name << " " << begin;
      EXPECT_EQ(out[0], std::byte{0x5a});
    }
  }
}

TEST(GgufTypes, NegativeScalesKeepTheSignOfZero) {
  // Q8_0: scale -1.0, codes 0.
  std::string block(34, '\0');
  block[1] = static_cast<char>(0xbc);
  float value;
  gguf_dequantize(GgufType::kQ8_0, reinterpret_cast<const std::byte*>(block.data()), 0, 1,
                  reinterpret_cast<std::byte*>(&value));
  EXPECT_EQ(value, 0);
  EXPECT_TRUE(std::signbit(value));
}

TEST(GgufTypes, NumbersAreKnownByName) {
  EXPECT_EQ(parse_gguf_type(12, "t").value(), GgufType::kQ4_K);
  EXPECT_EQ(parse_gguf_type(30, "t").value(), GgufType::kBF16);
  EXPECT_EQ(gguf_type_name(GgufType::kQ6_K), "Q6_K");
  EXPECT_EQ(gguf_block_elements(GgufType::kQ6_K), 256);
  EXPECT_EQ(gguf_block_bytes(GgufType::kQ6_K), 210);
  EXPECT_TRUE(is_quantized(GgufType::kQ4_0));
  EXPECT_FALSE(is_quantized(GgufType::kBF16));
}

TEST(GgufTypes, OtherTypesAreRefusedByName) {
  const std::string expected =
      "\n  expected one of F32, F16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, "
      "BF16\n  ";
  const std::pair<uint32_t, const char*> refused[] = {
      {9, "Q8_1"},   {15, "Q8_K"},   {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"},
      {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"},   {22, "IQ2_S"},  {23, "IQ4_XS"},
      {24, "I8"},    {25, "I16"},    {26, "I32"},     {27, "I64"},    {28, "F64"},
      {29, "IQ1_M"}, {34, "TQ1_0"},  {35, "TQ2_0"},   {39, "MXFP4"},  {40, "NVFP4"},
      {41, "Q1_0"},  {42, "Q2_0"}};
  for (const auto& [number, name] : refused) {
    EXPECT_EQ(error_text(parse_gguf_type(number, "t")),
              cat("error: t: the type ", name, " is not supported", expected,
                  "take a file that was quantized to another type, or quantize it again"));
  }
  const std::pair<uint32_t, const char*> removed[] = {
      {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
      {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"}};
  for (const auto& [number, name] : removed) {
    EXPECT_EQ(error_text(parse_gguf_type(number, "t")),
              cat("error: t: type ", number, " was removed from the format (", name, ")", expected,
                  "re-quantize the model"));
  }
  for (const uint32_t number : {43u, 99u, ~0u}) {
    EXPECT_EQ(error_text(parse_gguf_type(number, "t")),
              cat("error: t: unknown tensor type ", number, expected,
                  "the file is damaged or newer than this program"));
  }
}

}  // namespace
}  // namespace mlc::formats
