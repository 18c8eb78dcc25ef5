// SPDX-License-Identifier: Apache-2.0
// Keywords that hold together with others: each schema with texts that it has and has not, and
// random answers of all of them.
#include <gtest/gtest.h>

#include <chrono>
#include <random>

#include "engine/grammar.h"
#include "engine/grammar/json_schema_values.h"
#include "engine/grammar/token_trie.h"

namespace mlc::engine {
namespace {

using Format = ResponseFormat::Kind;

std::shared_ptr<const GrammarVocabulary> bytes_and_words() {
  static const auto vocabulary = [] {
    std::vector<std::string> tokens;
    for (int b = 0; b < 256; ++b) tokens.emplace_back(1, static_cast<char>(b));
    for (const char* text : {"\", \"", "\": ", "{\"", "\"}", "true", "null", "12", "00", "ab", "a_",
                             "\"a", "\"x-", ".5", ", ", "kind", "\"]", "[\""}) {
      tokens.emplace_back(text);
    }
    return std::make_shared<GrammarVocabulary>(tokens);
  }();
  return vocabulary;
}

Result<std::shared_ptr<Grammar>> schema_grammar(const std::string& schema) {
  return Grammar::compile({Format::kJsonSchema, schema}, bytes_and_words());
}

bool has_text(const std::shared_ptr<Grammar>& grammar, std::string_view text) {
  GrammarMatcher matcher(grammar);
  return matcher.accept_bytes(text) && matcher.finished();
}

void expect_texts(const std::string& schema, const std::vector<std::string>& good,
                  const std::vector<std::string>& bad) {
  const auto grammar = schema_grammar(schema);
  ASSERT_TRUE(grammar.ok()) << schema << "\n" << grammar.error().to_string();
  for (const std::string& text : good)
    EXPECT_TRUE(has_text(*grammar, text)) << schema << " " << text;
  for (const std::string& text : bad)
    EXPECT_FALSE(has_text(*grammar, text)) << schema << " " << text;
}

void expect_refusal(const std::string& schema, const std::string& words) {
  const auto grammar = schema_grammar(schema);
  ASSERT_FALSE(grammar.ok()) << schema;
  EXPECT_NE(grammar.error().to_string().find(words), std::string::npos)
      << schema << "\n"
      << grammar.error().to_string();
}

TEST(JsonSchemaKeywords, BoundTheLengthOfWhatMatchesAPattern) {
  expect_texts(R"_({"type":"string","pattern":"^[a-z]+$","minLength":2,"maxLength":4})_",
               {"\"ab\"", "\"abcd\""}, {"\"a\"", "\"abcde\"", "\"aB\"", "\"\""});
  expect_texts(R"_({"pattern":"a","maxLength":3})_",
               {"\"a\"", "\"xay\"", R"_("a\u0000")_", R"_("\"a")_"},
               {"\"xxx\"", "\"xxxa\"", "\"\""});
  expect_texts(R"_({"pattern":"^(ab)*$","minLength":3})_", {"\"abab\"", "\"ababab\""},
               {"\"ab\"", "\"aba\"", "\"\""});
  expect_texts(R"_({"pattern":"^é.$","maxLength":2})_", {"\"é😀\"", "\"éa\""},
               {"\"é\"", "\"éaa\""});
  expect_texts(R"_({"format":"email","maxLength":8})_", {"\"a@b.cd\"", "\"ab@c.def\""},
               {"\"abc@d.efg\"", "\"a@b\""});
  expect_texts(R"_({"format":"date","pattern":"^2024"})_", {"\"2024-01-31\""}, {"\"2023-01-31\""});
  expect_texts(R"_({"pattern":"^[a-c]{2,900}$","maxLength":300,"minLength":299})_",
               {"\"" + std::string(299, 'a') + "\"", "\"" + std::string(300, 'b') + "\""},
               {"\"" + std::string(298, 'a') + "\"", "\"" + std::string(301, 'b') + "\""});
}

TEST(JsonSchemaKeywords, MatchNamesOfProperties) {
  expect_texts(R"_({"type":"object","patternProperties":{"^x-":{"type":"integer"}},
                   "additionalProperties":false})_",
               {"{}", R"_({"x-":1})_", R"_({"x-a":1,"x-b":22})_"},
               {R"_({"x-a":"b"})_", R"_({"y":1})_", R"_({"x":1})_"});
  expect_texts(R"_({"properties":{"ab":{"maximum":5}},"required":["ab","ac"],
                   "patternProperties":{"^a":{"type":"integer"},"c$":{"minimum":3}},
                   "additionalProperties":{"type":"null"}})_",
               {R"_({"ab":5,"ac":3})_", R"_({"ab":-1,"ac":4,"aac":3,"xc":3.5,"x":null,"ad":1})_"},
               {R"_({"ab":5.5,"ac":3})_", R"_({"ab":6,"ac":3})_", R"_({"ab":5,"ac":2})_",
                R"_({"ab":5,"ac":3,"x":1})_", R"_({"ab":5,"ac":3,"xc":2})_", R"_({"ab":5})_",
                R"_({"ab":5,"ac":3,"ab":5})_"});
  expect_texts(R"_({"type":"object","propertyNames":{"pattern":"^[a-z]+$","maxLength":3},
                   "additionalProperties":{"type":"integer"}})_",
               {"{}", R"_({"a":1,"abc":2})_"}, {R"_({"A":1})_", R"_({"abcd":1})_", R"_({"":1})_"});
  expect_texts(R"_({"type":"object","propertyNames":{"enum":["a","b",3]}})_",
               {R"_({"a":[1]})_", R"_({"b":null,"a":1})_"}, {R"_({"c":1})_"});
  expect_texts(R"_({"properties":{"a":{"type":"null"},"B":{"type":"null"}},
                   "propertyNames":{"not":{"pattern":"[A-Z]"}}})_",
               {"{}", R"_({"a":null})_"}, {R"_({"B":null})_", R"_({"a":null,"B":null})_"});
  expect_texts(R"_({"properties":{"k":{"type":"integer"}},"patternProperties":{"^x":{"const":1}},
                   "additionalProperties":false,
                   "allOf":[{"properties":{"xa":{"type":"integer"},"y":{"type":"null"}}}]})_",
               {R"_({"k":1,"xa":1,"xc":1})_"}, {R"_({"xa":2})_", R"_({"y":null})_"});
  expect_texts(R"_({"patternProperties":{"^x":{"minimum":1}},
                   "allOf":[{"patternProperties":{"b$":{"maximum":2}}}]})_",
               {R"_({"xb":2,"xa":3,"b":0})_"}, {R"_({"xb":3})_", R"_({"xa":0})_", R"_({"b":3})_"});
  expect_refusal(R"_({"allOf":[{"patternProperties":{"a":{}}},{"additionalProperties":false}]})_",
                 "patternProperties in one and additionalProperties in the other");
  expect_refusal(R"_({"required":["B"],"propertyNames":{"pattern":"^[a-z]*$"}})_",
                 "# (requires B, which propertyNames forbids) cannot be met");
  expect_refusal(R"_({"propertyNames":{"anyOf":[{"pattern":"a"}]}})_",
                 "#/propertyNames: has the keyword anyOf, which is not supported there");
  expect_refusal(R"_({"patternProperties":{"a(?=b)":{}}})_",
                 "#/patternProperties, line 1, column 4");
  expect_refusal(R"_({"patternProperties":{"a":{},"b":{},"c":{},"d":{},"e":{},"f":{}}})_",
                 "#/patternProperties: has 6");
}

