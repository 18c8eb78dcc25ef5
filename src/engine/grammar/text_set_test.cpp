// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <random>

#include "engine/grammar/text_set.h"

namespace mlc::engine::grammar {
namespace {

TextSet set_of(std::string_view pattern) { return *TextSet::of_pattern(pattern, "pattern"); }

TEST(TextSet, HasTheTextsOfAPattern) {
  const TextSet set = set_of("^(a|b[^c-€]){2,3}$|x");
  for (const char* text : {"aa", "aba", "bba", "aab😀", "x", "ccxcc", "b😀b\n"}) {
    EXPECT_TRUE(set.contains(text)) << text;
  }
  for (const char* text : {"", "a", "aaaa", "bcbc", "ab€"})
    EXPECT_FALSE(set.contains(text)) << text;
  EXPECT_TRUE(TextSet::of_texts({"ab", "é", ""}).contains("é"));
  EXPECT_FALSE(TextSet::of_texts({"ab", "é"}).contains("a"));
  EXPECT_TRUE(TextSet::of_texts({}).is_empty());
  EXPECT_TRUE(TextSet::all().contains("\xff é"));
  EXPECT_TRUE(set_of("^[]$").is_empty());
}

// Every text of up to six letters, against what the parts have.
TEST(TextSet, MeetsAndExcludes) {
  const char* const patterns[] = {"^a*b", "ab|ba", "^(aa|b)*$", "c$", "^[^a]{2,4}$", ""};
  for (const char* x : patterns) {
    for (const char* y : patterns) {
      const TextSet a = set_of(x);
      const TextSet b = set_of(y);
      const TextSet both = *a.both(b, "both");
      const TextSet only_a = *a.both(b.none_of_these(), "only");
      std::vector<std::string> texts{""};
      for (size_t i = 0; i < texts.size(); ++i) {
        const std::string text = texts[i];
        ASSERT_EQ(both.contains(text), a.contains(text) && b.contains(text)) << x << y << text;
        ASSERT_EQ(only_a.contains(text), a.contains(text) && !b.contains(text)) << x << y << text;
        for (const char c : {'a', 'b', 'c'}) {
          if (text.size() < 6) texts.push_back(text + c);
        }
      }
      EXPECT_TRUE(a.both(a.none_of_these(), "none")->is_empty());
    }
  }
}

TEST(TextSet, RefusesWhatIsTooLarge) {
  const auto large = TextSet::of_pattern("^(a|b)*a(a|b){20}$", "here");
  ASSERT_FALSE(large.ok());
  EXPECT_NE(large.error().to_string().find("here: needs more than 4000 states"), std::string::npos);
  EXPECT_FALSE(TextSet::of_pattern("^(.{1000}){1000}$", "here").ok());
}

}  // namespace
}  // namespace mlc::engine::grammar
