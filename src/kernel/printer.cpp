// SPDX-License-Identifier: Apache-2.0
// Prints kernels. Nested operators are in parentheses, so that no precedence need be known.
#include <cmath>

#include "kernel/text.h"
#include "support/strings.h"

namespace mlc::kernel {
namespace {

std::string join_ints(const std::vector<int>& values) {
  std::string text;
  for (size_t i = 0; i < values.size(); ++i) text += cat(i == 0 ? "" : ", ", values[i]);
  return text;
}

std::string constant_text(const ExprNode& node) {
  if (is_float(node.type.dtype)) {
    const double value = node.float_value;
    const std::string digits = std::isnan(value)   ? "nan"
                               : std::isinf(value) ? (value < 0 ? "-inf" : "inf")
                               : node.type.dtype == DType::kF32
                                   ? python_float(shortest_double(static_cast<float>(value)))
                                   : python_float(value);
    return cat(digits, ":", to_text(node.type));
  }
  if (node.type == Type{}) return std::to_string(node.int_value);
  return cat(node.int_value, ":", to_text(node.type));
}

class Printer {
 public:
  std::string expr(const Expr& e, bool nested = false) {
    const ExprNode& node = *e;
    const auto arguments = [&] {
      std::string text;
      for (size_t i = 0; i < node.operands.size(); ++i) {
        text += cat(i == 0 ? "" : ", ", expr(node.operands[i]));
      }
      return text;
    };
    switch (expr_group(node.kind)) {
      case ExprGroup::kLeaf:
        if (node.kind == ExprKind::kVar) return "%" + node.var->name;
        if (node.kind == ExprKind::kVector) {
          return cat("vector<", join_ints(node.indices), ">:", dtype_short_name(node.type.dtype));
        }
        return constant_text(node);
      case ExprGroup::kInfix: {
        const std::string text = cat(expr(node.operands[0], true), " ", expr_name(node.kind), " ",
                                     expr(node.operands[1], true));
        return nested ? "(" + text + ")" : text;
      }
      case ExprGroup::kCall:
        return cat(expr_name(node.kind), "(", arguments(), ")");
      case ExprGroup::kSpecial:
        break;
    }
    switch (node.kind) {
      case ExprKind::kCast:
        return cat("cast<", dtype_short_name(node.type.dtype), ">(", arguments(), ")");
      case ExprKind::kBitcast:
        return cat("bitcast<", to_text(node.type), ">(", arguments(), ")");
      case ExprKind::kBroadcast:
        return cat("broadcast<", node.type.lanes, ">(", arguments(), ")");
      case ExprKind::kRamp:
        return cat("ramp<", node.int_value, ", ", node.type.lanes, ">(", arguments(), ")");
      case ExprKind::kLoad: {
        const bool plain = node.operands[0]->type.lanes > 1 || node.type.lanes == 1 ||
                           node.buffer->element.lanes > 1;
        return cat("load", plain ? "" : cat("<", node.type.lanes, ">"), "(%", node.buffer->name,
                   ", ", arguments(), ")");
      }
      case ExprKind::kShuffle:
        return cat("shuffle<", join_ints(node.indices), ">(", arguments(), ")");
      default:
        return "";
    }
  }

  void statements(const std::vector<Stmt>& list, int depth) {
    for (const Stmt& stmt : list) statement(*stmt, depth);
  }

  void statement(const StmtNode& s, int depth) {
    const auto line = [&](std::string_view text) {
      text_ += std::string(static_cast<size_t>(2 * depth), ' ');
      text_ += text;
      text_ += '\n';
    };
    switch (s.kind) {
      case StmtKind::kBlock:
        line("{");
        statements(s.body, depth + 1);
        line("}");
        break;
      case StmtKind::kLet:
        line(cat("let %", s.var->name, " = ", expr(s.value)));
        break;
      case StmtKind::kStore:
        line(cat("store %", s.buffer->name, "[", expr(s.index), "] = ", expr(s.value)));
        break;
      case StmtKind::kPrefetch:
        line(cat("prefetch %", s.buffer->name, "[", expr(s.index), "]"));
        break;
      case StmtKind::kTileDot: {
        const TileDot& t = s.tile_dot;
        line(tiles("tile_dot", t.quads, t.row_words, s, t.a, t.a_index, t.b, t.b_index));
        break;
      }
      case StmtKind::kTileSum: {
        const TileSum& t = s.tile_sum;
        line(tiles("tile_sum", t.steps, t.tile_steps, s, t.a, t.a_index, t.b, t.b_index));
        break;
      }
      case StmtKind::kFor:
        line(cat(for_kind_name(s.for_kind), " %", s.var->name, " in ", expr(s.extent), " {"));
        statements(s.body, depth + 1);
        line("}");
        break;
      case StmtKind::kIf:
        line(cat("if ", expr(s.value), " {"));
        statements(s.body, depth + 1);
        if (!s.otherwise.empty()) {
          line("} else {");
          statements(s.otherwise, depth + 1);
        }
        line("}");
        break;
      case StmtKind::kAllocate:
        line(cat("allocate %", s.buffer->name, ": ", to_text(s.buffer->element), "[",
                 s.buffer->size, "] ", space_name(s.buffer->space)));
        break;
      case StmtKind::kBarrier:
        line("barrier");
        break;
    }
  }

  std::string tiles(std::string_view name, int64_t first, int64_t second, const StmtNode& s,
                    const BufferRef& a, const Expr& a_index, const BufferRef& b,
                    const Expr& b_index) {
    return cat(name, "<", first, ", ", second, "> %", s.buffer->name, "[", expr(s.index), "] = %",
               a->name, "[", expr(a_index), "], %", b->name, "[", expr(b_index), "]");
  }

  std::string kernel(const Kernel& kernel) {
    text_ = cat("kernel @", kernel.name, "(");
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      const Parameter& p = kernel.parameters[i];
      text_ += i == 0 ? "" : ", ";
      text_ += p.buffer ? cat("%", p.buffer->name, ": ", to_text(p.buffer->element), " ",
                              space_name(p.buffer->space))
                        : cat("%", p.var->name, ": i64");
    }
    text_ += ") {\n";
    statements(kernel.body, 1);
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  std::string text_;
};

}  // namespace

std::string to_text(const Kernel& kernel) { return Printer().kernel(kernel); }
std::string to_text(const Expr& expr) { return Printer().expr(expr); }
std::string to_text(Type type) {
  return type.lanes == 1 ? std::string(dtype_short_name(type.dtype))
                         : cat(dtype_short_name(type.dtype), "x", type.lanes);
}

}  // namespace mlc::kernel
