// SPDX-License-Identifier: Apache-2.0
#include "kernel/interpreter.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <unordered_map>

#include "kernel/text.h"
#include "support/half.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

// The lanes of a value; up to 64 of them without an allocation, for values are made by the million.
class Lanes {
 public:
  Lanes() = default;
  Lanes(std::initializer_list<uint64_t> list) {
    for (const uint64_t lane : list) push_back(lane);
  }
  void push_back(uint64_t lane) {
    if (size_ < kInline) {
      few_[size_] = lane;
    } else {
      if (size_ == kInline) many_.assign(few_, few_ + kInline);
      many_.push_back(lane);
    }
    ++size_;
  }
  Lanes(const Lanes& other) { *this = other; }
  Lanes& operator=(const Lanes& other) {
    size_ = other.size_;
    many_ = other.many_;
    std::copy_n(other.few_, std::min(size_, kInline), few_);
    return *this;
  }
  uint64_t operator[](size_t i) const { return size_ > kInline ? many_[i] : few_[i]; }
  size_t size() const { return size_; }

 private:
  static constexpr size_t kInline = 64;
  size_t size_ = 0;
  uint64_t few_[kInline];
  std::vector<uint64_t> many_;
};

// A value: the bits of each lane, zero-extended; integers are kept sign- or zero-extended to 64
// bits.
struct Value {
  Type type;
  Lanes lanes;
};

float as_f32(uint64_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits)); }
double as_f64(uint64_t bits) { return std::bit_cast<double>(bits); }
uint64_t of_f32(float value) { return std::bit_cast<uint32_t>(value); }
uint64_t of_f64(double value) { return std::bit_cast<uint64_t>(value); }

uint64_t of_int(DType dtype, int64_t value) {
  switch (dtype) {
    case DType::kI8:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int8_t>(value)));
    case DType::kU8:
      return static_cast<uint8_t>(value);
    case DType::kI16:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int16_t>(value)));
    case DType::kU16:
      return static_cast<uint16_t>(value);
    case DType::kI32:
      return static_cast<uint64_t>(static_cast<int64_t>(static_cast<int32_t>(value)));
    case DType::kU32:
      return static_cast<uint32_t>(value);
    case DType::kBool:
      return value & 1;
    default:
      return static_cast<uint64_t>(value);
  }
}

bool is_unsigned(DType dtype) {
  return dtype == DType::kU8 || dtype == DType::kU16 || dtype == DType::kU32 ||
         dtype == DType::kU64 || dtype == DType::kBool;
}

double to_double(DType dtype, uint64_t bits) {
  switch (dtype) {
    case DType::kF32:
      return as_f32(bits);
    case DType::kF64:
      return as_f64(bits);
    case DType::kF16:
      return f16_to_f32(static_cast<uint16_t>(bits));
    case DType::kBF16:
      return bf16_to_f32(static_cast<uint16_t>(bits));
    default:
      return is_unsigned(dtype) ? static_cast<double>(bits)
                                : static_cast<double>(static_cast<int64_t>(bits));
  }
}

uint64_t convert(DType from, DType to, uint64_t bits) {
  switch (to) {
    case DType::kF32:
      if (is_float(from)) return of_f32(static_cast<float>(to_double(from, bits)));
      return of_f32(is_unsigned(from) ? static_cast<float>(bits)
                                      : static_cast<float>(static_cast<int64_t>(bits)));
    case DType::kF64:
      return of_f64(to_double(from, bits));
    case DType::kF16:
      return f32_to_f16(static_cast<float>(to_double(from, bits)));
    case DType::kBF16:
      return f32_to_bf16(static_cast<float>(to_double(from, bits)));
    default:
      if (is_float(from)) {
        const double value = to_double(from, bits);
        if (!(value > -9.0e18 && value < 9.0e18)) return 0;
        return of_int(to, static_cast<int64_t>(value));
      }
      return of_int(to, static_cast<int64_t>(bits));
  }
}

