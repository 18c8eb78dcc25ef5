// SPDX-License-Identifier: Apache-2.0
#include "formats/pytorch.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/half.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

template <class T>
std::string little(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

struct Entry {
  std::string name;
  std::string data;
  uint16_t method = 0;
  uint16_t flags = 0;
};

enum class ZipForm { kPlain, kZip64 };

// An archive with the given entries; kZip64 puts every size and offset into the 64-bit fields.
std::string zip(const std::vector<Entry>& entries, ZipForm form = ZipForm::kPlain) {
  const bool wide = form == ZipForm::kZip64;
  std::string file;
  std::string directory;
  for (const Entry& entry : entries) {
    const auto offset = static_cast<uint32_t>(file.size());
    const auto size = static_cast<uint32_t>(entry.data.size());
    const auto name_size = static_cast<uint16_t>(entry.name.size());
    const std::string sizes = little(wide ? 0xffffffffu : size) + little(wide ? 0xffffffffu : size);
    const std::string start = little<uint16_t>(20) + little(entry.flags) + little(entry.method) +
                              little<uint32_t>(0) + little<uint32_t>(0);
    file += "PK\x03\x04" + start + sizes + little(name_size) + little<uint16_t>(5) + entry.name +
            "FB\x01" + std::string(2, '\0') + entry.data;
    std::string extra;
    if (wide) {
      extra = little<uint16_t>(0x5455) + little<uint16_t>(1) + "x" + little<uint16_t>(1) +
              little<uint16_t>(24) + little<uint64_t>(size) + little<uint64_t>(size) +
              little<uint64_t>(offset);
    }
    directory += "PK\x01\x02" + little<uint16_t>(20) + start + sizes + little(name_size) +
                 little(static_cast<uint16_t>(extra.size())) + little<uint16_t>(0) +
                 little<uint32_t>(0) + little<uint32_t>(0) + little(wide ? 0xffffffffu : offset) +
                 entry.name + extra;
  }
  const auto at = static_cast<uint32_t>(file.size());
  const auto count = static_cast<uint16_t>(entries.size());
  file += directory;
  if (wide) {
    const uint64_t end64 = file.size();
    file += "PK\x06\x06" + little<uint64_t>(44) + std::string(12, '\0') + little<uint64_t>(count) +
            little<uint64_t>(count) + little<uint64_t>(directory.size()) + little<uint64_t>(at);
    file += "PK\x06\x07" + little<uint32_t>(0) + little(end64) + little<uint32_t>(1);
  }
  file += "PK\x05\x06" + little<uint32_t>(0) + little(wide ? uint16_t{0xffff} : count) +
          little(wide ? uint16_t{0xffff} : count) +
          little(wide ? 0xffffffffu : static_cast<uint32_t>(directory.size())) +
          little(wide ? 0xffffffffu : at) + little<uint16_t>(0);
  return file;
}

std::string text_op(std::string_view text) {
  return "X" + little(static_cast<uint32_t>(text.size())) + std::string(text);
}
std::string number_op(int64_t value) { return std::string("\x8a\x08") + little(value); }
std::string tuple_op(const std::vector<int64_t>& numbers) {
  std::string ops = "(";
  for (const int64_t number : numbers) ops += number_op(number);
  return ops + "t";
}

struct PickledTensor {
  std::string storage_class = "torch\nFloatStorage";
  std::string key = "0";
  int64_t elements = 4;
  int64_t first = 0;
  std::vector<int64_t> shape = {4};
  std::vector<int64_t> strides = {1};
};

std::string tensor_op(const PickledTensor& tensor) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + text_op("storage") + "c" + tensor.storage_class +
         "\n" + text_op(tensor.key) + text_op("cpu") + number_op(tensor.elements) + "tQ" +
         number_op(tensor.first) + tuple_op(tensor.shape) + tuple_op(tensor.strides) +
         "\x89"
         "ccollections\nOrderedDict\n)RtR";
}

std::string state(const std::string& value) { return "\x80\x02}" + text_op("w") + value + "s."; }

std::string archive(const std::string& pickle, std::vector<Entry> more = {},
                    ZipForm form = ZipForm::kPlain) {
  std::vector<Entry> entries = {{"a/data.pkl", pickle}, {"a/data/0", std::string(16, 'x')}};
  entries.insert(entries.end(), more.begin(), more.end());
  return zip(entries, form);
}

Result<std::vector<LocatedTensor>> list(const std::string& file) {
  return list_torch_tensors(std::as_bytes(std::span(file)), "w.bin");
}

std::string torch_error(const std::string& file) {
  const auto result = list(file);
  return result.ok() ? "no error" : result.error().to_string();
}

