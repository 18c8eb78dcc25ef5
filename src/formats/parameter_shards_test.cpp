// SPDX-License-Identifier: Apache-2.0
// Writing shards and reading them back.
#include "formats/parameter_shards.h"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "formats/md5.h"
#include "formats/parameter_shard_writer.h"
#include "support/half.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

std::vector<ParameterInfo> two_small() {
  return {{"a", {4}, DType::kU8}, {"b", {2, 3}, DType::kI8}};
}

void write_two_small(const std::string& directory) {
  ParameterShardWriter writer = ParameterShardWriter::create(directory, two_small()).value();
  ASSERT_TRUE(writer.append(1, as_bytes("uvw")).ok());
  ASSERT_TRUE(writer.append(0, as_bytes("abcd")).ok());
  ASSERT_TRUE(writer.append(1, as_bytes("xyz")).ok());
  ASSERT_TRUE(writer.finish(8).ok());
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Md5, IsThatOfTheStandard) {
  Md5 md5;
  md5.update(as_bytes("message "));
  md5.update(as_bytes("digest"));
  EXPECT_EQ(md5.finish(), "f96b697d7cb7938d525a2f31aaf161d0");
}

TEST(ParameterShardWriter, ParametersComeInPiecesAndInAnyOrder) {
  TemporaryDirectory directory;
  write_two_small(directory.file("new/folder"));
  EXPECT_EQ(
      list_directory(directory.file("new/folder")).value(),
      (std::vector<std::string>{"ndarray-cache.json", "params_shard_0.bin", "tensor-cache.json"}));
  EXPECT_EQ(read_file(directory.file("new/folder/params_shard_0.bin")).value(), "abcduvwxyz");
  const ParameterShards shards = ParameterShards::open(directory.file("new/folder")).value();
  ASSERT_NE(shards.find("b"), nullptr);
  EXPECT_EQ(text_of(shards.bytes(*shards.find("b"))), "uvwxyz");
  EXPECT_EQ(shards.find("c"), nullptr);
  EXPECT_TRUE(verify_md5(shards).ok());
}

