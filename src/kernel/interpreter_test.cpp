// SPDX-License-Identifier: Apache-2.0
// The interpreter is the oracle of generated code: its own arithmetic against values worked out by
// hand, and its checks.
#include "kernel/interpreter.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

template <class T>
Argument bytes_of(std::vector<T>& values) {
  return {std::as_writable_bytes(std::span(values)), 0};
}

Kernel parse(const std::string& parameters, const std::string& body) {
  Kernel kernel = parse_kernel("kernel @k(" + parameters + ") {\n" + body + "\n}\n", "test");
  verify(kernel);
  return kernel;
}

// The result of an expression on i32 operands %a and %b.
int32_t integer(const std::string& expression, int32_t a = 0, int32_t b = 0) {
  std::vector<int32_t> memory = {a, b, 0};
  interpret(parse("%m: i32 arena",
                  "let %a = load(%m, 0)\nlet %b = load(%m, 1)\nstore %m[2] = " + expression),
            {bytes_of(memory)}, 0, 1);
  return memory[2];
}

std::string failure(const Kernel& kernel, const std::vector<Argument>& arguments,
                    int64_t tasks = 1) {
  try {
    interpret(kernel, arguments, 0, tasks);
  } catch (const InternalError& error) {
    return error.what();
  }
  return "none";
}

TEST(KernelInterpreter, IntegersWrapDivideTowardsZeroAndShiftTheirSign) {
  EXPECT_EQ(integer("%a + %b", INT32_MAX, 1), INT32_MIN);
  EXPECT_EQ(integer("%a * %b", 1 << 20, 1 << 13), 0);
  EXPECT_EQ(integer("%a / %b", -7, 2), -3);
  EXPECT_EQ(integer("%a % %b", -7, 2), -1);
  EXPECT_EQ(integer("%a / %b", INT32_MIN, -1), INT32_MIN);
  EXPECT_EQ(integer("%a % %b", INT32_MIN, -1), 0);
  EXPECT_EQ(integer("%a >> 1:i32", -7), -4);
  EXPECT_EQ(integer("cast<i32>(cast<u32>(%a) >> 28:u32)", -1), 15);
  EXPECT_EQ(integer("cast<i32>(cast<i8>(%a))", 200), -56);
  EXPECT_EQ(integer("cast<i32>(cast<u8>(%a))", -1), 255);
  EXPECT_EQ(integer("abs(%a)", -5), 5);
  EXPECT_EQ(integer("select(%a < %b, 1:i32, 2:i32)", -1, 0), 1);
  EXPECT_EQ(integer("select(cast<u32>(%a) < cast<u32>(%b), 1:i32, 2:i32)", -1, 0), 2);
}

TEST(KernelInterpreter, FloatsRoundOnceInFmaAndToEvenInRound) {
  std::vector<float> m = {1.0f + std::ldexp(1.0f, -12), 0, 0, 0, 0};
  interpret(parse("%m: f32 arena",
                  "let %a = load(%m, 0)\nstore %m[1] = fma(%a, %a, -1.0:f32)\nstore %m[2] = (%a * "
                  "%a) - 1.0:f32\nstore %m[3] = round(2.5:f32)\nstore %m[4] = round(-3.5:f32)"),
            {bytes_of(m)}, 0, 1);
  EXPECT_EQ(m[1], std::ldexp(1.0f, -11) + std::ldexp(1.0f, -24));
  EXPECT_EQ(m[2], std::ldexp(1.0f, -11));
  EXPECT_EQ(m[3], 2.0f);
  EXPECT_EQ(m[4], -4.0f);
}