class Interpreter {
 public:
  Interpreter(const Kernel& kernel, const std::vector<Argument>& arguments) : kernel_(kernel) {
    if (arguments.size() != kernel.parameters.size()) {
      throw InternalError(cat("kernel @", kernel.name, " takes ", kernel.parameters.size(),
                              " arguments, not ", arguments.size()));
    }
    for (size_t i = 0; i < arguments.size(); ++i) {
      const Parameter& p = kernel.parameters[i];
      if (p.buffer) {
        frame_.memory[p.buffer.get()] = arguments[i].bytes;
      } else {
        frame_.vars[p.var.get()] = {Type{}, {static_cast<uint64_t>(arguments[i].size)}};
      }
    }
  }

  void run(int64_t begin, int64_t end) {
    begin_ = begin;
    end_ = end;
    block(kernel_.body);
  }

  int64_t task_count() {
    // Lets before the loop may hold what its extent needs.
    return find_tasks(kernel_.body);
  }

 private:
  int64_t find_tasks(const std::vector<Stmt>& statements) {
    for (const Stmt& s : statements) {
      if (s->kind == StmtKind::kLet) frame_.vars[s->var.get()] = eval(s->value);
      if (s->kind == StmtKind::kFor && is_tasks(s->for_kind)) {
        return static_cast<int64_t>(eval(s->extent).lanes[0]);
      }
      if (s->kind == StmtKind::kBlock) {
        const int64_t found = find_tasks(s->body);
        if (found >= 0) return found;
      }
    }
    return &statements == &kernel_.body ? 1 : -1;
  }

  using Owned = std::vector<std::vector<std::byte>>;

  void allocate(const Buffer& b, Owned& owned) {
    owned.emplace_back(static_cast<size_t>(b.size * b.element.lanes * dtype_bytes(b.element.dtype)),
                       std::byte{0xa5});
    frame_.memory[&b] = owned.back();
  }

  void block(const std::vector<Stmt>& statements) {
    Owned owned;
    for (const Stmt& s : statements) {
      if (s->kind == StmtKind::kAllocate) {
        allocate(*s->buffer, owned);
      } else {
        statement(*s);
      }
    }
  }

  void statement(const StmtNode& s) {
    switch (s.kind) {
      case StmtKind::kBlock:
        block(s.body);
        break;
      case StmtKind::kLet:
        frame_.vars[s.var.get()] = eval(s.value);
        break;
      case StmtKind::kStore: {
        const Value value = eval(s.value);
        const Value at = eval(s.index);
        for (int lane = 0; lane < value.type.lanes; ++lane) {
          write(*s.buffer, element_index(*s.buffer, at, lane),
                value.lanes[static_cast<size_t>(lane)]);
        }
        break;
      }
      case StmtKind::kTileDot:
        tile_dot(s);
        break;
      case StmtKind::kTileSum:
        tile_sum(s);
        break;
      case StmtKind::kFor: {
        int64_t begin = 0;
        int64_t end = static_cast<int64_t>(eval(s.extent).lanes[0]);
        if (s.for_kind == ForKind::kGpuThread) {
          threads(s, end);
          break;
        }
        if (is_tasks(s.for_kind)) {
          begin = begin_;
          end = std::min(end, end_);
        }
        for (int64_t i = begin; i < end; ++i) {
          set_index(s.var, i);
          block(s.body);
        }
        break;
      }
      case StmtKind::kIf:
        block(eval(s.value).lanes[0] ? s.body : s.otherwise);
        break;
      case StmtKind::kAllocate:
      case StmtKind::kBarrier:
      case StmtKind::kPrefetch:
        break;
    }
  }

