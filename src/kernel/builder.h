// SPDX-License-Identifier: Apache-2.0
// How kernels are written in C++: functions that make expressions (with the obvious folding of
// constants) and a KernelBuilder that collects statements. Scalars are broadcast where the other
// operand is a vector.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "kernel/ir.h"

namespace mlc::kernel {

// Leaves. The first takes integers and bools, the second floats; lanes > 1 gives a broadcast
// constant.
Expr constant(Type type, int64_t value);
Expr float_constant(Type type, double value);
inline Expr index(int64_t value) { return constant({DType::kI64, 1}, value); }
inline Expr f32(double value) { return float_constant({DType::kF32, 1}, value); }
inline Expr i32(int64_t value) { return constant({DType::kI32, 1}, value); }
// An integer vector of these values.
Expr vector_constant(DType dtype, std::vector<int> values);
Expr var(VarRef var);
VarRef make_var(std::string name, Type type = {});

// Operators. Both operands have one dtype; results of comparisons are bool.
Expr binary(ExprKind kind, Expr a, Expr b);
Expr operator+(Expr a, Expr b);
Expr operator-(Expr a, Expr b);
Expr operator*(Expr a, Expr b);
Expr operator/(Expr a, Expr b);
Expr operator%(Expr a, Expr b);
Expr operator&(Expr a, Expr b);
Expr operator|(Expr a, Expr b);
Expr operator+(Expr a, int64_t b);
Expr operator-(Expr a, int64_t b);
Expr operator*(Expr a, int64_t b);
Expr operator/(Expr a, int64_t b);
Expr operator%(Expr a, int64_t b);
Expr operator&(Expr a, int64_t b);
Expr shift_left(Expr a, Expr bits);
Expr shift_right(Expr a, Expr bits);  // arithmetic for signed, logical for unsigned
Expr less(Expr a, Expr b);
Expr less_equal(Expr a, Expr b);
Expr equal(Expr a, Expr b);
Expr not_equal(Expr a, Expr b);
Expr logical_and(Expr a, Expr b);
Expr minimum(Expr a, Expr b);  // a < b ? a : b
Expr maximum(Expr a, Expr b);  // a > b ? a : b
Expr absolute(Expr a);
Expr square_root(Expr a);
Expr round_even(Expr a);
Expr fma(Expr a, Expr b, Expr c);  // a * b + c with one rounding
Expr select(Expr condition, Expr a, Expr b);
Expr math(ExprKind kind, Expr a);  // kExp .. kCos
Expr ceil_div(Expr a, int64_t b);

// u8 a, s8 b of 4 L lanes: i32 of L lanes, acc + the sum of each four products. Requires a <= 127.
Expr dot4(Expr acc, Expr a, Expr b);
// u8 a, s8 b of 2 L lanes: i16 of L lanes, the sum of each two products. Requires a <= 127.
Expr dot2(Expr a, Expr b);
// u8 a, s8 b of 16 L bytes: i32 of 4 L lanes. Each 16 bytes of both are two rows of eight, and four
// lanes of the result are acc + the products of a's two rows with b's two: a0 b0, a0 b1, a1 b0, a1
// b1. Requires a <= 127.
Expr block_dot(Expr acc, Expr a, Expr b);
// i16 of 2 L lanes: i32 of L lanes, the sum of each two.
Expr pair_sum(Expr a);

Expr cast(DType dtype, Expr a);
Expr bitcast(Type type, Expr a);  // same number of bits in all
Expr broadcast(Expr a, int lanes);
Expr ramp(Expr base, int64_t stride, int lanes);
// A scalar index loads `lanes` elements that follow each other; a vector index gathers.
Expr load(BufferRef buffer, Expr at, int lanes = 1);
Expr shuffle(Expr a, Expr b, std::vector<int> indices);
Expr shuffle(Expr a, std::vector<int> indices);
Expr slice_lanes(Expr a, int begin, int lanes);
Expr concat_lanes(Expr a, Expr b);
Expr extract_lane(Expr a, int lane);

bool is_constant(const Expr& a);
// The value of an integer constant (broadcast or not). Requires is_constant(a).
int64_t constant_value(const Expr& a);
// A copy of `node` with other operands; folds again.
Expr rebuild(const ExprNode& node, std::vector<Expr> operands);

class KernelBuilder {
 public:
  using Body = std::function<void()>;
  using LoopBody = std::function<void(Expr)>;

  explicit KernelBuilder(std::string name);

  BufferRef buffer_parameter(std::string name, DType dtype, Space space);
  Expr size_parameter(std::string name);

  Expr let(std::string name, Expr value);
  void store(const BufferRef& buffer, Expr at, Expr value);
  // Shared memory belongs to the GPU block, wherever in it the call stands.
  BufferRef allocate(std::string name, Type element, int64_t size, Space space);
  void prefetch(const BufferRef& buffer, Expr at);
  // c[16 rows][16 lanes] from `at` on = the products of `operands` (docs/ir.md).
  void tile_dot(const BufferRef& c, Expr at, TileDot operands);
  // c[2][2][16 rows][16 lanes] from `at` on += the products of `operands` (docs/ir.md).
  void tile_sum(const BufferRef& c, Expr at, TileSum operands);
  void barrier();  // of the threads of a GPU block
  void loop(std::string name, Expr extent, ForKind kind, const LoopBody& body);
  void serial(std::string name, Expr extent, const LoopBody& body);
  void serial(std::string name, int64_t extent, const LoopBody& body);
  void unrolled(std::string name, int64_t extent, const LoopBody& body);
  void parallel(std::string name, Expr extent, const LoopBody& body);
  void gpu_block(std::string name, Expr extent, const LoopBody& body);
  void gpu_thread(std::string name, int64_t extent, const LoopBody& body);
  void if_then(Expr condition, const Body& then, const Body& otherwise = {});

  Kernel finish();

 private:
  std::string unique(std::string name);
  void add(StmtNode node);
  std::vector<Stmt> collect(const Body& body);

  Kernel kernel_;
  std::vector<std::vector<Stmt>> open_;
  size_t block_scope_ = 0;  // of open_: the body of the GPU block
  std::set<std::string> names_;
};

}  // namespace mlc::kernel
