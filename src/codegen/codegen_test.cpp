// SPDX-License-Identifier: Apache-2.0
// The few lines of assembly that matter: which instructions a level uses, and that the bytes depend
// on nothing else. What the code computes is tested in link/generated_code_test.cpp, where it can
// be loaded.
#include "codegen/codegen.h"

#include <gtest/gtest.h>

#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/strings.h"

namespace mlc::codegen {
namespace {

GeneratedCode generate(const std::string& body, const char* parameters, const char* level,
                       int threads = 1, int copies = 1) {
  std::vector<kernel::Kernel> kernels;
  for (int i = 0; i < copies; ++i)
    kernels.push_back(
        kernel::parse_kernel(cat("kernel @k", i, "(", parameters, ") {\n", body, "}\n"), "test"));
  std::vector<KernelToGenerate> items;
  for (const kernel::Kernel& k : kernels) {
    kernel::verify(k);
    items.push_back({&k, k.name});
  }
  return generate_kernels(items, target::cpu_level_target(level).value(),
                          {.threads = threads, .want_llvm_ir = true, .want_assembly = true});
}

constexpr const char* kFma =
    "parallel %t in %n {\n store %y[%t * 16] = fma(load<16>(%x, %t * 16), load<16>(%x, 0), "
    "load<16>(%y, %t * 16))\n}\n";
constexpr const char* kFmaParameters = "%x: f32 weight, %y: f32 arena, %n: i64";
constexpr const char* kDot =
    "store %y[0] = dot4(load<8>(%y, 0), load<32>(%a, 0), load<32>(%b, 0))\n";
constexpr const char* kDotParameters = "%a: u8 arena, %b: i8 weight, %y: i32 arena";

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(Codegen, AFusedMultiplyAddIsOneInstructionWhereTheLevelHasIt) {
  EXPECT_TRUE(has(generate(kFma, kFmaParameters, "x86-64-v3").assembly, "vfmadd"));
  EXPECT_TRUE(has(generate(kFma, kFmaParameters, "x86-64-v4").assembly, "%zmm"));
  EXPECT_FALSE(has(generate(kFma, kFmaParameters, "x86-64-v3").assembly, "%zmm"));
  EXPECT_TRUE(has(generate(kFma, kFmaParameters, "armv8").assembly, "fmla"));
}

TEST(Codegen, DotProductsUseWhatTheLevelHas) {
  EXPECT_TRUE(has(generate(kDot, kDotParameters, "x86-64-v3-vnni").assembly, "vpdpbusd"));
  EXPECT_TRUE(has(generate(kDot, kDotParameters, "x86-64-v4-vnni").assembly, "vpdpbusd"));
  EXPECT_FALSE(has(generate(kDot, kDotParameters, "x86-64-v3").assembly, "vpdpbusd"));
  EXPECT_TRUE(has(generate(kDot, kDotParameters, "x86-64-v3").assembly, "vpmaddubsw"));
}

TEST(Codegen, ProductsOfBlocksUseWhatTheLevelHas) {
  const char* blocks =
      "store %y[0] = block_dot(load<8>(%y, 0), load<32>(%a, 0), load<32>(%b, 0))\n";
  EXPECT_TRUE(has(generate(blocks, kDotParameters, "armv8-i8mm").assembly, "smmla"));
  EXPECT_FALSE(has(generate(blocks, kDotParameters, "armv8-dotprod").assembly, "smmla"));
  EXPECT_TRUE(has(generate(blocks, kDotParameters, "armv8-dotprod").assembly, "sdot"));
}

TEST(Codegen, SumsOfTilesShareTheirLoads) {
  const std::string assembly =
      generate("tile_sum<8, 8> %c[0] = %a[0], %b[0]\n",
               "%a: bf16 arena, %b: bf16 arena, %c: f32 arena", "x86-64-v4-amx")
          .assembly;
  const std::string loop = assembly.substr(assembly.find("\n.LBB"));
  const auto count = [&](std::string_view part) {
    int found = 0;
    for (size_t at = loop.find(part); at != std::string::npos; at = loop.find(part, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("tdpbf16ps"), 4);
  EXPECT_EQ(count("tileloadd"), 4);
  EXPECT_EQ(count("tilestored"), 4);
}

TEST(Codegen, TilesAreConfiguredOnceAndProductsTakeTurnsInTheirRegisters) {
  const char* tiles =
      "parallel %t in %n {\n tile_dot<8, 8> %c[0] = %a[0], %b[0]\n tile_dot<8, 8> %c[256] = %a[0], "
      "%b[512]\n}\n";
  const std::string assembly =
      generate(tiles, "%a: u32 arena, %b: i8 arena, %c: i32 arena, %n: i64", "x86-64-v4-amx")
          .assembly;
  const auto count = [&](std::string_view part) {
    int found = 0;
    for (size_t at = assembly.find(part); at != std::string::npos; at = assembly.find(part, at + 1))
      ++found;
    return found;
  };
  EXPECT_EQ(count("ldtilecfg"), 1);
  EXPECT_EQ(count("tilerelease"), 1);
  EXPECT_EQ(count("tdpbusd\t%tmm2, %tmm1, %tmm0"), 1);
  EXPECT_EQ(count("tdpbusd\t%tmm5, %tmm4, %tmm3"), 1);
  EXPECT_EQ(count("tilestored"), 2);
}

// A loop that sets memory to zero must not become a call of memset: libraries import nothing.
// (Where a level has no fused multiply-add its exact emulation is a function of the same object.)
TEST(Codegen, KernelsImportNothing) {
  const char* zeros =
      "parallel %t in %n {\n for %i in 4096 {\n store %y[(%t * 4096) + %i] = 0.0:f32\n }\n}\n";
  const char* copies =
      "parallel %t in %n {\n for %i in 4096 {\n store %y[(%t * 4096) + %i] = load(%x, %i)\n }\n}\n";
  for (const char* level : {"x86-64", "x86-64-v3", "x86-64-v4-vnni"}) {
    for (const char* body : {zeros, copies, kFma}) {
      const std::string assembly = generate(body, kFmaParameters, level).assembly;
      for (const char* name : {"memset", "memcpy", "@PLT", "fmaf"})
        EXPECT_FALSE(has(assembly, name)) << name << ", " << level << "\n" << body;
    }
  }
}

TEST(Codegen, BytesDoNotDependOnTheNumberOfThreads) {
  const GeneratedCode one = generate(kFma, kFmaParameters, "x86-64-v3", 1, 9);
  const GeneratedCode three = generate(kFma, kFmaParameters, "x86-64-v3", 3, 9);
  const GeneratedCode again = generate(kFma, kFmaParameters, "x86-64-v3", 3, 9);
  ASSERT_FALSE(one.objects.empty());
  EXPECT_TRUE(one.objects == three.objects);
  EXPECT_TRUE(three.objects == again.objects);
}

TEST(Codegen, TextsAreMadeOnDemandOnly) {
  const kernel::Kernel k = kernel::parse_kernel("kernel @k(%n: i64) {\n}\n", "test");
  const KernelToGenerate item{&k, "k"};
  const GeneratedCode code =
      generate_kernels({&item, 1}, target::cpu_level_target("x86-64-v3").value(), {});
  EXPECT_TRUE(code.llvm_ir.empty());
  EXPECT_TRUE(code.assembly.empty());
  EXPECT_TRUE(has(generate("", "%n: i64", "x86-64-v3").llvm_ir, "define"));
}

}  // namespace
}  // namespace mlc::codegen