TEST(KernelInterpreter, MinAndMaxGiveTheSecondOperandUnlessTheFirstIsBeyondIt) {
  std::vector<float> m = {NAN, 1.0f, 0.0f, -0.0f, 9, 9, 9, 9};
  interpret(parse("%m: f32 arena",
                  "store %m[4] = min(load(%m, 0), load(%m, 1))\nstore %m[5] = max(load(%m, 1), "
                  "load(%m, 0))\nstore %m[6] = max(load(%m, 2), load(%m, 3))\n"
                  "store %m[7] = min(load(%m, 3), load(%m, 2))"),
            {bytes_of(m)}, 0, 1);
  EXPECT_EQ(m[4], 1.0f);
  EXPECT_TRUE(std::isnan(m[5]));
  EXPECT_TRUE(std::signbit(m[6]));
  EXPECT_FALSE(std::signbit(m[7]));
}

TEST(KernelInterpreter, DotProductsSumIntoTheirLanes) {
  std::vector<uint8_t> a = {1, 2, 3, 4, 127, 127, 127, 127};
  std::vector<int8_t> b = {10, -20, 30, -40, -128, -128, -128, -128};
  std::vector<int32_t> y = {100, 0, 0, 0};
  interpret(parse("%a: u8 arena, %b: i8 weight, %y: i32 arena",
                  "store %y[0] = dot4(load<2>(%y, 0), load<8>(%a, 0), load<8>(%b, 0))\nstore %y[2] "
                  "= pair_sum(dot2(load<8>(%a, 0), load<8>(%b, 0)))"),
            {bytes_of(a), bytes_of(b), bytes_of(y)}, 0, 1);
  EXPECT_EQ(y, (std::vector<int32_t>{100 + 10 - 40 + 90 - 160, -65024, -100, -65024}));
}

TEST(KernelInterpreter, AnUnsignedOperandOfADotProductHasSevenBits) {
  std::vector<uint8_t> a = {128, 0, 0, 0};
  std::vector<int8_t> b = {1, 1, 1, 1};
  std::vector<int32_t> y = {0};
  EXPECT_EQ(failure(parse("%a: u8 arena, %b: i8 weight, %y: i32 arena",
                          "store %y[0] = dot4(load<1>(%y, 0), load<4>(%a, 0), load<4>(%b, 0))"),
                    {bytes_of(a), bytes_of(b), bytes_of(y)}),
            "kernel @k: dot product of 128");
}

TEST(KernelInterpreter, BlockDotMultipliesTwoRowsByTwo) {
  std::vector<uint8_t> a = {1, 2, 0, 0, 0, 0, 0, 3, 10, 0, 0, 0, 0, 0, 0, 127};
  std::vector<int8_t> b = {1, 1, 1, 1, 1, 1, 1, 1, -1, 5, 0, 0, 0, 0, 0, -128};
  std::vector<int32_t> y = {1000, 2000, 3000, 4000};
  const Kernel kernel = parse("%a: u8 arena, %b: i8 weight, %y: i32 arena",
                              "store %y[0] = block_dot(load<4>(%y, 0), load<16>(%a, 0), "
                              "load<16>(%b, 0))");
  interpret(kernel, {bytes_of(a), bytes_of(b), bytes_of(y)}, 0, 1);
  EXPECT_EQ(
      y, (std::vector<int32_t>{1000 + 6, 2000 - 1 + 10 - 384, 3000 + 137, 4000 - 10 - 127 * 128}));
  a[3] = 128;
  EXPECT_EQ(failure(kernel, {bytes_of(a), bytes_of(b), bytes_of(y)}),
            "kernel @k: dot product of 128");
}

