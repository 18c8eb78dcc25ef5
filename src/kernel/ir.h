// SPDX-License-Identifier: Apache-2.0
// Kernel IR: loop nests over typed buffers with vector expressions. docs/ir.md gives the meaning of
// each expression and statement in words. Trees are immutable and shared; build them with
// kernel/builder.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/dtype.h"

namespace mlc::kernel {

// A vector of `lanes` elements; one lane is a scalar. kBool is the type of comparisons. Indexes are
// i64.
struct Type {
  DType dtype = DType::kI64;
  int lanes = 1;

  Type with_lanes(int n) const { return {dtype, n}; }
  Type with_dtype(DType d) const { return {d, lanes}; }
  bool operator==(const Type&) const = default;
};

enum class ExprKind : uint8_t {
#define KERNEL_EXPR(enumerator, name, operands, group) enumerator,
#include "kernel/exprs.def"
#undef KERNEL_EXPR
};

enum class ExprGroup : uint8_t { kLeaf, kInfix, kCall, kSpecial };

std::string_view expr_name(ExprKind kind);
int expr_operand_count(ExprKind kind);
ExprGroup expr_group(ExprKind kind);
// exp, tanh, ...: expanded by the pass lower-math where the target has no such function.
bool is_math_call(ExprKind kind);

struct Var {
  std::string name;
  Type type;
};
using VarRef = std::shared_ptr<const Var>;

// Where the elements of a buffer live. The first group is bound by the plan, the second allocated
// by the kernel.
enum class Space : uint8_t {
  kArena,     // activations: one read-write binding, of which this is a view
  kWeight,    // a stored tensor, read only, without alignment
  kConstant,  // data of the library, read only
  kCache,     // KV pages of a layer
  kInput,     // tables that the runtime writes for each step, read only
  kRegister,  // vector elements that live in registers: every index is a constant after unrolling
  kLocal,     // private to a task (CPU: stack or the thread's scratch; GPU: private memory of a
              // thread)
  kShared,    // private to a GPU block, seen by all of its threads
};
std::string_view space_name(Space space);
inline bool is_parameter_space(Space space) { return space <= Space::kInput; }

struct Buffer {
  std::string name;
  Type element;  // lanes > 1 for buffers of vectors (kRegister)
  Space space = Space::kArena;
  int64_t size = 0;  // in elements; 0 for parameters, whose size the plan knows
};
using BufferRef = std::shared_ptr<const Buffer>;

struct ExprNode;
using Expr = std::shared_ptr<const ExprNode>;

struct ExprNode {
  ExprKind kind;
  Type type;
  std::vector<Expr> operands = {};
  int64_t int_value = 0;   // kConst of an integer or bool; kRamp: the stride
  double float_value = 0;  // kConst of a float
  VarRef var = {};         // kVar
  BufferRef buffer =
      {};  // kLoad: operand 0 is the index, in elements (of vectors in vector buffers)
  std::vector<int> indices =
      {};  // kShuffle: lanes of operand 0 followed by those of operand 1; kVector: the values
};

enum class ForKind : uint8_t {
  kSerial,
  kUnrolled,    // extent is a constant; the body is repeated
  kVectorized,  // extent is a constant; the pass `vectorize` turns the body into vector code
  kParallel,    // tasks; the only one of the kernel, at its top
  // The GPU class (docs/gpu.md) has these two in place of kParallel: blocks run in any order, the
  // threads of a block at the same time. The extent of the threads is a constant.
  kGpuBlock,   // a work-group; the only one of the kernel, at its top
  kGpuThread,  // a work-item; the only one of the block, directly in it
};
std::string_view for_kind_name(ForKind kind);

enum class StmtKind : uint8_t {
  kBlock,
  kLet,
  kStore,
  kFor,
  kIf,
  kAllocate,
  kBarrier,
  kPrefetch,
  kTileDot,
  kTileSum,
};

// Rows of a tile_dot's or tile_sum's result, and its lanes.
inline constexpr int64_t kTileDotSize = 16;

// Elements of bf16 in a tile: 16 rows of 32, or 16 pairs of 16 lanes.
inline constexpr int64_t kTileSumElements = 512;

// What a tile_sum multiplies, all bf16: two runs of tiles each, `tile_steps` tiles from one to the
// other, of which `steps` are summed. Left: [2][tile_steps][16 rows][32]; right:
// [2][tile_steps][16 pairs][16 lanes][2].
struct TileSum {
  BufferRef a = {};
  Expr a_index = {};
  BufferRef b = {};
  Expr b_index = {};
  int64_t steps = 0;
  int64_t tile_steps = 0;
};

// What a tile_dot multiplies: 16 rows of `quads` words of four unsigned codes, `row_words` words
// from row to row, by signed codes [quads][16 lanes][4].
struct TileDot {
  BufferRef a = {};  // u32
  Expr a_index = {};
  BufferRef b = {};  // i8
  Expr b_index = {};
  int64_t quads = 0;
  int64_t row_words = 0;
};

struct StmtNode;
using Stmt = std::shared_ptr<const StmtNode>;

struct StmtNode {
  StmtKind kind = StmtKind::kBlock;
  std::vector<Stmt> body = {};       // kBlock, kFor, kIf (then)
  std::vector<Stmt> otherwise = {};  // kIf
  VarRef var = {};                   // kLet, kFor
  BufferRef buffer = {};             // kStore, kAllocate, kPrefetch, kTileDot, kTileSum
  Expr value = {};                   // kLet, kStore, kIf (condition)
  Expr index = {};                   // kStore, kPrefetch, kTileDot, kTileSum
  Expr extent = {};                  // kFor runs from 0 to extent - 1
  ForKind for_kind = ForKind::kSerial;
  TileDot tile_dot = {};  // kTileDot
  TileSum tile_sum = {};  // kTileSum
};

struct Parameter {
  BufferRef buffer;  // or
  VarRef var;        // an i64: a symbolic size
};

struct Kernel {
  std::string name;  // <op>_<dtype>_<scheme>_<tile>_<isa or gpu>
  std::vector<Parameter> parameters;
  std::vector<Stmt> body;
};

// kLocal allocations of more bytes than this lie in the thread's scratch, the others on its stack.
inline constexpr int64_t kMaxStackBytes = 16 << 10;
// Bytes that a kLocal buffer takes of the thread's scratch: a multiple of 64, or 0.
int64_t local_scratch_bytes(const Buffer& buffer);
// Bytes of scratch that the kernel needs.
int64_t scratch_bytes(const Kernel& kernel);

// The first loop of this kind, or null.
const StmtNode* find_loop(const std::vector<Stmt>& statements, ForKind kind);
// Quads of the tiles that the kernel multiplies (of tile_sums: 16), or 0.
int64_t tile_quads(const std::vector<Stmt>& statements);
// Threads of a block of a GPU kernel; 0 for a kernel of the CPU class.
int64_t block_threads(const Kernel& kernel);

}  // namespace mlc::kernel
