// SPDX-License-Identifier: Apache-2.0
#include "codegen/text/printer.h"

#include <cmath>
#include <map>
#include <set>

#include "codegen/text/dialect.h"
#include "kernel/text.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::codegen {
namespace {

using kernel::Expr;
using kernel::ExprGroup;
using kernel::ExprKind;
using kernel::ExprNode;
using kernel::ForKind;
using kernel::Space;
using kernel::Stmt;
using kernel::StmtKind;
using kernel::StmtNode;

// The binding that all buffers of a space share, or "".
std::string_view shared_binding(Space space) {
  return space == Space::kArena ? "arena" : space == Space::kConstant ? "constants" : "";
}

// Names of the IR as names of C: each once in a kernel, no reserved word.
class Names {
 public:
  explicit Names(const Dialect& dialect) : dialect_(dialect) {
    for (const Dialect::Helper& helper : dialect.helpers()) used_.emplace(helper.name);
  }

  std::string take(std::string_view wanted) {
    std::string name = replace_all(wanted, ".", "_");
    if (name[0] >= '0' && name[0] <= '9') name = "v" + name;
    while (dialect_.is_reserved(name) || !used_.insert(name).second) name += '_';
    return name;
  }
  const std::string& define(const void* thing, std::string_view wanted) {
    return names_[thing] = take(wanted);
  }
  const std::string& of(const void* thing) const { return names_.at(thing); }

 private:
  const Dialect& dialect_;
  std::set<std::string, std::less<>> used_;
  std::map<const void*, std::string> names_;
};

class Printer {
 public:
  Printer(const kernel::Kernel& kernel, const Dialect& dialect, std::set<std::string>* helpers)
      : kernel_(kernel), dialect_(dialect), names_(dialect), helpers_(*helpers) {}

