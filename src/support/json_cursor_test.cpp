// SPDX-License-Identifier: Apache-2.0
#include "support/json_cursor.h"

#include <gtest/gtest.h>

#include <vector>

namespace mlc {
namespace {

std::string error_of(std::string_view text) {
  JsonCursor in(text, "file.json");
  std::string_view key, value;
  for (in.enter_object(); in.next_member(&key);) in.read_string(&value);
  if (!in.failed()) in.finish();
  return in.failed() ? in.error().to_string() : "";
}

TEST(JsonCursor, WalksObjectsListsAndAllKindsOfValues) {
  const std::string_view text =
      " {\"a\" : [1, -22 ,3.5e1,\"x\"], \"b\":{}, \"c\":[[],[ "
      "]],\"d\":true,\"e\":null,\"f\":9007199254740993}\n";
  JsonCursor in(text, "file.json");
  std::string_view key, string;
  int64_t integer = 0;
  double number = 0;
  bool boolean = false;
  ASSERT_TRUE(in.enter_object());
  ASSERT_TRUE(in.next_member(&key));
  EXPECT_EQ(key, "a");
  ASSERT_TRUE(in.enter_array());
  ASSERT_TRUE(in.next_element() && in.read_int(&integer));
  EXPECT_EQ(integer, 1);
  ASSERT_TRUE(in.next_element() && in.read_int(&integer));
  EXPECT_EQ(integer, -22);
  ASSERT_TRUE(in.next_element() && in.read_double(&number));
  EXPECT_EQ(number, 35);
  ASSERT_TRUE(in.next_element() && in.read_string(&string));
  EXPECT_EQ(string, "x");
  EXPECT_FALSE(in.next_element());
  ASSERT_TRUE(in.next_member(&key) && in.enter_object());
  EXPECT_FALSE(in.next_member(&key));
  ASSERT_TRUE(in.next_member(&key));
  EXPECT_EQ(in.skip(), "[[],[ ]]");
  ASSERT_TRUE(in.next_member(&key) && in.read_bool(&boolean));
  EXPECT_TRUE(boolean);
  ASSERT_TRUE(in.next_member(&key) && in.read_null());
  ASSERT_TRUE(in.next_member(&key) && in.read_int(&integer));
  EXPECT_EQ(integer, 9007199254740993);
  EXPECT_FALSE(in.next_member(&key));
  EXPECT_TRUE(in.finish());
}

TEST(JsonCursor, ReadsStringsOfAnyLengthWithAndWithoutEscapes) {
  for (size_t length = 0; length < 40; ++length) {
    const std::string plain(length, 'p');
    const std::string text =
        "[\"" + plain + "\", \"" + plain + "\\u00e9\\n\\\"" + plain + "\", \"" + plain + "é\"]";
    JsonCursor in(text, "file.json");
    std::string_view value;
    in.enter_array();
    ASSERT_TRUE(in.next_element() && in.read_string(&value));
    EXPECT_EQ(value, plain);
    ASSERT_TRUE(in.next_element() && in.read_string(&value));
    EXPECT_EQ(value, plain + "é\n\"" + plain);
    ASSERT_TRUE(in.next_element() && in.read_string(&value));
    EXPECT_EQ(value, plain + "é");
  }
}

TEST(JsonCursor, JoinsSurrogatePairs) {
  JsonCursor in("\"\\ud83d\\ude00\"", "file.json");
  std::string_view value;
  ASSERT_TRUE(in.read_string(&value));
  EXPECT_EQ(value, "😀");
}

TEST(JsonCursor, ComesBackToASkippedValue) {
  JsonCursor in("{\"a\": [7], \"b\": 1}", "file.json");
  std::string_view key;
  in.enter_object();
  ASSERT_TRUE(in.next_member(&key));
  const size_t offset = in.offset();
  in.skip();
  ASSERT_TRUE(in.next_member(&key));
  in.skip();
  ASSERT_FALSE(in.next_member(&key));
  in.move_to(offset);
  int64_t value = 0;
  ASSERT_TRUE(in.enter_array() && in.next_element() && in.read_int(&value));
  EXPECT_EQ(value, 7);
}

TEST(JsonCursor, SaysWhereAndWhatIsWrong) {
  EXPECT_EQ(error_of("{\"a\": 1}"), "error: file.json:1:7: is a number\n  expected a string");
  EXPECT_EQ(error_of("[1]"), "error: file.json:1:1: is a list\n  expected an object");
  EXPECT_EQ(error_of("{\"a\" \"b\"}"), "error: file.json:1:6: is not valid JSON\n  expected ':'");
  EXPECT_EQ(error_of("{\"a\": \"b\"\n \"c\": \"d\"}"),
            "error: file.json:2:2: is not valid JSON\n  expected ',' or '}'");
  EXPECT_EQ(error_of("{\"a\": \"b\", }"),
            "error: file.json:1:12: is not valid JSON\n  expected the name of a member");
  EXPECT_EQ(error_of("{\"a\": \"b"),
            "error: file.json:1:8: is not valid JSON: a string has no end");
  EXPECT_EQ(error_of("{\"a\": \"b\\"),
            "error: file.json:1:9: is not valid JSON: a string has no end");
  EXPECT_EQ(error_of("{\"a\": \"\\q\"}"),
            "error: file.json:1:8: is not valid JSON: a bad escape in a string");
  EXPECT_EQ(error_of("{\"a\": \"\\u12\"}"),
            "error: file.json:1:8: is not valid JSON: a bad escape in a string");
  EXPECT_EQ(error_of("{\"a\": \"x\\ud800\"}"),
            "error: file.json:1:9: is not valid JSON: half of a surrogate pair in a string");
  EXPECT_EQ(error_of("{\"a\": \"x\\ud800\\u0041\"}"),
            "error: file.json:1:9: is not valid JSON: half of a surrogate pair in a string");
  EXPECT_EQ(error_of("{\"a\": \"12345678\n\"}"),
            "error: file.json:1:16: is not valid JSON: a control character in a string");
  EXPECT_EQ(error_of("{\"a\": \"\xff\"}"), "error: file.json:1:8: has a string that is no UTF-8");
  EXPECT_EQ(error_of("{\"a\": \"b\"} x"),
            "error: file.json:1:12: is not valid JSON: has more text behind its value");
  EXPECT_EQ(error_of("{"),
            "error: file.json:1:2: is not valid JSON: ends inside an object or a list");
  EXPECT_EQ(error_of(""), "error: file.json:1:1: is the end of the file\n  expected an object");
  EXPECT_EQ(error_of("{\"a\": x}"), "error: file.json:1:7: is no JSON value\n  expected a string");
}

TEST(JsonCursor, RefusesNumbersThatDoNotFit) {
  int64_t integer = 0;
  for (const char* const text : {"99999999999999999999", "1.5", "1e3", "-"}) {
    JsonCursor in(text, "file.json");
    EXPECT_FALSE(in.read_int(&integer)) << text;
    EXPECT_NE(in.error().to_string().find("expected an integer of 64 bits"), std::string::npos);
  }
}

TEST(JsonCursor, StaysFailedAfterAMistake) {
  JsonCursor in("[tru, 1]", "file.json");
  bool boolean = false;
  int64_t integer = 0;
  in.enter_array();
  in.next_element();
  EXPECT_FALSE(in.read_bool(&boolean));
  EXPECT_FALSE(in.next_element());
  EXPECT_FALSE(in.read_int(&integer));
  EXPECT_EQ(in.skip(), "");
  EXPECT_EQ(in.error().to_string(), "error: file.json:1:2: is not valid JSON\n  expected true");
}

TEST(JsonCursor, SkipsDeepNestingWithoutRecursion) {
  const std::string text = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  JsonCursor in(text, "file.json");
  EXPECT_EQ(in.skip().size(), text.size());
  EXPECT_TRUE(in.finish());
}

}  // namespace
}  // namespace mlc
