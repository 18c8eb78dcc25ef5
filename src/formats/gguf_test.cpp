// SPDX-License-Identifier: Apache-2.0
#include "formats/gguf.h"

#include <gtest/gtest.h>

#include <cmath>

#include "formats/gguf_test_file.h"
#include "support/testing.h"

namespace mlc::formats {
namespace {

std::string parse_error(const std::string& bytes) {
  return error_text(GgufFile::parse(as_bytes(bytes), "m.gguf"));
}
std::string parse_error(const GgufTestFile& file) { return parse_error(file.bytes()); }

TEST(Gguf, ReadsKeysAndTensors) {
  GgufTestFile made;
  made.integer("llama.block_count", 3)
      .text("general.name", "n\xff")
      .tensor("b", {2, 3}, {1, 2, 3, 4, 5, 6})
      .typed_tensor("a", {4}, 1, "halfhalf");
  const std::string bytes = made.bytes();
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "m.gguf").value();
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(file.keys(), (std::vector<std::string_view>{"general.architecture", "llama.block_count",
                                                        "general.name"}));
  EXPECT_EQ(file.find_int("llama.block_count").value(), 3);
  EXPECT_EQ(file.find_string("general.name").value(), "n\xff");
  EXPECT_EQ(file.find_int("absent").value(), std::nullopt);
  ASSERT_EQ(file.tensors().size(), 2u);
  const GgufTensor& tensor = *file.find_tensor("b");
  EXPECT_EQ(tensor.shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(tensor.type, GgufType::kF32);
  EXPECT_EQ(tensor.elements(), 6);
  float last;
  std::memcpy(&last, tensor.data.data() + 20, 4);
  EXPECT_EQ(last, 6);
  EXPECT_EQ(file.tensors()[1].data.size(), 8u);
  EXPECT_EQ(file.find_tensor("c"), nullptr);
}

TEST(Gguf, NumbersOfEveryWidthWillDo) {
  using enum GgufValueType;
  GgufTestFile made;
  int64_t value = 7;
  for (const GgufValueType type : {kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64}) {
    made.integer(cat("n", static_cast<int>(type)), value++, type);
  }
  made.integer("negative", -5, kI16).integer("big", -1, kU64);
  made.real("f32", 9.99999974e-06).real("f64", 0.1, kF64).real("nan", std::nan(""));
  made.flag("yes", true).integer("one", 1, kU8).integer("two", 2);
  const std::string bytes = made.bytes();
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "m.gguf").value();
  value = 7;
  for (const GgufValueType type : {kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64}) {
    const std::string key = cat("n", static_cast<int>(type));
    EXPECT_EQ(file.find_int(key).value(), value++);
    EXPECT_EQ(file.find_float(key).value(), static_cast<double>(value - 1));
  }
  EXPECT_EQ(file.find_int("negative").value(), -5);
  EXPECT_EQ(file.find_float("f32").value(), 1e-05);  // the shortest decimal of that float32
  EXPECT_EQ(file.find_float("f64").value(), 0.1);
  EXPECT_EQ(file.find_bool("yes").value(), true);
  EXPECT_EQ(file.find_bool("one").value(), true);
  EXPECT_EQ(error_text(file.find_int("big")),
            "error: m.gguf: key big: is 18446744073709551615\n"
            "  expected an integer of at most 2^63 - 1");
  EXPECT_EQ(error_text(file.find_float("nan")),
            "error: m.gguf: key nan: is NaN\n  expected a finite number");
  EXPECT_EQ(error_text(file.find_bool("two")),
            "error: m.gguf: key two: is a u32\n  expected true or false");
  EXPECT_EQ(error_text(file.find_int("f32")),
            "error: m.gguf: key f32: is a f32\n  expected an integer");
  EXPECT_EQ(error_text(file.find_int("yes")),
            "error: m.gguf: key yes: is a bool\n  expected an integer");
  EXPECT_EQ(error_text(file.find_float("yes")),
            "error: m.gguf: key yes: is a bool\n  expected a number");
  EXPECT_EQ(error_text(file.find_string("one")),
            "error: m.gguf: key one: is a u8\n  expected a string");
}

TEST(Gguf, ListsOfEqualNumbersStandForTheNumber) {
  GgufTestFile made;
  made.integers("same", {4, 4, 4}).integers("other", {4, 5}).integers("none", {});
  made.reals("reals", {0.5f, -1}).texts("texts", {"", "b c"});
  made.integers("flags", {1, 0}, GgufValueType::kBool);
  const std::string bytes = made.bytes();
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "m.gguf").value();
  EXPECT_EQ(file.find_int("same").value(), 4);
  EXPECT_EQ(file.list_length("same"), 3);
  EXPECT_EQ(file.list_length("general.architecture"), std::nullopt);
  EXPECT_EQ(file.list_length("absent"), std::nullopt);
  EXPECT_EQ(file.find_ints("other").value(), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(file.find_ints("flags").value(), (std::vector<int64_t>{1, 0}));
  EXPECT_EQ(file.find_floats("reals").value(), (std::vector<float>{0.5f, -1}));
  EXPECT_EQ(file.find_floats("other").value(), (std::vector<float>{4, 5}));
  EXPECT_EQ(file.find_strings("texts").value(), (std::vector<std::string_view>{"", "b c"}));
  EXPECT_EQ(file.find_strings("absent").value(), std::nullopt);
  EXPECT_EQ(error_text(file.find_int("other")),
            "error: m.gguf: key other: differs between layers: 4 and 5\n"
            "  expected the same in all layers\n  this kind of model is not supported");
  EXPECT_EQ(error_text(file.find_int("none")),
            "error: m.gguf: key none: is a list of 0 i32\n  expected an integer");
  EXPECT_EQ(error_text(file.find_float("reals")),
            "error: m.gguf: key reals: is a list of 2 f32\n  expected a number");
  EXPECT_EQ(error_text(file.find_string("texts")),
            "error: m.gguf: key texts: is a list of 2 string\n  expected a string");
  EXPECT_EQ(error_text(file.find_ints("reals")),
            "error: m.gguf: key reals: is a list of 2 f32\n  expected a list of integers");
  EXPECT_EQ(error_text(file.find_floats("texts")),
            "error: m.gguf: key texts: is a list of 2 string\n  expected a list of numbers");
  EXPECT_EQ(error_text(file.find_strings("same")),
            "error: m.gguf: key same: is a list of 3 i32\n  expected a list of strings");
}

TEST(Gguf, VersionTwoAndOtherAlignmentsAreRead) {
  for (const int64_t alignment : {1, 64, 256}) {
    GgufTestFile made;
    made.version = 2;
    made.alignment = alignment;
    made.integer("general.alignment", alignment);
    made.tensor("a", {3}, {1, 2, 3}).tensor("b", {1}, {4});
    const std::string bytes = made.bytes();
    const auto file = GgufFile::parse(as_bytes(bytes), "m.gguf");
    ASSERT_TRUE(file.ok()) << error_text(file);
    float value;
    std::memcpy(&value, file->find_tensor("b")->data.data(), 4);
    EXPECT_EQ(value, 4);
  }
}

TEST(Gguf, DimensionsOfOneAtTheEndMeanNothing) {
  GgufTestFile made;
  made.tensor("a", {1, 1, 3}, {1, 2, 3}).tensor("b", {1, 1}, {1}).tensor("c", {}, {1});
  made.tensor("d", {2, 1}, {1, 2});
  const std::string bytes = made.bytes();
  const GgufFile file = GgufFile::parse(as_bytes(bytes), "m.gguf").value();
  EXPECT_EQ(file.find_tensor("a")->shape, (std::vector<int64_t>{3}));
  EXPECT_EQ(file.find_tensor("b")->shape, (std::vector<int64_t>{1}));
  EXPECT_EQ(file.find_tensor("c")->shape, (std::vector<int64_t>{1}));
  EXPECT_EQ(file.find_tensor("d")->shape, (std::vector<int64_t>{2, 1}));
}

TEST(Gguf, FilesOfOtherFormatsAreRefused) {
  EXPECT_EQ(parse_error("GGML1234"),
            "error: m.gguf: not a GGUF file: it begins with \"GGML\"\n"
            "  expected the letters GGUF\n  is this the right file? if so it is damaged");
  EXPECT_EQ(parse_error(std::string("G\xff", 2)),
            "error: m.gguf: not a GGUF file: it begins with \"G\\xff\"\n"
            "  expected the letters GGUF\n  is this the right file? if so it is damaged");
  for (const auto& [magic, name] : {std::pair("tjgg", "ggjt"), std::pair("lmgg", "ggml"),
                                    std::pair("algg", "ggla"), std::pair("ggmf", "ggmf")}) {
    EXPECT_EQ(
        parse_error(cat(magic, "1234")),
        cat("error: m.gguf: not a GGUF file but a ", name, " file, a format older than GGUF\n",
            "  expected a GGUF file of version 2 or 3\n  convert the model again"));
  }
}

TEST(Gguf, OtherVersionsAreRefused) {
  GgufTestFile made;
  made.version = 1;
  EXPECT_EQ(parse_error(made),
            "error: m.gguf: GGUF version 1 is not supported\n  expected version 2 or 3\n"
            "  convert the model again");
  made.version = 0x03000000;
  EXPECT_EQ(parse_error(made),
            "error: m.gguf: is a big-endian file\n  expected a little-endian one\n"
            "  convert the model again, without --bigendian");
  for (const uint32_t version : {0u, 4u, 9u}) {
    made.version = version;
    EXPECT_HAS(parse_error(made),
               cat("unknown version ", version, " of GGUF\n  expected version 2"));
  }
}

TEST(Gguf, FilesThatAreCutOffAreRefusedWhereverTheyEnd) {
  GgufTestFile made;
  made.integer("a", 1).texts("b", {"c", "d"}).tensor("t", {2, 2}, {1, 2, 3, 4});
  const std::string whole = made.bytes();
  ASSERT_EQ(parse_error(whole), "no error");
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string error = parse_error(whole.substr(0, size));
    EXPECT_TRUE(has_part(error, "cut off") || has_part(error, "the file can hold") ||
                has_part(error, "longer than the file") || has_part(error, "not a GGUF file") ||
                has_part(error, "past the end"))
        << size << ": " << error;
  }
  EXPECT_EQ(parse_error(whole.substr(0, 14)),
            "error: m.gguf: is cut off in the header\n"
            "  the file is cut off or damaged: download it again");
  EXPECT_HAS(parse_error(whole.substr(0, whole.size() - 1)),
             "tensor t: tensor data cut off: 15 of 16 bytes are there");
}

