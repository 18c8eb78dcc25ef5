// SPDX-License-Identifier: Apache-2.0
// What the verifier refuses that no text can say: trees made by hand, as a wrong pass would make
// them. Rules that a text can break are in tests/kernels/verifier_*.kernel.
#include "kernel/verifier.h"

#include <gtest/gtest.h>

#include "kernel/builder.h"
#include "kernel/text.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

constexpr Type kF32{DType::kF32, 1};

Expr node(ExprNode value) { return std::make_shared<const ExprNode>(std::move(value)); }
Stmt statement(StmtNode value) { return std::make_shared<const StmtNode>(std::move(value)); }

BufferRef buffer(const char* name, Type element = kF32, Space space = Space::kArena,
                 int64_t size = 0) {
  return std::make_shared<const Buffer>(Buffer{name, element, space, size});
}

std::string refusal_of(const Kernel& kernel) {
  try {
    verify(kernel);
  } catch (const IrError& error) {
    return error.what();
  }
  return "nothing";
}

std::string refusal_of_value(const Expr& value, const BufferRef& x = {}) {
  Kernel kernel{.name = "k", .parameters = {}, .body = {}};
  if (x) kernel.parameters.push_back({x, nullptr});
  kernel.body.push_back(
      statement({.kind = StmtKind::kLet, .var = make_var("v", value->type), .value = value}));
  return refusal_of(kernel);
}

TEST(Verifier, ABufferThatIsNoParameterAndNotAllocated) {
  const BufferRef x = buffer("x");
  EXPECT_EQ(refusal_of_value(load(x, index(0))), "kernel @k: %x is used outside its scope");
  EXPECT_EQ(refusal_of_value(load(x, index(0)), x), "nothing");
}

TEST(Verifier, ANameDoesNotMakeAVariable) {
  // Two variables of one name are two variables.
  Kernel kernel{.name = "k", .parameters = {{nullptr, make_var("n")}}, .body = {}};
  kernel.body.push_back(
      statement({.kind = StmtKind::kLet, .var = make_var("v"), .value = var(make_var("n"))}));
  EXPECT_EQ(refusal_of(kernel), "kernel @k: %n is used outside its scope");
}

TEST(Verifier, ALetOfAnotherTypeThanItsValue) {
  const Kernel kernel{
      .name = "k",
      .parameters = {},
      .body = {statement({.kind = StmtKind::kLet, .var = make_var("v", kF32), .value = index(1)})}};
  EXPECT_EQ(refusal_of(kernel), "kernel @k: let %v of another type");
}

TEST(Verifier, ParametersOfSpacesThatAKernelAllocates) {
  for (const Space space : {Space::kRegister, Space::kLocal, Space::kShared}) {
    const Kernel kernel{
        .name = "k", .parameters = {{buffer("x", kF32, space), nullptr}}, .body = {}};
    EXPECT_EQ(refusal_of(kernel),
              "kernel @k: parameter %x has space " + std::string(space_name(space)));
  }
}

TEST(Verifier, AllocationsInSpacesThatThePlanBinds) {
  for (const Space space :
       {Space::kArena, Space::kWeight, Space::kConstant, Space::kCache, Space::kInput}) {
    const Kernel kernel{
        .name = "k",
        .parameters = {},
        .body = {statement({.kind = StmtKind::kAllocate, .buffer = buffer("x", kF32, space, 4)})}};
    EXPECT_EQ(refusal_of(kernel), "kernel @k: allocate %x");
  }
}

TEST(Verifier, OperandsOfUnequalTypesAndResultsOfOthers) {
  const Expr a = index(1);
  EXPECT_EQ(
      refusal_of_value(node({.kind = ExprKind::kAdd, .type = Type{}, .operands = {a, i32(1)}})),
      "kernel @k: operands of 1 + 1:i32");
  EXPECT_EQ(refusal_of_value(
                node({.kind = ExprKind::kMul, .type = {DType::kI32, 1}, .operands = {a, a}})),
            "kernel @k: operands of 1 * 1");
  EXPECT_EQ(refusal_of_value(
                node({.kind = ExprKind::kShl, .type = {DType::kI64, 2}, .operands = {a, a}})),
            "kernel @k: operands of 1 << 1");
  EXPECT_EQ(refusal_of_value(node({.kind = ExprKind::kLt, .type = Type{}, .operands = {a, a}})),
            "kernel @k: operands of 1 < 1");
}

TEST(Verifier, OperandsOfAnotherNumber) {
  EXPECT_EQ(
      refusal_of_value(node({.kind = ExprKind::kAdd, .type = Type{}, .operands = {index(1)}})),
      "kernel @k: + has 1 operands");
  EXPECT_EQ(refusal_of_value(node({.kind = ExprKind::kSqrt, .type = kF32, .operands = {}})),
            "kernel @k: sqrt has 0 operands");
}

TEST(Verifier, BitcastsToAnotherSizeAndShufflesOfOtherLanes) {
  const Expr vector = float_constant({DType::kF32, 4}, 1);
  EXPECT_EQ(refusal_of_value(
                node({.kind = ExprKind::kBitcast, .type = {DType::kI32, 8}, .operands = {vector}})),
            "kernel @k: bitcast to another size: bitcast<i32x8>(1.0:f32x4)");
  EXPECT_EQ(refusal_of_value(node({.kind = ExprKind::kShuffle,
                                   .type = {DType::kF32, 2},
                                   .operands = {vector, vector},
                                   .indices = {0, 1, 2}})),
            "kernel @k: shuffle");
  EXPECT_EQ(refusal_of_value(node({.kind = ExprKind::kShuffle,
                                   .type = {DType::kF32, 2},
                                   .operands = {vector, vector},
                                   .indices = {0, 8}})),
            "kernel @k: shuffle index out of range");
  EXPECT_EQ(refusal_of_value(node({.kind = ExprKind::kShuffle,
                                   .type = {DType::kF32, 2},
                                   .operands = {vector, vector},
                                   .indices = {0, 7}})),
            "nothing");
}

TEST(Verifier, MathOnOtherTypesThanF32) {
  for (const ExprKind kind : {ExprKind::kExp, ExprKind::kExp2, ExprKind::kLog2, ExprKind::kTanh,
                              ExprKind::kErf, ExprKind::kSin, ExprKind::kCos, ExprKind::kRound}) {
    EXPECT_EQ(refusal_of_value(node({.kind = kind,
                                     .type = {DType::kF64, 1},
                                     .operands = {float_constant({DType::kF64, 1}, 1)}})),
              "kernel @k: " + std::string(expr_name(kind)) + " takes f32");
  }
}

TEST(Verifier, ARegisterIndexThatDependsOnMemory) {
  const BufferRef r = buffer("r", {DType::kF32, 8}, Space::kRegister, 4);
  const BufferRef table = buffer("t", Type{}, Space::kInput);
  const Kernel kernel{.name = "k",
                      .parameters = {{table, nullptr}},
                      .body = {statement({.kind = StmtKind::kAllocate, .buffer = r}),
                               statement({.kind = StmtKind::kStore,
                                          .buffer = r,
                                          .value = float_constant({DType::kF32, 8}, 0),
                                          .index = load(table, index(0))})}};
  EXPECT_EQ(refusal_of(kernel),
            "kernel @k: index of the register buffer %r is no constant: load(%t, 0)");
}

}  // namespace
}  // namespace mlc::kernel