  void tile_dot(const StmtNode& s) {
    const TileDot& t = s.tile_dot;
    const auto at = [&](const Expr& e) { return static_cast<int64_t>(eval(e).lanes[0]); };
    const int64_t c = at(s.index);
    const int64_t a = at(t.a_index);
    const int64_t b = at(t.b_index);
    for (int64_t row = 0; row < kTileDotSize; ++row) {
      for (int64_t lane = 0; lane < kTileDotSize; ++lane) {
        int64_t sum = 0;
        for (int64_t quad = 0; quad < t.quads; ++quad) {
          const uint64_t word = read(*t.a, a + row * t.row_words + quad);
          for (int64_t i = 0; i < 4; ++i) {
            sum += small(word >> (8 * i) & 0xff) *
                   static_cast<int64_t>(read(*t.b, b + (quad * kTileDotSize + lane) * 4 + i));
          }
        }
        write(*s.buffer, c + row * kTileDotSize + lane, of_int(DType::kI32, sum));
      }
    }
  }

  // As AMX's tdpbf16ps does it: in a step the even and the odd terms are summed apart, with one
  // rounding a term, then both together, then with c. Denormals count as zeros.
  void tile_sum(const StmtNode& s) {
    const TileSum& t = s.tile_sum;
    const auto at = [&](const Expr& e) { return static_cast<int64_t>(eval(e).lanes[0]); };
    const auto flushed = [](float x) { return std::fpclassify(x) == FP_SUBNORMAL ? 0 * x : x; };
    const auto value = [&](const Buffer& buffer, int64_t element) {
      return flushed(bf16_to_f32(static_cast<uint16_t>(read(buffer, element))));
    };
    constexpr int64_t kSize = kTileDotSize;
    const int64_t a = at(t.a_index);
    const int64_t b = at(t.b_index);
    for (int64_t i = 0; i < 4 * kSize * kSize; ++i) {
      const int64_t lane = i % kSize;
      const int64_t row = i / kSize % kSize;
      const int64_t left = a + i / (2 * kSize * kSize) * t.tile_steps * kTileSumElements;
      const int64_t right = b + i / (kSize * kSize) % 2 * t.tile_steps * kTileSumElements;
      const int64_t c = at(s.index) + i;
      float sum = flushed(as_f32(read(*s.buffer, c)));
      for (int64_t step = 0; step < t.steps; ++step) {
        float sums[2] = {0, 0};
        for (int64_t k = 0; k < 2 * kSize; ++k) {
          const float x = value(*t.a, left + step * kTileSumElements + row * 2 * kSize + k);
          const float y =
              value(*t.b, right + step * kTileSumElements + (k / 2 * kSize + lane) * 2 + k % 2);
          sums[k % 2] = flushed(std::fma(x, y, sums[k % 2]));
        }
        sum = flushed(sum + flushed(sums[0] + sums[1]));
      }
      write(*s.buffer, c, of_f32(sum));
    }
  }

  static bool is_tasks(ForKind kind) {
    return kind == ForKind::kParallel || kind == ForKind::kGpuBlock;
  }
  void set_index(const VarRef& var, int64_t value) {
    frame_.vars[var.get()] = {Type{}, {static_cast<uint64_t>(value)}};
  }

  // All threads of a GPU block. Each has its own names and private buffers; statements without a
  // barrier are run by one thread after the other, those around a barrier are opened, so that all
  // threads reach it before one goes on.
  void threads(const StmtNode& loop, int64_t count) {
    threads_.assign(static_cast<size_t>(count), frame_);
    int64_t number = 0;
    for_threads([&] { set_index(loop.var, number++); });
    accesses_.clear();
    in_step(loop.body);
    accesses_.clear();
    threads_.clear();
  }

  template <class F>
  void for_threads(F f) {
    for (size_t t = 0; t < threads_.size(); ++t) {
      thread_ = static_cast<int64_t>(t);
      std::swap(frame_, threads_[t]);
      f();
      std::swap(frame_, threads_[t]);
    }
    thread_ = kNobody;
  }

  static bool has_barrier(const Stmt& s) {
    return s->kind == StmtKind::kBarrier ||
           std::any_of(s->body.begin(), s->body.end(), has_barrier) ||
           std::any_of(s->otherwise.begin(), s->otherwise.end(), has_barrier);
  }

