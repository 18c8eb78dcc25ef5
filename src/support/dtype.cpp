// SPDX-License-Identifier: Apache-2.0
#include "support/dtype.h"

namespace mlc {
namespace {

struct DTypeInfo {
  std::string_view name;
  std::string_view short_name;
  int64_t bytes;
};

constexpr DTypeInfo kDTypes[] = {
#define MLC_DTYPE(enumerator, name, short_name, bytes) {name, short_name, bytes},
#include "support/dtypes.def"
};

}  // namespace

int64_t dtype_bytes(DType dtype) { return kDTypes[static_cast<int>(dtype)].bytes; }
std::string_view dtype_name(DType dtype) { return kDTypes[static_cast<int>(dtype)].name; }
std::string_view dtype_short_name(DType dtype) {
  return kDTypes[static_cast<int>(dtype)].short_name;
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (int i = 0; i < static_cast<int>(std::size(kDTypes)); ++i) {
    if (kDTypes[i].name == name) return static_cast<DType>(i);
  }
  return {};
}

std::optional<DType> parse_short_dtype(std::string_view name) {
  for (int i = 0; i < static_cast<int>(std::size(kDTypes)); ++i) {
    if (kDTypes[i].short_name == name) return static_cast<DType>(i);
  }
  return {};
}

bool is_float(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF16:
    case DType::kBF16:
    case DType::kF64:
    case DType::kF8E4M3:
    case DType::kF8E5M2:
      return true;
    case DType::kI8:
    case DType::kU8:
    case DType::kI16:
    case DType::kU16:
    case DType::kI32:
    case DType::kU32:
    case DType::kI64:
    case DType::kU64:
    case DType::kBool:
      return false;
  }
  return false;
}

}  // namespace mlc
