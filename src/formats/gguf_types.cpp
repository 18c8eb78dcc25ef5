// SPDX-License-Identifier: Apache-2.0
// Dequantization of each block type. In every type the product of scale, sub-scale and code is
// exact in float32, so the order of the factors and fused multiply-adds do not change the value;
// the order below also gives zeros the sign that other readers give them. Blocks have no alignment.
#include "formats/gguf_types.h"

#include <algorithm>
#include <cstring>

#include "support/half.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

struct TypeRow {
  std::string_view name;
  uint32_t number;
  int64_t block_elements;
  int64_t block_bytes;
};
constexpr TypeRow kTypes[] = {
#define MLC_GGUF_TYPE(enumerator, name, number, elements, bytes) {name, number, elements, bytes},
#include "formats/gguf_types.def"
};

struct NumberedName {
  uint32_t number;
  std::string_view name;
};
constexpr NumberedName kRefusedTypes[] = {
#define MLC_GGUF_REFUSED_TYPE(number, name) {number, name},
#include "formats/gguf_types.def"
};
constexpr NumberedName kRemovedTypes[] = {
#define MLC_GGUF_REMOVED_TYPE(number, name) {number, name},
#include "formats/gguf_types.def"
};

const TypeRow& row(GgufType type) { return kTypes[static_cast<size_t>(type)]; }

uint16_t read_u16(const uint8_t* in) {
  uint16_t value;
  std::memcpy(&value, in, 2);
  return value;
}

float read_f16(const uint8_t* in) { return f16_to_f32(read_u16(in)); }

// 16 where the bit e of `bits` is set.
struct HighBits {
  explicit HighBits(const uint8_t* in) { std::memcpy(&bits, in, 4); }
  int operator[](int e) const { return (bits & (1u << e)) != 0 ? 16 : 0; }
  uint32_t bits;
};

void f16_element(const uint8_t* in, float* out) { *out = read_f16(in); }
void bf16_element(const uint8_t* in, float* out) { *out = bf16_to_f32(read_u16(in)); }

void q4_0_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const uint8_t* q = in + 2;
  for (int e = 0; e < 16; ++e) {
    out[e] = d * static_cast<float>((q[e] & 15) - 8);
    out[e + 16] = d * static_cast<float>((q[e] >> 4) - 8);
  }
}

void q4_1_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const float m = read_f16(in + 2);
  const uint8_t* q = in + 4;
  for (int e = 0; e < 16; ++e) {
    out[e] = d * static_cast<float>(q[e] & 15) + m;
    out[e + 16] = d * static_cast<float>(q[e] >> 4) + m;
  }
}

void q5_0_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const HighBits high(in + 2);
  const uint8_t* q = in + 6;
  for (int e = 0; e < 16; ++e) {
    out[e] = d * static_cast<float>(((q[e] & 15) | high[e]) - 16);
    out[e + 16] = d * static_cast<float>(((q[e] >> 4) | high[e + 16]) - 16);
  }
}

void q5_1_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const float m = read_f16(in + 2);
  const HighBits high(in + 4);
  const uint8_t* q = in + 8;
  for (int e = 0; e < 16; ++e) {
    out[e] = d * static_cast<float>((q[e] & 15) | high[e]) + m;
    out[e + 16] = d * static_cast<float>((q[e] >> 4) | high[e + 16]) + m;
  }
}

void q8_0_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  for (int e = 0; e < 32; ++e) out[e] = d * static_cast<float>(static_cast<int8_t>(in[2 + e]));
}

void q2_k_block(const uint8_t* in, float* out) {
  const uint8_t* scales = in;
  const uint8_t* q = in + 16;
  const float d = read_f16(in + 80);
  const float dm = read_f16(in + 82);
  for (int j = 0; j < 16; ++j) {  // sub-blocks of 16
    const float scale = d * static_cast<float>(scales[j] & 15);
    const float minimum = dm * static_cast<float>(scales[j] >> 4);
    const uint8_t* from = q + j / 8 * 32 + j % 2 * 16;
    const int shift = j % 8 / 2 * 2;
    for (int e = 0; e < 16; ++e) {
      out[j * 16 + e] = scale * static_cast<float>((from[e] >> shift) & 3) - minimum;
    }
  }
}

