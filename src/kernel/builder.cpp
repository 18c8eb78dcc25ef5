// SPDX-License-Identifier: Apache-2.0
#include "kernel/builder.h"

#include <algorithm>

#include "support/check.h"

namespace mlc::kernel {
namespace {

Expr make(ExprNode node) { return std::make_shared<const ExprNode>(std::move(node)); }

bool is_value(const Expr& a, int64_t value) {
  return is_constant(a) && !is_float(a->type.dtype) && a->int_value == value;
}

// Wraps an integer into the range of its dtype.
int64_t wrap(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::kI8:
      return static_cast<int8_t>(value);
    case DType::kU8:
      return static_cast<uint8_t>(value);
    case DType::kI16:
      return static_cast<int16_t>(value);
    case DType::kU16:
      return static_cast<uint16_t>(value);
    case DType::kI32:
      return static_cast<int32_t>(value);
    case DType::kU32:
      return static_cast<uint32_t>(value);
    case DType::kBool:
      return value & 1;
    default:
      return value;
  }
}

int64_t fold_integers(ExprKind kind, int64_t a, int64_t b, bool* done) {
  *done = true;
  switch (kind) {
    case ExprKind::kAdd:
      return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    case ExprKind::kSub:
      return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
    case ExprKind::kMul:
      return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
    case ExprKind::kDiv:
      if (b != 0 && b != -1) return a / b;
      break;  // INT64_MIN / -1 traps
    case ExprKind::kMod:
      if (b != 0 && b != -1) return a % b;
      break;
    case ExprKind::kAnd:
      return a & b;
    case ExprKind::kOr:
      return a | b;
    case ExprKind::kXor:
      return a ^ b;
    case ExprKind::kMin:
      return a < b ? a : b;
    case ExprKind::kMax:
      return a > b ? a : b;
    case ExprKind::kEq:
      return a == b;
    case ExprKind::kNe:
      return a != b;
    case ExprKind::kLt:
      return a < b;
    case ExprKind::kLe:
      return a <= b;
    default:
      break;
  }
  *done = false;
  return 0;
}

bool is_comparison(ExprKind kind) {
  return kind == ExprKind::kEq || kind == ExprKind::kNe || kind == ExprKind::kLt ||
         kind == ExprKind::kLe;
}

Expr unary(ExprKind kind, Expr a) {
  const Type type = a->type;
  return make({.kind = kind, .type = type, .operands = {std::move(a)}});
}

}  // namespace

Expr constant(Type type, int64_t value) {
  MLC_IR_CHECK(!is_float(type.dtype)) << "float_constant() makes floats";
  return make({.kind = ExprKind::kConst,
               .type = type,
               .operands = {},
               .int_value = wrap(type.dtype, value)});
}

Expr float_constant(Type type, double value) {
  MLC_IR_CHECK(is_float(type.dtype)) << dtype_short_name(type.dtype);
  if (type.dtype == DType::kF32) value = static_cast<float>(value);
  return make({.kind = ExprKind::kConst, .type = type, .operands = {}, .float_value = value});
}

Expr vector_constant(DType dtype, std::vector<int> values) {
  const Type type{dtype, static_cast<int>(values.size())};
  const bool equal =
      std::all_of(values.begin(), values.end(), [&](int v) { return v == values[0]; });
  if (equal) return constant(type, values[0]);
  return make(
      {.kind = ExprKind::kVector, .type = type, .operands = {}, .indices = std::move(values)});
}

VarRef make_var(std::string name, Type type) {
  return std::make_shared<const Var>(Var{std::move(name), type});
}

Expr var(VarRef var) {
  const Type type = var->type;
  return make({.kind = ExprKind::kVar, .type = type, .operands = {}, .var = std::move(var)});
}

bool is_constant(const Expr& a) { return a->kind == ExprKind::kConst; }

