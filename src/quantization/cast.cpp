// SPDX-License-Identifier: Apache-2.0
#include "quantization/cast.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <optional>

#include "quantization/pack_kernels.h"
#include "support/check.h"
#include "support/half.h"

namespace mlc::quantization {
namespace {

std::optional<Element> element(DType dtype) {
  if (dtype == DType::kF16) return Element::kF16;
  if (dtype == DType::kBF16) return Element::kBF16;
  if (dtype == DType::kF32) return Element::kF32;
  return {};
}

// f64 to f32 so that a second rounding, to 16 bits, gives what one would: cut off, and the last bit
// is set where anything was lost (rounding to odd).
float round_to_odd(double value) {
  float narrow = static_cast<float>(value);
  if (std::isnan(value) || static_cast<double>(narrow) == value) return narrow;
  uint32_t bits = std::bit_cast<uint32_t>(narrow);
  if (std::abs(static_cast<double>(narrow)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1);
}

void cast_f64(DType to, const std::byte* in, int64_t count, std::byte* out) {
  for (int64_t i = 0; i < count; ++i) {
    double value;
    std::memcpy(&value, in + 8 * i, 8);
    if (to == DType::kF32) {
      const float narrow = static_cast<float>(value);
      std::memcpy(out + 4 * i, &narrow, 4);
    } else {
      const float odd = round_to_odd(value);
      const uint16_t half = to == DType::kF16 ? f32_to_f16(odd) : f32_to_bf16(odd);
      std::memcpy(out + 2 * i, &half, 2);
    }
  }
}

template <class T, class Function>
void for_each(int64_t count, std::byte* values, Function function) {
  for (int64_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, values + static_cast<int64_t>(sizeof(T)) * i, sizeof(T));
    value = function(value);
    std::memcpy(values + static_cast<int64_t>(sizeof(T)) * i, &value, sizeof(T));
  }
}

}  // namespace

bool can_cast(DType from, DType to) {
  return element(to).has_value() && (element(from).has_value() || from == DType::kF64);
}

void cast_values(DType from, DType to, const std::byte* in, int64_t count, std::byte* out) {
  MLC_CHECK(can_cast(from, to)) << dtype_name(from) << " to " << dtype_name(to);
  if (from == to) {
    std::memcpy(out, in, static_cast<size_t>(count * dtype_bytes(from)));
  } else if (from == DType::kF64) {
    cast_f64(to, in, count, out);
  } else {
    pack_kernels().cast(*element(from), *element(to), in, count, out);
  }
}

void add_one(DType dtype, int64_t count, std::byte* values) {
  switch (dtype) {
    case DType::kF64:
      return for_each<double>(count, values, [](double x) { return x + 1; });
    case DType::kF32:
      return for_each<float>(count, values, [](float x) { return x + 1; });
    case DType::kF16:
      return for_each<uint16_t>(count, values,
                                [](uint16_t x) { return f32_to_f16(f16_to_f32(x) + 1); });
    case DType::kBF16:
      return for_each<uint16_t>(count, values,
                                [](uint16_t x) { return f32_to_bf16(bf16_to_f32(x) + 1); });
    default:
      MLC_UNREACHABLE() << dtype_name(dtype);
  }
}

}  // namespace mlc::quantization