void q3_k_block(const uint8_t* in, float* out) {
  const uint8_t* high = in;
  const uint8_t* q = in + 32;
  const uint8_t* scales = in + 96;
  const float d = read_f16(in + 108);
  for (int j = 0; j < 16; ++j) {  // sub-blocks of 16
    const int low = (scales[j % 8] >> (j / 8 * 4)) & 15;
    const int code = low | ((scales[8 + j % 4] >> (j / 4 * 2)) & 3) << 4;
    const float scale = d * static_cast<float>(code - 32);
    const uint8_t* from = q + j / 8 * 32 + j % 2 * 16;
    const uint8_t* high_from = high + j % 2 * 16;
    const int shift = j % 8 / 2 * 2;
    const int bit = 1 << (j / 2);
    for (int e = 0; e < 16; ++e) {
      const int subtracted = (high_from[e] & bit) != 0 ? 0 : 4;
      out[j * 16 + e] = scale * static_cast<float>(((from[e] >> shift) & 3) - subtracted);
    }
  }
}

struct ScaleAndMinimum {
  int scale;
  int minimum;
};
// The six-bit numbers of sub-block j of Q4_K and Q5_K in their 12 bytes.
ScaleAndMinimum six_bits(const uint8_t* s, int j) {
  if (j < 4) return {s[j] & 63, s[j + 4] & 63};
  return {(s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4};
}

void q4_k_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const float dm = read_f16(in + 2);
  for (int j = 0; j < 8; ++j) {  // sub-blocks of 32
    const ScaleAndMinimum codes = six_bits(in + 4, j);
    const float scale = d * static_cast<float>(codes.scale);
    const float minimum = dm * static_cast<float>(codes.minimum);
    const uint8_t* q = in + 16 + j / 2 * 32;
    const int shift = j % 2 * 4;
    for (int e = 0; e < 32; ++e) {
      out[j * 32 + e] = scale * static_cast<float>((q[e] >> shift) & 15) - minimum;
    }
  }
}

void q5_k_block(const uint8_t* in, float* out) {
  const float d = read_f16(in);
  const float dm = read_f16(in + 2);
  const uint8_t* high = in + 16;
  for (int j = 0; j < 8; ++j) {  // sub-blocks of 32
    const ScaleAndMinimum codes = six_bits(in + 4, j);
    const float scale = d * static_cast<float>(codes.scale);
    const float minimum = dm * static_cast<float>(codes.minimum);
    const uint8_t* q = in + 48 + j / 2 * 32;
    const int shift = j % 2 * 4;
    for (int e = 0; e < 32; ++e) {
      const int code = ((q[e] >> shift) & 15) | ((high[e] >> j) & 1) << 4;
      out[j * 32 + e] = scale * static_cast<float>(code) - minimum;
    }
  }
}

void q6_k_block(const uint8_t* in, float* out) {
  const float d = read_f16(in + 208);
  for (int j = 0; j < 8; ++j) {  // runs of 32, two scales each
    const uint8_t* low = in + j / 4 * 64 + j % 2 * 32;
    const uint8_t* high = in + 128 + j / 4 * 32;
    const int low_shift = j % 4 / 2 * 4;
    const int high_shift = j % 4 * 2;
    for (int half = 0; half < 2; ++half) {
      const float scale = d * static_cast<float>(static_cast<int8_t>(in[192 + 2 * j + half]));
      for (int e = half * 16; e < half * 16 + 16; ++e) {
        const int code = ((low[e] >> low_shift) & 15) | ((high[e] >> high_shift) & 3) << 4;
        out[j * 32 + e] = scale * static_cast<float>(code - 32);
      }
    }
  }
}

