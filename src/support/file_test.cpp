// SPDX-License-Identifier: Apache-2.0
#include "support/file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "support/testing.h"
#include "support/unfinished_path.h"

namespace mlc {
namespace {

class FileTest : public testing::Test {
 protected:
  TemporaryDirectory temporary_;
  const std::string& directory_ = temporary_.path();
};

TEST_F(FileTest, OutputAppearsOnlyWhenCommitted) {
  const std::string path = path_join(directory_, "out");
  {
    OutputFile file = OutputFile::create(path).value();
    ASSERT_TRUE(file.write("abc").ok());
    EXPECT_FALSE(file_exists(path));
  }
  EXPECT_TRUE(list_directory(directory_)->empty());
  OutputFile file = OutputFile::create(path).value();
  ASSERT_TRUE(file.write("abc").ok());
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(read_file(path).value(), "abc");
  EXPECT_EQ(list_directory(directory_)->size(), 1u);
}

TEST_F(FileTest, UnfinishedFilesCanBeRemovedFromASignalHandler) {
  OutputFile file = OutputFile::create(path_join(directory_, "out")).value();
  ASSERT_EQ(list_directory(directory_)->size(), 1u);
  remove_unfinished_files();
  EXPECT_TRUE(list_directory(directory_)->empty());
}

TEST_F(FileTest, UnfinishedFoldersOfOthersAreRemovedWithTheirFiles) {
  const std::string folder = path_join(directory_, "folder");
  const std::string path = path_join(folder, "file");
  ASSERT_TRUE(make_directories(folder).ok());
  const UnfinishedPath unfinished_folder(folder);
  {
    const UnfinishedPath unfinished(path);
    ASSERT_TRUE(write_file(path, "text").ok());
    remove_unfinished_files();
    EXPECT_FALSE(file_exists(folder));
  }
  ASSERT_TRUE(make_directories(folder).ok());
  ASSERT_TRUE(write_file(path, "text").ok());
  remove_unfinished_files();
  EXPECT_TRUE(file_exists(path));  // forgotten by now
}

TEST_F(FileTest, ManyUnfinishedFilesAreAllRemoved) {
  std::vector<OutputFile> files;
  for (int i = 0; i < 600; ++i) {
    files.push_back(OutputFile::create(path_join(directory_, cat("out", i))).value());
    ASSERT_TRUE(files.back().close().ok());
  }
  ASSERT_EQ(list_directory(directory_)->size(), 600u);
  remove_unfinished_files();
  EXPECT_TRUE(list_directory(directory_)->empty());
}

TEST_F(FileTest, FilesCommittedTogetherAllAppear) {
  std::vector<OutputFile> files;
  for (const char* name : {"a", "b"}) {
    files.push_back(OutputFile::create(path_join(directory_, name)).value());
    ASSERT_TRUE(files.back().write(name).ok());
  }
  ASSERT_TRUE(commit_together(files).ok());
  EXPECT_EQ(list_directory(directory_).value(), (std::vector<std::string>{"a", "b"}));
  remove_unfinished_files();
  EXPECT_EQ(read_file(path_join(directory_, "b")).value(), "b");
}

TEST_F(FileTest, FilesCommittedTogetherAllVanishWhenOneCannotBeRenamed) {
  std::vector<OutputFile> files;
  for (const char* name : {"a", "b"}) {
    files.push_back(OutputFile::create(path_join(directory_, name)).value());
  }
  ASSERT_TRUE(make_directories(path_join(directory_, "b/in the way")).ok());
  const Result<void> result = commit_together(files);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("b: cannot write"), std::string::npos);
  files.clear();
  EXPECT_EQ(list_directory(directory_).value(), std::vector<std::string>{"b"});
}

TEST_F(FileTest, DiskFullIsReportedWithARemedy) {
  if (!file_exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const std::string link = path_join(directory_, "full");
  OutputFile file = OutputFile::create(path_join(directory_, "x")).value();
  ASSERT_TRUE(file.commit().ok());
  ASSERT_EQ(symlink("/dev/full", link.c_str()), 0);
  const Result<OutputFile> missing = OutputFile::create(path_join(directory_, "no/such/file"));
  ASSERT_FALSE(missing.ok());
  EXPECT_NE(missing.error().to_string().find("cannot write"), std::string::npos);
}

TEST_F(FileTest, MappingEqualsReading) {
  const std::string path = path_join(directory_, "out");
  ASSERT_TRUE(write_file(path, "hello").ok());
  const MappedFile file = MappedFile::open(path).value();
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()),
            "hello");
  EXPECT_FALSE(MappedFile::open(directory_).ok());
}

TEST(Paths, JoinDirectoryNameExtension) {
  EXPECT_EQ(path_join("a/", "b"), "a/b");
  EXPECT_EQ(path_join("a", "/b"), "/b");
  EXPECT_EQ(path_directory("a/b/"), "a");
  EXPECT_EQ(path_directory("/a"), "/");
  EXPECT_EQ(path_directory("a"), ".");
  EXPECT_EQ(path_name("a/b/"), "b");
  EXPECT_EQ(path_extension("x/lib.tar"), ".tar");
  EXPECT_EQ(path_extension("x.y/.hidden"), "");
}

}  // namespace
}  // namespace mlc