TEST(JsonSchemaKeywords, CountProperties) {
  expect_texts(R"_({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},
                   "minProperties":2,"maxProperties":2})_",
               {R"_({"a":1,"b":2})_", R"_({"a":1,"c":3})_", R"_({"b":2,"c":3})_"},
               {"{}", R"_({"a":1})_", R"_({"a":1,"b":2,"c":3})_"});
  expect_texts(R"_({"additionalProperties":{"type":"null"},"minProperties":1,"maxProperties":2})_",
               {R"_({"x":null})_", R"_({"x":null,"y":null})_"},
               {"{}", R"_({"x":null,"y":null,"z":null})_"});
  expect_texts(R"_({"type":"object","properties":{"a":{"const":1}},"required":["a"],
                   "additionalProperties":{"type":"null"},"minProperties":2})_",
               {R"_({"a":1,"b":null})_"}, {R"_({"a":1})_", R"_({"b":null,"c":null})_"});
  expect_texts(R"_({"type":"object","maxProperties":0})_", {"{}", "{ }"}, {R"_({"a":1})_"});
  expect_refusal(R"_({"type":"object","minProperties":2})_", "#/minProperties: is 2");
  expect_refusal(R"_({"properties":{"a":{}},"additionalProperties":false,"minProperties":2})_",
                 "# (minProperties 2 is more than it may have, 1) cannot be met");
  expect_refusal(R"_({"properties":{"a":{},"b":{}},"required":["a","b"],"maxProperties":1})_",
                 "# (maxProperties 1 is less than it requires, 2) cannot be met");
}

