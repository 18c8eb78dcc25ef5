// SPDX-License-Identifier: Apache-2.0
#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include "engine/random.h"

namespace mlc::engine {
namespace {

struct Shown {
  std::string text;
  bool stopped;
  bool operator==(const Shown&) const = default;
};

Shown run(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopMatcher matcher(stops);
  std::string text;
  for (const std::string& piece : pieces) text += matcher.put(piece);
  text += matcher.finish();
  return {text, matcher.stopped()};
}

TEST(StopMatcher, RemovesAStopStringThatSpansPieces) {
  EXPECT_EQ(run({"STOP"}, {"abcS", "T", "O", "P", "def"}), (Shown{"abc", true}));
  EXPECT_EQ(run({"STOP"}, {"abcSTOPdef"}), (Shown{"abc", true}));
  EXPECT_EQ(run({"STOP"}, {"STOP"}), (Shown{"", true}));
}

TEST(StopMatcher, HoldsBackWhatMayBeginAStopAndReleasesItWhenItDoesNot) {
  StopMatcher matcher({"<|end|>", "\n\n"});
  EXPECT_EQ(matcher.put("hello <"), "hello ");
  EXPECT_EQ(matcher.put("|e"), "");
  EXPECT_EQ(matcher.put("x"), "<|ex");
  EXPECT_EQ(matcher.put("\n"), "");
  EXPECT_EQ(matcher.put("<"), "\n");
  EXPECT_EQ(matcher.finish(), "<");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, FindsAStopThatBeginsInsideAFailedBeginning) {
  EXPECT_EQ(run({"aab"}, {"a", "a", "a", "b", "c"}), (Shown{"a", true}));
  EXPECT_EQ(run({"abac"}, {"ab", "ab", "ac"}), (Shown{"ab", true}));
}

TEST(StopMatcher, TheStopThatEndsFirstWins) {
  EXPECT_EQ(run({"abcd", "bc"}, {"xabcd"}), (Shown{"xa", true}));
  EXPECT_EQ(run({"bc", "abc"}, {"xabcd"}), (Shown{"x", true}));
}

TEST(StopMatcher, AnEmptyStopStringIsIgnored) {
  EXPECT_EQ(run({"", "b"}, {"aa", "bb"}), (Shown{"aa", true}));
  EXPECT_EQ(run({""}, {"aa", ""}), (Shown{"aa", false}));
  EXPECT_EQ(run({}, {"aa"}), (Shown{"aa", false}));
}

TEST(StopMatcher, ShowsTheSameHoweverTheTextIsCut) {
  const std::vector<std::string> stops = {"aba", "bb", "caab", "abcabc"};
  uint64_t draw = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    const auto length = static_cast<size_t>(uniform_draw(1, draw++) * 14);
    for (size_t i = 0; i < length; ++i)
      text += "abcd"[static_cast<size_t>(uniform_draw(1, draw++) * 4)];
    std::vector<std::string> letters, pieces = {""};
    for (const char c : text) {
      letters.emplace_back(1, c);
      if (uniform_draw(1, draw++) < 0.4) pieces.emplace_back();
      pieces.back() += c;
    }
    EXPECT_EQ(run(stops, {text}), run(stops, letters)) << text;
    EXPECT_EQ(run(stops, pieces), run(stops, letters)) << text;
    // The plain definition: up to the first prefix of the text that ends in a stop string.
    std::string expected = text;
    bool stopped = false;
    for (size_t end = 1; end <= text.size() && !stopped; ++end) {
      size_t longest = 0;
      for (const std::string& stop : stops) {
        if (std::string_view(text).substr(0, end).ends_with(stop))
          longest = std::max(longest, stop.size());
      }
      if (longest > 0) {
        stopped = true;
        expected = text.substr(0, end - longest);
      }
    }
    EXPECT_EQ(run(stops, letters), (Shown{expected, stopped})) << text;
  }
}

}  // namespace
}  // namespace mlc::engine