testing::AssertionResult has(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << text;
}

class TorchViews : public testing::TestWithParam<const char*> {
 protected:
  std::vector<float> values(std::string_view name) const {
    for (size_t i = 0; i < checkpoint_->tensors().size(); ++i) {
      const CheckpointTensor& tensor = checkpoint_->tensors()[i];
      if (tensor.name != name) continue;
      EXPECT_EQ(tensor.dtype, DType::kF32);
      int64_t count = 1;
      for (const int64_t dimension : tensor.shape) count *= dimension;
      std::vector<float> out(static_cast<size_t>(count));
      const int64_t rows = tensor.shape.empty() ? 1 : tensor.shape[0];
      const int64_t row = rows == 0 ? 0 : count / rows;
      for (int64_t r = 0; r < rows; ++r) {  // row by row, so that offsets are tried
        EXPECT_TRUE(checkpoint_
                        ->read_rows(static_cast<int64_t>(i), r, 1,
                                    reinterpret_cast<std::byte*>(out.data() + r * row))
                        .ok());
        checkpoint_->release_rows(static_cast<int64_t>(i), r, 1);
      }
      return out;
    }
    ADD_FAILURE() << name;
    return {};
  }

  std::unique_ptr<Checkpoint> checkpoint_ =
      open_torch_file(source_path(cat("tests/fixtures/checkpoints/", GetParam()))).value();
};

TEST_P(TorchViews, ViewsOfOneStorageAreRead) {
  EXPECT_EQ(checkpoint_->tensors()[0].name, "base");
  EXPECT_EQ(values("base")[13], 13);
  EXPECT_EQ(values("transposed"), (std::vector<float>{0, 6, 12, 18, 1, 7,  13, 19, 2, 8,  14, 20,
                                                      3, 9, 15, 21, 4, 10, 16, 22, 5, 11, 17, 23}));
  EXPECT_EQ(values("part"), (std::vector<float>{8, 9, 10, 14, 15, 16}));
  EXPECT_EQ(values("cube"), (std::vector<float>{0, 6, 2, 8, 4, 10, 12, 18, 14, 20, 16, 22}));
  EXPECT_EQ(values("expanded"), (std::vector<float>{5, 6, 5, 6, 5, 6}));
  EXPECT_EQ(values("scalar"), std::vector<float>{7});
  EXPECT_EQ(values("empty"), std::vector<float>{});
}

TEST_P(TorchViews, BfloatIsWidened) {
  EXPECT_EQ(values("bfloat16"), (std::vector<float>{1.5, -2, 3}));
}

TEST_P(TorchViews, OtherTypesAreReadAsTheyAre) {
  std::vector<std::pair<std::string, DType>> found;
  for (const CheckpointTensor& tensor : checkpoint_->tensors()) {
    if (parse_dtype(tensor.name).has_value()) found.emplace_back(tensor.name, tensor.dtype);
  }
  EXPECT_EQ(found, (std::vector<std::pair<std::string, DType>>{{"float16", DType::kF16},
                                                               {"bfloat16", DType::kF32},
                                                               {"float32", DType::kF32},
                                                               {"float64", DType::kF64},
                                                               {"int64", DType::kI64},
                                                               {"int32", DType::kI32},
                                                               {"uint8", DType::kU8},
                                                               {"bool", DType::kBool}}));
}

INSTANTIATE_TEST_SUITE_P(BothFormats, TorchViews, testing::Values("views.bin", "views-legacy.bin"),
                         [](const auto& info) {
                           return std::string(info.param).find("legacy") == std::string::npos
                                      ? "zip"
                                      : "sequential";
                         });

TEST(Torch, Zip64IsRead) {
  const auto tensors = list(archive(state(tensor_op({})), {}, ZipForm::kZip64));
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  EXPECT_EQ(tensors->at(0).tensor.shape, std::vector<int64_t>{4});
}

TEST(Torch, OldDictsOfPairsAreRead) {
  const std::string pickle =
      "\x80\x02"
      "ccollections\nOrderedDict\n((]" +
      text_op("w") + "a" + tensor_op({}) +
      "a"
      "lt";
  // [[name, tensor]] as Python 2 pickled it: a list of lists.
  const std::string lists =
      "\x80\x02"
      "ccollections\nOrderedDict\n(]](" +
      text_op("w") + tensor_op({}) + "eatR.";
  const auto tensors = list(archive(lists));
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  EXPECT_EQ(tensors->at(0).tensor.name, "w");
  EXPECT_TRUE(has(torch_error(archive(pickle)), "opcode 0x6c"));
}