int64_t constant_value(const Expr& a) {
  MLC_IR_CHECK(is_constant(a) && !is_float(a->type.dtype)) << expr_name(a->kind);
  return a->int_value;
}

Expr binary(ExprKind kind, Expr a, Expr b) {
  if (a->type.lanes == 1 && b->type.lanes > 1) a = broadcast(a, b->type.lanes);
  if (b->type.lanes == 1 && a->type.lanes > 1) b = broadcast(b, a->type.lanes);
  MLC_IR_CHECK(a->type == b->type)
      << expr_name(kind) << " of " << dtype_short_name(a->type.dtype) << "x" << a->type.lanes
      << " and " << dtype_short_name(b->type.dtype) << "x" << b->type.lanes;
  const Type type = is_comparison(kind) ? a->type.with_dtype(DType::kBool) : a->type;
  if (!is_float(a->type.dtype)) {
    if (is_constant(a) && is_constant(b)) {
      bool done = false;
      const int64_t value = fold_integers(kind, a->int_value, b->int_value, &done);
      if (done) return constant(type, value);
    }
    switch (kind) {
      case ExprKind::kAdd:
        if (is_value(a, 0)) return b;
        if (is_value(b, 0)) return a;
        // (x + 1) + 2 is x + 3: keeps the indexes of unrolled code short
        if (is_constant(b) && a->kind == ExprKind::kAdd && is_constant(a->operands[1])) {
          return binary(kind, a->operands[0], binary(kind, a->operands[1], b));
        }
        if (is_constant(a)) return binary(kind, b, a);
        break;
      case ExprKind::kSub:
      case ExprKind::kShl:
      case ExprKind::kShr:
        if (is_value(b, 0)) return a;
        break;
      case ExprKind::kMul:
        if (is_value(a, 0) || is_value(b, 1)) return a;
        if (is_value(b, 0) || is_value(a, 1)) return b;
        if (is_constant(a)) return binary(kind, b, a);
        break;
      case ExprKind::kDiv:
        if (is_value(b, 1)) return a;
        break;
      case ExprKind::kMod:
        if (is_value(b, 1)) return constant(type, 0);
        break;
      case ExprKind::kAnd:
        if (type.dtype == DType::kBool && is_value(a, 1)) return b;
        if (type.dtype == DType::kBool && is_value(b, 1)) return a;
        break;
      default:
        break;
    }
  }
  return make({.kind = kind, .type = type, .operands = {std::move(a), std::move(b)}});
}

Expr operator+(Expr a, Expr b) { return binary(ExprKind::kAdd, std::move(a), std::move(b)); }
Expr operator-(Expr a, Expr b) { return binary(ExprKind::kSub, std::move(a), std::move(b)); }
Expr operator*(Expr a, Expr b) { return binary(ExprKind::kMul, std::move(a), std::move(b)); }
Expr operator/(Expr a, Expr b) { return binary(ExprKind::kDiv, std::move(a), std::move(b)); }
Expr operator%(Expr a, Expr b) { return binary(ExprKind::kMod, std::move(a), std::move(b)); }
Expr operator&(Expr a, Expr b) { return binary(ExprKind::kAnd, std::move(a), std::move(b)); }
Expr operator|(Expr a, Expr b) { return binary(ExprKind::kOr, std::move(a), std::move(b)); }
Expr operator+(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) + constant(t, b);
}
Expr operator-(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) - constant(t, b);
}
Expr operator*(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) * constant(t, b);
}
Expr operator/(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) / constant(t, b);
}
Expr operator%(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) % constant(t, b);
}
Expr operator&(Expr a, int64_t b) {
  const Type t = a->type;
  return std::move(a) & constant(t, b);
}
Expr shift_left(Expr a, Expr bits) { return binary(ExprKind::kShl, std::move(a), std::move(bits)); }
Expr shift_right(Expr a, Expr bits) {
  return binary(ExprKind::kShr, std::move(a), std::move(bits));
}
Expr less(Expr a, Expr b) { return binary(ExprKind::kLt, std::move(a), std::move(b)); }
Expr less_equal(Expr a, Expr b) { return binary(ExprKind::kLe, std::move(a), std::move(b)); }
Expr equal(Expr a, Expr b) { return binary(ExprKind::kEq, std::move(a), std::move(b)); }
Expr not_equal(Expr a, Expr b) { return binary(ExprKind::kNe, std::move(a), std::move(b)); }
Expr logical_and(Expr a, Expr b) {
  MLC_IR_CHECK(a->type.dtype == DType::kBool) << "logical_and takes bools";
  return binary(ExprKind::kAnd, std::move(a), std::move(b));
}
Expr minimum(Expr a, Expr b) { return binary(ExprKind::kMin, std::move(a), std::move(b)); }
Expr maximum(Expr a, Expr b) { return binary(ExprKind::kMax, std::move(a), std::move(b)); }
Expr absolute(Expr a) { return unary(ExprKind::kAbs, std::move(a)); }
Expr square_root(Expr a) { return unary(ExprKind::kSqrt, std::move(a)); }
Expr round_even(Expr a) { return unary(ExprKind::kRound, std::move(a)); }
Expr math(ExprKind kind, Expr a) {
  MLC_IR_CHECK(is_math_call(kind)) << expr_name(kind);
  return unary(kind, std::move(a));
}

