// SPDX-License-Identifier: Apache-2.0
// Writes converted weights: params_shard_*.bin and the index, all of them at the end or none.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/parameter_index.h"
#include "support/file.h"

namespace mlc::formats {

// As float32 is stored: rounded to nearest even; what would overflow to infinity, infinity and NaN
// are cut off.
void encode_f32_to_bf16(std::span<const float> in, std::byte* out);

class ParameterShardWriter {
 public:
  // Into `directory`, which is created. Lays the parameters out (pack_parameters).
  static Result<ParameterShardWriter> create(const std::string& directory,
                                             std::vector<ParameterInfo> parameters);
  ParameterShardWriter(ParameterShardWriter&&) noexcept;
  ParameterShardWriter& operator=(ParameterShardWriter&&) noexcept;
  ~ParameterShardWriter();

  const ParameterIndex& index() const;

  // The next bytes of a parameter, as they are stored. Parameters may come in any order and from
  // several threads at once, one thread for each parameter. A parameter with a shard of its own
  // goes straight to the file; the shards that several share are collected in memory (32 MiB each
  // at most) until they are complete, so parameters that arrive about in the order of the list need
  // little memory.
  Result<void> append(int64_t parameter, Bytes bytes);

  // All parameters are complete: gives all files their names. Shards of an earlier conversion in
  // the directory that are no longer named by the index are deleted.
  Result<void> finish(double bits_per_parameter);

 private:
  ParameterShardWriter();
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mlc::formats
