// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/unicode.h"

#include <gtest/gtest.h>

namespace mlc::tokenizers {
namespace {

std::string lossy(std::string_view bytes) {
  std::string text;
  append_lossy_utf8(text, bytes);
  return text;
}

std::string normalized(std::string_view text, NormalForm form) {
  std::string result;
  append_normalized(result, text, form);
  return result;
}

TEST(Unicode, ReplacesEachMaximalBadPartOnce) {
  EXPECT_EQ(lossy("ok"), "ok");
  EXPECT_EQ(lossy("a\xff"
                  "b"),
            "a\ufffdb");
  EXPECT_EQ(lossy("\xe4\xbd\xa0\xe5"), "你\ufffd");
  EXPECT_EQ(lossy("\xf0\x9f\x98"), "\ufffd");
  EXPECT_EQ(lossy("\xc0\x80"), "\ufffd\ufffd");
  EXPECT_EQ(lossy("\xf4\x90\x80\x80"), "\ufffd\ufffd\ufffd\ufffd");
  EXPECT_EQ(lossy("x\xe2\x28\xa1y"), "x\ufffd(\ufffdy");
}

TEST(Unicode, CountsTheBytesOfAnUnfinishedCharacter) {
  EXPECT_EQ(unfinished_bytes("abc"), 0u);
  EXPECT_EQ(unfinished_bytes("ab\xe4"), 1u);
  EXPECT_EQ(unfinished_bytes("ab\xe4\xbd"), 2u);
  EXPECT_EQ(unfinished_bytes("ab\xf0\x9f\x98"), 3u);
  EXPECT_EQ(unfinished_bytes("ab\xe4\xbd\xa0"), 0u);
  EXPECT_EQ(unfinished_bytes("ab\xff"), 0u);      // can't be completed
  EXPECT_EQ(unfinished_bytes("ab\xed\xa0"), 0u);  // a surrogate
  EXPECT_EQ(unfinished_bytes("\x80\x80\x80"), 0u);
}

TEST(Unicode, NormalizesAcrossAsciiBases) {
  EXPECT_EQ(normalized("cafe\u0301 x", NormalForm::kNfc), "café x");
  EXPECT_EQ(normalized("café", NormalForm::kNfd), "cafe\u0301");
  EXPECT_EQ(normalized("ﬁ①", NormalForm::kNfkc), "fi1");
  EXPECT_EQ(normalized("a\u0301\u0323", NormalForm::kNfc), "\u1ea1\u0301");
  EXPECT_EQ(normalized("\u1112\u1161\u11ab", NormalForm::kNfc), "한");
  EXPECT_EQ(normalized("\u32ff", NormalForm::kNfkc),
            "\u32ff");  // newer than the reference's tables
  // Marks that these do not know stay in their places, and part what they stand between.
  EXPECT_EQ(normalized("\u08cd\u08f0", NormalForm::kNfc), "\u08cd\u08f0");
  EXPECT_EQ(normalized("a\u1df9\u0301", NormalForm::kNfc), "a\u1df9\u0301");
  EXPECT_EQ(normalized("a\u0301\u1df9o\u0308", NormalForm::kNfc), "á\u1df9ö");
}

TEST(Unicode, TellsClassesAsTheReferenceDoes) {
  EXPECT_TRUE(is_numeric(U'½') && is_numeric(U'٣') && !is_numeric(U'a'));
  EXPECT_TRUE(is_whitespace(0x3000) && is_whitespace(0x85) && !is_whitespace(0x200b) &&
              !is_whitespace(0x180e));
  EXPECT_TRUE(is_punctuation(U'$') && is_punctuation(U'。') && !is_punctuation(U'€'));
  EXPECT_FALSE(is_punctuation(0x61d));  // too new for the reference
  EXPECT_TRUE(is_other(0) && is_other(0x200d) && !is_other(0x378));
  EXPECT_TRUE(is_word(U'_') && is_word(0x301) && is_word(U'中') && !is_word(U'½') &&
              !is_word(U'-'));
  EXPECT_TRUE(is_word(0x11382));  // newer than utf8proc's tables
}

TEST(Unicode, LowersTheOneLetterThatBecomesTwo) {
  std::string text;
  for (const char32_t c : U"\u0130A\u1e9e\u03a3") {
    if (c != 0) append_lowercase(text, c);
  }
  EXPECT_EQ(text, "i\u0307aßσ");
}

}  // namespace
}  // namespace mlc::tokenizers