TEST(Gguf, CountsLargerThanTheFileAreRefused) {
  const GgufTestFile made;
  EXPECT_HAS(parse_error(made.header(0, 1ull << 62) + std::string(45, 'x')),
             "key count larger than the file can hold: 4611686018427387904 keys in 45 bytes");
  EXPECT_HAS(parse_error(made.header(2, 0) + std::string(47, 'x')),
             "tensor count larger than the file can hold: 2 tensors in 47 bytes");
}

// A header that promises one key, and the key's bytes.
std::string with_key(const std::string& key) {
  const GgufTestFile made;
  return made.header(0, 1) + key;
}
std::string text_bytes(std::string_view text) {
  std::string out;
  GgufTestFile::append(out, static_cast<uint64_t>(text.size()));
  return cat(out, text);
}
std::string u32_bytes(uint32_t value) {
  std::string out;
  GgufTestFile::append(out, value);
  return out;
}
std::string u64_bytes(uint64_t value) {
  std::string out;
  GgufTestFile::append(out, value);
  return out;
}

TEST(Gguf, BrokenKeysAreRefusedByName) {
  EXPECT_HAS(parse_error(with_key(u64_bytes(1ull << 63) + "general")),
             "key 0: string longer than the file: 9223372036854775808 bytes, of which 7 are there");
  EXPECT_HAS(parse_error(with_key(text_bytes("") + u32_bytes(4) + u32_bytes(1))),
             "key 0: empty key");
  EXPECT_HAS(parse_error(with_key(text_bytes("x") + u32_bytes(77) + u64_bytes(0))),
             "key x: unknown value type 77\n  expected a number from 0 to 12");
  EXPECT_HAS(
      parse_error(with_key(text_bytes("x") + u32_bytes(9) + u32_bytes(6) + u64_bytes(1ull << 61))),
      "key x: array longer than the file: 2305843009213693952 elements in 0 bytes");
  EXPECT_HAS(parse_error(with_key(text_bytes("x") + u32_bytes(9) + u32_bytes(8) + u64_bytes(1) +
                                  u64_bytes(9) + "short")),
             "key x: string longer than the file: 9 bytes, of which 5 are there");
  EXPECT_HAS(parse_error(with_key(text_bytes("x") + u32_bytes(9) + u32_bytes(9) + u64_bytes(1))),
             "key x: arrays nested too deep: an array of arrays\n  expected an array of numbers");
  EXPECT_HAS(parse_error(with_key(text_bytes("x") + u32_bytes(10) + u32_bytes(1))),
             "key x: is cut off in the metadata");
  EXPECT_HAS(parse_error(GgufTestFile().integer("a", 1).integer("a", 1)), "key a: duplicate key");
  EXPECT_HAS(parse_error(with_key(text_bytes(std::string(500, 'k')) + u32_bytes(77))),
             cat("key ", std::string(80, 'k'), "...: unknown value type"));
}