  void in_step(const std::vector<Stmt>& statements) {
    Owned owned;
    for (const Stmt& s : statements) {
      if (s->kind == StmtKind::kAllocate) {
        for_threads([&] { allocate(*s->buffer, owned); });
      } else if (!has_barrier(s)) {
        for_threads([&] { statement(*s); });
      } else if (s->kind == StmtKind::kBarrier) {
        accesses_.clear();
      } else if (s->kind == StmtKind::kBlock) {
        in_step(s->body);
      } else if (s->kind == StmtKind::kIf) {
        in_step(uniform(s->value) ? s->body : s->otherwise);
      } else {
        const int64_t end = uniform(s->extent);
        for (int64_t i = 0; i < end; ++i) {
          for_threads([&] { set_index(s->var, i); });
          in_step(s->body);
        }
      }
    }
  }

  // What decides whether a barrier is reached: the same in all threads.
  int64_t uniform(const Expr& e) {
    int64_t value = 0;
    for_threads([&] {
      const auto mine = static_cast<int64_t>(eval(e).lanes[0]);
      if (thread_ == 0) value = mine;
      if (mine != value)
        throw InternalError(
            cat("kernel @", kernel_.name, ": threads part before a barrier: ", to_text(e)));
    });
    return value;
  }

  static constexpr int64_t kNobody = -1;
  static constexpr int64_t kSeveral = -2;
  // Who touched an element of shared memory since the last barrier.
  struct Accesses {
    int64_t writer = kNobody;
    int64_t reader = kNobody;
  };

  void check_race(const Buffer& buffer, int64_t element, bool writes) {
    if (buffer.space != Space::kShared || thread_ == kNobody) return;
    Accesses& seen = accesses_[&buffer][element];
    const auto by_another = [&](int64_t who) { return who != kNobody && who != thread_; };
    if (by_another(seen.writer) || (writes && by_another(seen.reader))) {
      throw InternalError(cat("kernel @", kernel_.name, ": thread ", thread_,
                              writes ? " writes" : " reads", " element ", element, " of %",
                              buffer.name, " without a barrier after another thread's access"));
    }
    (writes ? seen.writer : seen.reader) = writes || !by_another(seen.reader) ? thread_ : kSeveral;
  }

  static int64_t element_index(const Buffer& buffer, const Value& at, int lane) {
    if (at.type.lanes > 1) return static_cast<int64_t>(at.lanes[static_cast<size_t>(lane)]);
    return static_cast<int64_t>(at.lanes[0]) * buffer.element.lanes + lane;
  }

  std::byte* address(const Buffer& buffer, int64_t element) {
    const auto found = frame_.memory.find(&buffer);
    const int64_t bytes = dtype_bytes(buffer.element.dtype);
    const int64_t size =
        found == frame_.memory.end() ? 0 : static_cast<int64_t>(found->second.size()) / bytes;
    if (element < 0 || element >= size) {
      throw InternalError(cat("kernel @", kernel_.name, ": element ", element, " of %", buffer.name,
                              ", which has ", size));
    }
    return found->second.data() + element * bytes;
  }

  uint64_t read(const Buffer& buffer, int64_t element) {
    uint64_t bits = 0;
    const DType dtype = buffer.element.dtype;
    check_race(buffer, element, false);
    std::memcpy(&bits, address(buffer, element), static_cast<size_t>(dtype_bytes(dtype)));
    return is_float(dtype) ? bits : of_int(dtype, static_cast<int64_t>(bits));
  }

  void write(const Buffer& buffer, int64_t element, uint64_t bits) {
    check_race(buffer, element, true);
    std::memcpy(address(buffer, element), &bits,
                static_cast<size_t>(dtype_bytes(buffer.element.dtype)));
  }