// Every number near zero, against a remainder.
TEST(JsonSchemaKeywords, WriteMultiples) {
  for (const int step : {1, 2, 3, 5, 7, 10, 12, 25, 100, 150}) {
    for (const bool bounded : {false, true}) {
      std::string schema = R"_({"type":"integer","multipleOf":)_" + std::to_string(step);
      if (bounded) schema += R"_(,"minimum":-77,"exclusiveMaximum":230)_";
      const auto grammar = schema_grammar(schema + "}");
      ASSERT_TRUE(grammar.ok()) << schema;
      for (int i = -350; i < 350; ++i) {
        const bool valid = i % step == 0 && (!bounded || (-77 <= i && i < 230));
        ASSERT_EQ(has_text(*grammar, std::to_string(i)), valid) << schema << " " << i;
      }
      EXPECT_FALSE(has_text(*grammar, "-0"));
      EXPECT_FALSE(has_text(*grammar, "00"));
    }
  }
  for (const int step : {1, 5, 25, 50, 125, 300}) {  // hundredths
    char text[40];
    std::snprintf(text, sizeof text, "%d.%02d", step / 100, step % 100);
    const auto grammar =
        schema_grammar(R"_({"type":"number","multipleOf":)_" + std::string(text) + "}");
    ASSERT_TRUE(grammar.ok());
    for (int i = -700; i < 700; ++i) {
      if (i > -100 && i < 0) continue;  // the sign of -0.5
      std::snprintf(text, sizeof text, "%d.%02d", i / 100, std::abs(i) % 100);
      std::string trimmed = text;
      while (trimmed.ends_with('0')) trimmed.pop_back();
      if (trimmed.ends_with('.')) trimmed.pop_back();
      ASSERT_EQ(has_text(*grammar, trimmed), i % step == 0) << step << " " << trimmed;
    }
  }
  expect_texts(R"_({"type":"number","multipleOf":0.01,"minimum":0,"maximum":1})_",
               {"0", "0.5", "0.25", "1", "1.0", "0.07"}, {"0.001", "1.01", "-0.5", ".5", "1."});
  expect_texts(R"_({"multipleOf":0.5})_", {"-0.5", "2", "1.5"}, {"0.3", "\"a\""});
  expect_texts(R"_({"type":"integer","multipleOf":2.5})_", {"0", "5", "-10"}, {"2", "2.5"});
  expect_texts(R"_({"allOf":[{"type":"integer","multipleOf":4},{"multipleOf":6}]})_",
               {"12", "0", "-24"}, {"4", "6", "18"});
  expect_texts(R"_({"type":"integer","multipleOf":10000})_", {"0", "20000", "100000000000000000"},
               {"2000", "1000000000000000000"});
  expect_refusal(R"_({"type":"integer","multipleOf":0})_", "#/multipleOf: is 0");
  expect_refusal(R"_({"type":"integer","multipleOf":10001})_", "#/multipleOf: is 10001");
  expect_refusal(R"_({"type":"integer","multipleOf":7,"minimum":1,"maximum":6})_",
                 "# (an integer within its bounds) cannot be met");
}