Expr ceil_div(Expr a, int64_t b) { return b == 1 ? a : (std::move(a) + (b - 1)) / b; }

Expr fma(Expr a, Expr b, Expr c) {
  const int lanes = std::max({a->type.lanes, b->type.lanes, c->type.lanes});
  for (Expr* e : {&a, &b, &c}) {
    if ((*e)->type.lanes == 1 && lanes > 1) *e = broadcast(*e, lanes);
  }
  MLC_IR_CHECK(a->type == b->type && a->type == c->type && is_float(a->type.dtype))
      << "fma of unequal types";
  const Type type = a->type;
  return make({.kind = ExprKind::kFma,
               .type = type,
               .operands = {std::move(a), std::move(b), std::move(c)}});
}

Expr select(Expr condition, Expr a, Expr b) {
  const int lanes = std::max({condition->type.lanes, a->type.lanes, b->type.lanes});
  for (Expr* e : {&condition, &a, &b}) {
    if ((*e)->type.lanes == 1 && lanes > 1) *e = broadcast(*e, lanes);
  }
  MLC_IR_CHECK(condition->type.dtype == DType::kBool && a->type == b->type)
      << "select of unequal types";
  if (is_constant(condition)) return condition->int_value ? a : b;
  const Type type = a->type;
  return make({.kind = ExprKind::kSelect,
               .type = type,
               .operands = {std::move(condition), std::move(a), std::move(b)}});
}

Expr dot4(Expr acc, Expr a, Expr b) {
  MLC_IR_CHECK(acc->type.dtype == DType::kI32 && a->type.dtype == DType::kU8 &&
               b->type.dtype == DType::kI8 && a->type.lanes == 4 * acc->type.lanes &&
               b->type.lanes == a->type.lanes)
      << "dot4(i32, u8, i8)";
  const Type type = acc->type;
  return make({.kind = ExprKind::kDot4,
               .type = type,
               .operands = {std::move(acc), std::move(a), std::move(b)}});
}

Expr dot2(Expr a, Expr b) {
  MLC_IR_CHECK(a->type.dtype == DType::kU8 && b->type.dtype == DType::kI8 &&
               a->type.lanes == b->type.lanes && a->type.lanes % 2 == 0)
      << "dot2(u8, i8)";
  const Type type{DType::kI16, a->type.lanes / 2};
  return make({.kind = ExprKind::kDot2, .type = type, .operands = {std::move(a), std::move(b)}});
}