TEST(Gguf, AlignmentMustBeAPowerOfTwo) {
  for (const int64_t alignment : {0, 24, -8}) {
    EXPECT_HAS(
        parse_error(GgufTestFile().integer("general.alignment", alignment, GgufValueType::kI32)),
        cat("key general.alignment: alignment not a power of two: ", alignment));
  }
}

TEST(Gguf, BrokenTensorsAreRefusedByName) {
  const std::string damaged = "\n  the file is cut off or damaged: download it again";
  EXPECT_EQ(parse_error(GgufTestFile().tensor("a", {1}, {1}).tensor("a", {1}, {1})),
            "error: m.gguf: tensor a: duplicate tensor" + damaged);
  EXPECT_EQ(parse_error(GgufTestFile().typed_tensor("a", {1, 1, 1, 1, 1}, 0, "1234")),
            "error: m.gguf: tensor a: has 5 dimensions\n  expected at most 4" + damaged);
  EXPECT_EQ(parse_error(GgufTestFile().typed_tensor("a", {4, 1ll << 31, 1ll << 32}, 0, "")),
            "error: m.gguf: tensor a: element count overflows 63 bits" + damaged);
  EXPECT_HAS(parse_error(GgufTestFile().typed_tensor("a", {1ll << 62, 2}, 0, "")),
             "element count overflows 63 bits");
  EXPECT_HAS(parse_error(GgufTestFile().typed_tensor("a", {1ll << 62, 0, 4}, 0, "")),
             "element count overflows 63 bits");
  EXPECT_HAS(parse_error(GgufTestFile().typed_tensor("a", {-1}, 0, "")), "element count overflows");
  EXPECT_HAS(parse_error(GgufTestFile().typed_tensor("a", {1ll << 62}, 0, "")),
             "element count overflows: more than 2^64 bytes");
  EXPECT_HAS(parse_error(GgufTestFile().typed_tensor("a", {32}, 99, "")),
             "tensor a: unknown tensor type 99\n  expected one of F32, F16, Q4_0");
  EXPECT_EQ(parse_error(GgufTestFile().typed_tensor("a", {4, 40}, 2, std::string(256, 'x'))),
            "error: m.gguf: tensor a: has rows of 40 elements: 40 is not a multiple of 32\n"
            "  expected whole blocks of Q4_0" +
                damaged);
  EXPECT_EQ(
      parse_error(GgufTestFile().placed_tensor("a", {2}, 0, 4, "12345678")),
      "error: m.gguf: tensor a: offset not aligned: 4\n  expected a multiple of 32" + damaged);
  EXPECT_EQ(parse_error(GgufTestFile().placed_tensor("a", {2}, 0, 1ull << 40, "12345678")),
            "error: m.gguf: tensor a: tensor past the end: it begins at byte 1099511627776\n"
            "  expected a place within the 8 bytes of data" +
                damaged);
  EXPECT_EQ(
      parse_error(GgufTestFile().placed_tensor("a", {8}, 0, ~0ull - 31, std::string(64, 'x'))),
      "error: m.gguf: tensor a: offset overflows: 18446744073709551584 + 32" + damaged);
  EXPECT_EQ(parse_error(GgufTestFile()
                            .placed_tensor("a", {16}, 0, 32, "")
                            .placed_tensor("b", {16}, 0, 0, std::string(128, 'x'))),
            "error: m.gguf: tensor a: tensors overlap: its data begins within that of b" + damaged);
  EXPECT_EQ(parse_error(GgufTestFile().typed_tensor("a", {8}, 0, "12345678")),
            "error: m.gguf: tensor a: tensor data cut off: 8 of 32 bytes are there" + damaged);
}

