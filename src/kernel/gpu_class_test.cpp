// SPDX-License-Identifier: Apache-2.0
// The GPU class of kernels: what the verifier refuses, and how the interpreter takes the threads of
// a block from barrier to barrier. tests/gpu compares it with a device.
#include <gtest/gtest.h>

#include <cstring>

#include "kernel/builder.h"
#include "kernel/interpreter.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

// `shared` stands in the block, `body` in its 8 threads.
Kernel gpu_kernel(const std::string& body,
                  const std::string& shared = "allocate %s: i32[8] shared") {
  return parse_kernel(cat("kernel @k(%x: i32 arena, %n: i64) {\n  gpu_block %block in %n {\n",
                          shared, "\n    gpu_thread %thread in 8 {\n", body, "\n    }\n  }\n}\n"),
                      "test");
}

std::string refusal(const Kernel& kernel) {
  try {
    verify(kernel);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "accepted";
}

std::string failure(const Kernel& kernel, std::vector<int32_t>& x, int64_t blocks) {
  try {
    interpret(kernel, {{std::as_writable_bytes(std::span(x)), 0}, {{}, blocks}}, 0, blocks);
  } catch (const InternalError& e) {
    return e.what();
  }
  return "";
}

TEST(GpuClass, TextParsesBack) {
  const Kernel k = gpu_kernel(
      "store %s[%thread] = load(%x, %thread)\nbarrier\nstore %x[%thread] = load(%s, 7 - %thread)");
  verify(k);
  const std::string text = to_text(k);
  EXPECT_EQ(to_text(parse_kernel(text, "test")), text);
  EXPECT_NE(text.find("  gpu_block %block in %n {\n    allocate %s: i32[8] shared\n    gpu_thread "
                      "%thread in 8 {\n"),
            std::string::npos)
      << text;
  EXPECT_EQ(block_threads(k), 8);
}

TEST(GpuClass, BuilderPutsSharedMemoryIntoTheBlock) {
  KernelBuilder b("k");
  const BufferRef x = b.buffer_parameter("x", DType::kF32, Space::kArena);
  b.gpu_block("block", index(2), [&](const Expr& block) {
    b.gpu_thread("thread", 4, [&](const Expr& thread) {
      b.serial("i", 3, [&](const Expr&) {
        const BufferRef s = b.allocate("s", {DType::kF32, 1}, 4, Space::kShared);
        b.store(s, thread, load(x, block));
      });
    });
  });
  const Kernel k = b.finish();
  verify(k);
  EXPECT_NE(to_text(k).find("{\n    allocate %s: f32[4] shared\n    gpu_thread"), std::string::npos)
      << to_text(k);
}

TEST(GpuClass, VerifierRefusesBarriersThatSomeThreadsMiss) {
  const std::string missed = "a barrier that some threads of the block may not reach";
  EXPECT_NE(refusal(gpu_kernel("if %thread < 3 {\nbarrier\n}")).find(missed), std::string::npos);
  EXPECT_NE(refusal(gpu_kernel("for %i in %thread {\nbarrier\n}")).find(missed), std::string::npos);
  EXPECT_NE(
      refusal(gpu_kernel(
                  "let %a = %thread % 2\nlet %c = %a == 0\nif %c {\nfor %i in 2 {\nbarrier\n}\n}"))
          .find(missed),
      std::string::npos);
  EXPECT_NE(refusal(gpu_kernel("allocate %own: i32[1] local\nstore %own[0] = 1:i32\nif load(%own, "
                               "0) == 1:i32 {\nbarrier\n}"))
                .find(missed),
            std::string::npos);
  EXPECT_EQ(refusal(gpu_kernel("if %block < 3 {\nfor %i in %n {\nbarrier\n}\n}\nif %thread < 3 "
                               "{\nstore %x[0] = 1:i32\n}\nbarrier")),
            "accepted");
}

TEST(GpuClass, VerifierRefusesOtherShapes) {
  const auto expect = [](const Kernel& kernel, const std::string& words) {
    EXPECT_NE(refusal(kernel).find(words), std::string::npos) << refusal(kernel) << "\n"
                                                              << to_text(kernel);
  };
  expect(gpu_kernel("store %x[%thread] = 1:i32", "store %x[0] = 2:i32"),
         "a statement of a GPU kernel that no thread executes");
  expect(gpu_kernel("store %x[%thread] = 1:i32", "allocate %s: i32[8] local"),
         "%s is allocated in a place of another space");
  expect(gpu_kernel("allocate %t: i32[8] shared"), "%t is allocated in a place of another space");
  expect(gpu_kernel("let %v = load<4>(%x, 0)"), "vectors in a GPU kernel");
  expect(gpu_kernel("gpu_thread %t in 4 {\n}"), "threads that are not directly in a GPU block");
  expect(gpu_kernel("gpu_block %t in 4 {\n}"), "a gpu_block loop that is not at the top");
  expect(gpu_kernel("parallel %t in 4 {\n}"), "a parallel loop that is not at the top");
  expect(gpu_kernel("", "gpu_thread %t in 4 {\n}"), "a GPU block has one loop of threads");
  expect(parse_kernel("kernel @k() {\n  gpu_block %b in 4 {\n  }\n}\n", "test"),
         "a GPU block has one loop of threads");
  expect(
      parse_kernel(
          "kernel @k(%n: i64) {\n  gpu_block %b in 4 {\n    gpu_thread %t in %n {\n    }\n  }\n}\n",
          "test"),
      "is no constant");
  expect(parse_kernel("kernel @k() {\n  parallel %i in 4 {\n    barrier\n  }\n}\n", "test"),
         "a barrier outside of the threads of a GPU block");
  expect(
      parse_kernel("kernel @k() {\n  parallel %i in 4 {\n    allocate %s: i32[4] shared\n  }\n}\n",
                   "test"),
      "%s is allocated in a place of another space");
}

TEST(GpuClass, InterpreterTakesAllThreadsToABarrier) {
  // Each thread takes the value of its neighbour four times: a rotation by four, in every block.
  const Kernel k = gpu_kernel(R"(
    let %at = (%block * 8) + %thread
    for %i in 4 {
      store %s[%thread] = load(%x, %at)
      barrier
      store %x[%at] = load(%s, (%thread + 1) % 8)
      barrier
    })");
  verify(k);
  std::vector<int32_t> x;
  for (int32_t i = 0; i < 24; ++i) x.push_back(i);
  EXPECT_EQ(task_count(k, {{std::as_writable_bytes(std::span(x)), 0}, {{}, 3}}), 3);
  EXPECT_EQ(failure(k, x, 3), "");
  for (int32_t i = 0; i < 24; ++i)
    EXPECT_EQ(x[static_cast<size_t>(i)], i / 8 * 8 + (i + 4) % 8) << i;
}

TEST(GpuClass, InterpreterFindsAMissingBarrier) {
  std::vector<int32_t> x(8);
  const auto expect = [&](const std::string& body, const std::string& words) {
    const std::string found = failure(gpu_kernel(body), x, 1);
    EXPECT_NE(found.find(words), std::string::npos) << found << "\n" << body;
  };
  const std::string rest = " without a barrier after another thread's access";
  expect("store %s[%thread] = 1:i32\nstore %x[%thread] = load(%s, 7 - %thread)",
         cat("thread 0 reads element 7 of %s", rest));
  expect("store %s[%thread / 2] = 1:i32", cat("thread 1 writes element 0 of %s", rest));
  expect(
      "store %s[%thread] = 1:i32\nbarrier\nstore %x[%thread] = load(%s, 3)\nstore %s[%thread] = "
      "2:i32",
      cat("thread 3 writes element 3 of %s", rest));
  EXPECT_EQ(failure(gpu_kernel("store %s[%thread] = 1:i32\nbarrier\nstore %x[%thread] = load(%s, "
                               "3)\nbarrier\nstore %s[%thread] = load(%s, %thread)"),
                    x, 1),
            "");
}

TEST(GpuClass, InterpreterRefusesThreadsThatPartBeforeABarrier) {
  // The verifier refuses it too; the interpreter looks at what the threads really do.
  const Kernel k = gpu_kernel("if load(%x, %thread) == 0:i32 {\nbarrier\n}");
  std::vector<int32_t> x(8);
  EXPECT_EQ(failure(k, x, 1), "");
  x[5] = 1;
  EXPECT_NE(failure(k, x, 1).find("threads part before a barrier"), std::string::npos);
}

}  // namespace
}  // namespace mlc::kernel
