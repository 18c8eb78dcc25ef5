// SPDX-License-Identifier: Apache-2.0
// What the builder folds and checks, and names that are one of a kind.
#include "kernel/builder.h"

#include <gtest/gtest.h>

#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

std::string refusal_by(const std::function<void()>& f) {
  try {
    f();
  } catch (const IrError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(KernelBuilder, FoldsIntegersAndLeavesFloatsAlone) {
  const Expr n = var(make_var("n"));
  EXPECT_EQ(to_text(index(6) * 7 + 0), "42");
  EXPECT_EQ(to_text(n + 0), "%n");
  EXPECT_EQ(to_text(n * 1), "%n");
  EXPECT_EQ(to_text(n * 0), "0");
  EXPECT_EQ(to_text(n / 1), "%n");
  EXPECT_EQ(to_text(n % 1), "0");
  EXPECT_EQ(to_text((n + 3) + 4), "%n + 7");
  EXPECT_EQ(to_text(index(3) + n), "%n + 3");
  EXPECT_EQ(to_text(less(index(3), n)), "3 < %n");
  EXPECT_EQ(to_text(less(index(3), index(4))), "1:bool");
  EXPECT_EQ(to_text(index(1) / 0), "1 / 0") << "what has no value stays";
  EXPECT_EQ(to_text(constant({DType::kI64, 1}, INT64_MIN) / -1), "-9223372036854775808 / -1");
  EXPECT_EQ(to_text(f32(1) + f32(2)), "1.0:f32 + 2.0:f32") << "rounding is left to the machine";
  EXPECT_EQ(to_text(f32(0) * var(make_var("x", {DType::kF32, 1}))), "0.0:f32 * %x")
      << "0 * NaN is NaN";
  EXPECT_EQ(to_text(cast(DType::kF32, i32(3))), "3.0:f32");
  EXPECT_EQ(to_text(cast(DType::kU8, i32(-1))), "255:u8");
  EXPECT_EQ(to_text(select(less(index(1), index(2)), n, index(0))), "%n");
}

TEST(KernelBuilder, BroadcastsScalarsThatMeetVectors) {
  const Expr v = var(make_var("v", {DType::kF32, 8}));
  EXPECT_EQ(to_text(v * f32(2)), "%v * 2.0:f32x8");
  EXPECT_EQ(to_text(f32(2) - v), "2.0:f32x8 - %v");
  EXPECT_EQ(to_text(fma(f32(2), v, f32(1))), "fma(2.0:f32x8, %v, 1.0:f32x8)");
  EXPECT_EQ(to_text(select(var(make_var("c", {DType::kBool, 1})), v, f32(0))),
            "select(broadcast<8>(%c), %v, 0.0:f32x8)");
}

TEST(KernelBuilder, ShufflesThatChangeNothingAreNone) {
  const Expr v = var(make_var("v", {DType::kF32, 4}));
  EXPECT_EQ(to_text(shuffle(v, {0, 1, 2, 3})), "%v");
  EXPECT_EQ(to_text(slice_lanes(v, 2, 2)), "shuffle<2, 3>(%v, %v)");
  EXPECT_EQ(to_text(concat_lanes(v, v)), "shuffle<0, 1, 2, 3, 4, 5, 6, 7>(%v, %v)");
  EXPECT_EQ(to_text(extract_lane(v, 3)), "shuffle<3>(%v, %v)");
  EXPECT_EQ(to_text(ramp(index(5), 2, 1)), "5");
  EXPECT_EQ(to_text(vector_constant(DType::kI32, {7, 7, 7})), "7:i32x3");
  EXPECT_EQ(to_text(vector_constant(DType::kI32, {7, 8})), "vector<7, 8>:i32");
}

TEST(KernelBuilder, RefusesOperandsOfWrongTypes) {
  const Expr v = var(make_var("v", {DType::kF32, 8}));
  const Expr w = var(make_var("w", {DType::kF32, 4}));
  const auto x = std::make_shared<const Buffer>(Buffer{"x", {DType::kF32, 8}, Space::kRegister, 2});
  EXPECT_EQ(refusal_by([&] { v + w; }), "+ of f32x8 and f32x4");
  EXPECT_EQ(refusal_by([&] { index(1) + i32(1); }), "+ of i64x1 and i32x1");
  EXPECT_EQ(refusal_by([&] { fma(v, w, v); }), "fma of unequal types");
  EXPECT_EQ(refusal_by([&] { logical_and(index(1), index(1)); }), "logical_and takes bools");
  EXPECT_EQ(refusal_by([&] { math(ExprKind::kAdd, v); }), "+");
  EXPECT_EQ(refusal_by([&] { load(x, i32(0)); }), "index of x is no i64");
  EXPECT_EQ(refusal_by([&] { load(x, index(0), 4); }), "load of half a vector from x");
  EXPECT_EQ(refusal_by([&] { shuffle(v, w, {0}); }), "shuffle of unequal types");
  EXPECT_EQ(refusal_by([&] { dot2(v, v); }), "dot2(u8, i8)");
  EXPECT_EQ(refusal_by([&] { pair_sum(v); }), "pair_sum(i16)");
  EXPECT_EQ(refusal_by([&] { constant({DType::kF32, 1}, 1); }), "float_constant() makes floats");
  EXPECT_EQ(refusal_by([&] { float_constant(Type{}, 1); }), "i64");
  EXPECT_EQ(refusal_by([&] { constant_value(v); }), "var");
}

TEST(KernelBuilder, GivesEveryNameOnce) {
  KernelBuilder b("k");
  const BufferRef x = b.buffer_parameter("x", DType::kF32, Space::kArena);
  const Expr a = b.let("a", load(x, index(0)));
  const Expr c = b.let("a", load(x, index(1)));
  b.serial("x", 3, [&](const Expr& i) { b.store(x, i, a + c); });
  const Kernel kernel = b.finish();
  verify(kernel);
  EXPECT_EQ(to_text(kernel),
            "kernel @k(%x: f32 arena) {\n  let %a = load(%x, 0)\n  let %a.1 = load(%x, 1)\n  for "
            "%x.1 in 3 {\n    store %x[%x.1] = %a + %a.1\n  }\n}\n");
  EXPECT_EQ(to_text(parse_kernel(to_text(kernel), "test")), to_text(kernel));
}

TEST(KernelBuilder, LoopsAndConditionsThatAreKnownAreNone) {
  KernelBuilder b("k");
  const BufferRef x = b.buffer_parameter("x", DType::kF32, Space::kArena);
  const auto store = [&](double value) {
    return [&b, x, value] { b.store(x, index(0), f32(value)); };
  };
  b.serial("none", 0, [&](const Expr&) { store(1)(); });
  b.serial("one", 1, [&](const Expr& i) { b.store(x, i, f32(2)); });
  b.if_then(less(index(1), index(2)), store(3), store(4));
  b.if_then(less(index(2), index(1)), store(5));
  b.parallel("t", index(1), [&](const Expr& t) { b.store(x, t, f32(6)); });
  const Kernel kernel = b.finish();
  verify(kernel);
  EXPECT_EQ(to_text(kernel),
            "kernel @k(%x: f32 arena) {\n  {\n    store %x[0] = 2.0:f32\n  }\n  {\n    store %x[0] "
            "= 3.0:f32\n  }\n  {\n  }\n"
            "  parallel %t in 1 {\n    store %x[%t] = 6.0:f32\n  }\n}\n")
      << "the tasks of a kernel stay a loop";
}

TEST(KernelBuilder, AnOperandIsNotBoundAgain) {
  KernelBuilder b("k");
  const Expr n = b.size_parameter("n");
  EXPECT_EQ(to_text(b.let("m", n)), "%n");
  EXPECT_EQ(to_text(b.let("m", index(3))), "3");
  EXPECT_EQ(to_text(b.let("m", n + 3)), "%m");
}

}  // namespace
}  // namespace mlc::kernel
