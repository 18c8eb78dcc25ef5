// SPDX-License-Identifier: Apache-2.0
// Mathematical functions as arithmetic, so that kernels import nothing and give the same bits on
// every CPU. The polynomials are minimax fits made for this file (scripts/fit_math.py). No error is
// larger than this; the figures were seen over a third of all f32 of the range, and
// lower_math_test.cpp measures a part of them:
//   exp   1.1 ulp in [-87, 88]; below it stays at e^-87, above at e^88 (a NaN counts as below)
//   exp2  1.0 ulp in [-126, 127], held at these ends beyond
//   log2  1.8 ulp for positive normal numbers
//   tanh  1.4 ulp      erf  2.5 ulp, for all numbers and infinities
//   sin 1.7 ulp, cos 1.9 ulp, both 1e-7 absolute, for |x| < 2^20
#include <cmath>

#include "kernel/builder.h"
#include "kernel/passes/passes.h"
#include "kernel/passes/rewrite.h"

namespace mlc::kernel {
namespace {

class LowerMath : public Rewriter {
 protected:
  Expr rewrite(Expr e) override {
    if (!is_math_call(e->kind)) return e;
    lanes_ = e->type.lanes;
    const Expr x = let("x", e->operands[0]);
    switch (e->kind) {
      case ExprKind::kExp:
        return exponential(x);
      case ExprKind::kExp2:
        return exponential2(x);
      case ExprKind::kLog2:
        return logarithm2(x);
      case ExprKind::kTanh:
        return hyperbolic_tangent(x);
      case ExprKind::kErf:
        return error_function(x);
      case ExprKind::kSin:
        return sine(x, 0);
      default:
        return sine(x, 1);
    }
  }

 private:
  Expr c(double value) const { return float_constant({DType::kF32, lanes_}, value); }
  Expr ci(int64_t value) const { return constant({DType::kI32, lanes_}, value); }
  Type ints() const { return {DType::kI32, lanes_}; }
  Type floats() const { return {DType::kF32, lanes_}; }

  Expr let(const std::string& name, Expr value) {
    if (value->kind == ExprKind::kVar || value->kind == ExprKind::kConst) return value;
    VarRef bound = make_var("math." + name + "." + std::to_string(serial_++), value->type);
    emit_before({.kind = StmtKind::kLet, .var = bound, .value = std::move(value)});
    return var(bound);
  }

  // c0 + x (c1 + x (...))
  Expr polynomial(const Expr& x, std::initializer_list<double> coefficients) {
    Expr sum;
    for (auto it = std::rbegin(coefficients); it != std::rend(coefficients); ++it) {
      sum = sum ? let("p", fma(sum, x, c(*it))) : c(*it);
    }
    return sum;
  }

  Expr power_of_two(const Expr& n) {  // n: integral f32 in [-126, 127]
    return bitcast(floats(), shift_left(cast(DType::kI32, n) + ci(127), ci(23)));
  }

  Expr exponential(const Expr& x) {
    const Expr bounded = let("b", minimum(maximum(x, c(-87)), c(88)));
    const Expr n = let("n", round_even(bounded * c(1.44269504088896341)));
    const Expr high = let("r", fma(n, c(-0.693359375), bounded));  // ln 2 in two parts
    const Expr r = let("r", fma(n, c(2.12194440054690583e-4), high));
    const Expr q = polynomial(r, {0.5, 0.16666516661643982, 0.04166620224714279,
                                  0.008369088172912598, 0.0013950834982097149});
    const Expr p = fma(q * r, r, r) + c(1);
    return p * power_of_two(n);
  }

  Expr exponential2(const Expr& x) {
    const Expr bounded = let("b", minimum(maximum(x, c(-126)), c(127)));
    const Expr n = let("n", round_even(bounded));
    const Expr r = let("r", bounded - n);
    const Expr q =
        polynomial(r, {0.6931471824645996, 0.24022650718688965, 0.055503278970718384,
                       0.009618003852665424, 0.0013400270836427808, 0.00015476270345970988});
    return fma(q, r, c(1)) * power_of_two(n);
  }

