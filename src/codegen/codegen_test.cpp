// SPDX-License-Identifier: Apache-2.0
// Generated code against the interpreter: small kernels, one idea each, at every level of the CPU at hand.
#include "codegen/codegen.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "formats/model_library.h"
#include "kernel/builder.h"
#include "kernel/interpreter.h"
#include "kernel/verifier.h"
#include "link/link.h"
#include "support/testing.h"

namespace mlc::codegen {
namespace {
TEST(Codegen, Smoke) {
  kernel::KernelBuilder b("copy");
  auto x = b.buffer_parameter("x", DType::kF32, kernel::Space::kArena);
  auto y = b.buffer_parameter("y", DType::kF32, kernel::Space::kArena);
  auto n = b.size_parameter("n");
  b.parallel("task", n, [&](kernel::Expr task) {
    b.store(y, task * 16, kernel::fma(kernel::load(x, task * 16, 16), kernel::f32(2), kernel::f32(1)));
  });
  kernel::Kernel k = b.finish();
  kernel::verify(k);
  for (const char* level : {"x86-64", "x86-64-v3", "x86-64-v4-vnni"}) {
    const target::Target t = target::cpu_level_target(level).value();
    KernelToGenerate item{&k, "copy"};
    GeneratedCode code = generate_kernels({&item, 1}, t, {.want_assembly = true});
    puts(code.assembly.c_str());
    std::vector<std::string> objects = code.objects;
    LibraryVariant v{t.features, "plan", {"copy"}};
    objects.push_back(generate_library_object("lib", "{}", {&v, 1}, t));
    std::string so = link::link_shared(objects, "lib", t);
    TemporaryDirectory d;
    ASSERT_TRUE(write_file(d.file("a.so"), so).ok());
    void* h = dlopen(d.file("a.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(h, nullptr) << dlerror();
    auto* lib = static_cast<MlcModelLibrary*>(dlsym(h, "lib"));
    ASSERT_NE(lib, nullptr);
    auto* variant = reinterpret_cast<MlcLibraryVariant*>(lib->variants);
    auto kernel = reinterpret_cast<MlcKernel*>(variant->kernels)[0];
    std::vector<float> in(64), out(64);
    for (int i = 0; i < 64; ++i) in[i] = i * 0.37f;
    uint64_t slots[3] = {(uint64_t)in.data(), (uint64_t)out.data(), 4};
    MlcKernelArgs args{(uint64_t)slots, 0};
    kernel(&args, 0, 4);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(out[i], std::fma(in[i], 2.0f, 1.0f));
    printf("%zu bytes so\n", so.size());
  }
}
}  // namespace
}  // namespace mlc::codegen
