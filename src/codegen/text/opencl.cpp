// SPDX-License-Identifier: Apache-2.0
// OpenCL C 1.2, full profile, no extension. f16 and bf16 are ushort bits: without cl_khr_fp16 a
// half can only be behind a pointer. Contraction is off, so that a * b + c rounds twice as the IR
// says; fma() rounds once in the full profile.
#include <algorithm>

#include "codegen/text/dialect.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::codegen {
namespace {

using kernel::ExprKind;

constexpr Dialect::Helper kHelpers[] = {
    // fmin and fmax treat NaN in another way than the IR.
    {"min_f32", "static inline float min_f32(float a, float b) { return a < b ? a : b; }\n"},
    {"max_f32", "static inline float max_f32(float a, float b) { return a > b ? a : b; }\n"},
    {"f32_of_f16",
     "static inline float f32_of_f16(ushort bits) { return vload_half(0, (const __private "
     "half*)&bits); }\n"},
    {"f16_of_f32",
     "static inline ushort f16_of_f32(float x) {\n"
     "  ushort bits;\n"
     "  vstore_half_rte(x, 0, (__private half*)&bits);\n"
     "  return bits;\n"
     "}\n"},
    {"f32_of_bf16",
     "static inline float f32_of_bf16(ushort bits) { return as_float((uint)bits << 16); }\n"},
    {"bf16_of_f32",
     "static inline ushort bf16_of_f32(float x) {\n"
     "  const uint bits = as_uint(x);\n"
     "  if (isnan(x)) return (ushort)((bits >> 16) | 0x40);\n"
     "  return (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);\n"
     "}\n"},
};

// Keywords of C99 and OpenCL C, and what is called here.
constexpr std::string_view kReserved[] = {
    "INFINITY", "NAN",       "abs",          "as_char",      "as_float",  "as_int",   "as_long",
    "as_short", "as_uchar",  "as_uint",      "as_ulong",     "as_ushort", "auto",     "barrier",
    "bool",     "break",     "case",         "char",         "const",     "constant", "continue",
    "cos",      "default",   "do",           "double",       "else",      "enum",     "erf",
    "exp",      "exp2",      "extern",       "fabs",         "false",     "float",    "fma",
    "for",      "generic",   "get_group_id", "get_local_id", "global",    "goto",     "half",
    "if",       "image1d_t", "image2d_t",    "image3d_t",    "inline",    "int",      "isnan",
    "kernel",   "local",     "log2",         "long",         "max",       "min",      "pipe",
    "private",  "quad",      "read_only",    "read_write",   "register",  "restrict", "return",
    "rint",     "sampler_t", "short",        "signed",       "sin",       "size_t",   "sizeof",
    "sqrt",     "static",    "struct",       "switch",       "tanh",      "true",     "typedef",
    "uchar",    "uint",      "ulong",        "uniform",      "union",     "unsigned", "ushort",
    "void",     "volatile",  "while",        "write_only"};
static_assert(std::is_sorted(std::begin(kReserved), std::end(kReserved)));

class OpenClDialect : public Dialect {
 public:
  std::string_view prologue() const override { return "#pragma OPENCL FP_CONTRACT OFF\n"; }
  std::span<const Helper> helpers() const override { return kHelpers; }
  bool is_reserved(std::string_view name) const override {
    return std::binary_search(std::begin(kReserved), std::end(kReserved), name);
  }

  std::string_view type(DType dtype) const override {
    switch (dtype) {
      case DType::kF32:
        return "float";
      case DType::kF64:
        return "double";
      case DType::kF16:
      case DType::kBF16:
      case DType::kU16:
        return "ushort";
      case DType::kI8:
        return "char";
      case DType::kU8:
      case DType::kF8E4M3:
      case DType::kF8E5M2:
        return "uchar";
      case DType::kI16:
        return "short";
      case DType::kI32:
        return "int";
      case DType::kU32:
        return "uint";
      case DType::kI64:
        return "long";
      case DType::kU64:
        return "ulong";
      case DType::kBool:
        return "bool";
    }
    return "";
  }

  std::string_view function(ExprKind kind, DType dtype) const override {
    const bool f32 = dtype == DType::kF32;
    switch (kind) {
      case ExprKind::kMin:
        return f32 ? "min_f32" : is_float(dtype) ? "" : "min";
      case ExprKind::kMax:
        return f32 ? "max_f32" : is_float(dtype) ? "" : "max";
      case ExprKind::kAbs:
        return f32 ? "fabs" : dtype == DType::kI32 ? "(int)abs" : "";
      case ExprKind::kFma:
        return "fma";
      case ExprKind::kSqrt:
        return "sqrt";
      case ExprKind::kRound:
        return "rint";
      case ExprKind::kExp:
        return "exp";
      case ExprKind::kExp2:
        return "exp2";
      case ExprKind::kLog2:
        return "log2";
      case ExprKind::kTanh:
        return "tanh";
      case ExprKind::kErf:
        return "erf";
      case ExprKind::kSin:
        return "sin";
      case ExprKind::kCos:
        return "cos";
      default:
        return "";
    }
  }

  std::string conversion(DType from, DType to) const override {
    const auto is_half = [](DType dtype) {
      return is_float(dtype) && dtype != DType::kF32 && dtype != DType::kF64;
    };
    if (!is_half(from) && !is_half(to)) return cat("(", type(to), ")");
    const bool known = (from == DType::kF32 && (to == DType::kF16 || to == DType::kBF16)) ||
                       (to == DType::kF32 && (from == DType::kF16 || from == DType::kBF16));
    return known ? cat(dtype_short_name(to), "_of_", dtype_short_name(from)) : "";
  }

  std::string bit_conversion(DType, DType to) const override { return cat("as_", type(to)); }

  std::string kernel_head(std::string_view symbol, std::span<const TextParameter> parameters,
                          int64_t threads) const override {
    std::vector<std::string> list;
    for (const TextParameter& p : parameters) {
      const bool binding = p.kind == TextParameter::Kind::kBinding;
      list.push_back(cat(binding ? pointer(p) + " " : "const long ", p.name));
    }
    std::string joined = join(list, ", ");
    if (joined.size() > 80) joined = "\n    " + join(list, ",\n    ");
    return cat("__kernel __attribute__((reqd_work_group_size(", threads, ", 1, 1)))\nvoid ", symbol,
               "(", joined, ") {\n");
  }

  std::string view(const TextParameter& offset, std::string_view name,
                   std::string_view binding) const override {
    return cat(pointer(offset), " ", name, " = (", pointer(offset), ")(", binding, " + ",
               offset.name, ");");
  }

  std::string shared_array(DType dtype, std::string_view name, int64_t size) const override {
    return cat("__local ", array(dtype, name, size));
  }
  std::string_view block_number() const override { return "get_group_id(0)"; }
  std::string_view thread_number() const override { return "get_local_id(0)"; }
  std::string_view barrier() const override { return "barrier(CLK_LOCAL_MEM_FENCE);"; }

 private:
  std::string pointer(const TextParameter& p) const {
    return cat("__global ", is_read_only(p) ? "const " : "", type(p.dtype), "*");
  }
};

}  // namespace

const Dialect& opencl_dialect() {
  static const OpenClDialect dialect;
  return dialect;
}

}  // namespace mlc::codegen