TEST(ParameterShardWriter, SeveralThreadsFillSharedAndOwnShards) {
  TemporaryDirectory directory;
  std::vector<ParameterInfo> parameters;
  for (int i = 0; i < 12; ++i) {  // the third of four needs a shard of its own
    parameters.push_back({cat("p", i), {i % 4 == 2 ? 32 << 20 : 4 << 20}, DType::kU8});
  }
  const auto write = [&](const std::string& name, int threads) {
    ParameterShardWriter writer =
        ParameterShardWriter::create(directory.file(name), parameters).value();
    std::vector<std::thread> running;
    for (int t = 0; t < threads; ++t) {
      running.emplace_back([&, t] {
        for (int i = t; i < 12; i += threads) {
          const std::string piece(1 << 20, static_cast<char>('a' + i));
          for (int64_t at = 0; at < parameters[static_cast<size_t>(i)].shape[0]; at += 1 << 20) {
            ASSERT_TRUE(writer.append(i, as_bytes(piece)).ok());
          }
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    ASSERT_TRUE(writer.finish(8).ok());
  };
  write("one", 1);
  write("four", 4);
  for (const std::string& name : list_directory(directory.file("one")).value()) {
    EXPECT_TRUE(read_file(directory.file("one/" + name)).value() ==
                read_file(directory.file("four/" + name)).value())
        << name;
  }
  const ParameterShards shards = ParameterShards::open(directory.file("four")).value();
  EXPECT_EQ(shards.index().shards.size(), 5u);
  EXPECT_EQ(text_of(shards.bytes(*shards.find("p7")).subspan(0, 3)), "hhh");
  EXPECT_TRUE(verify_md5(shards).ok());
}

TEST(ParameterShardWriter, NothingRemainsOfAConversionThatWasGivenUp) {
  TemporaryDirectory directory;
  {
    ParameterShardWriter writer =
        ParameterShardWriter::create(directory.path(),
                                     {{"a", {32 << 20}, DType::kU8}, {"b", {2}, DType::kU8}})
            .value();
    ASSERT_TRUE(writer.append(0, as_bytes(std::string(100, 'x'))).ok());
    ASSERT_TRUE(writer.append(1, as_bytes("ab")).ok());
    EXPECT_EQ(list_directory(directory.path())->size(), 2u);  // under temporary names
  }
  EXPECT_TRUE(list_directory(directory.path())->empty());
}

TEST(ParameterShardWriter, AnEarlierConversionIsReplacedAsAWhole) {
  TemporaryDirectory directory;
  for (const char* name :
       {"params_shard_0.bin", "params_shard_17.bin", "tensor-cache-b16.json",
        "ndarray-cache-b16.json", "tensor-cache.json", "tokenizer.json", "params_shard_x.bin"}) {
    ASSERT_TRUE(write_file(directory.file(name), "old").ok());
  }
  write_two_small(directory.path());
  EXPECT_EQ(
      list_directory(directory.path()).value(),
      (std::vector<std::string>{"ndarray-cache.json", "params_shard_0.bin", "params_shard_x.bin",
                                "tensor-cache.json", "tokenizer.json"}));
}

TEST(ParameterShardWriter, TheBf16IndexIsWrittenWhereFloatsAre) {
  TemporaryDirectory directory;
  ParameterShardWriter writer =
      ParameterShardWriter::create(directory.path(), {{"a", {2}, DType::kF32}}).value();
  std::string stored(4, '\0');
  const float values[] = {1.0f, -2.0f};
  encode_f32_to_bf16(values, reinterpret_cast<std::byte*>(stored.data()));
  ASSERT_TRUE(writer.append(0, as_bytes(stored)).ok());
  ASSERT_TRUE(writer.finish(32).ok());
  EXPECT_EQ(stored, std::string("\x80\x3f\x00\xc0", 4));
  for (const char* name : {"tensor-cache-b16.json", "ndarray-cache-b16.json"}) {
    const std::string text = read_file(directory.file(name)).value();
    EXPECT_NE(text.find("\"dtype\": \"bfloat16\",\n                    \"format\": \"raw\""),
              std::string::npos);
  }
}

TEST(ParameterShardWriter, ADirectoryIsNeeded) {
  TemporaryDirectory directory;
  ASSERT_TRUE(write_file(directory.file("x"), "").ok());
  const auto writer = ParameterShardWriter::create(directory.file("x"), two_small());
  ASSERT_FALSE(writer.ok());
  EXPECT_NE(
      writer.error().to_string().find("x: is a file\n  expected a directory for the weights\n  "
                                      "choose another --output"),
      std::string::npos);
}

// A small file system that the test fills. Where it may not be mounted the test is skipped.
TEST(ParameterShardWriter, AFullDiskIsNamedAndNothingRemains) {
  TemporaryDirectory directory;
  const std::string disk = directory.file("disk");
  ASSERT_TRUE(make_directories(disk).ok());
  if (mount("none", disk.c_str(), "tmpfs", 0, "size=8m") != 0) GTEST_SKIP() << "may not mount";
  std::string error;
  size_t files = 99;
  {
    ParameterShardWriter writer =
        ParameterShardWriter::create(
            disk,
            {{"a", {4 << 20}, DType::kU8}, {"b", {2}, DType::kU8}, {"c", {32 << 20}, DType::kU8}})
            .value();
    EXPECT_TRUE(writer.append(0, as_bytes(std::string(4 << 20, 'x'))).ok());
    EXPECT_TRUE(writer.append(1, as_bytes("ab")).ok());
    for (int i = 0; i < 8 && error.empty(); ++i) {
      const auto result = writer.append(2, as_bytes(std::string(1 << 20, 'x')));
      if (!result.ok()) error = result.error().to_string();
    }
  }
  files = list_directory(disk)->size();
  umount2(disk.c_str(), MNT_DETACH);
  EXPECT_EQ(files, 0u);
  EXPECT_EQ(error, cat("error: ", disk,
                       "/params_shard_0.bin: cannot write: No space left on device\n"
                       "  free some space or choose another output"));
}

TEST(EncodeF32ToBf16, RoundsToEvenAndCutsOffWhatWouldOverflow) {
  const auto encode = [](uint32_t bits) {
    const float value = std::bit_cast<float>(bits);
    uint16_t out;
    encode_f32_to_bf16({&value, 1}, reinterpret_cast<std::byte*>(&out));
    return out;
  };
  EXPECT_EQ(encode(0x3f808000), 0x3f80);  // a tie
  EXPECT_EQ(encode(0x3f818000), 0x3f82);
  EXPECT_EQ(encode(0x3f808001), 0x3f81);
  EXPECT_EQ(encode(0xbf80ffff), 0xbf81);
  EXPECT_EQ(encode(0x7f7effff), 0x7f7f);
  EXPECT_EQ(encode(0x7f7f0000), 0x7f7f);
  EXPECT_EQ(encode(0x7f7fffff), 0x7f7f);  // not infinity
  EXPECT_EQ(encode(0xff7fffff), 0xff7f);
  EXPECT_EQ(encode(0x7f800000), 0x7f80);
  EXPECT_EQ(encode(0xffc12345), 0xffc1);
  EXPECT_EQ(encode(0x80000000), 0x8000);
  EXPECT_EQ(encode(0x00008001), 0x0001);
}

class OpenShards : public testing::Test {
 protected:
  void SetUp() override { write_two_small(directory_.path()); }
  std::string error() const {
    const auto shards = ParameterShards::open(directory_.path());
    return shards.ok() ? "no error" : shards.error().to_string();
  }
  TemporaryDirectory directory_;
};

TEST_F(OpenShards, TheOldNameOfTheIndexIsRead) {
  std::remove(directory_.file("tensor-cache.json").c_str());
  EXPECT_EQ(error(), "no error");
  std::remove(directory_.file("ndarray-cache.json").c_str());
  EXPECT_EQ(error(),
            cat("error: ", directory_.path(),
                ": holds no converted weights\n  expected "
                "tensor-cache.json or ndarray-cache.json\n  make them with convert_weight"));
}

TEST_F(OpenShards, FilesOfAnotherSizeAreRefused) {
  ASSERT_TRUE(write_file(directory_.file("params_shard_0.bin"), "abc").ok());
  EXPECT_EQ(error(),
            cat("error: ", directory_.file("params_shard_0.bin"), ": has ", bytes_text(3),
                "\n  expected ", bytes_text(10), ", as ", directory_.file("tensor-cache.json"),
                " says\n  download it, or convert the weights again"));
  std::remove(directory_.file("params_shard_0.bin").c_str());
  EXPECT_NE(error().find("params_shard_0.bin: is missing; "), std::string::npos);
}

TEST_F(OpenShards, PointersOfGitLfsAreRecognised) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 10\n";
  ASSERT_TRUE(write_file(directory_.file("params_shard_0.bin"), pointer).ok());
  EXPECT_NE(error().find("params_shard_0.bin: is a pointer of Git LFS"), std::string::npos);
  ASSERT_TRUE(write_file(directory_.file("tensor-cache.json"), pointer).ok());
  EXPECT_NE(error().find("tensor-cache.json: is a pointer of Git LFS"), std::string::npos);
}

TEST_F(OpenShards, DamageIsFoundByTheMd5Sum) {
  ASSERT_TRUE(write_file(directory_.file("params_shard_0.bin"), "abcdefghiJ").ok());
  const ParameterShards shards = ParameterShards::open(directory_.path()).value();
  const auto result = verify_md5(shards);
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("params_shard_0.bin: has the md5 sum "),
            std::string::npos);
  EXPECT_NE(result.error().to_string().find("the file is damaged"), std::string::npos);
}

TEST_F(OpenShards, VerifyingNeedsAnMd5Sum) {
  const std::string path = directory_.file("tensor-cache.json");
  const std::string text = read_file(path).value();
  ASSERT_TRUE(write_file(path, replace_all(text, "md5sum", "sum")).ok());
  const auto result = verify_md5(ParameterShards::open(directory_.path()).value());
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().to_string().find("params_shard_0.bin: has no md5sum"),
            std::string::npos);
}

TEST(ParameterShards, ShardsOfTheOriginalAreRead) {
  MLC_NEEDS_SHARED();
  const std::string golden = shared_path("golden/mlc/llama_untied/q4f32_1");
  const ParameterShards shards = ParameterShards::open(golden).value();
  EXPECT_TRUE(verify_md5(shards).ok());
  const ParameterRecord* scale = shards.find("lm_head.q_scale");
  ASSERT_NE(scale, nullptr);
  EXPECT_EQ(scale->info.dtype, DType::kF32);
  EXPECT_EQ(scale->bytes, 512 * 4 * 2);
}

}  // namespace
}  // namespace mlc::formats