Expr block_dot(Expr acc, Expr a, Expr b) {
  MLC_IR_CHECK(acc->type.dtype == DType::kI32 && a->type.dtype == DType::kU8 &&
               b->type.dtype == DType::kI8 && a->type.lanes == 4 * acc->type.lanes &&
               b->type.lanes == a->type.lanes && acc->type.lanes % 4 == 0)
      << "block_dot(i32, u8, i8)";
  const Type type = acc->type;
  return make({.kind = ExprKind::kBlockDot,
               .type = type,
               .operands = {std::move(acc), std::move(a), std::move(b)}});
}

Expr pair_sum(Expr a) {
  MLC_IR_CHECK(a->type.dtype == DType::kI16 && a->type.lanes % 2 == 0) << "pair_sum(i16)";
  const Type type{DType::kI32, a->type.lanes / 2};
  return make({.kind = ExprKind::kPairSum, .type = type, .operands = {std::move(a)}});
}

Expr cast(DType dtype, Expr a) {
  if (a->type.dtype == dtype) return a;
  const Type type = a->type.with_dtype(dtype);
  if (is_constant(a) && !is_float(a->type.dtype)) {
    if (!is_float(dtype)) return constant(type, a->int_value);
    if (dtype == DType::kF32) return float_constant(type, static_cast<double>(a->int_value));
  }
  return make({.kind = ExprKind::kCast, .type = type, .operands = {std::move(a)}});
}

Expr bitcast(Type type, Expr a) {
  if (type == a->type) return a;
  MLC_IR_CHECK(dtype_bytes(type.dtype) * type.lanes == dtype_bytes(a->type.dtype) * a->type.lanes)
      << "bitcast to another size";
  return make({.kind = ExprKind::kBitcast, .type = type, .operands = {std::move(a)}});
}

Expr broadcast(Expr a, int lanes) {
  MLC_IR_CHECK(a->type.lanes == 1) << "broadcast of a vector";
  if (lanes == 1) return a;
  if (is_constant(a)) {
    ExprNode node = *a;
    node.type.lanes = lanes;
    return make(std::move(node));
  }
  const Type type = a->type.with_lanes(lanes);
  return make({.kind = ExprKind::kBroadcast, .type = type, .operands = {std::move(a)}});
}

Expr ramp(Expr base, int64_t stride, int lanes) {
  MLC_IR_CHECK(base->type.lanes == 1 && !is_float(base->type.dtype)) << "ramp of a vector or float";
  if (lanes == 1) return base;
  const Type type = base->type.with_lanes(lanes);
  return make(
      {.kind = ExprKind::kRamp, .type = type, .operands = {std::move(base)}, .int_value = stride});
}

Expr load(BufferRef buffer, Expr at, int lanes) {
  MLC_IR_CHECK(at->type.dtype == DType::kI64) << "index of " << buffer->name << " is no i64";
  Type type = buffer->element;
  if (at->type.lanes > 1) {
    MLC_IR_CHECK(lanes == 1 || lanes == at->type.lanes) << "gather of other lanes";
    lanes = at->type.lanes;
  }
  if (buffer->element.lanes > 1) {
    MLC_IR_CHECK(lanes == 1 || lanes == buffer->element.lanes)
        << "load of half a vector from " << buffer->name;
  } else {
    type.lanes = lanes;
  }
  return make({.kind = ExprKind::kLoad,
               .type = type,
               .operands = {std::move(at)},
               .buffer = std::move(buffer)});
}

Expr shuffle(Expr a, Expr b, std::vector<int> indices) {
  MLC_IR_CHECK(a->type == b->type) << "shuffle of unequal types";
  const int lanes = a->type.lanes;
  bool identity = static_cast<int>(indices.size()) == lanes;
  for (size_t i = 0; i < indices.size(); ++i) {
    MLC_IR_CHECK(indices[i] >= 0 && indices[i] < 2 * lanes) << "shuffle index out of range";
    identity = identity && indices[i] == static_cast<int>(i);
  }
  if (identity) return a;
  const Type type = a->type.with_lanes(static_cast<int>(indices.size()));
  return make({.kind = ExprKind::kShuffle,
               .type = type,
               .operands = {std::move(a), std::move(b)},
               .indices = std::move(indices)});
}

