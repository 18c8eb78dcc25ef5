// SPDX-License-Identifier: Apache-2.0
#include "formats/parameter_index.h"

#include <gtest/gtest.h>

#include "support/json.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

constexpr int64_t kMiB = 1 << 20;

// Where each parameter of `sizes` (bytes of uint8) lands: "shard:offset".
std::vector<std::string> places(const std::vector<int64_t>& sizes) {
  std::vector<ParameterInfo> parameters;
  for (const int64_t size : sizes) {
    parameters.push_back({cat("p", parameters.size()), {size}, DType::kU8});
  }
  std::vector<std::string> found;
  for (const ParameterRecord& record : pack_parameters(std::move(parameters)).parameters) {
    found.push_back(cat(record.shard, ":", record.offset));
  }
  return found;
}

using Places = std::vector<std::string>;

TEST(PackParameters, CollectsUntilAShardIsFull) {
  EXPECT_EQ(places({10 * kMiB, 15 * kMiB, 6 * kMiB}), (Places{"0:0", "0:10485760", "0:26214400"}));
  EXPECT_EQ(places({10 * kMiB, 15 * kMiB, 8 * kMiB, 1}),
            (Places{"0:0", "0:10485760", "1:0", "1:8388608"}));
}

TEST(PackParameters, ReachingTheLimitExactlyOverflows) {
  EXPECT_EQ(places({20 * kMiB, 12 * kMiB}), (Places{"0:0", "1:0"}));
  EXPECT_EQ(places({20 * kMiB, 12 * kMiB - 1}), (Places{"0:0", "0:20971520"}));
}

TEST(PackParameters, LargeOnesThatDoNotFitAreWrittenAloneAndOthersGoOnCollecting) {
  EXPECT_EQ(places({8, 32 * kMiB, 8, 16 * kMiB, 16 * kMiB}),
            (Places{"2:0", "0:0", "2:8", "2:16", "1:0"}));
  EXPECT_EQ(places({20 * kMiB, 16 * kMiB - 1}), (Places{"0:0", "1:0"}));
  EXPECT_EQ(places({16 * kMiB}), (Places{"0:0"}));
}

TEST(PackParameters, FloatsTakeTwoBytes) {
  const ParameterIndex index = pack_parameters({{"a", {3}, DType::kF32}, {"b", {5}, DType::kU32}});
  EXPECT_EQ(index.parameters[0].bytes, 6);
  EXPECT_TRUE(index.parameters[0].is_f32_in_bf16);
  EXPECT_EQ(index.parameters[1].offset, 6);
  EXPECT_EQ(index.shards[0].bytes, 26);
  EXPECT_EQ(declared_bytes(index.parameters[0].info), 12);
}

TEST(PackParameters, RealModelsAreLaidOutAsInTheOriginal) {
  MLC_NEEDS_SHARED();
  for (const char* mode : {"q0f16", "q0f32", "q4f16_1", "q4f32_1"}) {
    const std::string path = shared_path(cat("golden/mlc/smollm2/", mode, "/tensor-cache.json"));
    const std::string text = read_file(path).value();
    const ParameterIndex golden = parse_index(text, path).value();
    std::vector<ParameterInfo> parameters;
    for (const ParameterRecord& record : golden.parameters) parameters.push_back(record.info);
    ParameterIndex packed = pack_parameters(std::move(parameters));
    ASSERT_EQ(packed.shards.size(), golden.shards.size());
    for (size_t i = 0; i < packed.shards.size(); ++i) packed.shards[i].md5 = golden.shards[i].md5;
    const Json json = parse_json(text, path).value();
    const double bits = json.find("metadata")->find("BitsPerParam")->as_double();
    EXPECT_EQ(print_index(packed, bits, IndexForm::kDeclared), text) << mode;
  }
}

std::string index_of(std::string_view record, std::string_view shard = R"("nbytes":16)") {
  return cat(R"({"records":[{"dataPath":"s.bin","format":"raw-shard",)", shard, R"(,"records":[)",
             record, "]}]}");
}

std::string index_error(std::string_view text) {
  const auto index = parse_index(text, "i.json");
  return index.ok() ? "no error" : index.error().to_string();
}

std::string record_error(std::string_view name, std::string_view shape, std::string_view dtype,
                         std::string_view format, std::string_view bytes, std::string_view offset) {
  return index_error(index_of(cat(R"({"name":")", name, R"(","shape":)", shape, R"(,"dtype":")",
                                  dtype, R"(","format":")", format, R"(","nbytes":)", bytes,
                                  R"(,"byteOffset":)", offset, "}")));
}

TEST(ParseIndex, PrintedIndexesReadBack) {
  ParameterIndex index = pack_parameters({{"a", {2, 3}, DType::kF32}, {"b", {}, DType::kF16}});
  index.shards[0].md5 = "0123";
  const std::string text = print_index(index, 4.5, IndexForm::kDeclared);
  const ParameterIndex read = parse_index(text, "i.json").value();
  EXPECT_EQ(print_index(read, 4.5, IndexForm::kDeclared), text);
  EXPECT_TRUE(
      text.starts_with("{\n    \"metadata\": {\n        \"ParamSize\": 2,\n        \"ParamBytes\": "
                       "26.0,\n        \"BitsPerParam\": 4.5\n    },\n"));
}

