// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/testing.h"

namespace mlc::formats {
namespace {

std::string with_header(std::string_view header, std::string_view data) {
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return cat(file, header, data);
}

std::string header_error(const std::string& file) {
  const auto result = list_safetensors(as_bytes(file), "w.safetensors");
  return result.ok() ? "no error" : result.error().to_string();
}

std::string header_error(std::string_view header, std::string_view data) {
  return header_error(with_header(header, data));
}

TEST(Safetensors, ReadsRowsOfEachTensor) {
  TemporaryDirectory directory;
  const std::string path = directory.file("w.safetensors");
  const std::string file = with_header(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"U8","shape":[3,2],"data_offsets":[4,10]},)"
      R"("a":{"dtype":"I16","shape":[2],"data_offsets":[0,4]},)"
      R"("s":{"dtype":"F16","shape":[],"data_offsets":[10,12]}}  )",
      "wxyzABCDEFst");
  ASSERT_TRUE(write_file(path, file).ok());
  const auto checkpoint = open_safetensors(path, TensorOrder::kByOffset).value();
  ASSERT_EQ(checkpoint->tensors().size(), 3u);
  EXPECT_EQ(checkpoint->tensors()[0].name, "a");
  EXPECT_EQ(checkpoint->tensors()[0].dtype, DType::kI16);
  EXPECT_EQ(checkpoint->tensors()[1].name, "b");
  EXPECT_EQ(checkpoint->tensors()[1].shape, (std::vector<int64_t>{3, 2}));
  EXPECT_EQ(checkpoint->tensors()[2].dtype, DType::kF16);
  const auto rows = [&](int64_t tensor, int64_t begin, int64_t count, size_t size) {
    std::string out(size, '?');
    EXPECT_TRUE(
        checkpoint->read_rows(tensor, begin, count, reinterpret_cast<std::byte*>(out.data())).ok());
    checkpoint->release_rows(tensor, begin, count);
    return out;
  };
  EXPECT_EQ(rows(1, 1, 2, 4), "CDEF");
  EXPECT_EQ(rows(0, 1, 1, 2), "yz");
  EXPECT_EQ(rows(2, 0, 1, 2), "st");
  EXPECT_EQ(rows(1, 0, 3, 6), "ABCDEF");
}

TEST(Safetensors, OrderIsByOffsetOrByName) {
  TemporaryDirectory directory;
  const std::string path = directory.file("w.safetensors");
  ASSERT_TRUE(
      write_file(path, with_header(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},)"
                                   R"("b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                                   "xy"))
          .ok());
  EXPECT_EQ(open_safetensors(path, TensorOrder::kByOffset).value()->tensors()[0].name, "b");
  EXPECT_EQ(open_safetensors(path, TensorOrder::kByName).value()->tensors()[0].name, "a");
}

TEST(Safetensors, EmptyTensorsAreTensors) {
  const std::string file =
      with_header(R"({"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]}})", "");
  EXPECT_EQ(list_safetensors(as_bytes(file), "w")->size(), 1u);
}

TEST(Safetensors, HeadersThatCannotBeAreRefused) {
  EXPECT_EQ(header_error("abc"),
            "error: w.safetensors: has 3 bytes\n  expected at least 8: the header's size\n"
            "  is this a safetensors file? if so it is damaged: download it again");
  EXPECT_NE(header_error(std::string(16, '\xff'))
                .find("has a header of 18446744073709551615 bytes\n"
                      "  expected at most 100000000"),
            std::string::npos);
  EXPECT_NE(header_error(std::string("\x20\0\0\0\0\0\0\0{}", 10))
                .find("has a header of 32 bytes and ends after 2"),
            std::string::npos);
  EXPECT_NE(header_error("{\"a\":", "").find("w.safetensors: header:1:6: is not valid JSON"),
            std::string::npos);
  EXPECT_NE(header_error("[1]", "").find("header: is a list\n  expected an object"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":3})", "").find("tensor a: is an integer"), std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"shape":[1]}})", "").find("tensor a: lacks the key \"dtype\""),
            std::string::npos);
}

TEST(Safetensors, WrongTensorsAreRefusedByName) {
  EXPECT_NE(header_error(R"({"a":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}})", "wxyz")
                .find("tensor a: unknown dtype F99\n  expected one of F32, F16, BF16"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}})", "wxyz")
                .find("tensor a: shape: is [1.5]\n  expected a list of integers"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", "wxyz")
                .find("tensor a: shape: is [-1]"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "wxyz")
                .find("data_offsets: is [4, 0]\n  expected [begin, end]"),
            std::string::npos);
  EXPECT_NE(
      header_error(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,18446744073709551615]}})",
                   "wxyz")
          .find("data_offsets: is [0, 1.8446744073709552e+19]"),
      std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "wxyz")
                .find("tensor a: has 4 bytes of data\n  expected 8 for F32 [2]"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"F32","shape":[4611686018427387904,4611686018427387904],)"
                         R"("data_offsets":[0,4]}})",
                         "wxyz")
                .find("more than 2^63 bytes"),
            std::string::npos);
  EXPECT_NE(
      header_error(
          R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,8],"data_offsets":[0,0]}})", "")
          .find("more than 2^63 bytes"),
      std::string::npos);
}

TEST(Safetensors, DataMustBeCoveredExactlyOnce) {
  EXPECT_NE(
      header_error(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", "wx")
          .find("tensor a: ends at byte 4 of the data\n  expected an end within the 2 bytes that "
                "the file has\n  the file is cut off"),
      std::string::npos);
  EXPECT_NE(
      header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                   R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                   "wxy")
          .find("tensor b: begins at byte 1 of the data\n  expected 2, where the tensor before"),
      std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", "wxy")
                .find("begins at byte 1 of the data\n  expected 0"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", "wxyz")
                .find("has 4 bytes of data\n  expected 2, the end of the last tensor"),
            std::string::npos);
  EXPECT_NE(header_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                         R"("a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
                         "wx")
                .find("tensor a: stands twice"),
            std::string::npos);
}

TEST(Safetensors, PointersOfGitLfsAreRecognised) {
  TemporaryDirectory directory;
  const std::string path = directory.file("w.safetensors");
  ASSERT_TRUE(write_file(path, "version https://git-lfs.github.com/spec/v1\noid sha256:1\n").ok());
  const auto result = open_safetensors(path, TensorOrder::kByName);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().to_string(),
            cat("error: ", path,
                ": is a pointer of Git LFS\n  expected the file that it stands for\n"
                "  run git lfs pull in ",
                directory.path()));
  ASSERT_TRUE(write_file(path, "").ok());
  EXPECT_EQ(open_safetensors(path, TensorOrder::kByName).error().found, "is empty");
}

}  // namespace
}  // namespace mlc::formats
