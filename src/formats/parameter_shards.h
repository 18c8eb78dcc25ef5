// SPDX-License-Identifier: Apache-2.0
// Converted weights, mapped: each parameter is used where it lies in its shard.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "formats/parameter_index.h"
#include "support/file.h"

namespace mlc::formats {

class ParameterShards {
 public:
  // From a directory with tensor-cache.json or, by its older name, ndarray-cache.json. Each shard
  // must have the size that the index tells.
  static Result<ParameterShards> open(const std::string& directory);
  ParameterShards(ParameterShards&&) noexcept;
  ParameterShards& operator=(ParameterShards&&) noexcept;
  ~ParameterShards();

  const ParameterIndex& index() const;
  const ParameterRecord* find(std::string_view name) const;  // null: there is none
  // The stored bytes, in place and without any alignment. They live as long as this object.
  Bytes bytes(const ParameterRecord& record) const;
  const MappedFile& shard(int64_t number) const;
  const std::string& index_path() const;

 private:
  ParameterShards();
  struct State;
  std::unique_ptr<State> state_;
};

// Reads every shard and compares it with its md5sum in the index.
Result<void> verify_md5(const ParameterShards& shards);

}  // namespace mlc::formats