  uint64_t binary(ExprKind kind, DType dtype, uint64_t a, uint64_t b) {
    if (dtype == DType::kF32) {
      const float x = as_f32(a);
      const float y = as_f32(b);
      switch (kind) {
        case ExprKind::kAdd:
          return of_f32(x + y);
        case ExprKind::kSub:
          return of_f32(x - y);
        case ExprKind::kMul:
          return of_f32(x * y);
        case ExprKind::kDiv:
          return of_f32(x / y);
        case ExprKind::kMin:
          return x < y ? a : b;
        case ExprKind::kMax:
          return x > y ? a : b;
        case ExprKind::kEq:
          return x == y;
        case ExprKind::kNe:
          return x != y;
        case ExprKind::kLt:
          return x < y;
        case ExprKind::kLe:
          return x <= y;
        default:
          break;
      }
    } else if (dtype == DType::kF64) {
      const double x = as_f64(a);
      const double y = as_f64(b);
      switch (kind) {
        case ExprKind::kAdd:
          return of_f64(x + y);
        case ExprKind::kSub:
          return of_f64(x - y);
        case ExprKind::kMul:
          return of_f64(x * y);
        case ExprKind::kDiv:
          return of_f64(x / y);
        case ExprKind::kMin:
          return x < y ? a : b;
        case ExprKind::kMax:
          return x > y ? a : b;
        case ExprKind::kLt:
          return x < y;
        case ExprKind::kLe:
          return x <= y;
        default:
          break;
      }
    } else {
      const auto x = static_cast<int64_t>(a);
      const auto y = static_cast<int64_t>(b);
      const bool below = is_unsigned(dtype) ? a < b : x < y;
      const int64_t width = 8 * dtype_bytes(dtype);
      switch (kind) {
        case ExprKind::kAdd:
          return of_int(dtype, static_cast<int64_t>(a + b));
        case ExprKind::kSub:
          return of_int(dtype, static_cast<int64_t>(a - b));
        case ExprKind::kMul:
          return of_int(dtype, static_cast<int64_t>(a * b));
        case ExprKind::kDiv:
        case ExprKind::kMod: {
          if (b == 0) throw InternalError(cat("kernel @", kernel_.name, ": division by zero"));
          const bool divides = kind == ExprKind::kDiv;
          if (is_unsigned(dtype)) return divides ? a / b : a % b;
          if (y == -1)
            return of_int(
                dtype, divides ? static_cast<int64_t>(-a) : 0);  // x / y traps for the smallest x
          return of_int(dtype, divides ? x / y : x % y);
        }
        case ExprKind::kAnd:
          return a & b;
        case ExprKind::kOr:
          return a | b;
        case ExprKind::kXor:
          return a ^ b;
        case ExprKind::kShl:
        case ExprKind::kShr:
          if (b >= static_cast<uint64_t>(width)) {
            throw InternalError(cat("kernel @", kernel_.name, ": shift by ", y));
          }
          if (kind == ExprKind::kShl) return of_int(dtype, static_cast<int64_t>(a << b));
          return is_unsigned(dtype) ? a >> b : static_cast<uint64_t>(x >> b);
        case ExprKind::kEq:
          return a == b;
        case ExprKind::kNe:
          return a != b;
        case ExprKind::kLt:
          return below;
        case ExprKind::kLe:
          return below || a == b;
        case ExprKind::kMin:
          return below ? a : b;
        case ExprKind::kMax:
          return !below && a != b ? a : b;
        default:
          break;
      }
    }
    throw InternalError(
        cat("kernel @", kernel_.name, ": ", expr_name(kind), " of ", dtype_short_name(dtype)));
  }