TEST(Gguf, TensorsMayStandInAnyOrderAndHaveGaps) {
  EXPECT_EQ(parse_error(GgufTestFile()
                            .placed_tensor("a", {2}, 0, 128, "")
                            .placed_tensor("b", {2}, 0, 0, std::string(136, 'x'))),
            "no error");
  EXPECT_EQ(parse_error(GgufTestFile().tensor("empty", {0, 4}, {})), "no error");
}

TEST(Gguf, FilesWithoutAModelAreRefused) {
  EXPECT_EQ(parse_error(GgufTestFile("").text("general.name", "x")),
            "error: m.gguf: general.architecture missing\n"
            "  expected the name of an architecture\n  is this the file of a model?");
  EXPECT_EQ(parse_error(GgufTestFile().text("general.type", "model")), "no error");
  for (const std::string type : {"adapter", "mmproj", "imatrix"}) {
    EXPECT_EQ(parse_error(GgufTestFile().text("general.type", type)),
              cat("error: m.gguf: holds no model: its general.type is ", type,
                  "\n  expected model\n  name the file of the model itself"));
  }
  EXPECT_HAS(parse_error(GgufTestFile("").integer("general.architecture", 1)),
             "key general.architecture: is a u32\n  expected a string");
}

TEST(Gguf, OldBlockLayoutsAreRefused) {
  GgufTestFile plain;
  plain.integer("general.quantization_version", 1).tensor("a", {1}, {1});
  EXPECT_EQ(parse_error(plain), "no error");
  plain.typed_tensor("q", {32}, 2, std::string(18, 'x'));
  EXPECT_EQ(parse_error(plain),
            "error: m.gguf: key general.quantization_version: is 1 and q is quantized\n"
            "  expected 2\n  quantize the model again");
}

