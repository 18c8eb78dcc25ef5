// SPDX-License-Identifier: Apache-2.0
// Reads the text form back. Names are resolved while reading, so that types are known at once.
#include <limits>
#include <map>

#include "kernel/builder.h"
#include "kernel/text.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::kernel {
namespace {

constexpr int64_t kMaxLanes = 4096;
constexpr int64_t kMaxElements = int64_t{1} << 40;

class Parser {
 public:
  Parser(std::string_view text, std::string_view where) : text_(text), where_(where) {}

  Kernel kernel() {
    Kernel result;
    expect_word("kernel");
    expect('@');
    result.name = name();
    expect('(');
    while (!accept(')')) {
      if (!result.parameters.empty()) expect(',');
      expect('%');
      const std::string parameter = name();
      expect(':');
      const Type element = type();
      skip_blanks();
      if (at_ < text_.size() && is_name_char(text_[at_])) {
        const Space space = parse_space(name());
        if (!is_parameter_space(space))
          fail("parameters cannot be " + std::string(space_name(space)));
        auto buffer = std::make_shared<const Buffer>(Buffer{parameter, element, space, 0});
        define_buffer(parameter, buffer);
        result.parameters.push_back({buffer, nullptr});
      } else {
        if (element != Type{}) fail("a size is an i64");
        const VarRef size = make_var(parameter);
        define_var(parameter, size);
        result.parameters.push_back({nullptr, size});
      }
    }
    result.body = block();
    skip_blanks();
    if (at_ != text_.size()) fail("text after the kernel");
    return result;
  }

 private:
  [[noreturn]] void fail(const std::string& what) {
    const std::string_view before = text_.substr(0, at_);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    const size_t column = at_ - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    throw UserError(cat(where_, ":", line, ":", column), what);
  }

