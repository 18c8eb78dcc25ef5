// SPDX-License-Identifier: Apache-2.0
#include "support/strings.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace mlc {
namespace {

TEST(Strings, PythonFloats) {
  EXPECT_EQ(python_float(1e-5), "1e-05");
  EXPECT_EQ(python_float(0.0001), "0.0001");
  EXPECT_EQ(python_float(268544), "268544.0");
  EXPECT_EQ(python_float(0.1), "0.1");
  EXPECT_EQ(python_float(1e15), "1000000000000000.0");
  EXPECT_EQ(python_float(1e16), "1e+16");
  EXPECT_EQ(python_float(4.503), "4.503");
  EXPECT_EQ(shortest_double(9.99999974e-06f), 1e-5);
}

TEST(Strings, NearMatches) {
  const std::vector<std::string> known = {"q4f16_1", "q4f16_2", "q0f32"};
  EXPECT_EQ(near_matches("q4f16_3", known), (std::vector<std::string>{"q4f16_1", "q4f16_2"}));
  EXPECT_TRUE(near_matches("something else", known).empty());
}

TEST(Strings, InvalidUtf8BecomesText) {
  EXPECT_EQ(escape_invalid_utf8("a\xff\xc3\xa9\xe2\x82"), "a\\xff\xc3\xa9\\xe2\\x82");
  EXPECT_EQ(utf8_sequence_length("\xed\xa0\x80", 0), 0);      // surrogate
  EXPECT_EQ(utf8_sequence_length("\xf4\x90\x80\x80", 0), 0);  // above U+10FFFF
}

TEST(Strings, Bytes) {
  EXPECT_EQ(bytes_text(1234567), "1,234,567 bytes (1.2 MiB)");
  EXPECT_EQ(bytes_text(12), "12 bytes");
}

TEST(Errors, HaveFourParts) {
  const Error error = unknown_name_error(ErrorKind::kUsage, "--quantization", "quantization",
                                         "q4f16_3", {"q0f16", "q4f16_1"});
  EXPECT_EQ(error.to_string(),
            "error: --quantization: unknown quantization q4f16_3\n"
            "  expected one of q0f16, q4f16_1\n  did you mean q4f16_1?");
}

}  // namespace
}  // namespace mlc