  Expr logarithm2(const Expr& x) {
    const Expr bits = let("bits", bitcast(ints(), x));
    // The exponent e for which x / 2^e lies in [sqrt(1/2), sqrt(2)).
    const Expr e = let("e", shift_right(bits - ci(0x3f3504f3), ci(23)));
    const Expr f = let("f", bitcast(floats(), bits - shift_left(e, ci(23))) - c(1));
    const Expr q = polynomial(
        f, {1.4426950216293335, -0.7213471531867981, 0.4808981418609619, -0.3607088029384613,
            0.28857916593551636, -0.23939289152622223, 0.20428945124149323, -0.1923530548810959,
            0.18839025497436523, -0.10975076258182526});
    return fma(q, f, cast(DType::kF32, e));
  }

  Expr with_sign_of(const Expr& magnitude, const Expr& x) {
    const Expr sign = bitcast(ints(), x) & ci(INT32_MIN);
    return bitcast(floats(), bitcast(ints(), magnitude) | sign);
  }

  Expr hyperbolic_tangent(const Expr& x) {
    const Expr a = let("a", absolute(x));
    const Expr z = let("z", x * x);
    const Expr q = polynomial(z, {-0.3333328366279602, 0.13331490755081177, -0.05374349653720856,
                                  0.020650584250688553, -0.005717042367905378});
    const Expr small = let("s", fma(q * z, a, a));
    const Expr e = exponential(let("a2", minimum(a, c(20)) * c(2)));
    const Expr large = let("l", c(1) - c(2) / (e + c(1)));
    return with_sign_of(let("m", select(less(a, c(0.625)), small, large)), x);
  }

  Expr error_function(const Expr& x) {
    const Expr a = let("a", minimum(absolute(x), c(4)));
    const Expr z = let("z", a * a);
    const Expr small =
        let("s", a * polynomial(z, {1.1283791065216064, -0.3761262595653534, 0.11283600330352783,
                                    -0.026854444295167923, 0.005189535208046436,
                                    -0.0008020842215046287, 7.889122207416221e-05}));
    const Expr t = let("t", c(1) / maximum(a, c(1)));
    const Expr q = polynomial(
        t, {0.00020109457545913756, 0.5590955018997192, 0.046020280569791794, -0.4964941143989563,
            0.5662829279899597, -0.34960755705833435, 0.12013406306505203, -0.01804857887327671});
    const Expr e = exponential(let("z", c(0) - z));
    const Expr large = let("l", c(1) - e * q);
    return with_sign_of(let("m", select(less(a, c(1)), small, large)), x);
  }

  // sin for shift 0, cos for shift 1: both from the quarter turn that x lies in.
  Expr sine(const Expr& x, int shift) {
    const Expr k = let("k", round_even(x * c(0.636619772367581343)));
    Expr r = let("r", fma(k, c(-1.5707963705062866), x));  // pi / 2 in three parts
    r = let("r", fma(k, c(4.371139000186238e-08), r));
    r = let("r", fma(k, c(1.7151245100058819e-15), r));
    const Expr z = let("z", r * r);
    const Expr s = let("s", fma(polynomial(z, {-0.1666666716337204, 0.008333328180015087,
                                               -0.000198390320292674, 2.71591352429823e-06}) *
                                    z,
                                r, r));
    const Expr q =
        polynomial(z, {0.04166664555668831, -0.0013887359527871013, 2.443753146508243e-05});
    const Expr cosine = let("c", fma(q * z, z, fma(z, c(-0.5), c(1))));
    const Expr quarter = let("q", (cast(DType::kI32, k) + ci(shift)) & ci(3));
    const Expr value = let("v", select(equal(quarter & ci(1), ci(1)), cosine, s));
    const Expr sign = shift_left(quarter & ci(2), ci(30));
    return bitcast(floats(), binary(ExprKind::kXor, bitcast(ints(), value), sign));
  }

  int lanes_ = 1;
  int serial_ = 0;
};

}  // namespace

Kernel lower_math(const Kernel& kernel) { return LowerMath().run(kernel); }

}  // namespace mlc::kernel