TEST(Torch, NewTypesNameTheirDtypeBesideTheStorage) {
  std::string op =
      tensor_op({.storage_class = "torch.storage\nUntypedStorage", .elements = 16, .shape = {16}});
  op = replace_all(op, "_rebuild_tensor_v2", "_rebuild_tensor_v3");
  op.resize(op.size() - 2);  // "tR": one more argument
  const auto tensors = list(archive(state(op + "ctorch\nfloat8_e4m3fn\ntR")));
  ASSERT_TRUE(tensors.ok()) << tensors.error().to_string();
  EXPECT_EQ(tensors->at(0).tensor.dtype, DType::kF8E4M3);
}

TEST(Torch, NothingButTensorsMayBeNamedByAPickle) {
  EXPECT_EQ(torch_error(archive("\x80\x02"
                                "cos\nsystem\n" +
                                text_op("rm -rf") + "\x85R.")),
            "error: w.bin: has a pickle that refers to os.system\n  expected tensors and "
            "containers only\n"
            "  only weights are read from a pickle and nothing in it is executed; save "
            "model.state_dict() alone, or use safetensors files");
  EXPECT_TRUE(has(torch_error(archive("\x80\x04\x8c\x08"
                                      "builtins\x8c\x04"
                                      "eval\x93.")),
                  "refers to builtins.eval"));
  EXPECT_TRUE(has(torch_error(archive(state(tensor_op({.storage_class = "torch\nQInt8Storage"})))),
                  "refers to torch.QInt8Storage"));
}

TEST(Torch, DamagedPicklesAreRefused) {
  EXPECT_TRUE(has(torch_error(archive("\x80\x02}")), "has a pickle that is cut off"));
  EXPECT_TRUE(has(torch_error(archive("")), "has a pickle that is cut off"));
  EXPECT_TRUE(has(torch_error(archive("X\xff\xff\xff\xff.")), "has a pickle that is cut off"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02\x86.")), "takes a value where there is none"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02(0t.")), "takes a mark where there is none"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02h\x07.")), "recalls what was not remembered"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02N(NNu.")), "adds to another kind of value"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02NN.")), "ends with an unfinished value"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02N)R.")), "calls something else than a global"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x01N.")), "names protocol 1"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02i.")), "has a pickle with opcode 0x69 at byte 2"));
  EXPECT_TRUE(
      has(torch_error(archive(std::string(6'000'000, ']'))), "has a pickle of enormous size"));
  EXPECT_TRUE(
      has(torch_error(archive(std::string(6'000'000, '('))), "has a pickle of enormous size"));
}

TEST(Torch, WhatIsNoTensorIsRefusedByName) {
  EXPECT_TRUE(
      has(torch_error(archive(state("K\x07"))), "w.bin: w: is an int\n  expected a tensor"));
  EXPECT_TRUE(has(torch_error(archive(state("}"))),
                  "w.bin: w: is a dict\n  expected a tensor\n  save "
                  "model.state_dict() alone"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02].")), "does not hold a dict"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02}.")), "holds no tensors"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02}K\x01" + tensor_op({}) + "s.")),
                  "describes a tensor without a name in an unknown way"));
  EXPECT_TRUE(has(torch_error(archive("\x80\x02}(" + text_op("w") + tensor_op({}) + text_op("w") +
                                      tensor_op({}) + "u.")),
                  "tensor w: stands twice"));
  std::string nested = tensor_op({});
  for (int i = 0; i < 10; ++i) nested = "ctorch._utils\n_rebuild_parameter\n(" + nested + "tR";
  EXPECT_TRUE(has(torch_error(archive(state(nested))), "w: is an object"));
}

TEST(Torch, TensorsOutsideTheirStorageAreRefused) {
  const auto with = [](const PickledTensor& tensor) {
    return torch_error(archive(state(tensor_op(tensor))));
  };
  EXPECT_EQ(with({}), "no error");
  EXPECT_TRUE(
      has(with({.shape = {5}}),
          "tensor w: has shape [5] and strides [1] from element 0\n  expected elements of its "
          "storage, which has 16 bytes"));
  EXPECT_TRUE(has(with({.elements = 8, .shape = {5}}), "which has 16 bytes"));
  EXPECT_TRUE(has(with({.first = 1}), "from element 1"));
  EXPECT_TRUE(has(with({.first = INT64_MAX, .shape = {2}}), "expected elements of its storage"));
  EXPECT_TRUE(has(with({.shape = {2, 2}, .strides = {INT64_MAX, INT64_MAX}}),
                  "expected elements of its storage"));
  EXPECT_TRUE(has(with({.shape = {INT64_MAX, INT64_MAX}, .strides = {0, 0}}),
                  "expected elements of its storage"));
  EXPECT_TRUE(has(with({.shape = {-1}}), "describes w in an unknown way"));
  EXPECT_TRUE(has(with({.shape = {2, 2}}), "describes w in an unknown way"));
  EXPECT_TRUE(
      has(with({.shape = std::vector<int64_t>(65, 1), .strides = std::vector<int64_t>(65, 1)}),
          "describes w in an unknown way"));
  EXPECT_TRUE(has(with({.key = "9"}), "tensor w: lies in storage 9, which the file lacks"));
  EXPECT_TRUE(has(with({.storage_class = "torch\nfloat32"}), "describes the type of a storage"));
}

