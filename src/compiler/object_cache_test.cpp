// SPDX-License-Identifier: Apache-2.0
#include "compiler/object_cache.h"

#include <gtest/gtest.h>

#include "kernel/builder.h"
#include "support/testing.h"

namespace mlc::compiler {
namespace {

kernel::Kernel empty_kernel(const std::string& name) {
  return {.name = name, .parameters = {}, .body = {}};
}

TEST(ObjectCache, GivesBackWhatWasPut) {
  TemporaryDirectory directory;
  const ObjectCache cache(directory.file("a/b"));
  EXPECT_FALSE(cache.find("k1"));
  cache.put("k1", std::string("obj\0ect", 7));
  cache.put("k2", "");
  EXPECT_EQ(cache.find("k1"), std::string("obj\0ect", 7));
  EXPECT_EQ(cache.find("k2"), "");
  EXPECT_FALSE(cache.find("k3"));
}

TEST(ObjectCache, DamagedFilesAreNotUsed) {
  TemporaryDirectory directory;
  const ObjectCache cache(directory.path());
  for (const size_t at : {size_t{0}, size_t{31}, size_t{32}, size_t{37}}) {
    cache.put("k", "object");
    std::string file = read_file(directory.file("k.o")).value();
    file[at] = static_cast<char>(file[at] ^ 1);
    ASSERT_TRUE(write_file(directory.file("k.o"), file).ok());
    EXPECT_FALSE(cache.find("k")) << at;
  }
  ASSERT_TRUE(write_file(directory.file("k.o"), "short").ok());
  EXPECT_FALSE(cache.find("k"));
}

TEST(ObjectCache, IsHalvedWhereItIsTooLarge) {
  TemporaryDirectory directory;
  const ObjectCache cache(directory.path());
  for (int i = 0; i < 10; ++i) cache.put(cat("k", i), std::string(68, 'x'));  // files of 100 bytes
  cache.limit(1000);
  EXPECT_EQ(list_directory(directory.path()).value().size(), 10u);
  cache.limit(999);
  EXPECT_EQ(list_directory(directory.path()).value().size(), 4u);
}

TEST(ObjectCache, AbsentOrUnwritableFoldersAreNoError) {
  const ObjectCache none("");
  none.put("k", "object");
  none.limit(0);
  EXPECT_FALSE(none.find("k"));
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file(directory.file("file"), "").ok());
  const ObjectCache below_a_file(directory.file("file/folder"));
  below_a_file.put("k", "object");
  below_a_file.limit(0);
  EXPECT_FALSE(below_a_file.find("k"));
}

TEST(ObjectCache, KeysTellApartWhatGivesOtherObjects) {
  const target::Target target = target::cpu_level_target("x86-64-v3").value();
  const kernel::Kernel kernel = empty_kernel("k");
  const std::string key = ObjectCache::key(kernel, "s", target, "1");
  EXPECT_EQ(key, ObjectCache::key(empty_kernel("k"), "s", target, "1"));
  EXPECT_NE(key, ObjectCache::key(empty_kernel("other"), "s", target, "1"));
  EXPECT_NE(key, ObjectCache::key(kernel, "t", target, "1"));
  EXPECT_NE(key, ObjectCache::key(kernel, "s", target, "2"));
  EXPECT_NE(key, ObjectCache::key(kernel, "s", target::cpu_level_target("x86-64-v4").value(), "1"));
  target::Target tuned = target;
  tuned.tune_cpu = "znver4";
  EXPECT_NE(key, ObjectCache::key(kernel, "s", tuned, "1"));
}

}  // namespace
}  // namespace mlc::compiler