TEST(KernelInterpreter, TileDotMultipliesRowsOfCodesByLanes) {
  // Row r of the left operand has the codes r, 1, 0, 0 and 2, 0, 0, 0; rows lie three words apart.
  // Lane l of the right one has -l, 10, 0, 0 and 100, 0, 0, 0.
  std::vector<uint32_t> a(16 * 3, 0xffffffff);
  std::vector<int8_t> b(2 * 16 * 4);
  std::vector<int32_t> c(1 + 256);
  for (uint32_t r = 0; r < 16; ++r) {
    a[3 * r] = r | 1 << 8;
    a[3 * r + 1] = 2;
  }
  for (size_t l = 0; l < 16; ++l) {
    b[4 * l] = static_cast<int8_t>(-static_cast<int>(l));
    b[4 * l + 1] = 10;
    b[64 + 4 * l] = 100;
  }
  const Kernel kernel =
      parse("%a: u32 arena, %b: i8 arena, %c: i32 arena", "tile_dot<2, 3> %c[1] = %a[0], %b[0]");
  interpret(kernel, {bytes_of(a), bytes_of(b), bytes_of(c)}, 0, 1);
  for (int r = 0; r < 16; ++r) {
    for (int l = 0; l < 16; ++l)
      EXPECT_EQ(c[static_cast<size_t>(1 + 16 * r + l)], -r * l + 10 + 200) << r << " " << l;
  }
  c.pop_back();
  EXPECT_EQ(failure(kernel, {bytes_of(a), bytes_of(b), bytes_of(c)}),
            "kernel @k: element 256 of %c, which has 256");
  a[0] = 0x80;
  EXPECT_EQ(failure(kernel, {bytes_of(a), bytes_of(b), bytes_of(c)}),
            "kernel @k: dot product of 128");
}

TEST(KernelInterpreter, TileSumAddsEvenAndOddTermsApart) {
  // Of two steps in memory, one is summed. All is zero but row 3 of left tile 1 and lane 5 of right
  // tile 1, whose terms are 2^24, 1, -2^24, 1: in order, f32 would lose the first 1.
  std::vector<uint16_t> a(3 * 512);
  std::vector<uint16_t> b(3 * 512);
  std::vector<float> c(1024, 0.5f);
  const uint16_t terms[] = {0x4b80, 0x3f80, 0xcb80, 0x3f80};
  for (size_t k = 0; k < 4; ++k) {
    a[1024 + 3 * 32 + k] = terms[k];
    b[1024 + (k / 2 * 16 + 5) * 2 + k % 2] = 0x3f80;
  }
  a[1024 + 3 * 32 + 4] = 1;  // a denormal is a zero
  b[1024 + (2 * 16 + 5) * 2] = 0x7f00;
  a[512] = b[512] = 0x3f80;  // of the second step
  interpret(
      parse("%a: bf16 arena, %b: bf16 arena, %c: f32 arena", "tile_sum<1, 2> %c[0] = %a[0], %b[0]"),
      {bytes_of(a), bytes_of(b), bytes_of(c)}, 0, 1);
  for (size_t i = 0; i < 1024; ++i) EXPECT_EQ(c[i], i == 3 * 256 + 3 * 16 + 5 ? 2.5f : 0.5f) << i;
}

TEST(KernelInterpreter, RunsTheTasksThatAreAskedFor) {
  const Kernel kernel =
      parse("%y: f32 arena, %n: i64",
            "let %m = %n * 2\nparallel %t in %m {\nstore %y[%t] = cast<f32>(%t)\n}");
  std::vector<float> y(8, -1);
  const std::vector<Argument> arguments = {bytes_of(y), {{}, 4}};
  EXPECT_EQ(task_count(kernel, arguments), 8);
  interpret(kernel, arguments, 2, 5);
  EXPECT_EQ(y, (std::vector<float>{-1, -1, 2, 3, 4, -1, -1, -1}));
  interpret(kernel, arguments, 6, 100);
  EXPECT_EQ(y[7], 7) << "and no more than there are";
  EXPECT_EQ(task_count(parse("%y: f32 arena", "store %y[0] = 1.0:f32"), {bytes_of(y)}), 1)
      << "without a loop of tasks";
}