class GgufSplit : public testing::Test {
 protected:
  static GgufTestFile part(int64_t number, int64_t count, std::string_view tensor) {
    GgufTestFile file(number == 0 ? "llama" : "");
    file.integer("split.no", number, GgufValueType::kU16)
        .integer("split.count", count, GgufValueType::kU16)
        .integer("split.tensors.count", count, GgufValueType::kI32);
    file.tensor(tensor, {1}, {static_cast<float>(number)});
    return file;
  }
  std::string path(int number, int count = 3) const {
    return directory_.file(cat("m-0000", number, "-of-0000", count, ".gguf"));
  }
  void write(const std::string& path, const GgufTestFile& file) const {
    ASSERT_TRUE(write_file(path, file.bytes()).ok());
  }
  void write_all() const {
    write(path(1), part(0, 3, "a"));
    write(path(2), part(1, 3, "b"));
    write(path(3), part(2, 3, "c"));
  }
  std::string error(int number) const { return error_text(GgufFile::open(path(number))); }

  TemporaryDirectory directory_;
};

TEST_F(GgufSplit, AnyPartGivesTheWholeModel) {
  write_all();
  for (const int number : {1, 2, 3}) {
    const auto file = GgufFile::open(path(number));
    ASSERT_TRUE(file.ok()) << error_text(file);
    EXPECT_EQ(file->architecture(), "llama");
    EXPECT_EQ(file->path(), path(1));
    ASSERT_EQ(file->tensors().size(), 3u);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(file->tensors()[i].part, static_cast<int64_t>(i));
      float value;
      std::memcpy(&value, file->tensors()[i].data.data(), 4);
      EXPECT_EQ(value, static_cast<float>(i));
      file->release(file->tensors()[i], 0, 4);
    }
  }
}

