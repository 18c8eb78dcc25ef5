// SPDX-License-Identifier: Apache-2.0
#include "formats/open_checkpoint.h"

#include <gtest/gtest.h>

#include <cstring>

#include "formats/weight_file.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

// A file with one-byte tensors of these names, the last name first in the data.
std::string safetensors(const std::vector<std::string>& names) {
  std::vector<std::string> entries;
  for (size_t i = 0; i < names.size(); ++i) {
    const size_t at = names.size() - 1 - i;
    entries.push_back(cat("\"", names[i], R"(":{"dtype":"U8","shape":[1],"data_offsets":[)", at,
                          ",", at + 1, "]}"));
  }
  const std::string header = cat("{", join(entries, ","), "}");
  const uint64_t size = header.size();
  std::string file(8, '\0');
  std::memcpy(file.data(), &size, 8);
  return file + header + std::string(names.size(), 'x');
}

class OpenCheckpoint : public testing::Test {
 protected:
  void write(std::string_view name, std::string_view text) {
    ASSERT_TRUE(write_file(directory_.file(name), text).ok());
  }
  void SetUp() override { write("config.json", "{}"); }

  Result<std::unique_ptr<Checkpoint>> open(const std::string& source = "auto",
                                           const std::string& format = "auto") {
    return open_checkpoint(source, format, directory_.file("config.json"));
  }
  std::string format(const std::string& source = "auto", const std::string& format = "auto") {
    const auto location = locate_checkpoint(source, format, directory_.file("config.json"));
    return location.ok() ? cat(location->format, " ", path_name(location->path))
                         : location.error().to_string();
  }
  static std::string names(const Result<std::unique_ptr<Checkpoint>>& checkpoint) {
    if (!checkpoint.ok()) return checkpoint.error().to_string();
    std::vector<std::string> names;
    for (const CheckpointTensor& tensor : (*checkpoint)->tensors()) {
      names.push_back(cat(tensor.name, "@", tensor.file));
    }
    return join(names, " ");
  }

  TemporaryDirectory directory_;
};

TEST_F(OpenCheckpoint, AutoPrefersTorchAndIndexes) {
  write("model.safetensors", safetensors({"a"}));
  EXPECT_EQ(format(), "huggingface-safetensor model.safetensors");
  write("model.safetensors.index.json", R"({"weight_map":{"a":"model.safetensors"}})");
  EXPECT_EQ(format(), "huggingface-safetensor model.safetensors.index.json");
  write("pytorch_model.bin", "x");
  EXPECT_EQ(format(), "huggingface-torch pytorch_model.bin");
  write("pytorch_model.bin.index.json", "{}");
  EXPECT_EQ(format(), "huggingface-torch pytorch_model.bin.index.json");
  EXPECT_EQ(format("auto", "huggingface-safetensor"),
            "huggingface-safetensor model.safetensors.index.json");
  EXPECT_EQ(format("auto", "awq"), "awq model.safetensors.index.json");
}

TEST_F(OpenCheckpoint, ConfigMayNameThePlaceOfTheWeights) {
  ASSERT_TRUE(make_directories(directory_.file("weights")).ok());
  write("weights/model.safetensors", safetensors({"a"}));
  write("config.json", R"({"weight_path": "weights"})");
  EXPECT_EQ(names(open()), "a@0");
  write("config.json", R"({"weight_path": 3})");
  EXPECT_NE(format().find("config.json: weight_path: is an integer\n  expected a path"),
            std::string::npos);
  write("config.json", R"({"weight_path": "elsewhere"})");
  EXPECT_NE(format().find("elsewhere: does not exist"), std::string::npos);
}

TEST_F(OpenCheckpoint, FoundFilesAreInOrderOfOffsetsAndNamedOnesOfNames) {
  write("model.safetensors", safetensors({"a", "b"}));
  EXPECT_EQ(names(open()), "b@0 a@0");
  EXPECT_EQ(names(open("auto", "huggingface-safetensor")), "b@0 a@0");
  EXPECT_EQ(names(open(directory_.path())), "b@0 a@0");
  EXPECT_EQ(names(open(directory_.file("model.safetensors"))), "a@0 b@0");
  EXPECT_EQ(names(open(directory_.file("model.safetensors"), "awq")), "a@0 b@0");
}

TEST_F(OpenCheckpoint, IndexesGiveTheOrderFileByFile) {
  write("1.safetensors", safetensors({"a", "b", "c"}));
  write("2.safetensors", safetensors({"d", "e"}));
  write(
      "model.safetensors.index.json",
      R"({"weight_map":{"e":"2.safetensors","c":"1.safetensors","d":"2.safetensors","a":"1.safetensors"}})");
  EXPECT_EQ(names(open()), "e@0 d@0 c@1 a@1");
}

TEST_F(OpenCheckpoint, IndexesOfTorchFilesAreFollowed) {
  const std::string views = read_file(source_path("tests/fixtures/checkpoints/views.bin")).value();
  write("a.bin", views);
  write("b.bin", views);
  write("pytorch_model.bin.index.json", R"({"weight_map":{"part":"b.bin","base":"a.bin"}})");
  EXPECT_EQ(names(open()), "part@0 base@1");
  EXPECT_EQ(format(directory_.file("pytorch_model.bin.index.json")),
            "huggingface-torch pytorch_model.bin.index.json");
}

TEST_F(OpenCheckpoint, WrongIndexesAreRefused) {
  write("1.safetensors", safetensors({"a"}));
  const auto with = [&](std::string_view index) {
    write("model.safetensors.index.json", index);
    return names(open());
  };
  const std::string path = directory_.file("model.safetensors.index.json");
  EXPECT_EQ(with(R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors"}})"),
            cat("error: ", directory_.file("1.safetensors"),
                ": lacks the tensor b\n  expected it here, as ", path,
                " says\n  take index and files from one download"));
  EXPECT_EQ(with(R"({"weight_map":{"a":"2.safetensors"}})"),
            cat("error: ", directory_.file("2.safetensors"), ": is missing; ", path,
                " says that it holds a\n  download it"));
  EXPECT_NE(
      with(R"({"weight_map":{"a":"1.safetensors","a":"1.safetensors"}})").find("a: stands twice"),
      std::string::npos);
  EXPECT_NE(with(R"({"weight_map":{"a":"../1.safetensors"}})")
                .find("names the file \"../1.safetensors\""),
            std::string::npos);
  EXPECT_NE(with(R"({"weight_map":{"a":"/etc/passwd"}})").find("names the file \"/etc/passwd\""),
            std::string::npos);
  EXPECT_NE(
      with(R"({"weight_map":{"a":1}})").find("a: is an integer\n  expected the name of a file"),
      std::string::npos);
  EXPECT_NE(with(R"({"weight_map":[]})").find("weight_map: is a list"), std::string::npos);
  EXPECT_NE(with(R"({"weight_map":{}})").find("weight_map: is empty"), std::string::npos);
  EXPECT_NE(with("{}").find("lacks the key \"weight_map\""), std::string::npos);
  EXPECT_NE(with("version https://git-lfs.github.com/spec/v1\n").find("run git lfs pull"),
            std::string::npos);
}

TEST(OpenCheckpoints, AllModelsOfTheConformanceSetAreRead) {
  MLC_NEEDS_SHARED();
  const std::string models = shared_path("conformance/models");
  int count = 0;
  for (const std::string& name : list_directory(models).value()) {
    const std::string config = path_join(models, name + "/config.json");
    if (!file_exists(config)) continue;
    const auto checkpoint = open_checkpoint("auto", "auto", config);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.error().to_string();
    EXPECT_FALSE((*checkpoint)->tensors().empty()) << name;
    ++count;
  }
  EXPECT_GT(count, 50);
}

TEST_F(OpenCheckpoint, PlacesWithoutWeightsSayWhatIsThere) {
  EXPECT_EQ(
      format(),
      cat("error: ", directory_.path(),
          ": holds no weights\n  expected one of "
          "pytorch_model.bin.index.json, pytorch_model.bin, model.safetensors.index.json, "
          "model.safetensors\n  name the file with --source, and its format with --source-format"));
  write("consolidated.00.pth", "x");
  EXPECT_NE(format().find("; the directory has consolidated.00.pth"), std::string::npos);
  EXPECT_NE(
      format("auto", "huggingface-torch").find("holds no weights in the format huggingface-torch"),
      std::string::npos);
  EXPECT_NE(format("/no/such")
                .find("/no/such: does not exist\n  expected a directory, an index or a "
                      "file with weights\n  check --source"),
            std::string::npos);
}

TEST_F(OpenCheckpoint, FormatsAreToldByName) {
  write("w.dat", "x");
  EXPECT_NE(format(directory_.file("w.dat")).find("has a name that does not tell its format"),
            std::string::npos);
  EXPECT_EQ(format(directory_.file("w.dat"), "huggingface-torch"), "huggingface-torch w.dat");
  EXPECT_NE(format(directory_.file("config.json")).find("is no index of weights"),
            std::string::npos);
  EXPECT_NE(format("auto", "huggingface-tensor")
                .find("--source-format: unknown format huggingface-tensor\n  expected one of auto, "
                      "huggingface-torch, huggingface-safetensor, awq"),
            std::string::npos);
}

}  // namespace
}  // namespace mlc::formats
