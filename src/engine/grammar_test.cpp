// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

namespace mlc::engine {
namespace {

using Kind = ResponseFormat::Kind;

std::shared_ptr<const GrammarVocabulary> no_tokens() {
  return std::make_shared<GrammarVocabulary>(std::vector<std::string>{});
}

std::shared_ptr<Grammar> compile(Kind kind, const std::string& source) {
  auto grammar = Grammar::compile({kind, source}, no_tokens());
  EXPECT_TRUE(grammar.ok()) << source << "\n" << (grammar.ok() ? "" : grammar.error().to_string());
  return grammar.ok() ? *grammar : nullptr;
}

bool matches(const std::shared_ptr<Grammar>& grammar, std::string_view text) {
  GrammarMatcher matcher(grammar);
  return matcher.accept_bytes(text) && matcher.finished();
}

void expect_matches(Kind kind, const std::string& source, const std::vector<std::string>& good,
                    const std::vector<std::string>& bad) {
  const auto grammar = compile(kind, source);
  ASSERT_NE(grammar, nullptr);
  for (const std::string& text : good) EXPECT_TRUE(matches(grammar, text)) << source << " " << text;
  for (const std::string& text : bad) EXPECT_FALSE(matches(grammar, text)) << source << " " << text;
}

std::string error_of(Kind kind, const std::string& source) {
  const auto grammar = Grammar::compile({kind, source}, no_tokens());
  EXPECT_FALSE(grammar.ok()) << source;
  return grammar.ok() ? "" : grammar.error().to_string();
}

void expect_error(Kind kind, const std::string& source, const std::string& words) {
  EXPECT_NE(error_of(kind, source).find(words), std::string::npos) << source << "\n"
                                                                   << error_of(kind, source);
}

void expect_schema(const std::string& schema, const std::vector<std::string>& good,
                   const std::vector<std::string>& bad) {
  expect_matches(Kind::kJsonSchema, schema, good, bad);
}

TEST(Ebnf, ReadsWhatGbnfHas) {
  expect_matches(Kind::kEbnf, R"(root ::= "a" b? [c-e]+ # a comment
    b ::= "b" | "\x42" | "\u00e9")",
                 {"ac", "abcde", "aBc",
                  "a\xc3\xa9"
                  "d"},
                 {"a", "abb", "abf", "a\xc3", ""});
  expect_matches(Kind::kEbnf, R"(root ::= ("x" [^a\]]{2,3} .)* )",
                 {"", "xbbb",
                  "x\xe2\x82\xac"
                  "bb",
                  "xbbbb", "xbbbxbbb"},
                 {"x", "xabb", "xbb", "xbbbbb", "xbb\xff"});
  expect_matches(Kind::kEbnf, "root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"},
                 {"(", "(()", "())"});
  expect_matches(Kind::kEbnf, "root ::= a{2}\na ::= \"1\"{3,} \"-\"", {"111-1111-"},
                 {"111-", "11-111-", "111-111-111-"});
  expect_matches(Kind::kEbnf, R"(root ::= [a\-z-] | "\"\\")", {"a", "-", "z", "\"\\"}, {"b", "\\"});
}

TEST(Ebnf, IteratesRulesThatBeginWithThemselves) {
  const std::string sums = R"_(root ::= e
    e ::= e "+" e | e "*" e | e "[" e "]" | e "!" | "(" e ")" | [0-9]+)_";
  expect_matches(Kind::kEbnf, sums,
                 {"1", "1+2*3", "(1+2)*3!", "1[2+3[4]]!+5", "((1))[2][3]", "12!!*(3)"},
                 {"", "+1", "1+", "1[2", "1[]", "!", "()", "1(2)", "1+*2"});
  expect_matches(Kind::kEbnf, "root ::= root root | root | \"a\" | \"\"", {"", "a", "aaaa"}, {"b"});
  expect_matches(Kind::kEbnf, "root ::= (root \",\" item | item)\nitem ::= [a-c]", {"a", "a,b,c"},
                 {"", "a,", ",a"});
  std::string long_sum = "1";
  for (int i = 0; i < 500; ++i) long_sum += "+(2*3)";
  expect_matches(Kind::kEbnf, sums, {long_sum}, {long_sum + "+"});
}

