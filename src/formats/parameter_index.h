// SPDX-License-Identifier: Apache-2.0
// The index of converted weights, tensor-cache.json (ndarray-cache.json by its older name): which
// parameters lie where in which shard file. Laying parameters out over shards, printing the index,
// reading it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/dtype.h"
#include "support/error.h"

namespace mlc::formats {

struct ParameterInfo {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype = DType::kF32;  // as declared
};

struct ParameterRecord {
  ParameterInfo info;
  bool is_f32_in_bf16 = false;  // declared float32, stored as the upper halves of the words
  int64_t shard = 0;
  int64_t offset = 0;  // in the shard, bytes; without any alignment
  int64_t bytes = 0;
};

struct ShardFile {
  std::string name{};  // relative to the index
  int64_t bytes = 0;
  std::string md5{};                  // of the whole file, hexadecimal; may be empty
  std::vector<int64_t> parameters{};  // in byte order
};

struct ParameterIndex {
  std::vector<ParameterRecord> parameters;
  std::vector<ShardFile> shards;
};

inline constexpr std::string_view kIndexName = "tensor-cache.json";
inline constexpr std::string_view kOldIndexName = "ndarray-cache.json";
inline constexpr std::string_view kIndexNameB16 = "tensor-cache-b16.json";
inline constexpr std::string_view kOldIndexNameB16 = "ndarray-cache-b16.json";

// Elements, and bytes as declared (a float32 counts 4) and as stored (a float32 takes 2).
int64_t parameter_elements(const ParameterInfo& info);
int64_t declared_bytes(const ParameterInfo& info);
int64_t stored_bytes(const ParameterInfo& info);

// Lays the parameters out over shards of 32 MiB: one that does not fit is written alone if it is at
// least half a shard, while smaller ones go on collecting. record i is parameter i.
ParameterIndex pack_parameters(std::vector<ParameterInfo> parameters);

// As json.dump(..., indent=4) prints it. kBf16: the form in which each float32 is a raw bfloat16.
enum class IndexForm { kDeclared, kBf16 };
std::string print_index(const ParameterIndex& index, double bits_per_parameter, IndexForm form);

// Checks sizes, bounds and overlaps, that names are unique and that files lie beside the index.
Result<ParameterIndex> parse_index(std::string_view text, const std::string& where);

}  // namespace mlc::formats
