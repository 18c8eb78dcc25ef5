// SPDX-License-Identifier: Apache-2.0
// OpenCL C as text: tests/codegen/opencl/*.txt hold a kernel, or a graph whose result is lowered to
// one, and behind
// "# EXPECT:" what is printed, compared whole. MLC_UPDATE_GOLDENS=1 rewrites them. tests/gpu
// runs such text.
#include "codegen/text/printer.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codegen/text/dialect.h"
#include "graph/graph.h"
#include "kernel/lowering/lowered.h"
#include "kernel/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/testing.h"
#include "support/throw.h"

namespace mlc::codegen {
namespace {

kernel::Kernel kernel_of(const std::string& text) {
  if (text.find("\nkernel @") != std::string::npos) return kernel::parse_kernel(text, "test");
  const graph::Graph graph = graph::parse_graph(text, "test");
  return kernel::lower_math(
      kernel::lower(graph, graph.result, target::gpu_target(target::DeviceKind::kOpenCl))
          .calls.at(0)
          .variants.at(0)
          .kernel.at(0)
          .kernel);
}

std::string print(const kernel::Kernel& k) {
  kernel::verify(k);
  const TextKernel item{&k, k.name};
  return print_kernels({&item, 1}, opencl_dialect());
}

TEST(TextPrinter, OpenClIsAsTheFixturesHaveIt) {
  const std::string folder = source_path("tests/codegen/opencl");
  int count = 0;
  for (const std::string& name : list_directory(folder).value()) {
    const std::string path = path_join(folder, name);
    const std::string text = read_file(path).value();
    const std::string marker = "# EXPECT:\n";
    const size_t at = text.find(marker);
    ASSERT_NE(at, std::string::npos) << path;
    const std::string input = text.substr(0, at);
    const std::string printed = print(kernel_of(input));
    ++count;
    if (environment("MLC_UPDATE_GOLDENS")) {
      ASSERT_TRUE(write_file(path, input + marker + printed).ok());
    } else {
      EXPECT_EQ(text.substr(at + marker.size()), printed) << path;
    }
  }
  EXPECT_GE(count, 5);
}

constexpr std::string_view kCopy =
    R"(kernel @copy(%x: bf16 arena, %w: f16 weight, %c: f32 constant, %n: i64) {
  gpu_block %block in %n {
    gpu_thread %thread in 32 {
      store %x[%thread] = cast<bf16>(cast<f32>(load(%w, %block)) + load(%c, 0))
    }
  }
}
)";

TEST(TextPrinter, ParametersAreSharedBindingsThenOnesOfTheKernel) {
  const kernel::Kernel k = kernel::parse_kernel(kCopy, "test");
  std::vector<std::string> found;
  for (const TextParameter& p : text_parameters(k)) {
    found.push_back(cat(p.name, " ", static_cast<int>(p.kind), " ", p.parameter,
                        is_read_only(p) ? " read only" : ""));
  }
  EXPECT_EQ(join(found, ", "),
            "arena 0 -1, constants 0 -1 read only, x_offset 1 0, w 0 1 read only, c_offset 1 2 "
            "read only, n 2 3");
}

TEST(TextPrinter, HelpersStandOnceInFrontOfAllKernels) {
  const kernel::Kernel k = kernel::parse_kernel(kCopy, "test");
  const std::vector<TextKernel> items = {{&k, "first"}, {&k, "second"}};
  const std::string text = print_kernels(items, opencl_dialect());
  const size_t helper = text.find("static inline float f32_of_f16(");
  ASSERT_NE(helper, std::string::npos);
  EXPECT_EQ(text.find("static inline float f32_of_f16(", helper + 1), std::string::npos);
  EXPECT_LT(helper, text.find("void first("));
  EXPECT_LT(text.find("void first("), text.find("void second("));
  EXPECT_EQ(text.find("min_f32"), std::string::npos) << "a helper that no kernel uses";
  EXPECT_EQ(text, print_kernels(items, opencl_dialect()));
}

void expect_refused(const kernel::Kernel& k, const std::string& words) {
  const TextKernel item{&k, "refused"};
  try {
    print_kernels({&item, 1}, opencl_dialect());
    FAIL() << "printed";
  } catch (const InternalError& e) {
    EXPECT_NE(std::string(e.what()).find(words), std::string::npos) << e.what();
  }
}

TEST(TextPrinter, RefusesWhatIsNotOfTheGpuClass) {
  expect_refused(kernel::parse_kernel("kernel @cpu(%x: f32 arena) {\n  parallel %i in 4 {\n    "
                                      "store %x[%i] = 1.0:f32\n  }\n}\n",
                                      "test"),
                 "@cpu is not of the GPU class");
  expect_refused(
      kernel::parse_kernel(
          "kernel @vectors(%x: f32 arena) {\n  gpu_block %b in 4 {\n    gpu_thread %t in 4 {\n"
          "      store %x[%b] = load<4>(%x, 0)\n    }\n  }\n}\n",
          "test"),
      "vectors in the GPU class");
  expect_refused(
      kernel::parse_kernel(
          "kernel @halves(%x: bf16 arena) {\n  gpu_block %b in 4 {\n    gpu_thread %t in 4 {\n"
          "      store %x[%b] = cast<bf16>(load(%x, 0) == load(%x, 1))\n    }\n  }\n}\n",
          "test"),
      "the language has no cast of bool, which @halves uses");
}

}  // namespace
}  // namespace mlc::codegen