TEST_F(GgufSplit, TheFirstPartMayHaveNoTensors) {
  GgufTestFile first;
  first.integer("split.no", 0).integer("split.count", 2).integer("split.tensors.count", 1);
  write(path(1, 2), first);
  GgufTestFile second("");
  second.integer("split.no", 1).integer("split.count", 2).tensor("a", {1}, {1});
  write(path(2, 2), second);
  EXPECT_EQ(error_text(GgufFile::open(path(2, 2))), "no error");
}

TEST_F(GgufSplit, ACountOfZeroOrOneIsAWholeFile) {
  for (const int64_t count : {0, 1}) {
    write(directory_.file("whole.gguf"), GgufTestFile().integer("split.count", count));
    EXPECT_EQ(error_text(GgufFile::open(directory_.file("whole.gguf"))), "no error");
  }
}

TEST_F(GgufSplit, MissingPartsAreNamed) {
  write_all();
  std::remove(path(2).c_str());
  EXPECT_EQ(error(3), cat("error: ", path(2), ": is missing; ", path(3), " is part 3 of 3\n",
                          "  expected all parts of the split model in one folder\n  download it"));
}

TEST_F(GgufSplit, PartsNeedTheirNames) {
  write(directory_.file("other.gguf"), part(1, 3, "b"));
  EXPECT_EQ(error_text(GgufFile::open(directory_.file("other.gguf"))),
            cat("error: ", directory_.file("other.gguf"), ": is part 2 of 3 of a split model\n",
                "  expected a name that ends as in NAME-00001-of-00003.gguf, by which the other ",
                "parts are found\n  give the parts their names back"));
}

TEST_F(GgufSplit, PartsMustBelongTogether) {
  write_all();
  write(path(2), part(1, 4, "b"));
  EXPECT_HAS(error(1), cat(path(2), ": key split.count: is 4\n  expected 3, as in ", path(1)));
  write(path(2), part(2, 3, "b"));
  EXPECT_HAS(error(1), "key split.no: is 2\n  expected 1, as the name says");
  write(path(2), part(3, 3, "b"));
  EXPECT_HAS(error(1), "key split.no: is 3\n  expected a number from 0 to 2, since split.count");
  GgufTestFile nameless("");
  write(path(2), nameless.integer("split.count", 3));
  EXPECT_HAS(error(1), "key split.no: is absent\n  expected a number from 0 to 2");
  write(path(2), part(1, 3, "a"));
  EXPECT_HAS(error(1), cat(path(2), ": tensor a: duplicate tensor"));
  write(path(2), part(1, 3, "b").tensor("d", {1}, {1}));
  EXPECT_HAS(error(1), "key split.tensors.count: is 3 and the parts have 4 tensors");
  write(path(2), part(1, 3, "b"));
  write(path(1), GgufTestFile().integer("split.count", 100000));
  EXPECT_HAS(error(1), "key split.count: is 100000\n  expected a number from 0 to 99999");
}

TEST_F(GgufSplit, PartsInMemoryAreRefused) {
  EXPECT_EQ(parse_error(part(0, 3, "a")),
            "error: m.gguf: is one of the 3 parts of a split model\n  expected a whole model\n"
            "  open it by the path of a part");
}

TEST(GgufOpen, FilesThatCannotBeAreRefused) {
  TemporaryDirectory directory;
  const std::string path = directory.file("m.gguf");
  EXPECT_HAS(error_text(GgufFile::open(path)), path);
  ASSERT_TRUE(write_file(path, "").ok());
  EXPECT_HAS(error_text(GgufFile::open(path)), "is empty");
  ASSERT_TRUE(write_file(path, "version https://git-lfs.github.com/spec/v1\n").ok());
  EXPECT_HAS(error_text(GgufFile::open(path)), "is a pointer of Git LFS");
}

}  // namespace
}  // namespace mlc::formats