  std::string run(const std::string& symbol) {
    names_.take(symbol);
    std::vector<TextParameter> parameters = text_parameters(kernel_);
    std::map<Space, std::string> bindings;
    for (TextParameter& p : parameters) {
      if (p.parameter < 0) {
        bindings[p.space] = p.name = names_.take(p.name);
        continue;
      }
      const kernel::Parameter& source = kernel_.parameters[static_cast<size_t>(p.parameter)];
      if (p.kind == TextParameter::Kind::kOffset) {
        names_.define(source.buffer.get(), source.buffer->name);
        p.name = names_.take(p.name);
      } else {
        p.name = names_.define(
            source.buffer ? static_cast<const void*>(source.buffer.get()) : source.var.get(),
            p.name);
      }
    }
    const int64_t threads = kernel::block_threads(kernel_);
    MLC_CHECK(threads > 0) << "@" << kernel_.name << " is not of the GPU class";
    text_ = dialect_.kernel_head(symbol, parameters, threads);
    for (const TextParameter& p : parameters) {
      if (p.kind != TextParameter::Kind::kOffset) continue;
      line(dialect_.view(
          p, names_.of(kernel_.parameters[static_cast<size_t>(p.parameter)].buffer.get()),
          bindings.at(p.space)));
    }
    statements(kernel_.body);
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  void line(std::string_view text) {
    text_ += std::string(static_cast<size_t>(2 * depth_), ' ');
    text_ += text;
    text_ += '\n';
  }

  void indented(const std::vector<Stmt>& list) {
    ++depth_;
    statements(list);
    --depth_;
  }

  void statements(const std::vector<Stmt>& list) {
    for (const Stmt& s : list) statement(*s);
  }

  void statement(const StmtNode& s) {
    switch (s.kind) {
      case StmtKind::kBlock:
        statements(s.body);  // names are unique in the kernel: no scope is needed
        break;
      case StmtKind::kLet: {
        const std::string value = expr(s.value);
        line(dialect_.value(s.var->type.dtype, names_.define(s.var.get(), s.var->name), value));
        break;
      }
      case StmtKind::kStore:
        line(cat(names_.of(s.buffer.get()), "[", expr(s.index), "] = ", expr(s.value), ";"));
        break;
      case StmtKind::kFor:
        loop(s);
        break;
      case StmtKind::kIf:
        line(cat("if (", expr(s.value), ") {"));
        indented(s.body);
        if (!s.otherwise.empty()) {
          line("} else {");
          indented(s.otherwise);
        }
        line("}");
        break;
      case StmtKind::kAllocate: {
        const std::string& name = names_.define(s.buffer.get(), s.buffer->name);
        const DType dtype = s.buffer->element.dtype;
        line(s.buffer->space == Space::kShared ? dialect_.shared_array(dtype, name, s.buffer->size)
                                               : dialect_.array(dtype, name, s.buffer->size));
        break;
      }
      case StmtKind::kBarrier:
        line(dialect_.barrier());
        break;
      case StmtKind::kPrefetch:
        break;  // a hint
      case StmtKind::kTileDot:
      case StmtKind::kTileSum:
        MLC_UNREACHABLE() << "tiles in the GPU kernel @" << kernel_.name;
    }
  }

  void loop(const StmtNode& s) {
    if (s.for_kind == ForKind::kGpuBlock || s.for_kind == ForKind::kGpuThread) {
      const auto number =
          s.for_kind == ForKind::kGpuBlock ? dialect_.block_number() : dialect_.thread_number();
      line(dialect_.value(DType::kI64, names_.define(s.var.get(), s.var->name), number));
      statements(s.body);
      return;
    }
    MLC_CHECK(s.for_kind == ForKind::kSerial || s.for_kind == ForKind::kUnrolled)
        << "a " << kernel::for_kind_name(s.for_kind) << " loop in @" << kernel_.name;
    const std::string end = expr(s.extent);
    const std::string& name = names_.define(s.var.get(), s.var->name);
    const bool plain = s.extent->kind == ExprKind::kConst || s.extent->kind == ExprKind::kVar;
    line(dialect_.loop(name, end, plain ? "" : names_.take(name + "_end")));
    indented(s.body);
    line("}");
  }

  // A function's name or a cast before its arguments.
  std::string call(std::string_view function, const ExprNode& node) {
    MLC_CHECK(!function.empty()) << "the language has no " << kernel::expr_name(node.kind) << " of "
                                 << dtype_short_name(node.operands[0]->type.dtype) << ", which @"
                                 << kernel_.name << " uses";
    helpers_.emplace(function);
    if (function.ends_with(")")) return cat(function, expr(node.operands[0], true));
    std::string arguments;
    for (const Expr& operand : node.operands) {
      arguments += arguments.empty() ? "" : ", ";
      arguments +=
          operand->kind == ExprKind::kConst ? dialect_.constant(*operand, true) : expr(operand);
    }
    return cat(function, "(", arguments, ")");
  }

  std::string infix(const ExprNode& node, bool nested) {
    const std::string text = cat(expr(node.operands[0], true), " ", kernel::expr_name(node.kind),
                                 " ", expr(node.operands[1], true));
    // C computes small integers as int.
    const DType dtype = node.type.dtype;
    if (!is_float(dtype) && dtype != DType::kBool && dtype_bytes(dtype) < 4)
      return cat("(", dialect_.type(dtype), ")(", text, ")");
    return nested ? cat("(", text, ")") : text;
  }

  std::string expr(const Expr& e, bool nested = false) {
    const ExprNode& node = *e;
    MLC_CHECK(node.type.lanes == 1) << "vectors in the GPU class: " << kernel::to_text(e);
    const DType from = node.operands.empty() ? node.type.dtype : node.operands[0]->type.dtype;
    if (kernel::expr_group(node.kind) == ExprGroup::kInfix) return infix(node, nested);
    switch (node.kind) {
      case ExprKind::kConst:
        return dialect_.constant(node, false);
      case ExprKind::kVar:
        return names_.of(node.var.get());
      case ExprKind::kSelect:
        return dialect_.conditional(expr(node.operands[0], true), expr(node.operands[1], true),
                                    expr(node.operands[2], true));
      case ExprKind::kCast:
        return call(dialect_.conversion(from, node.type.dtype), node);
      case ExprKind::kBitcast:
        return call(dialect_.bit_conversion(from, node.type.dtype), node);
      case ExprKind::kLoad:
        return cat(names_.of(node.buffer.get()), "[", expr(node.operands[0]), "]");
      default:
        return call(dialect_.function(node.kind, from), node);
    }
  }

  const kernel::Kernel& kernel_;
  const Dialect& dialect_;
  Names names_;
  std::set<std::string>& helpers_;
  std::string text_;
  int depth_ = 1;
};

}  // namespace

bool is_read_only(const TextParameter& parameter) {
  return parameter.space == Space::kWeight || parameter.space == Space::kConstant ||
         parameter.space == Space::kInput;
}

std::vector<TextParameter> text_parameters(const kernel::Kernel& kernel) {
  using Kind = TextParameter::Kind;
  std::vector<TextParameter> own;
  std::set<Space> shared;
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    const kernel::Parameter& p = kernel.parameters[i];
    const int index = static_cast<int>(i);
    if (p.var) {
      own.push_back({Kind::kSize, p.var->name, DType::kI64, {}, index});
    } else if (shared_binding(p.buffer->space).empty()) {
      own.push_back(
          {Kind::kBinding, p.buffer->name, p.buffer->element.dtype, p.buffer->space, index});
    } else {
      own.push_back({Kind::kOffset, p.buffer->name + "_offset", p.buffer->element.dtype,
                     p.buffer->space, index});
      shared.insert(p.buffer->space);
    }
  }
  std::vector<TextParameter> all;
  for (const Space space : shared)
    all.push_back({Kind::kBinding, std::string(shared_binding(space)), DType::kU8, space, -1});
  all.insert(all.end(), own.begin(), own.end());
  return all;
}