TEST(JsonSchemaKeywords, Exclude) {
  expect_texts(R"_({"type":"string","not":{"enum":["a","ab"]}})_", {"\"\"", "\"b\"", "\"abc\""},
               {"\"a\"", "\"ab\"", R"_("\u0061")_"});
  expect_texts(R"_({"type":"string","not":{"pattern":"^a"},"maxLength":3})_", {"\"\"", "\"ba\""},
               {"\"a\"", "\"ab\"", "\"bbbb\""});
  expect_texts(R"_({"type":"integer","not":{"const":3}})_", {"2", "33", "-3", "0"}, {"3", "3.0"});
  expect_texts(R"_({"type":"integer","not":{"const":999999999999999999}})_", {"999999999999999998"},
               {"999999999999999999", "1000000000000000000"});
  expect_texts(R"_({"type":"number","not":{"enum":[0.5,2]}})_", {"0.51", "0.05", "20", "3"},
               {"0.5", "0.50", "2", "2.0", "2e0"});
  expect_texts(R"_({"not":{"type":["string","object"]}})_", {"1", "1.5", "null", "[\"a\"]"},
               {"\"a\"", "{}"});
  expect_texts(R"_({"type":["number","string"],"not":{"type":"integer"}})_",
               {"1.5", "\"a\"", "0.25"}, {"1", "1.0", "0"});
  expect_texts(R"_({"type":"integer","minimum":0,"not":{"minimum":5,"maximum":7}})_",
               {"0", "4", "8"}, {"5", "7", "-1"});
  expect_texts(R"_({"type":["string","null"],"not":{"maxLength":1}})_", {"\"ab\""},
               {"\"a\"", "null"});
  expect_texts(R"_({"properties":{"a":{"const":1},"b":{"const":2}},"not":{"required":["a","b"]}})_",
               {"{}", R"_({"a":1})_", R"_({"b":2})_"}, {R"_({"a":1,"b":2})_"});
  expect_texts(R"_({"type":"object","properties":{"a":{"type":"integer"}},
                   "not":{"properties":{"a":{"const":1}},"required":["a"]}})_",
               {"{}", R"_({"a":2})_"}, {R"_({"a":1})_"});
  expect_texts(R"_({"type":"boolean","not":{"const":true}})_", {"false"}, {"true"});
  expect_texts(R"_({"enum":["a","b",1,2.5],"not":{"type":"string"},"maximum":2})_", {"1"},
               {"\"a\"", "2.5"});
  expect_texts(R"_({"type":"string","allOf":[{"not":{"const":"a"}},{"not":{"const":"b"}}]})_",
               {"\"c\"", "\"\""}, {"\"a\"", "\"b\""});
  expect_texts(R"_({"type":"string","not":{"anyOf":[{"const":"a"},{"pattern":"^b"}]}})_", {"\"c\""},
               {"\"a\"", "\"b\"", "\"bc\""});
  expect_texts(R"_({"type":"array","not":{"maxItems":1},"items":{"const":1}})_", {"[1,1]"},
               {"[1]", "[]"});
  expect_refusal(R"_({"items":{"then":{"contains":1}}})_",
                 "#/items/then: has the keyword contains, which is not supported");
  expect_refusal(R"_({"not":{}})_", "# (is false) cannot be met");
  expect_refusal(R"_({"not":{"items":{}}})_",
                 "has a not (or if, or oneOf whose alternatives overlap) of the keyword items");
  expect_refusal(R"_({"not":{"const":{"a":1}}})_", "#/not: excludes {\"a\": 1}");
  expect_refusal(R"_({"type":"string","enum":["a"],"minLength":2})_",
                 "# (has no constant that meets its other keywords) cannot be met");
  expect_refusal(R"_({"type":"string","pattern":"^a{5}$","maxLength":4})_",
                 "# (no string meets its pattern, format, lengths and not) cannot be met");
}