TEST(Ebnf, NamesWhatIsWrong) {
  expect_error(Kind::kEbnf, "root ::= a", "uses the rule a");
  expect_error(Kind::kEbnf, "a ::= \"x\"", "has no rule root");
  expect_error(Kind::kEbnf, "root ::= \"x", "without its closing \"");
  expect_error(Kind::kEbnf, "root ::= \"x\"\n  [ab", "line 2, column 6");
  expect_error(Kind::kEbnf, "root ::= (\"x\"", "( without its )");
  expect_error(Kind::kEbnf, "root ::= \"x\")", "belongs to no rule");
  expect_error(Kind::kEbnf, "root ::= \"x\"\nroot ::= \"y\"", "second rule root");
  expect_error(Kind::kEbnf, "root ::= \"\\q\"", "escape that is not known");
  expect_error(Kind::kEbnf, "root ::= [z-a]", "end is before its beginning");
  expect_error(Kind::kEbnf, "root ::= \"x\"{3,2}", "maximum is below its minimum");
  expect_error(Kind::kEbnf, "root ::= e\ne ::= t \"+\" e | \"1\"\nt ::= e \"*\" t | \"2\"",
               "e begins with itself");
  expect_error(Kind::kEbnf, "root ::= root \"a\"", "root cannot be met");
  expect_error(Kind::kEbnf, "root ::= n root \"x\" | \"y\"\nn ::= \"\" | \"z\"",
               "root begins with itself");
  expect_error(Kind::kEbnf, "root ::= \"a\" b\nb ::= \"c\" b", "b cannot be met");
  expect_error(Kind::kEbnf, "root ::= (.{1000}){1000}", "more than 400000 states");
  expect_error(Kind::kEbnf, "root ::= " + std::string(1000, '(') + "\"a\"" + std::string(1000, ')'),
               "nested too deeply");
  expect_error(Kind::kEbnf, "", "has no rule root");
}

TEST(Regex, MatchesTheWholeText) {
  expect_matches(Kind::kRegex, R"((\d{3}-)?[A-Z]\w*?|x.y)", {"123-A_9", "Q", "x\xf0\x9f\x98\x80y"},
                 {"12-A", "a", "x\ny", "QQ-", "x\xf0\x9f\x98y"});
  expect_matches(Kind::kRegex, R"(^(?:ab|c)+$|^(?<name>z)$)", {"abcab", "z"}, {"", "a", "zz"});
  expect_matches(Kind::kRegex, R"([^\s\d]\x41\u0042\u{1F600}\.)",
                 {"\xc3\xa9"
                  "AB\xf0\x9f\x98\x80."},
                 {" AB\xf0\x9f\x98\x80.", "1AB"});
  expect_matches(Kind::kRegex, "a{,2}|{|b{1", {"a{,2}", "{", "b{1"}, {"aa"});
  expect_matches(Kind::kRegex, "", {""}, {"a"});
}

TEST(Regex, NamesWhatIsNotSupported) {
  expect_error(Kind::kRegex, "a(?=b)", "lookaround");
  expect_error(Kind::kRegex, "(?<!b)a", "lookaround");
  expect_error(Kind::kRegex, "(a)\\1", "escape \\1");
  expect_error(Kind::kRegex, "\\bword", "escape \\b");
  expect_error(Kind::kRegex, "\\p{L}", "escape \\p");
  expect_error(Kind::kRegex, "a(^b)", "has a ^ inside");
  expect_error(Kind::kRegex, "a$b", "has a $ before the end");
  expect_error(Kind::kRegex, "*a", "nothing before it");
  expect_error(Kind::kRegex, "a**", "quantifier after a quantifier");
  expect_error(Kind::kRegex, "(a", "( without its )");
  expect_error(Kind::kRegex, "a)", ") without its (");
  expect_error(Kind::kRegex, "[a", "class without its closing ]");
  expect_error(Kind::kRegex, "[]", "cannot be met");
}

TEST(JsonObject, IsAnyObject) {
  expect_matches(Kind::kJsonObject, "",
                 {"{}", R"({"a": [1, -2.5e+10, {"b":null}], "c":"\u00e9\n"})",
                  "{\n  \"a\": true\n}", R"({"\ud83d\ude00":"😀"})"},
                 {"[]", "1", "{", R"({"a"})", R"({"a":01})", R"({"a":1,})", "{\"a\":\"\n\"}",
                  R"({"a":"\ud83d"})", R"({"a":"\x"})", "{\"a\":\"\xff\"}"});
}

