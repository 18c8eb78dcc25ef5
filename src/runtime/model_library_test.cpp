// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_library.h"

#include <gtest/gtest.h>

#include <cstring>

#include "support/testing.h"
#include "target/target.h"

namespace mlc::runtime {
namespace {

uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

struct Library {
  std::string metadata = "{\"model_type\": \"test\"}";
  std::string plan;
  MlcKernel kernels[1] = {nullptr};
  MlcLibraryVariant variants[2] = {};
  MlcModelLibrary raw = {};

  Library() {
    formats::Plan p;
    p.vocab_size = 3;
    p.kernels = {{"k", 0}};
    plan = formats::serialize_plan(p);
    for (MlcLibraryVariant& v : variants)
      v = {0, address(plan.data()), plan.size(), address(kernels), 1};
    raw = {MLC_MODEL_LIBRARY_MAGIC, MLC_MODEL_LIBRARY_ABI, address(metadata.data()),
           metadata.size(),         address(variants),     2};
  }
  Result<ModelLibrary> open() const { return ModelLibrary::from_memory(raw, "lib.so", nullptr); }
  std::string error() const { return open().ok() ? "" : open().error().to_string(); }
};

TEST(ModelLibrary, ReadsMetadataAndPlan) {
  const Library library;
  const ModelLibrary opened = library.open().value();
  EXPECT_EQ(opened.path(), "lib.so");
  EXPECT_EQ(opened.metadata().find("model_type")->as_string(), "test");
  EXPECT_EQ(opened.plan().vocab_size, 3);
}

TEST(ModelLibrary, TakesTheFirstVariantThatThisCpuCanRun) {
  Library library;
  formats::Plan better;
  better.vocab_size = 4;
  better.kernels = {{"k", 0}};
  const std::string plan = formats::serialize_plan(better);
  library.variants[0].plan = address(plan.data());
  library.variants[0].plan_bytes = plan.size();
  EXPECT_EQ(library.open()->plan().vocab_size, 4);
  library.variants[0].required_features = uint64_t{1} << 63;  // none that is known
  EXPECT_EQ(library.open()->plan().vocab_size, 3);
}

TEST(ModelLibrary, NamesTheFeaturesThatThisCpuLacks) {
  Library library;
  target::CpuFeatures foreign;
  foreign.add(target::host_architecture() == "aarch64" ? target::CpuFeature::kAvx2
                                                       : target::CpuFeature::kI8mm);
  for (MlcLibraryVariant& v : library.variants) v.required_features = foreign.bits();
  EXPECT_EQ(library.error(), cat("error: lib.so: was compiled for another CPU: this one lacks ",
                                 foreign.names()[0], "\n  compile the library on this machine"));
}

TEST(ModelLibrary, RefusesAnotherInterfaceAndSaysWhichSideToRebuild) {
  Library library;
  library.raw.abi_version = MLC_MODEL_LIBRARY_ABI - 1;
  EXPECT_NE(library.error().find("compile the library again with this mlc_llm"), std::string::npos)
      << library.error();
  library.raw.abi_version = MLC_MODEL_LIBRARY_ABI + 1;
  EXPECT_NE(library.error().find("use a newer mlc_llm"), std::string::npos) << library.error();
  library.raw.magic = 1;
  EXPECT_EQ(library.error(), "error: lib.so: is no model library\n  mlc_llm compile makes one");
}

TEST(ModelLibrary, RefusesDamage) {
  Library library;
  library.variants[0].num_kernels = 2;
  EXPECT_NE(library.error().find("has a damaged plan: its number of kernels"), std::string::npos)
      << library.error();
  library.variants[0].plan_bytes = 9;
  EXPECT_NE(library.error().find("has a damaged plan: its length"), std::string::npos)
      << library.error();
  library.raw.metadata_bytes = 3;
  EXPECT_NE(library.error().find("lib.so"), std::string::npos) << library.error();
}

TEST(ModelLibrary, RefusesFilesThatAreNone) {
  EXPECT_NE(ModelLibrary::open("/nowhere/lib.so")
                .error()
                .to_string()
                .find("/nowhere/lib.so: does not exist"),
            std::string::npos);
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_file(directory.file("text.so"), "no library").ok());
  EXPECT_NE(
      ModelLibrary::open(directory.file("text.so")).error().to_string().find("cannot be loaded"),
      std::string::npos);
}

// The header of a 64-bit ELF file with one segment of 100 bytes behind it.
std::string elf_header(uint16_t machine, uint64_t segment_bytes) {
  std::string bytes(64 + 56, '\0');
  const auto put = [&](size_t offset, uint64_t value, size_t size) { std::memcpy(bytes.data() + offset, &value, size); };
  put(0, 0x464c457f, 4);
  put(4, 0x0102, 2);
  put(18, machine, 2);
  put(32, 64, 8);  // segments
  put(54, 56, 2);
  put(56, 1, 2);
  put(64 + 8, 120, 8);
  put(64 + 32, segment_bytes, 8);
  return bytes + std::string(100, '\0');
}

TEST(ModelLibrary, RefusesFilesThatAreCutOffAndThoseOfOtherMachines) {
  const TemporaryDirectory directory;
  const std::string path = directory.file("lib.so");
  const auto error_of = [&](const std::string& bytes) {
    EXPECT_TRUE(write_file(path, bytes).ok());
    return ModelLibrary::open(path).error().to_string();
  };
  const uint16_t here = target::host_architecture() == "aarch64" ? 183 : 62;
  const uint16_t other = here == 62 ? 183 : 62;
  EXPECT_EQ(error_of(elf_header(here, 101)), cat("error: ", path, ": has 220 bytes\n  expected 221 bytes, as its headers say\n"
                                                 "  the file is cut off or damaged: compile it again"));
  EXPECT_NE(error_of(elf_header(here, UINT64_MAX)).find("is cut off"), std::string::npos);
  EXPECT_NE(error_of(elf_header(here, 100).substr(0, 110)).find("is cut off"), std::string::npos);
  EXPECT_NE(error_of(elf_header(here, 100)).find("cannot be loaded"), std::string::npos);
  EXPECT_NE(error_of(elf_header(other, 100)).find(other == 183 ? ": was compiled for aarch64\n" : ": was compiled for x86_64\n"), std::string::npos);
  EXPECT_NE(error_of(elf_header(40, 100)).find("was compiled for another machine (ELF's number 40)"), std::string::npos);
}

}  // namespace
}  // namespace mlc::runtime