TEST(JsonSchemaKeywords, DependOnOthers) {
  const std::string address = R"_({"type":"object","properties":{"country":{"enum":["US","CA"]},
    "zip":{"type":"string"}},"required":["country"],
    "if":{"properties":{"country":{"const":"US"}}},
    "then":{"properties":{"zip":{"pattern":"^[0-9]{5}$"}},"required":["zip"]},
    "else":{"properties":{"zip":{"pattern":"^[A-Z][0-9]$"}}}})_";
  expect_texts(address,
               {R"_({"country":"US","zip":"12345"})_", R"_({"country":"CA"})_",
                R"_({"country":"CA","zip":"A1"})_"},
               {R"_({"country":"US"})_", R"_({"country":"US","zip":"A1"})_",
                R"_({"country":"CA","zip":"12345"})_"});
  expect_texts(R"_({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},
                   "dependentRequired":{"a":["b"],"c":["a"]}})_",
               {"{}", R"_({"b":2})_", R"_({"a":1,"b":2})_", R"_({"a":1,"b":2,"c":3})_"},
               {R"_({"a":1})_", R"_({"c":3})_", R"_({"b":2,"c":3})_", R"_({"a":1,"c":3})_"});
  expect_texts(R"_({"properties":{"a":{"const":1},"b":{"type":"integer"}},
                   "dependentSchemas":{"a":{"properties":{"b":{"minimum":5}}}}})_",
               {R"_({"b":1})_", R"_({"a":1,"b":5})_", R"_({"a":1})_"}, {R"_({"a":1,"b":4})_"});
  expect_texts(R"_({"type":"integer","if":{"minimum":10},"then":{"multipleOf":10}})_",
               {"9", "-3", "10", "50"}, {"11", "15"});
  expect_texts(R"_({"if":{"type":"string"},"then":{"maxLength":1},"else":{"type":"integer"}})_",
               {"\"a\"", "17"}, {"\"ab\"", "null", "1.5"});
  expect_texts(R"_({"then":false,"type":"null"})_", {"null"}, {"1"});
}

TEST(JsonSchemaKeywords, MeetOneOfWhatOverlaps) {
  expect_texts(R"_({"oneOf":[{"type":"integer"},{"type":"number","minimum":2}]})_",
               {"1", "2.5", "-4"}, {"2", "17", "1.5", "2.0"});
  expect_texts(R"_({"type":"object","properties":{"a":{"const":1},"b":{"const":2}},
                   "oneOf":[{"required":["a"]},{"required":["b"]}]})_",
               {R"_({"a":1})_", R"_({"b":2})_"}, {"{}", R"_({"a":1,"b":2})_"});
  expect_texts(R"_({"oneOf":[{"type":"string","maxLength":3},{"type":"string","pattern":"^a"}]})_",
               {"\"b\"", "\"abcd\""}, {"\"a\"", "\"abc\"", "\"bcde\""});
  expect_texts(R"_({"anyOf":[{"minimum":0},{"maximum":-5}],"type":"integer",
                   "allOf":[{"anyOf":[{"maximum":3},{"minimum":8}]}]})_",
               {"-5", "0", "3", "8"}, {"-1", "4", "7"});
}