TEST(Torch, ArchivesThatCannotBeUsedAreRefused) {
  const std::string good = state(tensor_op({}));
  EXPECT_TRUE(has(torch_error(archive(good, {{"a/byteorder", "big"}})),
                  "was saved with byte order big\n  expected little"));
  EXPECT_TRUE(
      has(torch_error(archive(good, {{"a/constants.pkl", ""}})), "is a TorchScript archive"));
  EXPECT_TRUE(has(torch_error(zip({{"a/readme", ""}})), "is a zip archive without data.pkl"));
  EXPECT_TRUE(has(torch_error(zip({{"a/data.pkl", good, 8}})),
                  "zip entry a/data.pkl: is compressed (method 8)"));
  EXPECT_TRUE(
      has(torch_error(zip({{"a/data.pkl", good, 0, 1}})), "zip entry a/data.pkl: is encrypted"));
  EXPECT_TRUE(
      has(torch_error(archive(good, {{"a/data/0", "x"}})), "zip entry a/data/0: stands twice"));
}

TEST(Torch, DamagedArchivesAreRefused) {
  const std::string whole = archive(state(tensor_op({})));
  EXPECT_TRUE(
      has(torch_error(whole.substr(0, whole.size() - 30)), "has no zip directory at its end"));
  EXPECT_TRUE(has(torch_error("PK\x03\x04"), "has no zip directory at its end"));
  std::string moved = whole;
  moved[moved.size() - 4] = '\x7f';  // the directory's offset
  EXPECT_TRUE(has(torch_error(moved), "expected one within the file's"));
  std::string shifted = whole;
  shifted[shifted.size() - 6] ^= 1;
  EXPECT_TRUE(has(torch_error(shifted), "has a damaged zip directory"));
  std::string header = whole;
  header[header.find("PK\x01\x02") + 42] = 5;  // the first entry's offset
  EXPECT_TRUE(has(torch_error(header), "zip entry a/data.pkl: has no header at byte 5"));
  std::string size = whole;
  for (const size_t field : {20, 24}) size[size.find("PK\x01\x02") + field + 2] = 1;
  EXPECT_TRUE(has(torch_error(size), "expected data within the file's"));
  std::string end64 = archive(state(tensor_op({})), {}, ZipForm::kZip64);
  end64[end64.find("PK\x06\x07") + 8] ^= 1;
  EXPECT_TRUE(has(torch_error(end64), "has no zip64 end record"));
}

TEST(Torch, DamagedSequentialFilesAreRefused) {
  const std::string whole =
      read_file(source_path("tests/fixtures/checkpoints/views-legacy.bin")).value();
  EXPECT_TRUE(list(whole).ok());
  EXPECT_TRUE(
      has(torch_error(whole.substr(0, whole.size() - 1)), "the file is cut off or damaged"));
  EXPECT_TRUE(has(torch_error(whole.substr(0, 40)), "has a pickle that is cut off"));
  EXPECT_TRUE(has(torch_error(whole.substr(0, whole.size() - 200)), "elements in storage"));
}

TEST(Torch, OtherFilesAreNamed) {
  std::string tar(512, '\0');
  tar.replace(257, 5, "ustar");
  EXPECT_TRUE(has(torch_error(tar), "is a tar archive, as PyTorch wrote before version 0.1.10"));
  EXPECT_TRUE(
      has(torch_error("hello"), "is no file of PyTorch's\n  expected a zip archive or a pickle"));
}

TEST(Torch, FilesOfPyTorchItselfAreRead) {
  MLC_NEEDS_SHARED();
  const auto checkpoint =
      open_torch_file(shared_path("golden/mlc/gpt_neox/source/pytorch_model.bin")).value();
  EXPECT_EQ(checkpoint->tensors()[0].name, "gpt_neox.embed_in.weight");
  EXPECT_EQ(checkpoint->tensors().size(), 28u);
}

}  // namespace
}  // namespace mlc::formats