  static bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (text_[at_] == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') ++at_;
      } else if (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t') {
        ++at_;
      } else {
        break;
      }
    }
  }

  bool accept(char c) {
    skip_blanks();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail(cat("expected ", c));
  }
  bool peek(char c) {
    skip_blanks();
    return at_ < text_.size() && text_[at_] == c;
  }

  std::string name() {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_char(text_[at_])) ++at_;
    if (begin == at_) fail("expected a name");
    return std::string(text_.substr(begin, at_ - begin));
  }
  void expect_word(std::string_view word) {
    if (name() != word) fail(cat("expected ", word));
  }

  int64_t integer() {
    skip_blanks();
    const size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '-') ++at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    const auto value = parse_int64(text_.substr(begin, at_ - begin));
    if (!value) fail("expected an integer");
    return *value;
  }

  int small_integer() {
    const int64_t value = integer();
    if (value < INT32_MIN || value > INT32_MAX) fail(cat("too large: ", value));
    return static_cast<int>(value);
  }

  Type type() {
    const std::string text = name();
    // "f32x16": the last x splits; names of dtypes have none.
    const size_t x = text.rfind('x');
    const auto dtype = parse_short_dtype(text.substr(0, x));
    if (!dtype) fail("unknown type " + text);
    if (x == std::string::npos) return {*dtype, 1};
    const auto lanes = parse_int64(text.substr(x + 1));
    if (!lanes || *lanes < 1 || *lanes > kMaxLanes) fail("unknown type " + text);
    return {*dtype, static_cast<int>(*lanes)};
  }

  Space parse_space(const std::string& text) {
    for (int i = 0; i <= static_cast<int>(Space::kShared); ++i) {
      if (space_name(static_cast<Space>(i)) == text) return static_cast<Space>(i);
    }
    fail("unknown space " + text);
  }

  void define_var(const std::string& name, VarRef var) {
    if (!vars_.emplace(name, std::move(var)).second) fail("%" + name + " stands twice");
  }
  void define_buffer(const std::string& name, BufferRef buffer) {
    if (!buffers_.emplace(name, std::move(buffer)).second) fail("%" + name + " stands twice");
  }
  BufferRef buffer_named() {
    expect('%');
    const std::string text = name();
    const auto found = buffers_.find(text);
    if (found == buffers_.end()) fail("no buffer %" + text);
    return found->second;
  }

  std::vector<Stmt> block() {
    expect('{');
    std::vector<Stmt> statements;
    while (!accept('}')) {
      if (++depth_ > 200) fail("nested too deeply");
      statements.push_back(std::make_shared<const StmtNode>(statement()));
      --depth_;
    }
    return statements;
  }

  StmtNode statement() {
    if (peek('{')) return {.kind = StmtKind::kBlock, .body = block()};
    const std::string word = name();
    if (word == "let") {
      expect('%');
      const std::string bound = name();
      expect('=');
      Expr value = expr();
      VarRef var = make_var(bound, value->type);
      define_var(bound, var);
      return {.kind = StmtKind::kLet, .var = var, .value = value};
    }
    if (word == "store" || word == "prefetch") {
      auto [buffer, at] = place();
      if (word == "prefetch") return {.kind = StmtKind::kPrefetch, .buffer = buffer, .index = at};
      expect('=');
      Expr value = expr();
      return {.kind = StmtKind::kStore, .buffer = buffer, .value = value, .index = at};
    }
    if (word == "tile_dot" || word == "tile_sum") return tiles(word == "tile_sum");
    if (word == "if") {
      Expr condition = expr();
      std::vector<Stmt> then = block();
      std::vector<Stmt> otherwise;
      skip_blanks();
      if (text_.substr(at_, 4) == "else") {
        at_ += 4;
        otherwise = block();
      }
      return {.kind = StmtKind::kIf, .body = then, .otherwise = otherwise, .value = condition};
    }
    if (word == "allocate") {
      expect('%');
      const std::string bound = name();
      expect(':');
      const Type element = type();
      expect('[');
      const int64_t size = integer();
      if (size > kMaxElements) fail(cat("too large: ", size));
      expect(']');
      const Space space = parse_space(name());
      if (is_parameter_space(space)) fail("allocate of a parameter's space");
      auto buffer = std::make_shared<const Buffer>(Buffer{bound, element, space, size});
      define_buffer(bound, buffer);
      return {.kind = StmtKind::kAllocate, .buffer = buffer};
    }
    if (word == "barrier") return {.kind = StmtKind::kBarrier};
    for (const ForKind kind : {ForKind::kSerial, ForKind::kUnrolled, ForKind::kVectorized,
                               ForKind::kParallel, ForKind::kGpuBlock, ForKind::kGpuThread}) {
      if (word != for_kind_name(kind)) continue;
      expect('%');
      const std::string bound = name();
      expect_word("in");
      Expr extent = expr();
      VarRef counter = make_var(bound);
      define_var(bound, counter);
      std::vector<Stmt> body = block();
      return {
          .kind = StmtKind::kFor, .body = body, .var = counter, .extent = extent, .for_kind = kind};
    }
    fail("unknown statement " + word);
  }

  // %buffer[index]
  std::pair<BufferRef, Expr> place() {
    BufferRef buffer = buffer_named();
    expect('[');
    Expr at = expr();
    expect(']');
    return {std::move(buffer), std::move(at)};
  }

  // tile_dot<quads, row_words> or tile_sum<steps, tile_steps>
  StmtNode tiles(bool sum) {
    expect('<');
    const int first = small_integer();
    expect(',');
    const int second = small_integer();
    expect('>');
    auto [c, at] = place();
    expect('=');
    auto [a, a_index] = place();
    expect(',');
    auto [b, b_index] = place();
    if (sum) {
      return {.kind = StmtKind::kTileSum,
              .buffer = c,
              .index = at,
              .tile_sum = {a, a_index, b, b_index, first, second}};
    }
    return {.kind = StmtKind::kTileDot,
            .buffer = c,
            .index = at,
            .tile_dot = {a, a_index, b, b_index, first, second}};
  }

  Expr expr() {
    Expr left = primary();
    skip_blanks();
    // Longest operator first: "<<" before "<".
    static const std::vector<std::pair<std::string, ExprKind>> operators = [] {
      std::vector<std::pair<std::string, ExprKind>> list;
      for (int i = 0; i <= static_cast<int>(ExprKind::kShuffle); ++i) {
        const auto kind = static_cast<ExprKind>(i);
        if (expr_group(kind) == ExprGroup::kInfix) list.emplace_back(expr_name(kind), kind);
      }
      std::stable_sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
        return a.first.size() > b.first.size();
      });
      return list;
    }();
    for (const auto& [spelling, kind] : operators) {
      if (!text_.substr(at_).starts_with(spelling)) continue;
      at_ += spelling.size();
      Expr right = primary();
      if (left->type != right->type) fail("operands of " + spelling + " differ in type");
      const bool compares = kind == ExprKind::kEq || kind == ExprKind::kNe ||
                            kind == ExprKind::kLt || kind == ExprKind::kLe;
      return make({.kind = kind,
                   .type = compares ? left->type.with_dtype(DType::kBool) : left->type,
                   .operands = {left, right}});
    }
    return left;
  }

  static Expr make(ExprNode node) { return std::make_shared<const ExprNode>(std::move(node)); }

  std::vector<Expr> arguments() {
    std::vector<Expr> list;
    expect('(');
    while (!accept(')')) {
      if (!list.empty()) expect(',');
      list.push_back(expr());
    }
    return list;
  }

  Expr literal() {
    skip_blanks();
    const size_t begin = at_;
    while (at_ < text_.size() &&
           (is_name_char(text_[at_]) || text_[at_] == '-' || text_[at_] == '+')) {
      ++at_;
    }
    const std::string_view digits = text_.substr(begin, at_ - begin);
    Type literal_type{};
    if (at_ < text_.size() && text_[at_] == ':') {
      ++at_;
      literal_type = type();
    }
    if (is_float(literal_type.dtype)) {
      const auto value = digits == "inf"    ? std::numeric_limits<double>::infinity()
                         : digits == "-inf" ? -std::numeric_limits<double>::infinity()
                                            : parse_double(digits);
      if (!value) fail(cat("no number: ", digits));
      return float_constant(literal_type, *value);
    }
    const auto value = parse_int64(digits);
    if (!value) fail(cat("no number: ", digits));
    return constant(literal_type, *value);
  }

  Expr primary() {
    if (++depth_ > 200) fail("nested too deeply");
    Expr result = primary_inside();
    --depth_;
    return result;
  }

  Expr primary_inside() {
    if (accept('(')) {
      Expr inner = expr();
      expect(')');
      return inner;
    }
    if (accept('%')) {
      const std::string text = name();
      const auto found = vars_.find(text);
      if (found == vars_.end()) fail("no value %" + text);
      return var(found->second);
    }
    skip_blanks();
    const std::string_view rest = text_.substr(at_);
    if (rest.empty()) fail("unexpected end");
    if (rest[0] == '-' || (rest[0] >= '0' && rest[0] <= '9') || rest.starts_with("inf:") ||
        rest.starts_with("nan:")) {
      return literal();
    }
    const size_t begin = at_;
    try {
      return call(name());
    } catch (const IrError& error) {
      at_ = begin;
      fail(error.what());
    }
  }

  // The last number of load<lanes>, broadcast<lanes> and ramp<stride, lanes>.
  void check_lanes(const std::string& function, const std::vector<int>& numbers) {
    if (numbers.empty() || (function != "load" && function != "broadcast" && function != "ramp"))
      return;
    if (numbers.back() < 1 || numbers.back() > kMaxLanes)
      fail(cat("no number of lanes: ", numbers.back()));
  }

  Expr call(const std::string& function) {
    std::vector<int> numbers;
    Type type_argument{};
    if (accept('<')) {
      if (function == "cast" || function == "bitcast") {
        type_argument = type();
      } else {
        do numbers.push_back(small_integer());
        while (accept(','));
      }
      expect('>');
    }
    if (function == "vector" && !numbers.empty()) {
      expect(':');
      return vector_constant(type().dtype, numbers);
    }
    if (function == "load") {
      check_lanes(function, numbers);
      expect('(');
      BufferRef buffer = buffer_named();
      expect(',');
      Expr at = expr();
      expect(')');
      if (at->type.dtype != DType::kI64) fail("an index is an i64");
      return load(buffer, at, numbers.empty() ? 1 : numbers[0]);
    }
    check_lanes(function, numbers);
    std::vector<Expr> list = arguments();
    const auto one = [&]() -> Expr& {
      if (list.size() != 1) fail(function + " takes one operand");
      return list[0];
    };
    if (function == "cast") return cast(type_argument.dtype, one());
    if (function == "bitcast") return bitcast(type_argument, one());
    if (function == "broadcast" && numbers.size() == 1) return broadcast(one(), numbers[0]);
    if (function == "ramp" && numbers.size() == 2) return ramp(one(), numbers[0], numbers[1]);
    if (function == "shuffle" && list.size() == 2) return shuffle(list[0], list[1], numbers);
    for (int i = 0; i <= static_cast<int>(ExprKind::kShuffle); ++i) {
      const auto kind = static_cast<ExprKind>(i);
      if (expr_group(kind) != ExprGroup::kCall || expr_name(kind) != function) continue;
      if (static_cast<int>(list.size()) != expr_operand_count(kind)) {
        fail(cat(function, " takes ", expr_operand_count(kind), " operands"));
      }
      switch (kind) {
        case ExprKind::kSelect:
          return select(list[0], list[1], list[2]);
        case ExprKind::kDot4:
          return dot4(list[0], list[1], list[2]);
        case ExprKind::kDot2:
          return dot2(list[0], list[1]);
        case ExprKind::kBlockDot:
          return block_dot(list[0], list[1], list[2]);
        case ExprKind::kPairSum:
          return pair_sum(list[0]);
        default:
          for (const Expr& operand : list) {
            if (operand->type != list[0]->type) fail("operands of " + function + " differ in type");
          }
          return make({.kind = kind, .type = list[0]->type, .operands = list});
      }
    }
    fail("unknown function " + function);
  }

  std::string_view text_;
  std::string_view where_;
  size_t at_ = 0;
  int depth_ = 0;
  std::map<std::string, VarRef, std::less<>> vars_;
  std::map<std::string, BufferRef, std::less<>> buffers_;
};

}  // namespace

Kernel parse_kernel(std::string_view text, std::string_view where) {
  return Parser(text, where).kernel();
}

}  // namespace mlc::kernel