TEST(JsonSchemaKeywords, WriteEachItemOnce) {
  expect_texts(R"_({"type":"array","items":{"enum":["a","b","c","a"]},"uniqueItems":true})_",
               {"[]", R"_(["b"])_", R"_(["c", "a"])_", R"_(["a","b","c"])_"},
               {R"_(["a","a"])_", R"_(["a","b","a"])_", R"_(["d"])_"});
  expect_texts(R"_({"items":{"type":"boolean"},"uniqueItems":true,"minItems":2})_",
               {"[true,false]", "[false, true]"}, {"[true]", "[true,true]"});
  expect_texts(R"_({"items":{"enum":[1,1.0,2]},"uniqueItems":true,"maxItems":2,"minItems":1})_",
               {"[1]", "[2,1]"}, {"[]", "[1,1.0]"});
  expect_texts(R"_({"type":"array","uniqueItems":true,"maxItems":1})_", {"[]", "[7]"}, {"[7,7]"});
  expect_refusal(R"_({"type":"array","uniqueItems":true})_", "#/uniqueItems: is true");
  expect_refusal(R"_({"items":{"enum":[1,2]},"uniqueItems":true,"minItems":3})_",
                 "# (minItems 3 is more than there are unique items, 2) cannot be met");
}

// Whatever an answer is, a validator that knows nothing of grammars finds it valid; and constants
// that are valid are answers.
TEST(JsonSchemaKeywords, AnswersAreValid) {
  const char* const schemas[] = {
      R"_({"type":"string","pattern":"^[a-z_]+[0-9]?$","minLength":3,"maxLength":9})_",
      R"_({"type":"object","patternProperties":{"^x":{"type":"integer","multipleOf":3},
          "y$":{"minimum":5}},"propertyNames":{"maxLength":4},"additionalProperties":{"type":"null"}})_",
      R"_({"type":"array","items":{"enum":["a","b",1,null]},"uniqueItems":true,"minItems":2})_",
      R"_({"type":"number","multipleOf":0.25,"minimum":-3,"exclusiveMaximum":12.5,"not":{"enum":[0,1.5]}})_",
      R"_({"properties":{"kind":{"enum":["a","b","c"]},"n":{"type":"integer"}},"required":["kind","n"],
          "if":{"properties":{"kind":{"const":"a"}}},"then":{"properties":{"n":{"minimum":100}}},
          "else":{"properties":{"n":{"not":{"enum":[0,1,2]},"maximum":5,"minimum":-2}}}})_",
      R"_({"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"const":1}},
          "oneOf":[{"required":["a"]},{"required":["b"]}],"dependentRequired":{"c":["a"]}})_",
      R"_({"type":"array","maxItems":3,"items":{"oneOf":[{"type":"integer","maximum":5},
          {"type":"number","minimum":3,"maximum":8}]}})_",
      R"_({"type":["object","string"],"not":{"required":["a"]},"properties":{"a":{},"b":{"type":"null"}},
          "minProperties":1,"maxLength":6})_"};
  std::mt19937 random(17);
  const Result<const Json*> none{nullptr};
  const grammar::ResolveReference no_references = [&](const std::string&) { return none; };
  int ended = 0;
  for (const char* source : schemas) {
    const auto grammar = schema_grammar(source);
    ASSERT_TRUE(grammar.ok()) << source << "\n" << grammar.error().to_string();
    const Json schema = *parse_json(source, "schema");
    for (int round = 0; round < 40; ++round) {
      GrammarMatcher matcher(*grammar);
      std::string text;
      for (int step = 0;
           step < 300 && !(matcher.finished() && (step % 3 == 0 || matcher.exhausted())); ++step) {
        const std::span<const uint64_t> mask = matcher.allowed();
        std::vector<int32_t> allowed;
        for (int32_t id = 0; id < bytes_and_words()->tokens().num_ids(); ++id) {
          if ((mask[static_cast<size_t>(id) / 64] >> id % 64 & 1) != 0) allowed.push_back(id);
        }
        ASSERT_FALSE(allowed.empty()) << source << " " << text;
        std::uniform_int_distribution<size_t> one(0, allowed.size() - 1);
        const int32_t token = allowed[one(random)];
        text += bytes_and_words()->tokens().bytes_of(token);
        ASSERT_TRUE(matcher.accept(token));
      }
      if (!matcher.finished()) continue;
      ++ended;
      const auto value = parse_json(text, "answer");
      ASSERT_TRUE(value.ok()) << source << " " << text;
      const auto valid = grammar::is_valid(*value, schema, no_references, "schema");
      ASSERT_TRUE(valid.ok() && *valid) << source << " " << text;
    }
  }
  EXPECT_GT(ended, 200);
}