Expr shuffle(Expr a, std::vector<int> indices) { return shuffle(a, a, std::move(indices)); }

Expr slice_lanes(Expr a, int begin, int lanes) {
  std::vector<int> indices;
  for (int i = 0; i < lanes; ++i) indices.push_back(begin + i);
  return shuffle(std::move(a), std::move(indices));
}

Expr concat_lanes(Expr a, Expr b) {
  std::vector<int> indices;
  for (int i = 0; i < 2 * a->type.lanes; ++i) indices.push_back(i);
  return shuffle(std::move(a), std::move(b), std::move(indices));
}

Expr extract_lane(Expr a, int lane) { return shuffle(std::move(a), {lane}); }

Expr rebuild(const ExprNode& node, std::vector<Expr> operands) {
  switch (node.kind) {
    case ExprKind::kConst:
    case ExprKind::kVar:
    case ExprKind::kVector:
      return std::make_shared<const ExprNode>(node);
    case ExprKind::kCast:
      return cast(node.type.dtype, operands[0]);
    case ExprKind::kBroadcast:
      return broadcast(operands[0], node.type.lanes);
    case ExprKind::kSelect:
      return select(operands[0], operands[1], operands[2]);
    default:
      break;
  }
  if (expr_group(node.kind) == ExprGroup::kInfix || node.kind == ExprKind::kMin ||
      node.kind == ExprKind::kMax) {
    return binary(node.kind, operands[0], operands[1]);
  }
  ExprNode copy = node;
  copy.operands = std::move(operands);
  return make(std::move(copy));
}

KernelBuilder::KernelBuilder(std::string name) {
  kernel_.name = std::move(name);
  open_.emplace_back();
}

std::string KernelBuilder::unique(std::string name) {
  std::string candidate = name;
  for (int i = 1; !names_.insert(candidate).second; ++i) {
    candidate = name + "." + std::to_string(i);
  }
  return candidate;
}

BufferRef KernelBuilder::buffer_parameter(std::string name, DType dtype, Space space) {
  auto buffer =
      std::make_shared<const Buffer>(Buffer{unique(std::move(name)), {dtype, 1}, space, 0});
  kernel_.parameters.push_back({buffer, nullptr});
  return buffer;
}

Expr KernelBuilder::size_parameter(std::string name) {
  VarRef size = make_var(unique(std::move(name)));
  kernel_.parameters.push_back({nullptr, size});
  return var(size);
}

void KernelBuilder::add(StmtNode node) {
  open_.back().push_back(std::make_shared<const StmtNode>(std::move(node)));
}

std::vector<Stmt> KernelBuilder::collect(const Body& body) {
  open_.emplace_back();
  if (body) body();
  std::vector<Stmt> statements = std::move(open_.back());
  open_.pop_back();
  return statements;
}

Expr KernelBuilder::let(std::string name, Expr value) {
  if (value->kind == ExprKind::kConst || value->kind == ExprKind::kVar) return value;
  VarRef bound = make_var(unique(std::move(name)), value->type);
  add({.kind = StmtKind::kLet, .var = bound, .value = std::move(value)});
  return var(bound);
}

void KernelBuilder::store(const BufferRef& buffer, Expr at, Expr value) {
  MLC_CHECK(value->type.dtype == buffer->element.dtype)
      << "store of " << dtype_short_name(value->type.dtype) << " to " << buffer->name;
  add({.kind = StmtKind::kStore,
       .buffer = buffer,
       .value = std::move(value),
       .index = std::move(at)});
}

