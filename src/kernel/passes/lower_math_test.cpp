// SPDX-License-Identifier: Apache-2.0
// The error bounds that lower_math.cpp states, over floats of every exponent. That generated code has the bits of the
// interpreted expansion is tested in link/generated_code_test.cpp.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <map>

#include "kernel/interpreter.h"
#include "kernel/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/strings.h"

namespace mlc::kernel {
namespace {

std::vector<float> evaluate(const std::string& function, std::vector<float> x) {
  const size_t count = x.size();
  x.resize((count + 63) / 64 * 64);
  std::vector<float> y(x.size());
  const Kernel kernel = lower_math(parse_kernel(
      cat("kernel @k(%x: f32 arena, %y: f32 arena, %n: i64) {\n parallel %t in %n {\n store %y[%t * 64] = ", function, "(load<64>(%x, %t * 64))\n }\n}\n"), "test"));
  verify(kernel);
  const auto tasks = static_cast<int64_t>(x.size() / 64);
  interpret(kernel, {{std::as_writable_bytes(std::span(x)), 0}, {std::as_writable_bytes(std::span(y)), 0}, {{}, tasks}}, 0, tasks);
  y.resize(count);
  return y;
}

float evaluate(const std::string& function, float x) { return evaluate(function, std::vector<float>{x})[0]; }

// Floats of every exponent between two bounds, both signs, and the places where errors are largest.
std::vector<float> floats(double low, double high, std::initializer_list<float> worst) {
  std::vector<float> list(worst);
  constexpr uint64_t kStride = 19661;  // some 427 floats of each sign and exponent, of all mantissas in turn
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += kStride) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(bits));
    if (x >= low && x <= high) list.push_back(x);
  }
  return list;
}

double ulp_of(double value) {
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(1.0, std::max(exponent - 1, -126) - 23);
}

struct Errors {
  double ulps = 0;
  double absolute = 0;
};

Errors largest_errors(const std::string& function, double (*reference)(double), const std::vector<float>& x) {
  const std::vector<float> y = evaluate(function, x);
  Errors errors;
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = reference(static_cast<double>(x[i]));
    const double difference = std::fabs(static_cast<double>(y[i]) - want);
    EXPECT_FALSE(std::isnan(difference)) << function << " of " << x[i];
    errors.ulps = std::max(errors.ulps, difference / ulp_of(want));
    errors.absolute = std::max(errors.absolute, difference);
  }
  return errors;
}

// Each bound is stated in lower_math.cpp; the lower limit shows that the sample finds what the worst places are known for.
void expect_ulps(const Errors& errors, double bound) {
  EXPECT_LE(errors.ulps, bound);
  EXPECT_GE(errors.ulps, 0.9 * bound - 0.1);
}

TEST(LowerMath, Exp) {
  expect_ulps(largest_errors("exp", std::exp, floats(-87, 88, {-5.83742666f, -87.0f, 88.0f})), 1.1);
}

TEST(LowerMath, Exp2) {
  expect_ulps(largest_errors("exp2", std::exp2, floats(-126, 127, {-0.495833963f, -126.0f, 127.0f})), 1.0);
}

TEST(LowerMath, ExponentialsStayAtTheEndsOfTheirRange) {
  for (const float x : {-88.0f, -1000.0f, -INFINITY}) EXPECT_EQ(evaluate("exp", x), evaluate("exp", -87.0f)) << x;
  for (const float x : {88.5f, 1000.0f, INFINITY}) EXPECT_EQ(evaluate("exp", x), evaluate("exp", 88.0f)) << x;
  for (const float x : {-127.0f, -1e30f, -INFINITY}) EXPECT_EQ(evaluate("exp2", x), std::ldexp(1.0f, -126)) << x;
  for (const float x : {127.5f, 1e30f, INFINITY}) EXPECT_EQ(evaluate("exp2", x), std::ldexp(1.0f, 127)) << x;
  EXPECT_EQ(evaluate("exp", 0.0f), 1.0f);
  EXPECT_EQ(evaluate("exp2", -3.0f), 0.125f);
}

TEST(LowerMath, Log2OfNormalNumbers) {
  expect_ulps(largest_errors("log2", std::log2, floats(std::numeric_limits<float>::min(), std::numeric_limits<float>::max(), {1.41308856f})), 1.7);
  for (int e = -126; e < 128; ++e) EXPECT_EQ(evaluate("log2", std::ldexp(1.0f, e)), static_cast<float>(e));
}

TEST(LowerMath, Tanh) {
  expect_ulps(largest_errors("tanh", std::tanh, floats(-INFINITY, INFINITY, {0.633547246f, 0.625f, 0.62499994f, 20.0f})), 1.4);
}

TEST(LowerMath, Erf) {
  expect_ulps(largest_errors("erf", std::erf, floats(-INFINITY, INFINITY, {0.47020638f, -0.969637513f, 1.0f, 0.99999994f, 4.0f})), 2.4);
}

TEST(LowerMath, SinAndCosBelowTwoToTheTwentieth) {
  const std::vector<float> x = floats(-1048575.9, 1048575.9, {-13899.1982f, 2.39159942f, 1.57079637f, 3.14159274f, 1048575.0f});
  const Errors sine = largest_errors("sin", std::sin, x);
  const Errors cosine = largest_errors("cos", std::cos, x);
  EXPECT_LE(sine.ulps, 1.6);
  EXPECT_LE(cosine.ulps, 1.6);
  EXPECT_LE(sine.absolute, 1e-7);
  EXPECT_LE(cosine.absolute, 1e-7);
  EXPECT_GE(std::max(sine.ulps, cosine.ulps), 1.3);
}

TEST(LowerMath, OddFunctionsAreOddToTheBit) {
  for (const std::string function : {"tanh", "erf", "sin"}) {
    for (const float x : {1e-40f, 1e-20f, 0.3f, 0.7f, 1.5f, 3.0f, 30.0f}) {
      EXPECT_EQ(std::bit_cast<uint32_t>(evaluate(function, -x)), std::bit_cast<uint32_t>(evaluate(function, x)) ^ 0x80000000u) << function << " of " << x;
    }
    EXPECT_EQ(evaluate(function, 1e-30f), function == "erf" ? 1.1283791e-30f : 1e-30f);
  }
  EXPECT_EQ(evaluate("cos", -1.25f), evaluate("cos", 1.25f));
  for (const std::string function : {"tanh", "erf"}) EXPECT_TRUE(std::signbit(evaluate(function, -0.0f))) << function;
  EXPECT_EQ(evaluate("sin", -0.0f), 0.0f);
}

TEST(LowerMath, SaturatesAtOne) {
  for (const float x : {10.0f, 1e30f, INFINITY}) {
    EXPECT_EQ(evaluate("tanh", x), 1.0f);
    EXPECT_EQ(evaluate("tanh", -x), -1.0f);
    EXPECT_EQ(evaluate("erf", x), 1.0f);
    EXPECT_EQ(evaluate("erf", -x), -1.0f);
  }
}

TEST(LowerMath, LeavesNoCall) {
  const Kernel kernel = lower_math(parse_kernel("kernel @k(%x: f32 arena) {\n store %x[0] = sin(exp(load(%x, 0))) + log2(tanh(load(%x, 1)))\n}\n", "test"));
  verify(kernel);
  const std::string text = to_text(kernel);
  for (const char* call : {"sin(", "exp(", "log2(", "tanh("}) EXPECT_EQ(text.find(call), std::string::npos) << call;
  EXPECT_EQ(to_text(lower_math(kernel)), text) << "and changes nothing more";
}

}  // namespace
}  // namespace mlc::kernel