// What is large or leads to itself is refused, or read, in reasonable time.
TEST(JsonSchemaKeywords, AreReadInTime) {
  std::string many_ones;
  std::string many_nots = R"_({"type":"string")_";
  std::string deep = "{}";
  for (int i = 0; i < 12; ++i) {
    many_ones += (i > 0 ? "," : "") + std::string(R"_({"required":["a)_") + std::to_string(i) +
                 R"_("],"minProperties":)_" + std::to_string(i + 1) + "}";
  }
  // Each schema has the next one twice.
  std::string doubling = R"_("$defs":{)_";
  for (int i = 0; i < 40; ++i) {
    const std::string next = R"_({"$ref":"#/$defs/d)_" + std::to_string(i + 1) + R"_("})_";
    doubling += R"_("d)_" + std::to_string(i) + R"_(":{"properties":{"a":)_" + next + R"_(,"b":)_" +
                next + R"_(},"allOf":[)_" + next + "," + next + "]},";
  }
  doubling += R"_("d40":{"type":"object"}})_";
  std::string constants;
  for (int i = 0; i < 20'000; ++i) constants += (i > 0 ? ",\"" : "\"") + std::to_string(i) + "\"";
  for (int i = 0; i < 150; ++i) deep = R"_({"not":)_" + deep + "}";
  const std::string schemas[] = {
      R"_({"type":"string","pattern":"^(a|b)*a(a|b){18}$","maxLength":50})_",
      R"_({"type":"string","pattern":"^.{0,100000}$"})_",
      R"_({"type":"string","minLength":100000,"maxLength":200000,"pattern":"^a*$"})_",
      R"_({"type":"array","items":{"enum":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18]},"uniqueItems":true})_",
      R"_({"type":"number","multipleOf":9973,"minimum":-123456789,"maximum":987654321})_",
      R"_({"type":"object","oneOf":[)_" + many_ones + "]}",
      R"_({"not":{"$ref":"#"}})_",
      R"_({"if":{"$ref":"#"},"then":{"type":"string"}})_",
      R"_({"properties":{"a":{"not":{"$ref":"#"}}}})_",
      R"_({"additionalProperties":false,"maxProperties":1000000000,"minProperties":1000000000})_",
      R"_({"propertyNames":{"maxLength":100000}})_",
      deep,
      R"_({"propertyNames":{"$ref":"#","maxLength":4},"if":{"required":["a"]},
           "then":{"minProperties":2},"dependentRequired":{"a":["b"]}})_",
      R"_({"not":{"$ref":"#/$defs/d0"},)_" + doubling + "}",
      R"_({"const":{"a":{"a":1}},"$ref":"#/$defs/d0",)_" + doubling + "}",
      R"_({"enum":[)_" + constants + R"_(],"maxLength":4})_",
  };
  for (const std::string& schema : schemas) {
    const auto begin = std::chrono::steady_clock::now();
    const auto grammar = schema_grammar(schema);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(time.count(), 20) << schema;
  }
}

}  // namespace
}  // namespace mlc::engine
