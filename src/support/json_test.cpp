// SPDX-License-Identifier: Apache-2.0
#include "support/json.h"

#include <gtest/gtest.h>

#include <cmath>

namespace mlc {
namespace {

std::string round_trip(std::string_view text) { return parse_json(text, "x").value().dump(); }

TEST(Json, KeepsOrderAndKindsOfNumbers) {
  EXPECT_EQ(round_trip(R"({"b": 1, "a": 1.0, "c": [1e-05, 500000.0, 1e16, 1e+22, -0.0]})"),
            R"({"b": 1, "a": 1.0, "c": [1e-05, 500000.0, 1e+16, 1e+22, -0.0]})");
  EXPECT_EQ(round_trip("9223372036854775807"), "9223372036854775807");
}

TEST(Json, NumbersAreTheNearestDoubles) {
  EXPECT_EQ(round_trip("[0e-28, 0.0e5, -0e-9, 1e-400, 9223372036854775808, -9223372036854775808]"),
            "[0.0, 0.0, -0.0, 0.0, 9.223372036854776e+18, -9223372036854775808]");
  EXPECT_EQ(round_trip("[2.2250738585072014e-308, 5e-324, 0.1, 123456789012345678901234567890.5]"),
            "[2.2250738585072014e-308, 5e-324, 0.1, 1.2345678901234568e+29]");
  EXPECT_FALSE(parse_json("[1.]", "x").ok());
  EXPECT_FALSE(parse_json("[01]", "x").ok());
  EXPECT_FALSE(parse_json("[-]", "x").ok());
}

TEST(Json, DumpsAsPythonDoes) {
  const Json value = parse_json(R"({"a": [], "b": {}, "c": ["é\n😀", null, true]})", "x").value();
  EXPECT_EQ(
      value.dump(2),
      "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    \"\\u00e9\\n\\ud83d\\ude00\",\n    null,\n"
      "    true\n  ]\n}");
  EXPECT_EQ(value.dump(-1, false), "{\"a\": [], \"b\": {}, \"c\": [\"é\\n😀\", null, true]}");
}

TEST(Json, ReadsPythonsInfinity) {
  EXPECT_TRUE(std::isinf(parse_json("[Infinity]", "x")->as_array()[0].as_double()));
  EXPECT_EQ(round_trip("[-Infinity, NaN]"), "[-Infinity, NaN]");
}

TEST(Json, LastOfEqualKeysCounts) {
  EXPECT_EQ(parse_json(R"({"a": 1, "a": 2})", "x")->find("a")->as_int(), 2);
}

TEST(Json, ErrorsNameLineAndColumn) {
  const auto result = parse_json("{\n  \"a\": tru\n}", "config.json");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("config.json:2:"), std::string::npos)
      << result.error().to_string();
  EXPECT_NE(result.error().to_string().find("is not valid JSON"), std::string::npos);
  EXPECT_FALSE(parse_json("\"\xff\"", "x").ok());
  EXPECT_FALSE(parse_json("{} x", "x").ok());
}

TEST(Json, DeepNestingIsRefused) {
  const auto result = parse_json(std::string(100000, '['), "x");
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("nested too deeply"), std::string::npos);
}

TEST(Json, MissingKeyAndWrongKindAreNamed) {
  const Json object = parse_json(R"({"a": "x"})", "x").value();
  EXPECT_EQ(json_int(object, "hidden_size", "config.json").error().to_string(),
            "error: config.json: lacks the key \"hidden_size\"");
  EXPECT_EQ(json_int(object, "a", "config.json").error().to_string(),
            "error: config.json: a: is a string\n  expected an integer");
}

}  // namespace
}  // namespace mlc