  uint64_t unary(ExprKind kind, DType dtype, uint64_t a) {
    if (kind == ExprKind::kAbs) {
      if (dtype == DType::kF32) return a & 0x7fffffff;
      const auto value = static_cast<int64_t>(a);
      return of_int(dtype, value < 0 ? -value : value);
    }
    const float x = as_f32(a);
    switch (kind) {
      case ExprKind::kSqrt:
        return of_f32(std::sqrt(x));
      case ExprKind::kRound:
        return of_f32(std::nearbyint(x));
      case ExprKind::kExp:
        return of_f32(static_cast<float>(std::exp(static_cast<double>(x))));
      case ExprKind::kExp2:
        return of_f32(static_cast<float>(std::exp2(static_cast<double>(x))));
      case ExprKind::kLog2:
        return of_f32(static_cast<float>(std::log2(static_cast<double>(x))));
      case ExprKind::kTanh:
        return of_f32(static_cast<float>(std::tanh(static_cast<double>(x))));
      case ExprKind::kErf:
        return of_f32(static_cast<float>(std::erf(static_cast<double>(x))));
      case ExprKind::kSin:
        return of_f32(static_cast<float>(std::sin(static_cast<double>(x))));
      case ExprKind::kCos:
        return of_f32(static_cast<float>(std::cos(static_cast<double>(x))));
      default:
        break;
    }
    throw InternalError(cat("kernel @", kernel_.name, ": ", expr_name(kind)));
  }

  Value bitcast(const Value& a, Type type) {
    std::vector<std::byte> bytes;
    const auto from = static_cast<size_t>(dtype_bytes(a.type.dtype));
    for (size_t i = 0; i < a.lanes.size(); ++i) {
      const uint64_t lane = a.lanes[i];
      const auto* p = reinterpret_cast<const std::byte*>(&lane);
      bytes.insert(bytes.end(), p, p + from);
    }
    Value result{type, {}};
    const auto to = static_cast<size_t>(dtype_bytes(type.dtype));
    for (size_t i = 0; i < bytes.size(); i += to) {
      uint64_t bits = 0;
      std::memcpy(&bits, bytes.data() + i, to);
      result.lanes.push_back(is_float(type.dtype) ? bits
                                                  : of_int(type.dtype, static_cast<int64_t>(bits)));
    }
    return result;
  }

