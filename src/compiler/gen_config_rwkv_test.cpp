// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config_rwkv.h"

#include <gtest/gtest.h>

#include "support/strings.h"

namespace mlc::compiler {
namespace {

std::string in_hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) text += hex(static_cast<unsigned char>(byte), 2);
  return text;
}

std::string pack_text(std::string_view text) {
  return in_hex(rwkv_tokenizer_from_text(text, "v").value());
}

std::string rwkv_error(std::string_view text) {
  const auto result = rwkv_tokenizer_from_text(text, "v.txt");
  return result.ok() ? "no error" : result.error().to_string();
}

TEST(RwkvTokenizer, NamesOfVocabularies) {
  EXPECT_TRUE(is_rwkv_vocabulary("rwkv_vocab_v20230424.txt"));
  EXPECT_TRUE(is_rwkv_vocabulary("rwkv_vocab_v20230424.json"));
  EXPECT_FALSE(is_rwkv_vocabulary("rwkv_vocab_v2023042.txt"));
  EXPECT_FALSE(is_rwkv_vocabulary("rwkv_vocab_v20230424.txt.bak"));
  EXPECT_FALSE(is_rwkv_vocabulary("rwkv_vocab_v"));
}

TEST(RwkvTokenizer, PacksIdsAndBytesInTheirShortestForms) {
  EXPECT_EQ(pack_text("1 'a' 1\n"), "8101c40161");
  EXPECT_EQ(pack_text("127 'a' 1\n128 'b' 1\r\n256 'c' 1\n65536 'd' 1\n"),
            "847fc40161cc80c40162cd0100c40163ce00010000c40164");
  const std::string longer(300, 'x');
  EXPECT_EQ(pack_text(cat("1 '", longer, "' 300")).substr(0, 10), "8101c5012c");
}

TEST(RwkvTokenizer, ReadsPythonLiterals) {
  EXPECT_EQ(pack_text("1 '\\x00\\n\\u00e9\\\\\\'' 6"), "8101c406000ac3a95c27");
  EXPECT_EQ(pack_text("1 b'\\xff\\x80\\'' 3"), "8101c403ff8027");
  EXPECT_EQ(pack_text("1 \"it's\" 4"), "8101c40469742773");
  EXPECT_EQ(pack_text("1 '  ' 2"), "8101c4022020");
  EXPECT_EQ(pack_text("1 '\\U0001f600\\101\\q' 7"), "8101c407f09f9880415c71");
  EXPECT_EQ(pack_text("1 b'\\u0041' 6"), "8101c4065c7530303431");
}

TEST(RwkvTokenizer, LaterEntryOfAnIdCounts) {
  EXPECT_EQ(pack_text("1 'a' 1\n2 'b' 1\n1 'c' 1\n"), "8201c4016302c40162");
}

TEST(RwkvTokenizer, DamagedLinesAreNamed) {
  const std::string rest =
      ": is no line of a vocabulary\n"
      "  expected ID 'TOKEN' LENGTH, the token as a Python literal";
  for (const char* line :
       {"1 'a'", "x 'a' 1", "-1 'a' 1", "99999999999 'a' 1", "1 a 1", "1 'a\" 1", "1 'a'b' 3",
        "1 '\\x4' 1", "1 '\\' 1", "1 '\\ud800' 3", "1 '\\N{DASH}' 3", "1 'a' x", "1 ' 1"}) {
    EXPECT_EQ(rwkv_error(cat("0 'z' 1\n", line)), "error: v.txt:2" + rest) << line;
  }
  EXPECT_EQ(rwkv_error("1 'ab' 3"),
            "error: v.txt:1: has a token of 2 bytes\n  expected 3, as the line says");
}

TEST(RwkvTokenizer, ReadsJson) {
  EXPECT_EQ(in_hex(rwkv_tokenizer_from_json(R"({"a": 1, "\u00e9": 200})", "v").value()),
            "8201c40161ccc8c402c3a9");
  const auto message = [](std::string_view text) {
    return rwkv_tokenizer_from_json(text, "v.json").error().to_string();
  };
  EXPECT_EQ(message("[]"), "error: v.json: is a list\n  expected an object token: id");
  EXPECT_EQ(message(R"({"a": -1})"),
            "error: v.json: a: is -1\n  expected a token id from 0 to 16777216");
  EXPECT_TRUE(message("{").starts_with("error: v.json:1:2: is not valid JSON"));
}

}  // namespace
}  // namespace mlc::compiler