std::string print_kernels(std::span<const TextKernel> kernels, const Dialect& dialect) {
  std::set<std::string> used;
  std::string functions;
  for (const TextKernel& k : kernels)
    functions += cat("\n", Printer(*k.kernel, dialect, &used).run(k.symbol));
  std::string text(dialect.prologue());
  for (const Dialect::Helper& helper : dialect.helpers()) {
    if (used.count(std::string(helper.name)) > 0) text += cat("\n", helper.text);
  }
  return text + functions;
}

std::string Dialect::constant(const ExprNode& node, bool typed) const {
  const DType dtype = node.type.dtype;
  if (dtype == DType::kF32 || dtype == DType::kF64) {
    const double value = node.float_value;
    if (std::isnan(value)) return "NAN";
    if (std::isinf(value)) return value < 0 ? "-INFINITY" : "INFINITY";
    return dtype == DType::kF32 ? python_float(shortest_double(static_cast<float>(value))) + "f"
                                : python_float(value);
  }
  MLC_CHECK(!is_float(dtype)) << "a constant of " << dtype_short_name(dtype);
  const int64_t value = node.int_value;
  switch (dtype) {
    case DType::kBool:
      return value ? "true" : "false";
    case DType::kI32:
      return value == INT32_MIN ? "(-2147483647 - 1)" : std::to_string(value);
    case DType::kU32:
      return std::to_string(value) + "u";
    case DType::kI64:
      if (value == INT64_MIN) return "(-9223372036854775807L - 1)";
      return std::to_string(value) + (typed ? "L" : "");
    case DType::kU64:
      return std::to_string(static_cast<uint64_t>(value)) + "UL";
    default:
      return typed ? cat("(", type(dtype), ")", value) : std::to_string(value);
  }
}

std::string Dialect::value(DType dtype, std::string_view name, std::string_view text) const {
  return cat("const ", type(dtype), " ", name, " = ", text, ";");
}

std::string Dialect::array(DType dtype, std::string_view name, int64_t size) const {
  return cat(type(dtype), " ", name, "[", size, "];");
}

std::string Dialect::conditional(std::string_view condition, std::string_view then,
                                 std::string_view otherwise) const {
  return cat("(", condition, " ? ", then, " : ", otherwise, ")");
}

std::string Dialect::loop(std::string_view name, std::string_view end,
                          std::string_view end_name) const {
  const std::string_view index = type(DType::kI64);
  if (end_name.empty())
    return cat("for (", index, " ", name, " = 0; ", name, " < ", end, "; ++", name, ") {");
  return cat("for (", index, " ", name, " = 0, ", end_name, " = ", end, "; ", name, " < ", end_name,
             "; ++", name, ") {");
}

}  // namespace mlc::codegen