  Value eval(const Expr& e) {
    const ExprNode& node = *e;
    if (node.kind == ExprKind::kVar) return frame_.vars.at(node.var.get());
    Value operands[3];
    for (size_t i = 0; i < node.operands.size(); ++i) operands[i] = eval(node.operands[i]);
    Value result{node.type, {}};
    const auto lane_of = [&](size_t operand, int lane) {
      return operands[operand].lanes[static_cast<size_t>(lane)];
    };
    const auto for_lanes = [&](auto function) {
      for (int lane = 0; lane < node.type.lanes; ++lane) result.lanes.push_back(function(lane));
      return result;
    };
    const DType dtype = node.operands.empty() ? node.type.dtype : operands[0].type.dtype;
    if (expr_group(node.kind) == ExprGroup::kInfix || node.kind == ExprKind::kMin ||
        node.kind == ExprKind::kMax) {
      return for_lanes(
          [&](int i) { return binary(node.kind, dtype, lane_of(0, i), lane_of(1, i)); });
    }
    switch (node.kind) {
      case ExprKind::kConst:
        return for_lanes([&](int) {
          return node.type.dtype == DType::kF32   ? of_f32(static_cast<float>(node.float_value))
                 : node.type.dtype == DType::kF64 ? of_f64(node.float_value)
                 : is_float(node.type.dtype)
                     ? convert(DType::kF64, node.type.dtype, of_f64(node.float_value))
                     : of_int(node.type.dtype, node.int_value);
        });
      case ExprKind::kVector:
        return for_lanes(
            [&](int i) { return of_int(node.type.dtype, node.indices[static_cast<size_t>(i)]); });
      case ExprKind::kFma:
        return for_lanes([&](int i) {
          if (dtype == DType::kF64) {
            return of_f64(
                std::fma(as_f64(lane_of(0, i)), as_f64(lane_of(1, i)), as_f64(lane_of(2, i))));
          }
          return of_f32(
              std::fma(as_f32(lane_of(0, i)), as_f32(lane_of(1, i)), as_f32(lane_of(2, i))));
        });
      case ExprKind::kSelect:
        return for_lanes([&](int i) { return lane_of(0, i) ? lane_of(1, i) : lane_of(2, i); });
      case ExprKind::kDot4:
        return for_lanes([&](int i) {
          auto sum = static_cast<int64_t>(lane_of(0, i));
          for (int k = 4 * i; k < 4 * i + 4; ++k)
            sum += small(lane_of(1, k)) * static_cast<int64_t>(lane_of(2, k));
          return of_int(DType::kI32, sum);
        });
      case ExprKind::kDot2:
        return for_lanes([&](int i) {
          int64_t sum = 0;
          for (int k = 2 * i; k < 2 * i + 2; ++k)
            sum += small(lane_of(0, k)) * static_cast<int64_t>(lane_of(1, k));
          return of_int(DType::kI16, sum);
        });
      case ExprKind::kBlockDot:
        return for_lanes([&](int i) {
          const int a = i / 4 * 16 + i % 4 / 2 * 8;
          const int b = i / 4 * 16 + i % 2 * 8;
          auto sum = static_cast<int64_t>(lane_of(0, i));
          for (int k = 0; k < 8; ++k)
            sum += small(lane_of(1, a + k)) * static_cast<int64_t>(lane_of(2, b + k));
          return of_int(DType::kI32, sum);
        });
      case ExprKind::kPairSum:
        return for_lanes([&](int i) {
          return of_int(DType::kI32, static_cast<int64_t>(lane_of(0, 2 * i)) +
                                         static_cast<int64_t>(lane_of(0, 2 * i + 1)));
        });
      case ExprKind::kCast:
        return for_lanes([&](int i) { return convert(dtype, node.type.dtype, lane_of(0, i)); });
      case ExprKind::kBitcast:
        return bitcast(operands[0], node.type);
      case ExprKind::kBroadcast:
        return for_lanes([&](int) { return lane_of(0, 0); });
      case ExprKind::kRamp:
        return for_lanes([&](int i) {
          return of_int(dtype, static_cast<int64_t>(lane_of(0, 0)) + i * node.int_value);
        });
      case ExprKind::kLoad:
        return for_lanes(
            [&](int i) { return read(*node.buffer, element_index(*node.buffer, operands[0], i)); });
      case ExprKind::kShuffle:
        return for_lanes([&](int i) {
          const int source = node.indices[static_cast<size_t>(i)];
          const int lanes = operands[0].type.lanes;
          return source < lanes ? lane_of(0, source) : lane_of(1, source - lanes);
        });
      default:
        return for_lanes([&](int i) { return unary(node.kind, dtype, lane_of(0, i)); });
    }
  }

  // An unsigned operand of a dot product: within the seven bits that every instruction set
  // multiplies exactly.
  int64_t small(uint64_t value) {
    if (value > 127) throw InternalError(cat("kernel @", kernel_.name, ": dot product of ", value));
    return static_cast<int64_t>(value);
  }

  const Kernel& kernel_;
  struct Frame {
    std::unordered_map<const Buffer*, std::span<std::byte>> memory;
    std::unordered_map<const Var*, Value> vars;
  };
  Frame frame_;                 // of the thread that runs, or of what is outside the threads
  std::vector<Frame> threads_;  // of the GPU block that runs
  int64_t thread_ = kNobody;
  std::unordered_map<const Buffer*, std::unordered_map<int64_t, Accesses>> accesses_;
  int64_t begin_ = 0;
  int64_t end_ = 0;
};

}  // namespace

void interpret(const Kernel& kernel, const std::vector<Argument>& arguments, int64_t begin,
               int64_t end) {
  Interpreter(kernel, arguments).run(begin, end);
}

int64_t task_count(const Kernel& kernel, const std::vector<Argument>& arguments) {
  return Interpreter(kernel, arguments).task_count();
}

}  // namespace mlc::kernel
