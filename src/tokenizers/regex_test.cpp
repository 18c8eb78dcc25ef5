// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/regex.h"

#include <gtest/gtest.h>

namespace mlc::tokenizers {
namespace {

std::string translated(std::string_view pattern) {
  const Result<std::string> result = pcre2_from_oniguruma(pattern, UnicodeVersion::kPcre2, "test");
  return result.ok() ? result.value() : result.error().to_string();
}

std::vector<std::string> matches(std::string_view pattern, std::string_view text) {
  const Result<Regex> regex = Regex::compile(pattern, "test");
  EXPECT_TRUE(regex.ok()) << regex.error().to_string();
  std::vector<Span> spans;
  regex.value().find_all(text, spans);
  std::vector<std::string> found;
  for (const Span& span : spans) found.emplace_back(text.substr(span.begin, span.end - span.begin));
  return found;
}

using Texts = std::vector<std::string>;

TEST(RegexSyntax, LeavesWhatBothUnderstand) {
  for (const char* const same : {"(?i:'s|'t)", "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+", "a{1,3}?b*+",
                                 "(?<=x)(?!y)\\z", "[a-z\\-]"}) {
    EXPECT_EQ(translated(same), same);
  }
}

TEST(RegexSyntax, RewritesWhatDiffers) {
  EXPECT_EQ(translated("\\s"), "[\\t-\\r\\x{85}\\p{Z}]");
  EXPECT_EQ(translated("[^\\sx]"), "[^\\t-\\r\\x{85}\\p{Z}x]");
  EXPECT_EQ(translated("\\h{,2}"), "[0-9A-Fa-f]{0,2}");
  EXPECT_EQ(translated("(?m:.)"), "(?s:.)");
  EXPECT_EQ(translated("\\u3040"), "\\x{3040}");
  EXPECT_EQ(translated("[a[bc]d]"), "[abcd]");
  EXPECT_EQ(translated("[a[^b]]"), "(?:[a]|[^b])");
  EXPECT_EQ(translated("[]a]"), "[\\]a]");
  EXPECT_EQ(translated("\\p{Letter}\\P{Han}"), "\\p{L}[^\\p{sc:han}]");
}

TEST(RegexSyntax, RefusesWhatHasNoEnd) {
  EXPECT_EQ(translated("[ab"), "error: test: regular expression [ab has a class without its ]");
  EXPECT_EQ(translated("a\\"), "error: test: regular expression a\\ ends in a backslash");
  EXPECT_EQ(translated("\\p{L"), "error: test: regular expression \\p{L has a \\p without {name}");
  EXPECT_NE(translated(std::string(40, '[') + std::string(40, ']')).find("nested too deeply"),
            std::string::npos);
}

TEST(Regex, FindsMatchesLeftToRight) {
  EXPECT_EQ(matches("a+|b", "aabxb"), (Texts{"aa", "b", "b"}));
  EXPECT_EQ(matches("[a-z&&[^aeiou]]+", "hello"), (Texts{"h", "ll"}));
  EXPECT_EQ(matches("[^(x|[.,])]+", "a(b|c.d)"), (Texts{"a", "b", "c", "d"}));
}

TEST(Regex, KnowsTheClassesOfOniguruma) {
  EXPECT_EQ(matches("\\s", "a\u180e \u3000\u0085"), (Texts{" ", "\u3000", "\u0085"}));
  EXPECT_EQ(matches("\\w+", "e\u0301\u00b2_ \u2460"), (Texts{"e\u0301\u00b2_"}));
  // Within brackets \w has no fractions, alone it has those of Latin-1.
  EXPECT_EQ(matches("\\w+|[^\\w]+", "\u260e\u00bda\u00b2"), (Texts{"\u260e\u00bd", "a\u00b2"}));
  EXPECT_EQ(matches("[[:word:]]+", "a\u00bdb"), (Texts{"a", "b"}));
  EXPECT_EQ(matches("\\p{Han}+", "\u3001\u6f22\u3002"), (Texts{"\u6f22"}));
  EXPECT_EQ(matches("\\p{L}+", "x\U0002ebf0y"), (Texts{"x\U0002ebf0y"}));  // since Unicode 15.1
  EXPECT_EQ(matches("[[:punct:]]", "$x\u00a7"), (Texts{"$", "\u00a7"}));
}

TEST(Regex, TreatsLinesAsRubyDoes) {
  EXPECT_EQ(matches("^.", "ab\ncd"), (Texts{"a", "c"}));
  EXPECT_EQ(matches(".$", "ab\ncd"), (Texts{"b", "d"}));
}

TEST(Regex, GivesEmptyMatchesButNotBehindAMatch) {
  const Result<Regex> regex = Regex::compile("x*", "test");
  std::vector<Span> spans;
  regex.value().find_all("axxé", spans);
  EXPECT_EQ(spans, (std::vector<Span>{{0, 0}, {1, 3}, {5, 5}}));
}

TEST(Regex, GivesUpOnEndlessBacktracking) {
  EXPECT_EQ(matches("(?:a+a+)+b", std::string(2000, 'a')), Texts{});
}

TEST(Regex, TakesLongTexts) {
  EXPECT_EQ(matches("(?:[ab]|c)+", std::string(200'000, 'a')).at(0).size(), 200'000u);
}

}  // namespace
}  // namespace mlc::tokenizers