TEST(JsonSchema, HasConstantsAndTypes) {
  expect_schema(R"({"enum": ["a", 1, null, {"b": [true]}, "é"]})",
                {"\"a\"", "1", "null", R"({"b": [true]})", "\"é\""}, {"\"b\"", "2", "{}"});
  expect_schema(R"({"const": "x\"y"})", {R"("x\"y")"}, {"\"x\"", "xy"});
  expect_schema(R"({"type": "string", "enum": ["a", 1]})", {"\"a\""}, {"1"});
  expect_schema(R"({"type": ["integer", "null"]})", {"0", "-12", "null"}, {"1.5", "01", "\"a\""});
  expect_schema(R"({"type": "boolean"})", {"true", "false"}, {"null"});
  expect_schema("true", {"1", "[]", "{\"a\": 1}"}, {"a"});
  expect_schema("{}", {"1", "\"x\""}, {""});
}

TEST(JsonSchema, OrdersPropertiesAndKeepsRequiredOnes) {
  const std::string schema = R"({"type": "object", "properties": {"a": {"type": "integer"},
    "b": {"type": "string"}, "c": {"type": "null"}}, "required": ["b"]})";
  expect_schema(schema,
                {R"({"b":"x"})", R"({"a": 1, "b": "x"})", R"({"b": "x", "c": null})",
                 R"({"a":1,"b":"x","c":null})", "{ \"b\":\"x\" }"},
                {"{}", R"({"a":1})", R"({"b":"x","a":1})", R"({"a":1,"c":null})",
                 R"({"b":"x","d":1})", R"({"b":"x",})", R"({,"b":"x"})", R"({"a":"1","b":"x"})"});
  expect_schema(R"({"properties": {"a": {"type": "integer"}}})", {"{}", R"({"a":1})"},
                {"1", R"({"b":1})"});
  expect_schema(R"({"properties":{"a":{"const":1},"a":{"const":2}}})", {R"({"a":2})"},
                {R"({"a":1})", R"({"a":2,"a":2})"});
  expect_schema(R"({"type":"object","required":["z"]})", {R"({"z": [1]})"}, {"{}", R"({"y":1})"});
}

TEST(JsonSchema, KeepsAdditionalPropertiesApart) {
  expect_schema(R"({"type": "object", "properties": {"ab": {"type": "integer"}},
                    "additionalProperties": {"type": "null"}})",
                {"{}", R"({"ab":1,"a":null})", R"({"abc":null})", R"({"x":null, "y":null})",
                 R"({"":null})", R"({"ac\n":null})"},
                {R"({"ab":null})", R"({"x":1})", R"({"x":null,"ab":1})", R"({"\u0061b":null})"});
  expect_schema(R"({"type":"object","additionalProperties":false})", {"{}", "{ }"}, {R"({"a":1})"});
  expect_schema(R"({"type":"object","additionalProperties":{"type":"integer"}})",
                {"{}", R"({"a":1,"b":2})"}, {R"({"a":"x"})"});
}

TEST(JsonSchema, CountsItems) {
  expect_schema(R"({"type":"array","items":{"type":"integer"},"minItems":2,"maxItems":3})",
                {"[1,2]", "[1, 2, 3]"}, {"[]", "[1]", "[1,2,3,4]", "[1,\"a\"]", "[1,2,]"});
  expect_schema(R"({"type":"array","items":{"const":1}})", {"[]", "[1]", "[1,1,1,1]"}, {"[2]"});
  expect_schema(R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"});
  expect_schema(R"({"type":"array","maxItems":1})", {"[]", "[1]"}, {"[1,1]"});
  expect_schema(R"({"prefixItems":[{"const":1},{"const":2}],"items":false})",
                {"[]", "[1]", "[1,2]"}, {"[2]", "[1,2,3]"});
  expect_schema(R"({"prefixItems":[{"const":1},{"const":2}],"items":{"const":3},"minItems":2})",
                {"[1,2]", "[1,2,3,3]"}, {"[]", "[1]", "[1,3]"});
  expect_schema(R"({"prefixItems":[{"const":1}],"minItems":2})", {"[1,{}]"}, {"[1]", "[2,1]"});
}

TEST(JsonSchema, BoundsStrings) {
  expect_schema(R"({"type":"string","minLength":2,"maxLength":3})",
                {"\"ab\"", "\"abc\"", R"("a\n")", "\"😀é\"", R"("\ud83d\ude00\u00e9")"},
                {"\"a\"", "\"abcd\"", "\"\""});
  expect_schema(R"({"type":"string","minLength":1})", {"\"a\"", "\"" + std::string(99, 'x') + "\""},
                {"\"\""});
  expect_schema(R"({"type":"string","pattern":"^[a-c]+\"$"})", {R"("ab\"")"}, {"\"ab\"", "\"\""});
  expect_schema(R"({"type":"string","pattern":"b"})", {"\"b\"", "\"abc\"", R"("\nb\\")"},
                {"\"\"", "\"ac\""});
  expect_schema(R"({"type":"string","pattern":"^a|b$"})", {"\"ax\"", "\"xb\""}, {"\"xa\""});
  expect_schema(R"({"format":"date"})", {"\"2024-02-28\"", "\"1999-12-31\""},
                {"\"2024-02-30\"", "\"2024-13-01\"", "\"24-1-1\""});
  expect_schema(R"({"type":"string","format":"date-time"})", {"\"2024-02-28T23:59:59.5+01:00\""},
                {"\"2024-02-28\"", "\"2024-02-28T24:00:00Z\""});
  expect_schema(R"({"type":"string","format":"ipv4"})", {"\"127.0.0.1\"", "\"255.255.255.255\""},
                {"\"256.0.0.1\"", "\"1.2.3\"", "\"01.2.3.4\""});
  expect_schema(R"({"type":"string","format":"email"})", {"\"a.b@c.de\""}, {"\"a@b\"", "\"@b.c\""});
}

