// SPDX-License-Identifier: Apache-2.0
#include "formats/parameter_shards.h"

#include <unordered_map>

#include "formats/weight_file.h"
#include "support/strings.h"

namespace mlc::formats {

struct ParameterShards::State {
  std::string index_path;
  ParameterIndex index;
  std::vector<MappedFile> files;
  std::unordered_map<std::string_view, int64_t> by_name;
};

Result<ParameterShards> ParameterShards::open(const std::string& directory) {
  ParameterShards shards;
  State& state = *shards.state_;
  state.index_path = path_join(directory, kIndexName);
  if (!file_exists(state.index_path)) state.index_path = path_join(directory, kOldIndexName);
  if (!file_exists(state.index_path)) {
    return user_error(directory, "holds no converted weights",
                      cat(kIndexName, " or ", kOldIndexName), "make them with convert_weight");
  }
  MLC_ASSIGN_OR_RETURN(const std::string text, read_file(state.index_path));
  MLC_RETURN_IF_ERROR(refuse_lfs_pointer(text, state.index_path));
  MLC_ASSIGN_OR_RETURN(state.index, parse_index(text, state.index_path));
  for (const ShardFile& shard : state.index.shards) {
    const std::string path = path_join(directory, shard.name);
    if (!file_exists(path)) {
      return user_error(path, cat("is missing; ", state.index_path, " names it"), "",
                        "download it, or convert the weights again");
    }
    MLC_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
    const Bytes bytes = file.bytes();
    MLC_RETURN_IF_ERROR(refuse_lfs_pointer(
        {reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 64)}, path));
    if (static_cast<int64_t>(bytes.size()) != shard.bytes) {
      return user_error(
          path, cat("has ", bytes_text(bytes.size())),
          cat(bytes_text(static_cast<uint64_t>(shard.bytes)), ", as ", state.index_path, " says"),
          "download it, or convert the weights again");
    }
    state.files.push_back(std::move(file));
  }
  for (size_t i = 0; i < state.index.parameters.size(); ++i) {
    state.by_name.emplace(state.index.parameters[i].info.name, static_cast<int64_t>(i));
  }
  return shards;
}

ParameterShards::ParameterShards() : state_(std::make_unique<State>()) {}
ParameterShards::ParameterShards(ParameterShards&&) noexcept = default;
ParameterShards& ParameterShards::operator=(ParameterShards&&) noexcept = default;
ParameterShards::~ParameterShards() = default;

const ParameterIndex& ParameterShards::index() const { return state_->index; }

const ParameterRecord* ParameterShards::find(std::string_view name) const {
  const auto found = state_->by_name.find(name);
  if (found == state_->by_name.end()) return nullptr;
  return &state_->index.parameters[static_cast<size_t>(found->second)];
}

Bytes ParameterShards::bytes(const ParameterRecord& record) const {
  return shard(record.shard)
      .bytes()
      .subspan(static_cast<size_t>(record.offset), static_cast<size_t>(record.bytes));
}

const MappedFile& ParameterShards::shard(int64_t number) const {
  return state_->files[static_cast<size_t>(number)];
}

const std::string& ParameterShards::index_path() const { return state_->index_path; }

}  // namespace mlc::formats
