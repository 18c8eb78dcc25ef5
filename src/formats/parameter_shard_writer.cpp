// SPDX-License-Identifier: Apache-2.0
#include "formats/parameter_shard_writer.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdio>
#include <cstring>
#include <deque>
#include <optional>

#include "formats/md5.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

struct OpenShard {
  std::atomic<int64_t> missing{0};             // bytes that have not come yet
  std::atomic<std::byte*> collected{nullptr};  // the bytes so far, where parameters share the shard
  std::optional<OutputFile> file;
  std::optional<Md5> md5;  // of what was written, where the shard holds one parameter
};

bool is_shard_name(std::string_view name) {
  if (!name.starts_with("params_shard_") || !name.ends_with(".bin")) return false;
  const std::string_view number = name.substr(13, name.size() - 17);
  return !number.empty() &&
         std::all_of(number.begin(), number.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

void encode_f32_to_bf16(std::span<const float> in, std::byte* out) {
  constexpr uint32_t kLargestBf16 = 0x7f7f0000;
  for (size_t i = 0; i < in.size(); ++i) {
    uint32_t bits = std::bit_cast<uint32_t>(in[i]);
    const uint32_t round = ((bits >> 16) & 1) + 0x7fff;
    bits += (bits & 0x7fffffff) < kLargestBf16 ? round : 0;
    const auto upper = static_cast<uint16_t>(bits >> 16);
    std::memcpy(out + 2 * i, &upper, 2);
  }
}

struct ParameterShardWriter::State {
  std::string directory;
  ParameterIndex index;
  std::deque<OpenShard> shards;   // never moves
  std::vector<int64_t> appended;  // bytes of each parameter

  ~State() {
    for (OpenShard& shard : shards) delete[] shard.collected.load();
  }

  std::string path(std::string_view name) const { return path_join(directory, name); }
  Result<void> append_alone(int64_t number, Bytes bytes);
  Result<void> append_shared(const ParameterRecord& record, int64_t offset, Bytes bytes);
  std::vector<std::string> earlier_shards() const;
};

// The shard's one parameter comes from one thread, in order.
Result<void> ParameterShardWriter::State::append_alone(int64_t number, Bytes bytes) {
  OpenShard& shard = shards[static_cast<size_t>(number)];
  ShardFile& file = index.shards[static_cast<size_t>(number)];
  if (!shard.file.has_value()) {
    MLC_ASSIGN_OR_RETURN(shard.file, OutputFile::create(path(file.name)));
    shard.md5.emplace();
  }
  shard.md5->update(bytes);
  MLC_RETURN_IF_ERROR(shard.file->write(bytes));
  shard.missing -= static_cast<int64_t>(bytes.size());
  if (shard.missing > 0) return {};
  file.md5 = shard.md5->finish();
  shard.md5.reset();
  return shard.file->close();
}

Result<void> ParameterShardWriter::State::append_shared(const ParameterRecord& record,
                                                        int64_t offset, Bytes bytes) {
  OpenShard& shard = shards[static_cast<size_t>(record.shard)];
  ShardFile& file = index.shards[static_cast<size_t>(record.shard)];
  std::byte* collected = shard.collected;
  if (collected == nullptr) {
    auto* fresh = new std::byte[static_cast<size_t>(file.bytes)];
    if (shard.collected.compare_exchange_strong(collected, fresh)) {
      collected = fresh;
    } else {
      delete[] fresh;  // another thread was faster; `collected` is its buffer
    }
  }
  std::memcpy(collected + record.offset + offset, bytes.data(), bytes.size());
  const auto size = static_cast<int64_t>(bytes.size());
  if (shard.missing.fetch_sub(size) != size) return {};
  // These were the last bytes: no other thread touches the shard any more.
  const Bytes whole(collected, static_cast<size_t>(file.bytes));
  Md5 md5;
  md5.update(whole);
  file.md5 = md5.finish();
  MLC_ASSIGN_OR_RETURN(shard.file, OutputFile::create(path(file.name)));
  MLC_RETURN_IF_ERROR(shard.file->write(whole));
  delete[] shard.collected.exchange(nullptr);
  return shard.file->close();
}

std::vector<std::string> ParameterShardWriter::State::earlier_shards() const {
  std::vector<std::string> names;
  const Result<std::vector<std::string>> present = list_directory(directory);
  if (!present.ok()) return names;
  for (const std::string& name : *present) {
    if (is_shard_name(name)) names.push_back(name);
  }
  return names;
}

Result<ParameterShardWriter> ParameterShardWriter::create(const std::string& directory,
                                                          std::vector<ParameterInfo> parameters) {
  if (file_exists(directory) && !is_directory(directory)) {
    return user_error(directory, "is a file", "a directory for the weights",
                      "choose another --output");
  }
  MLC_RETURN_IF_ERROR(make_directories(directory));
  ParameterShardWriter writer;
  State& state = *writer.state_;
  state.directory = directory;
  state.index = pack_parameters(std::move(parameters));
  state.appended.resize(state.index.parameters.size());
  for (const ShardFile& file : state.index.shards) {
    state.shards.emplace_back().missing = file.bytes;
  }
  return writer;
}

ParameterShardWriter::ParameterShardWriter() : state_(std::make_unique<State>()) {}
ParameterShardWriter::ParameterShardWriter(ParameterShardWriter&&) noexcept = default;
ParameterShardWriter& ParameterShardWriter::operator=(ParameterShardWriter&&) noexcept = default;
ParameterShardWriter::~ParameterShardWriter() = default;

const ParameterIndex& ParameterShardWriter::index() const { return state_->index; }

Result<void> ParameterShardWriter::append(int64_t parameter, Bytes bytes) {
  if (bytes.empty()) return {};
  const ParameterRecord& record = state_->index.parameters[static_cast<size_t>(parameter)];
  int64_t& appended = state_->appended[static_cast<size_t>(parameter)];
  const int64_t offset = appended;
  appended += static_cast<int64_t>(bytes.size());
  MLC_CHECK(appended <= record.bytes) << record.info.name << " has " << record.bytes << " bytes";
  const ShardFile& shard = state_->index.shards[static_cast<size_t>(record.shard)];
  if (shard.parameters.size() == 1) return state_->append_alone(record.shard, bytes);
  return state_->append_shared(record, offset, bytes);
}

Result<void> ParameterShardWriter::finish(double bits_per_parameter) {
  State& state = *state_;
  std::vector<OutputFile> files;
  for (size_t i = 0; i < state.shards.size(); ++i) {
    OpenShard& shard = state.shards[i];
    MLC_CHECK(shard.missing == 0) << state.index.shards[i].name << " lacks "
                                  << shard.missing.load();
    if (!shard.file.has_value()) {  // its parameters have no elements
      MLC_ASSIGN_OR_RETURN(shard.file, OutputFile::create(state.path(state.index.shards[i].name)));
      state.index.shards[i].md5 = Md5().finish();
    }
    files.push_back(std::move(*shard.file));
  }
  std::vector<std::pair<std::string_view, IndexForm>> indexes;
  if (std::any_of(state.index.parameters.begin(), state.index.parameters.end(),
                  [](const ParameterRecord& record) { return record.is_f32_in_bf16; })) {
    indexes.emplace_back(kOldIndexNameB16, IndexForm::kBf16);
    indexes.emplace_back(kIndexNameB16, IndexForm::kBf16);
  }
  indexes.emplace_back(kOldIndexName, IndexForm::kDeclared);
  indexes.emplace_back(kIndexName, IndexForm::kDeclared);
  for (const auto& [name, form] : indexes) {
    MLC_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(state.path(name)));
    MLC_RETURN_IF_ERROR(file.write(print_index(state.index, bits_per_parameter, form)));
    MLC_RETURN_IF_ERROR(file.close());
    files.push_back(std::move(file));
  }
  // An index of an earlier conversion must not describe a mixture of old and new shards, not for a
  // moment.
  const std::vector<std::string> earlier = state.earlier_shards();
  for (const std::string_view name : {kIndexName, kOldIndexName, kIndexNameB16, kOldIndexNameB16}) {
    std::remove(state.path(name).c_str());
  }
  MLC_RETURN_IF_ERROR(commit_together(files));
  for (const std::string& name : earlier) {
    const bool is_used = std::any_of(state.index.shards.begin(), state.index.shards.end(),
                                     [&](const ShardFile& shard) { return shard.name == name; });
    if (!is_used) std::remove(state.path(name).c_str());
  }
  return {};
}

}  // namespace mlc::formats