// The elements [begin, begin + count). The values of a block go through a local array because `out`
// may have no alignment.
template <int kElements, int kBytes, void (*kBlock)(const uint8_t*, float*)>
void dequantize(const uint8_t* blocks, int64_t begin, int64_t count, std::byte* out) {
  const uint8_t* in = blocks + begin / kElements * kBytes;
  int64_t skipped = begin % kElements;
  while (count > 0) {
    alignas(64) float values[kElements];
    kBlock(in, values);
    const int64_t taken = std::min(kElements - skipped, count);
    if (taken == kElements) {
      std::memcpy(out, values, sizeof(values));
    } else {
      std::memcpy(out, values + skipped, static_cast<size_t>(taken) * sizeof(float));
    }
    in += kBytes;
    out += taken * static_cast<int64_t>(sizeof(float));
    count -= taken;
    skipped = 0;
  }
}

}  // namespace

std::string_view gguf_type_name(GgufType type) { return row(type).name; }
int64_t gguf_block_elements(GgufType type) { return row(type).block_elements; }
int64_t gguf_block_bytes(GgufType type) { return row(type).block_bytes; }
bool is_quantized(GgufType type) { return row(type).block_elements > 1; }

Result<GgufType> parse_gguf_type(uint32_t number, const std::string& where) {
  std::vector<std::string> names;
  for (size_t i = 0; i < std::size(kTypes); ++i) {
    if (kTypes[i].number == number) return static_cast<GgufType>(i);
    names.emplace_back(kTypes[i].name);
  }
  const std::string expected = cat("one of ", join(names, ", "));
  for (const NumberedName& refused : kRefusedTypes) {
    if (refused.number == number) {
      return user_error(where, cat("the type ", refused.name, " is not supported"), expected,
                        "take a file that was quantized to another type, or quantize it again");
    }
  }
  for (const NumberedName& removed : kRemovedTypes) {
    if (removed.number == number) {
      return user_error(where,
                        cat("type ", number, " was removed from the format (", removed.name, ")"),
                        expected, "re-quantize the model");
    }
  }
  return user_error(where, cat("unknown tensor type ", number), expected,
                    "the file is damaged or newer than this program");
}

void gguf_dequantize(GgufType type, const std::byte* blocks, int64_t begin, int64_t count,
                     std::byte* out) {
  const auto* in = reinterpret_cast<const uint8_t*>(blocks);
  switch (type) {
    case GgufType::kF32:
      std::memcpy(out, in + begin * 4, static_cast<size_t>(count) * 4);
      break;
    case GgufType::kF16:
      dequantize<1, 2, f16_element>(in, begin, count, out);
      break;
    case GgufType::kBF16:
      dequantize<1, 2, bf16_element>(in, begin, count, out);
      break;
    case GgufType::kQ4_0:
      dequantize<32, 18, q4_0_block>(in, begin, count, out);
      break;
    case GgufType::kQ4_1:
      dequantize<32, 20, q4_1_block>(in, begin, count, out);
      break;
    case GgufType::kQ5_0:
      dequantize<32, 22, q5_0_block>(in, begin, count, out);
      break;
    case GgufType::kQ5_1:
      dequantize<32, 24, q5_1_block>(in, begin, count, out);
      break;
    case GgufType::kQ8_0:
      dequantize<32, 34, q8_0_block>(in, begin, count, out);
      break;
    case GgufType::kQ2_K:
      dequantize<256, 84, q2_k_block>(in, begin, count, out);
      break;
    case GgufType::kQ3_K:
      dequantize<256, 110, q3_k_block>(in, begin, count, out);
      break;
    case GgufType::kQ4_K:
      dequantize<256, 144, q4_k_block>(in, begin, count, out);
      break;
    case GgufType::kQ5_K:
      dequantize<256, 176, q5_k_block>(in, begin, count, out);
      break;
    case GgufType::kQ6_K:
      dequantize<256, 210, q6_k_block>(in, begin, count, out);
      break;
  }
}

}  // namespace mlc::formats
