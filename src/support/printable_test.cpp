// SPDX-License-Identifier: Apache-2.0
#include "support/printable.h"

#include <gtest/gtest.h>

namespace mlc {
namespace {

TEST(Printable, ControlCharactersBecomeText) {
  EXPECT_EQ(escape_unprintable({"a\0b\x1b[2J\x7f\r\n\t\xc3\xa9", 13}),
            "a\\x00b\\x1b[2J\\x7f\\x0d\n\t\xc3\xa9");
}

TEST(Printable, InvalidUtf8BecomesText) {
  EXPECT_EQ(escape_unprintable("a\xff\xe2\x82"), "a\\xff\\xe2\\x82");
}

}  // namespace
}  // namespace mlc
