// SPDX-License-Identifier: Apache-2.0
#include "support/cache.h"

#include <gtest/gtest.h>

#include "support/file.h"
#include "support/strings.h"
#include "support/testing.h"

namespace mlc {
namespace {

TEST(LimitFolder, KeepsWhatWasUsedLast) {
  TemporaryDirectory directory;
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(write_file(directory.file(cat("f", i)), std::string(100, 'x')).ok());
  const auto times_differ = [&] {
    return file_time(directory.file("f0")).value() > file_time(directory.file("f9")).value();
  };
  while (!times_differ()) mark_as_used(directory.file("f0"));
  limit_folder(directory.path(), 1000);
  EXPECT_EQ(list_directory(directory.path()).value().size(), 10u);
  limit_folder(directory.path(), 999);
  EXPECT_EQ(list_directory(directory.path()).value().size(), 4u);
  EXPECT_TRUE(file_exists(directory.file("f0")));
}

TEST(LimitFolder, TakesAnAbsentFolderForEmpty) {
  TemporaryDirectory directory;
  limit_folder(directory.file("none"), 0);
  EXPECT_FALSE(file_exists(directory.file("none")));
}

}  // namespace
}  // namespace mlc