// Every integer near the bounds, against a comparison of numbers.
TEST(JsonSchema, BoundsIntegers) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    const int64_t span = round % 2 == 0 ? 30 : 2000;
    const int64_t low = std::uniform_int_distribution<int64_t>(-span, span)(random);
    const int64_t high = low + std::uniform_int_distribution<int64_t>(0, span)(random);
    const bool exclusive = round % 3 == 0 && high - low > 2;
    const std::string schema =
        std::string("{\"type\":\"integer\",\"") + (exclusive ? "exclusiveMinimum" : "minimum") +
        "\":" + std::to_string(low) + ",\"" + (exclusive ? "exclusiveMaximum" : "maximum") +
        "\":" + std::to_string(high) + "}";
    const auto grammar = compile(Kind::kJsonSchema, schema);
    ASSERT_NE(grammar, nullptr);
    for (int64_t x = low - 15; x <= high + 15; ++x) {
      const bool valid = exclusive ? low < x && x < high : low <= x && x <= high;
      ASSERT_EQ(matches(grammar, std::to_string(x)), valid) << schema << " " << x;
    }
    EXPECT_FALSE(matches(grammar, "-0"));
    EXPECT_FALSE(matches(grammar, "00"));
  }
  expect_schema(R"({"type":"integer","minimum":5})", {"5", "999999999999999999"},
                {"4", "-5", "1000000000000000000"});
  expect_schema(R"({"type":"integer","maximum":-5.5})", {"-6", "-100"}, {"-5", "6"});
}

TEST(JsonSchema, BoundsNumbers) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    const double scale = round % 2 == 0 ? 100 : 8;
    const auto draw = [&] {
      return std::uniform_int_distribution<int>(-1000, 1000)(random) / scale;
    };
    double low = draw();
    double high = draw();
    if (low > high) std::swap(low, high);
    if (low == high) high += 1;
    const bool exclusive = round % 3 == 0;
    const auto text_of = [](double x) {
      char buffer[40];
      std::snprintf(buffer, sizeof buffer, "%.4f", x);
      return std::string(buffer);
    };
    const std::string schema = std::string("{\"type\":\"number\",\"") +
                               (exclusive ? "exclusiveMinimum" : "minimum") + "\":" + text_of(low) +
                               ",\"" + (exclusive ? "exclusiveMaximum" : "maximum") +
                               "\":" + text_of(high) + "}";
    const auto grammar = compile(Kind::kJsonSchema, schema);
    ASSERT_NE(grammar, nullptr);
    for (int i = 0; i < 200; ++i) {
      double x = std::uniform_int_distribution<int>(-15000, 15000)(random) / 1000.0;
      if (i % 4 == 0) x = (i % 8 == 0 ? low : high) + (i % 3 - 1) * 0.001;
      std::string text = text_of(x);
      if (i % 5 == 0) {
        text.erase(text.find_last_not_of('0') + 1);
        if (text.ends_with('.')) text.pop_back();
      }
      if (text.starts_with("-0") && std::strtod(text.c_str(), nullptr) == 0) continue;
      const double value = std::strtod(text.c_str(), nullptr);
      const double l = std::strtod(text_of(low).c_str(), nullptr);
      const double h = std::strtod(text_of(high).c_str(), nullptr);
      const bool valid = exclusive ? l < value && value < h : l <= value && value <= h;
      ASSERT_EQ(matches(grammar, text), valid) << schema << " " << text;
    }
  }
  expect_schema(R"({"type":"number","exclusiveMinimum":0})", {"0.5", "1", "12.25"},
                {"0", "-1", "0.0", "00.5", ".5", "1."});
}

