// SPDX-License-Identifier: Apache-2.0
// Pieces that templates share. Logical vectors have 16 f32 lanes on every CPU: LLVM splits them
// into registers, and the order of summation (docs/numerics.md) stays the same.
#pragma once

#include <functional>
#include <vector>

#include "graph/bit_layout.h"
#include "kernel/builder.h"
#include "target/target.h"

namespace mlc::kernel {

inline constexpr int kLanes =
    16;  // f32 lanes of a logical vector: chains of a dot product of floats
inline constexpr int kGroupLanes = 8;  // chains of a dot product of int8 groups

inline Expr zeros(DType dtype, int lanes) {
  return is_float(dtype) ? float_constant({dtype, lanes}, 0) : constant({dtype, lanes}, 0);
}

// Sums the lanes of `v` (a power of two) by halves: lane i and i + lanes / 2, until one is left.
Expr tree_sum(KernelBuilder& b, Expr v);
Expr tree_max(KernelBuilder& b, Expr v);

// The sum of vectors (a power of two of them) by halves: i and i + n / 2, until one is left.
Expr sum_by_halves(KernelBuilder& b, std::vector<Expr> parts);

// Loads `count` elements and fills up to `lanes` with zeros; never reads beyond them.
Expr load_padded(const BufferRef& buffer, Expr at, int count, int lanes);
// A vector with its first lanes and zeros behind.
Expr pad_lanes(Expr v, int lanes);

// The vectors one after the other, with zeros up to a power of two. All but the last have one
// length.
Expr concat_all(KernelBuilder& b, std::vector<Expr> pieces);

// Calls body(at, lanes) for the elements [0, count) in vectors of `lanes` and a shorter one at the
// end.
void for_vectors(KernelBuilder& b, const std::string& name, int64_t count, int lanes,
                 const std::function<void(Expr at, int lanes)>& body);
// The same where how many of [0, full) exist is known when the kernel runs: vectors, then single
// elements. `full` is a multiple of `lanes`, `count` at most `full`.
void for_vectors_up_to(KernelBuilder& b, const std::string& name, Expr count, int64_t full,
                       int lanes, const std::function<void(Expr at, int lanes)>& body);

// The transpose of rows.size() vectors of as many lanes each (a power of two). Of longer vectors
// each block of that many lanes is transposed.
std::vector<Expr> transpose(KernelBuilder& b, std::vector<Expr> rows);

// One accumulator of u8 x s8 dot products that the target sums best: in i32, or in i16 pairs that
// are widened at the end. Exact for as many steps between begin and finish as max_steps() allows.
class DotAccumulator {
 public:
  DotAccumulator(const target::Target& target, int lanes)
      : direct_(target.has_dot4()), lanes_(lanes) {}

  // Steps whose sums of pairs of products with codes up to `largest_code` fit i16.
  static int max_steps(int largest_code) { return 32767 / (2 * 127 * largest_code); }
  Type type() const { return direct_ ? Type{DType::kI32, lanes_} : Type{DType::kI16, 2 * lanes_}; }
  Expr begin() const { return constant(type(), 0); }
  // An accumulator and what finish() has to add for a sum that starts at `start` (i32).
  Expr begin_at(const Expr& start) const { return direct_ ? start : begin(); }
  Expr finish_at(Expr acc, const Expr& start) const {
    return direct_ ? acc : finish(std::move(acc)) + start;
  }
  // a: u8 of 4 * lanes, b: i8 of 4 * lanes
  Expr step(Expr acc, Expr a, Expr b) const {
    return direct_ ? dot4(std::move(acc), std::move(a), std::move(b))
                   : std::move(acc) + dot2(std::move(a), std::move(b));
  }
  Expr finish(Expr acc) const { return direct_ ? acc : pair_sum(std::move(acc)); }

 private:
  bool direct_;
  int lanes_;
};

}  // namespace mlc::kernel