TEST(ParseIndex, TheBf16FormIsReadAsRawBf16) {
  const ParameterIndex index = pack_parameters({{"a", {2, 3}, DType::kF32}});
  const std::string text = print_index(index, 16, IndexForm::kBf16);
  const ParameterIndex read = parse_index(text, "i.json").value();
  EXPECT_EQ(read.parameters[0].info.dtype, DType::kBF16);
  EXPECT_FALSE(read.parameters[0].is_f32_in_bf16);
  EXPECT_EQ(read.parameters[0].bytes, 12);
}

TEST(ParseIndex, FloatsMayBeRaw) {
  EXPECT_EQ(record_error("a", "[4]", "float32", "raw", "16", "0"), "no error");
  EXPECT_EQ(record_error("a", "[4]", "float32", "f32-to-bf16", "8", "8"), "no error");
}

TEST(ParseIndex, WrongRecordsAreRefusedByName) {
  EXPECT_EQ(record_error("a", "[4]", "float32", "raw", "8", "0"),
            "error: i.json: a: nbytes: is 8\n  expected 16 for float32 [4]");
  EXPECT_NE(record_error("a", "[4]", "float32", "f32-to-bf16", "16", "0").find("expected 8 for"),
            std::string::npos);
  EXPECT_NE(record_error("a", "[4]", "float12", "raw", "16", "0").find("a: dtype: is float12"),
            std::string::npos);
  EXPECT_NE(record_error("a", "[4]", "float32", "zip", "16", "0")
                .find("a: format: is zip\n  expected f32-to-bf16 or raw"),
            std::string::npos);
  EXPECT_NE(record_error("a", "[-4]", "int8", "raw", "4", "0").find("a: shape: is [-4]"),
            std::string::npos);
  EXPECT_NE(record_error("a", "4", "int8", "raw", "4", "0").find("a: shape: is 4"),
            std::string::npos);
  EXPECT_NE(record_error("a", "[4294967296,4294967296]", "int8", "raw", "0", "0")
                .find("expected a shape of fewer elements"),
            std::string::npos);
  for (const char* offset : {"13", "-1", "9223372036854775807"}) {
    EXPECT_NE(record_error("a", "[4]", "int8", "raw", "4", offset)
                  .find(cat("a: lies at byte ", offset,
                            " and has 4\n  expected a place within the 16 bytes of s.bin")),
              std::string::npos);
  }
  EXPECT_NE(record_error("a", "[4]", "int8", "raw", "4.0", "0").find("nbytes: is a float"),
            std::string::npos);
  EXPECT_NE(index_error(index_of("{}")).find("lacks the key \"name\""), std::string::npos);
}

TEST(ParseIndex, ParametersMustNotOverlapOrRepeat) {
  const auto record = [](std::string_view name, int64_t offset) {
    return cat(R"({"name":")", name, R"(","shape":[4],"dtype":"int8","format":"raw","nbytes":4,)",
               R"("byteOffset":)", offset, "}");
  };
  EXPECT_EQ(index_error(index_of(cat(record("a", 4), ",", record("b", 0)))), "no error");
  EXPECT_EQ(index_error(index_of(cat(record("a", 3), ",", record("b", 0)))),
            "error: i.json: a: lies at byte 3 of s.bin\n  expected 4 or later, where b ends");
  EXPECT_NE(index_error(index_of(cat(record("a", 0), ",", record("a", 4)))).find("a: stands twice"),
            std::string::npos);
}

TEST(ParseIndex, WrongShardsAreRefused) {
  EXPECT_NE(index_error(index_of("", R"("nbytes":-1)")).find("s.bin: nbytes: is -1"),
            std::string::npos);
  EXPECT_NE(index_error(replace_all(index_of(""), "s.bin", "../s.bin"))
                .find("dataPath: is \"../s.bin\"\n  expected a file in the folder of the index"),
            std::string::npos);
  EXPECT_NE(index_error(replace_all(index_of(""), "s.bin", "/s.bin")).find("dataPath"),
            std::string::npos);
  EXPECT_NE(index_error(replace_all(index_of(""), "raw-shard", "x")).find("s.bin: format: is x"),
            std::string::npos);
  EXPECT_NE(
      index_error(R"({"records":3})").find("records: is an integer\n  expected a list of shards"),
      std::string::npos);
  EXPECT_NE(index_error("{}").find("lacks the key \"records\""), std::string::npos);
  EXPECT_NE(index_error("{").find("is not valid JSON"), std::string::npos);
  const std::string twice =
      R"({"records":[{"dataPath":"s","format":"raw-shard","nbytes":0,"records":[]},)"
      R"({"dataPath":"s","format":"raw-shard","nbytes":0,"records":[]}]})";
  EXPECT_NE(index_error(twice).find("s: stands twice"), std::string::npos);
  EXPECT_NE(index_error(replace_all(twice, "[]", "{}")).find("records: is an object"),
            std::string::npos);
}

}  // namespace
}  // namespace mlc::formats