TEST(JsonSchema, Combines) {
  expect_schema(R"({"anyOf":[{"type":"integer"},{"const":"x"}]})", {"1", "\"x\""},
                {"1.5", "\"y\""});
  expect_schema(R"({"oneOf":[{"type":"integer"},{"type":"string","maxLength":1}]})", {"1", "\"y\""},
                {"\"yy\""});
  expect_schema(R"({"type":"object","properties":{"k":{"const":0}},"required":["k"],
    "anyOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"properties":{"b":{"const":2}}}]})",
                {R"({"k":0,"a":1})", R"({"k":0,"b":2})", R"({"k":0})"}, {R"({"a":1})", "{}"});
  expect_schema(R"({"allOf":[{"minimum":3},{"type":"integer","maximum":5,"minimum":1}]})",
                {"3", "5"}, {"2", "6", "3.5"});
  expect_schema(R"({"allOf":[{"type":["integer","string"]},{"type":["number","null"]}]})", {"1"},
                {"1.5", "\"a\"", "null"});
  expect_schema(R"({"allOf":[{"properties":{"a":{"minimum":1}}},
                             {"properties":{"a":{"type":"integer","maximum":2}},"required":["a"]}]})",
                {R"({"a":1})", R"({"a":2})"}, {R"({"a":0})", R"({"a":3})", "{}"});
  expect_schema(R"({"allOf":[{"enum":[1,2]},{"enum":[2,3]}]})", {"2"}, {"1", "3"});
  expect_schema(R"({"oneOf":[{"type":"object","properties":{"t":{"const":"a"}},"required":["t"]},
                             {"type":"object","properties":{"t":{"const":"b"}},"required":["t"]}]})",
                {R"({"t":"a"})", R"({"t":"b"})"}, {R"({"t":"c"})"});
}