TEST(KernelInterpreter, EveryAccessIsChecked) {
  std::vector<float> x(8);
  EXPECT_EQ(failure(parse("%x: f32 arena", "let %a = load(%x, 8)"), {bytes_of(x)}),
            "kernel @k: element 8 of %x, which has 8");
  EXPECT_EQ(failure(parse("%x: f32 arena", "let %a = load(%x, -1)"), {bytes_of(x)}),
            "kernel @k: element -1 of %x, which has 8");
  EXPECT_EQ(failure(parse("%x: f32 arena", "let %a = load<4>(%x, 5)"), {bytes_of(x)}),
            "kernel @k: element 8 of %x, which has 8");
  EXPECT_EQ(failure(parse("%x: f32 arena", "store %x[ramp<4, 4>(0)] = 0.0:f32x4"), {bytes_of(x)}),
            "kernel @k: element 8 of %x, which has 8");
  EXPECT_EQ(failure(parse("%x: f32 arena", "allocate %l: f32[2] local\nstore %l[2] = 0.0:f32"),
                    {bytes_of(x)}),
            "kernel @k: element 2 of %l, which has 2");
  EXPECT_EQ(
      failure(
          parse("%x: f32 arena",
                "allocate %r: f32x8[2] register\nunrolled %u in 3 {\nstore %r[%u] = 0.0:f32x8\n}"),
          {bytes_of(x)}),
      "kernel @k: element 16 of %r, which has 16");
  EXPECT_EQ(
      failure(parse("%x: f32 arena", "prefetch %x[1000]\nstore %x[7] = 0.0:f32"), {bytes_of(x)}),
      "none")
      << "a prefetch may miss";
}

TEST(KernelInterpreter, ArithmeticThatHasNoResult) {
  std::vector<int32_t> m = {1, 0, 40};
  EXPECT_EQ(
      failure(parse("%m: i32 arena", "store %m[0] = load(%m, 0) / load(%m, 1)"), {bytes_of(m)}),
      "kernel @k: division by zero");
  EXPECT_EQ(
      failure(parse("%m: i32 arena", "store %m[0] = load(%m, 0) << load(%m, 2)"), {bytes_of(m)}),
      "kernel @k: shift by 40");
}

TEST(KernelInterpreter, ArgumentsAreOneAParameter) {
  std::vector<float> x(8);
  EXPECT_EQ(failure(parse("%x: f32 arena, %n: i64", "store %x[0] = 0.0:f32"), {bytes_of(x)}),
            "kernel @k takes 2 arguments, not 1");
}

TEST(KernelInterpreter, WhatNobodyWroteReadsAsAPattern) {
  std::vector<uint8_t> y = {0, 0};
  interpret(parse("%y: u8 arena",
                  "allocate %l: u8[2] local\nstore %l[0] = 1:u8\nstore %y[0] = load(%l, 0)\nstore "
                  "%y[1] = load(%l, 1)"),
            {bytes_of(y)}, 0, 1);
  EXPECT_EQ(y, (std::vector<uint8_t>{1, 0xa5}));
}

TEST(KernelInterpreter, VectorsOfManyLanes) {
  // More than the 64 lanes that values hold without an allocation.
  std::vector<uint8_t> y(128);
  interpret(parse("%y: u8 arena", "store %y[0] = cast<u8>(ramp<1, 128>(0))"), {bytes_of(y)}, 0, 1);
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], i);
}

TEST(ScratchBytes, LargeLocalBuffersOfOneScopeAddUpAndThoseOfOthersShare) {
  const auto scratch = [](const std::string& body) {
    return scratch_bytes(parse("%n: i64", body));
  };
  EXPECT_EQ(scratch("allocate %a: f32[4096] local"), 0) << "16 KiB lie on the stack";
  EXPECT_EQ(scratch("allocate %a: f32[4097] local"), 16448) << "a multiple of 64";
  EXPECT_EQ(scratch("allocate %a: f32[8192] local\nallocate %b: f32[8192] local"), 65536);
  EXPECT_EQ(scratch("{\nallocate %a: f32[8192] local\n}\n{\nallocate %b: f32[16384] local\n}"),
            65536);
  EXPECT_EQ(scratch("allocate %a: f32[8192] local\nif %n < 1 {\nallocate %b: f32[8192] local\n} "
                    "else {\nallocate %c: f32[16384] local\n}"),
            98304);
}

}  // namespace
}  // namespace mlc::kernel