BufferRef KernelBuilder::allocate(std::string name, Type element, int64_t size, Space space) {
  auto buffer =
      std::make_shared<const Buffer>(Buffer{unique(std::move(name)), element, space, size});
  auto& scope = space == Space::kShared ? open_[block_scope_] : open_.back();
  scope.push_back(
      std::make_shared<const StmtNode>(StmtNode{.kind = StmtKind::kAllocate, .buffer = buffer}));
  return buffer;
}

void KernelBuilder::prefetch(const BufferRef& buffer, Expr at) {
  add({.kind = StmtKind::kPrefetch, .buffer = buffer, .index = std::move(at)});
}

void KernelBuilder::tile_dot(const BufferRef& c, Expr at, TileDot operands) {
  add({.kind = StmtKind::kTileDot,
       .buffer = c,
       .index = std::move(at),
       .tile_dot = std::move(operands)});
}

void KernelBuilder::tile_sum(const BufferRef& c, Expr at, TileSum operands) {
  add({.kind = StmtKind::kTileSum,
       .buffer = c,
       .index = std::move(at),
       .tile_sum = std::move(operands)});
}

void KernelBuilder::barrier() { add({.kind = StmtKind::kBarrier}); }

void KernelBuilder::loop(std::string name, Expr extent, ForKind kind, const LoopBody& body) {
  if (is_constant(extent) && constant_value(extent) <= 0) return;
  // A loop that runs once needs no loop, but the tasks of a kernel do.
  if (is_constant(extent) && constant_value(extent) == 1 &&
      (kind == ForKind::kSerial || kind == ForKind::kUnrolled)) {
    std::vector<Stmt> statements = collect([&] { body(index(0)); });
    add({.kind = StmtKind::kBlock, .body = std::move(statements)});
    return;
  }
  VarRef counter = make_var(unique(std::move(name)));
  if (kind == ForKind::kGpuBlock) block_scope_ = open_.size();
  std::vector<Stmt> statements = collect([&] { body(var(counter)); });
  add({.kind = StmtKind::kFor,
       .body = std::move(statements),
       .var = counter,
       .extent = std::move(extent),
       .for_kind = kind});
}

void KernelBuilder::serial(std::string name, Expr extent, const LoopBody& body) {
  loop(std::move(name), std::move(extent), ForKind::kSerial, body);
}
void KernelBuilder::serial(std::string name, int64_t extent, const LoopBody& body) {
  loop(std::move(name), index(extent), ForKind::kSerial, body);
}
void KernelBuilder::unrolled(std::string name, int64_t extent, const LoopBody& body) {
  loop(std::move(name), index(extent), ForKind::kUnrolled, body);
}
void KernelBuilder::parallel(std::string name, Expr extent, const LoopBody& body) {
  loop(std::move(name), std::move(extent), ForKind::kParallel, body);
}
void KernelBuilder::gpu_block(std::string name, Expr extent, const LoopBody& body) {
  loop(std::move(name), std::move(extent), ForKind::kGpuBlock, body);
}
void KernelBuilder::gpu_thread(std::string name, int64_t extent, const LoopBody& body) {
  loop(std::move(name), index(extent), ForKind::kGpuThread, body);
}

void KernelBuilder::if_then(Expr condition, const Body& then, const Body& otherwise) {
  std::vector<Stmt> then_statements = collect(then);
  std::vector<Stmt> otherwise_statements = collect(otherwise);
  if (is_constant(condition)) {
    auto& taken = condition->int_value ? then_statements : otherwise_statements;
    add({.kind = StmtKind::kBlock, .body = std::move(taken)});
    return;
  }
  add({.kind = StmtKind::kIf,
       .body = std::move(then_statements),
       .otherwise = std::move(otherwise_statements),
       .value = std::move(condition)});
}

Kernel KernelBuilder::finish() {
  MLC_CHECK(open_.size() == 1) << "an open scope in " << kernel_.name;
  kernel_.body = std::move(open_.back());
  open_.clear();
  return std::move(kernel_);
}

}  // namespace mlc::kernel