TEST(JsonSchema, FollowsReferences) {
  expect_schema(R"({"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},
    "next":{"anyOf":[{"$ref":"#/$defs/n"},{"type":"null"}]}},"required":["v","next"]}},
    "$ref":"#/$defs/n"})",
                {R"({"v":1,"next":null})", R"({"v":1,"next":{"v":2,"next":null}})"},
                {R"({"v":1})", R"({"v":1,"next":{"v":2}})"});
  expect_schema(R"({"type":"array","items":{"$ref":"#"}})", {"[]", "[[],[[]]]"}, {"[1]"});
  expect_schema(R"({"$defs":{"a~b/c":{"const":1}},"$ref":"#/$defs/a~0b~1c"})", {"1"}, {"2"});
  expect_schema(R"({"definitions":{"i":{"type":"integer"}},"$ref":"#/definitions/i","minimum":4})",
                {"4"}, {"3"});
}

TEST(JsonSchema, RefusesKeywordsByName) {
  for (const char* keyword : {"contains", "unevaluatedProperties", "unevaluatedItems",
                              "minContains", "$dynamicRef", "nonsense"}) {
    const std::string schema = std::string(R"({"properties":{"a":{")") + keyword + R"(":{}}}})";
    expect_error(Kind::kJsonSchema, schema, "#/properties/a");
    expect_error(Kind::kJsonSchema, schema,
                 std::string("has the keyword ") + keyword + ", which is not supported");
  }
  expect_error(Kind::kJsonSchema, R"({"uniqueItems":1})", "#/uniqueItems: is 1");
  expect_error(Kind::kJsonSchema, R"({"format":"uri"})", "#/format: is uri");
  expect_error(Kind::kJsonSchema, R"({"type":"text"})", "#/type: is \"text\"");
  expect_error(Kind::kJsonSchema, R"({"$ref":"other.json"})", "$ref: is other.json");
  expect_error(Kind::kJsonSchema, R"({"$ref":"#/$defs/a"})", "$ref: is #/$defs/a");
  expect_error(Kind::kJsonSchema, R"_({"pattern":"a(?=b)"})_", "#/pattern, line 1, column 4");
  expect_error(Kind::kJsonSchema, R"({"items":[{}]})", "#/items: is [{}]");
  expect_error(Kind::kJsonSchema, R"({"enum":[[1,NaN]]})", "no JSON number");
  expect_error(Kind::kJsonSchema, R"({"maximum":Infinity})", "#/maximum: is Infinity");
  expect_error(Kind::kJsonSchema, "{", "json_schema");
  expect_error(Kind::kJsonSchema, "1", "is an integer");
}

TEST(JsonSchema, SaysWhyNothingCanMeetIt) {
  const auto object = [](const std::string& a) {
    return R"({"type":"object","properties":{"a":)" + a + R"(},"required":["a"]})";
  };
  expect_error(Kind::kJsonSchema, object(R"({"type":"array","minItems":3,"maxItems":2})"),
               "#/properties/a (minItems 3 is above maxItems 2) cannot be met");
  expect_error(Kind::kJsonSchema, object(R"({"type":"integer","minimum":3,"maximum":2})"),
               "#/properties/a (the minimum 3 is above the maximum 2) cannot be met");
  expect_error(Kind::kJsonSchema,
               object(R"({"type":"integer","exclusiveMinimum":3,"exclusiveMaximum":4})"),
               "#/properties/a (an integer within its bounds) cannot be met");
  expect_error(Kind::kJsonSchema, object("false"), "#/properties/a (is false) cannot be met");
  expect_error(Kind::kJsonSchema, object(R"({"type":"string","enum":[1]})"),
               "#/properties/a (has no value of the type that is allowed) cannot be met");
  expect_error(Kind::kJsonSchema, object(R"({"$ref":"#"})"), "# cannot be met");
  expect_error(Kind::kJsonSchema,
               R"({"type":"object","required":["a"],"additionalProperties":false})",
               "# (requires a, which additionalProperties forbids) cannot be met");
  expect_error(Kind::kJsonSchema, R"({"allOf":[{"type":"string"},{"type":"null"}]})",
               "# (allows no type) cannot be met");
  // What is optional is left out.
  expect_schema(R"({"properties":{"a":false,"b":{"minLength":2,"maxLength":1}}})", {"{}"},
                {R"({"a":1})", R"({"b":"x"})"});
}

TEST(JsonSchema, StandsLargeSchemas) {
  std::string properties;
  for (int i = 0; i < 1500; ++i) {
    properties +=
        (i > 0 ? "," : "") + std::string("\"p") + std::to_string(i) + R"(":{"type":"null"})";
  }
  const auto grammar = compile(Kind::kJsonSchema, "{\"properties\":{" + properties + "}}");
  ASSERT_NE(grammar, nullptr);
  EXPECT_TRUE(matches(grammar, R"({"p3":null,"p1499":null})"));
  EXPECT_FALSE(matches(grammar, R"({"p3":null,"p2":null})"));
  // Each schema is merged into two places of the one before.
  std::string doubling = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 40; ++i) {
    const std::string next =
        R"({"$ref":"#/$defs/d)" + std::to_string(i + 1) + R"(","type":"object"})";
    doubling +=
        "\"d" + std::to_string(i) + R"(":{"properties":{"a":)" + next + ",\"b\":" + next + "}},";
  }
  expect_error(Kind::kJsonSchema, doubling + R"("d40":{"type":"object"}}})",
               "more than 50000 schemas");
  expect_error(Kind::kJsonSchema, R"({"$ref":"#","minimum":1})", "leads to itself");
}

// Whether a token is allowed if, and only if, its bytes go on: along random texts of at most
// `length` tokens. Returns how many masks it looked at.
int compare_masks(const std::shared_ptr<Grammar>& grammar, const std::vector<std::string>& tokens,
                  const std::string& source, int length, std::mt19937& random) {
  int steps = 0;
  for (int text = 0; text < 3; ++text) {
    GrammarMatcher matcher(grammar);
    for (int step = 0; step < length; ++step) {
      const std::span<const uint64_t> view = matcher.allowed();
      const std::vector<uint64_t> mask(view.begin(), view.end());
      std::vector<int32_t> allowed;
      for (size_t id = 0; id < tokens.size(); ++id) {
        GrammarMatcher trial = matcher;
        const bool goes_on = !tokens[id].empty() && trial.accept_bytes(tokens[id]);
        if (matcher.too_ambiguous()) break;
        EXPECT_EQ((mask[id / 64] >> (id % 64) & 1) != 0, goes_on)
            << source << "\ntoken " << tokens[id];
        if (goes_on) allowed.push_back(static_cast<int32_t>(id));
      }
      ++steps;
      if (matcher.too_ambiguous() || ::testing::Test::HasFailure()) return steps;
      if (allowed.empty()) {
        // Single characters are tokens, so that what lives can go on.
        EXPECT_TRUE(matcher.finished() || !matcher.exhausted()) << source;
        break;
      }
      std::uniform_int_distribution<size_t> one(0, allowed.size() - 1);
      EXPECT_TRUE(matcher.accept(allowed[one(random)]));
    }
  }
  return steps;
}

TEST(GrammarMatcher, AllowsTheTokensWhoseBytesGoOn) {
  std::mt19937 random(3);
  const auto draw = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  std::vector<std::string> tokens{"", "a", "b", "c", "\"", ","};
  for (int i = 0; i < 400; ++i) {
    std::string token;
    for (int k = draw(5) + 1; k > 0; --k) {
      const char* const pieces[] = {"a", "b", "c", "\"", ",", "[", "]", "é", "€", "😀"};
      token += pieces[draw(i < 200 ? 7 : 10)];
    }
    // Tokens may begin or end within a character.
    if (i % 8 == 0) token.erase(0, 1);
    if (i % 8 == 4) token.pop_back();
    tokens.push_back(token);
  }
  const auto vocabulary = std::make_shared<GrammarVocabulary>(tokens);
  int compiled = 0;
  int steps = 0;
  for (int round = 0; round < 300; ++round) {
    const std::function<std::string(int)> expression = [&](int depth) -> std::string {
      const std::string names[] = {"root", "p", "q", "r"};
      switch (draw(depth > 3 ? 3 : 8)) {
        case 0:
          return std::string("\"") + "abc,"[draw(4)] + "\"";
        case 1:
          return draw(2) == 0 ? "[ab\"]" : draw(3) == 0 ? "[a-€]" : "[^c]";
        case 2:
          return draw(2) == 0 ? "\"[\" " + names[draw(4)] + " \"]\"" : names[draw(4)];
        case 3:
          return expression(depth + 1) + " " + expression(depth + 1);
        case 4:
          return "(" + expression(depth + 1) + " | " + expression(depth + 1) + ")";
        case 5:
          return "(" + expression(depth + 1) + ")*";
        case 6:
          return "(" + expression(depth + 1) + ")?";
        default:
          return "(" + expression(depth + 1) + (draw(3) == 0 ? "){0,12}" : "){1,3}");
      }
    };
    const std::string source = "root ::= " + expression(0) + "\np ::= " + expression(0) +
                               "\nq ::= " + expression(0) + "\nr ::= \"c\" | " + expression(0);
    const auto grammar = Grammar::compile({Kind::kEbnf, source}, vocabulary);
    if (!grammar.ok()) continue;  // begins with itself, or never ends
    ++compiled;
    steps += compare_masks(*grammar, tokens, source, 12, random);
    if (HasFailure()) return;
  }
  EXPECT_GT(compiled, 50);
  EXPECT_GT(steps, 500);
}

// Counted repetitions, whose masks are shared where tokens are too short to tell them apart, with
// tokens on both sides of what counts as short.
TEST(GrammarMatcher, AllowsTheTokensThatFitWhatIsCounted) {
  std::mt19937 random(5);
  const auto draw = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };
  std::vector<std::string> tokens{"a", "b", "Z", " ", "7", ".", ",", "\"", "é", "[", "]", "\\"};
  for (int i = 0; i < 700; ++i) {
    std::string token;
    const bool alike = i % 3 == 0;
    const int first = draw(8);
    for (int k = draw(i % 4 == 0 ? 45 : 7) + 1; k > 0; --k) {
      const char* const pieces[] = {"a", "b", "Z", " ", "7", "é", "😀", "ab", "\\n", "."};
      token += pieces[alike ? first : draw(i % 5 == 0 ? 10 : 5)];
    }
    if (i % 11 == 0) token += "\"";
    if (i % 11 == 1) token += "\",";
    if (i % 11 == 2) token.insert(0, "[\"");
    if (i % 16 == 3) token.pop_back();  // may end within a character
    if (i % 16 == 5) token.erase(0, 1);
    tokens.push_back(token);
  }
  const auto vocabulary = std::make_shared<GrammarVocabulary>(tokens);
  struct Source {
    Kind kind;
    const char* text;
  };
  const Source sources[] = {
      {Kind::kRegex, "[a-z]{10,60}"},
      {Kind::kRegex, "[a-zA-Z ]{3,40}\\."},
      {Kind::kRegex, "([a-z]{0,20}7){0,12}"},
      {Kind::kRegex, "([a-z]{3}7?){30}"},
      {Kind::kRegex, "[a-z]{12}[a-z7]{0,30}Z*"},
      {Kind::kRegex, ".{20,}"},
      {Kind::kRegex, "([a-z]+ ){2,90}b*"},
      {Kind::kRegex, "(.{9}|[a-z ]{0,70})7"},
      {Kind::kRegex, "[^é]{0,25}é{0,25}"},
      {Kind::kJsonSchema, R"({"type":"string","maxLength":50})"},
      {Kind::kJsonSchema, R"({"type":"string","minLength":20,"maxLength":30})"},
      {Kind::kJsonSchema, R"({"type":"array","items":{"type":"string","minLength":9}})"},
      {Kind::kJsonSchema,
       R"({"type":"array","items":{"type":"string","pattern":"^[ab ]{0,30}$"}})"},
      {Kind::kJsonSchema, R"({"pattern":"^[ab ]*$","minLength":9,"maxLength":40})"},
      {Kind::kJsonSchema, R"({"pattern":"b$","maxLength":60})"},
      {Kind::kJsonSchema, R"({"pattern":"[A-Z][^7]*é"})"},
      {Kind::kJsonSchema, R"({"pattern":"^([a-z]{3}7)*é?$","minLength":22})"},
      {Kind::kJsonSchema, R"({"type":"string","not":{"enum":["a","ab","Z7"]},"maxLength":30})"},
      {Kind::kEbnf, "root ::= (\"[\" word \"]\"){0,20}\nword ::= [a-z]{0,60} | [^\\n]{17}"},
      {Kind::kEbnf, "root ::= word{2,20}\nword ::= [a-b]{8,40} | \".\"{18,19}"},
  };
  int steps = 0;
  for (const Source& source : sources) {
    const auto grammar = Grammar::compile({source.kind, source.text}, vocabulary);
    ASSERT_TRUE(grammar.ok()) << source.text;
    for (int round = 0; round < 4; ++round) {
      steps += compare_masks(*grammar, tokens, source.text, 40, random);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(steps, 1000);
}

TEST(GrammarMatcher, KnowsWhenTheTextMayEndAndWhenItMust) {
  const auto vocabulary =
      std::make_shared<GrammarVocabulary>(std::vector<std::string>{"a", "b", "ab", ""});
  const auto grammar = Grammar::compile({Kind::kRegex, "a*b?"}, vocabulary);
  ASSERT_TRUE(grammar.ok());
  GrammarMatcher matcher(*grammar);
  EXPECT_TRUE(matcher.finished());
  EXPECT_EQ(matcher.allowed()[0], 0b111u);
  EXPECT_FALSE(matcher.accept(3));
  EXPECT_FALSE(matcher.accept(4));
  EXPECT_FALSE(matcher.accept(-1));
  EXPECT_TRUE(matcher.accept(0));
  EXPECT_FALSE(matcher.exhausted());
  EXPECT_TRUE(matcher.accept(1));
  EXPECT_TRUE(matcher.finished());
  EXPECT_TRUE(matcher.exhausted());
  EXPECT_EQ(matcher.allowed()[0], 0u);
  EXPECT_FALSE(matcher.accept(0));
}

TEST(GrammarMatcher, GivesUpWhatIsTooAmbiguous) {
  const auto vocabulary = std::make_shared<GrammarVocabulary>(std::vector<std::string>{"a"});
  const auto grammar = Grammar::compile(
      {Kind::kEbnf, "root ::= \"a\" (root root \"x\" | root \"y\" | root \"z\")?"}, vocabulary);
  ASSERT_TRUE(grammar.ok());
  GrammarMatcher matcher(*grammar);
  for (int i = 0; i < 1000 && matcher.accept(0); ++i) {
  }
  EXPECT_TRUE(matcher.too_ambiguous());
}

}  // namespace
}  // namespace mlc::engine
