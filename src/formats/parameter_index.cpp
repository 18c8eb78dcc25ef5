// SPDX-License-Identifier: Apache-2.0
#include "formats/parameter_index.h"

#include <algorithm>
#include <unordered_set>

#include "formats/weight_file.h"
#include "support/check.h"
#include "support/file.h"
#include "support/json.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr int64_t kShardBytes = 32 << 20;
constexpr std::string_view kF32ToBf16 = "f32-to-bf16";
constexpr std::string_view kRaw = "raw";
constexpr std::string_view kRawShard = "raw-shard";

int64_t stored_element_bytes(DType dtype) { return dtype == DType::kF32 ? 2 : dtype_bytes(dtype); }

Json print_record(const ParameterRecord& record, IndexForm form) {
  const bool as_bf16 = form == IndexForm::kBf16 && record.is_f32_in_bf16;
  Json::Array shape;
  for (const int64_t dimension : record.info.shape) shape.emplace_back(dimension);
  Json json = Json::object();
  json.set("name", record.info.name);
  json.set("shape", std::move(shape));
  json.set("dtype", dtype_name(as_bf16 ? DType::kBF16 : record.info.dtype));
  json.set("format", as_bf16 ? kRaw : kF32ToBf16);
  json.set("nbytes", record.bytes);
  json.set("byteOffset", record.offset);
  return json;
}

Result<std::vector<int64_t>> read_shape(const Json& record, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json* list, json_member(record, "shape", where));
  std::vector<int64_t> shape;
  if (list->is_array()) {
    for (const Json& dimension : list->as_array()) {
      if (dimension.is_int() && dimension.as_int() >= 0) shape.push_back(dimension.as_int());
    }
  }
  if (!list->is_array() || shape.size() != list->as_array().size()) {
    const std::string text = list->dump();
    return user_error(cat(where, ": shape"),
                      cat("is ", text.size() > 80 ? text.substr(0, 80) + "..." : text),
                      "a list of integers from 0 to 2^63 - 1");
  }
  return shape;
}

Result<ParameterRecord> read_record(const Json& json, const ShardFile& shard, int64_t shard_number,
                                    const std::string& index_where) {
  MLC_ASSIGN_OR_RETURN(const std::string name, json_string(json, "name", index_where));
  const std::string where = cat(index_where, ": ", name);
  MLC_ASSIGN_OR_RETURN(std::vector<int64_t> shape, read_shape(json, where));
  MLC_ASSIGN_OR_RETURN(const std::string dtype_text, json_string(json, "dtype", where));
  MLC_ASSIGN_OR_RETURN(const std::string format, json_string(json, "format", where));
  ParameterRecord record;
  record.shard = shard_number;
  MLC_ASSIGN_OR_RETURN(record.bytes, json_int(json, "nbytes", where));
  MLC_ASSIGN_OR_RETURN(record.offset, json_int(json, "byteOffset", where));
  const std::optional<DType> dtype = parse_dtype(dtype_text);
  if (!dtype.has_value()) {
    return user_error(cat(where, ": dtype"), cat("is ", dtype_text),
                      "the name of a type, such as float16 or uint32");
  }
  if (format != kF32ToBf16 && format != kRaw) {
    return user_error(cat(where, ": format"), cat("is ", format), "f32-to-bf16 or raw");
  }
  record.is_f32_in_bf16 = *dtype == DType::kF32 && format == kF32ToBf16;
  const int64_t element_bytes = record.is_f32_in_bf16 ? 2 : dtype_bytes(*dtype);
  const std::optional<int64_t> elements = checked_elements(shape, dtype_bytes(*dtype));
  if (!elements.has_value() || record.bytes != *elements * element_bytes) {
    return user_error(
        cat(where, ": nbytes"), cat("is ", record.bytes),
        elements.has_value()
            ? cat(*elements * element_bytes, " for ", dtype_text, " ", shape_text(shape))
            : cat("a shape of fewer elements than ", shape_text(shape)));
  }
  if (record.offset < 0 || record.offset > shard.bytes ||
      record.bytes > shard.bytes - record.offset) {
    return user_error(where, cat("lies at byte ", record.offset, " and has ", record.bytes),
                      cat("a place within the ", shard.bytes, " bytes of ", shard.name));
  }
  record.info = {name, std::move(shape), *dtype};
  return record;
}

Result<ShardFile> read_shard(const Json& json, const std::string& where) {
  ShardFile shard;
  MLC_ASSIGN_OR_RETURN(shard.name, json_string(json, "dataPath", where));
  MLC_ASSIGN_OR_RETURN(const std::string format, json_string(json, "format", where));
  MLC_ASSIGN_OR_RETURN(shard.bytes, json_int(json, "nbytes", where));
  const std::vector<std::string> parts = split(shard.name, '/');
  if (shard.name.empty() || shard.name.find('\0') != std::string::npos || shard.name[0] == '/' ||
      std::find(parts.begin(), parts.end(), "..") != parts.end()) {
    return user_error(cat(where, ": dataPath"), cat("is \"", shard.name, "\""),
                      "a file in the folder of the index");
  }
  if (format != kRawShard) {
    return user_error(cat(where, ": ", shard.name, ": format"), cat("is ", format), "raw-shard");
  }
  if (shard.bytes < 0) {
    return user_error(cat(where, ": ", shard.name, ": nbytes"), cat("is ", shard.bytes),
                      "the size of the file");
  }
  if (const Json* md5 = json.find("md5sum"); md5 != nullptr && md5->is_string()) {
    shard.md5 = md5->as_string();
  }
  return shard;
}

Result<void> check_overlaps(const ParameterIndex& index, const ShardFile& shard,
                            const std::string& where) {
  std::vector<int64_t> by_offset = shard.parameters;
  const auto record = [&](int64_t i) -> const ParameterRecord& {
    return index.parameters[static_cast<size_t>(i)];
  };
  std::sort(by_offset.begin(), by_offset.end(), [&](int64_t a, int64_t b) {
    return std::pair(record(a).offset, record(a).bytes) <
           std::pair(record(b).offset, record(b).bytes);
  });
  for (size_t i = 1; i < by_offset.size(); ++i) {
    const ParameterRecord& before = record(by_offset[i - 1]);
    const ParameterRecord& after = record(by_offset[i]);
    if (after.offset < before.offset + before.bytes) {
      return user_error(
          cat(where, ": ", after.info.name), cat("lies at byte ", after.offset, " of ", shard.name),
          cat(before.offset + before.bytes, " or later, where ", before.info.name, " ends"));
    }
  }
  return {};
}

}  // namespace

int64_t parameter_elements(const ParameterInfo& info) {
  int64_t count = 1;
  for (const int64_t dimension : info.shape) count *= dimension;
  return count;
}

int64_t declared_bytes(const ParameterInfo& info) {
  return parameter_elements(info) * dtype_bytes(info.dtype);
}

int64_t stored_bytes(const ParameterInfo& info) {
  return parameter_elements(info) * stored_element_bytes(info.dtype);
}

ParameterIndex pack_parameters(std::vector<ParameterInfo> parameters) {
  ParameterIndex index;
  ShardFile pending;
  const auto flush = [&](ShardFile shard) {
    shard.name = cat("params_shard_", index.shards.size(), ".bin");
    for (const int64_t i : shard.parameters) {
      index.parameters[static_cast<size_t>(i)].shard = static_cast<int64_t>(index.shards.size());
    }
    index.shards.push_back(std::move(shard));
  };
  for (ParameterInfo& info : parameters) {
    const auto number = static_cast<int64_t>(index.parameters.size());
    ParameterRecord record;
    record.bytes = stored_bytes(info);
    record.is_f32_in_bf16 = info.dtype == DType::kF32;
    record.info = std::move(info);
    const int64_t bytes = record.bytes;
    const bool overflows = pending.bytes + bytes >= kShardBytes;
    const bool is_alone = overflows && 2 * bytes >= kShardBytes;
    if (!is_alone) record.offset = overflows ? 0 : pending.bytes;
    index.parameters.push_back(std::move(record));
    if (is_alone) {
      flush({.bytes = bytes, .parameters = {number}});
      continue;
    }
    if (overflows) flush(std::exchange(pending, {}));
    pending.bytes += bytes;
    pending.parameters.push_back(number);
  }
  if (!pending.parameters.empty()) flush(std::move(pending));
  return index;
}

std::string print_index(const ParameterIndex& index, double bits_per_parameter, IndexForm form) {
  int64_t bytes = 0;
  for (const ParameterRecord& record : index.parameters) bytes += declared_bytes(record.info);
  Json metadata = Json::object();
  metadata.set("ParamSize", static_cast<int64_t>(index.parameters.size()));
  metadata.set("ParamBytes", static_cast<double>(bytes));
  metadata.set("BitsPerParam", bits_per_parameter);
  Json shards = Json::array();
  for (const ShardFile& shard : index.shards) {
    Json records = Json::array();
    for (const int64_t i : shard.parameters) {
      records.push_back(print_record(index.parameters[static_cast<size_t>(i)], form));
    }
    Json json = Json::object();
    json.set("dataPath", shard.name);
    json.set("format", kRawShard);
    json.set("nbytes", shard.bytes);
    json.set("records", std::move(records));
    json.set("md5sum", shard.md5);
    shards.push_back(std::move(json));
  }
  Json json = Json::object();
  json.set("metadata", std::move(metadata));
  json.set("records", std::move(shards));
  return json.dump(4);
}

Result<ParameterIndex> parse_index(std::string_view text, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json json, parse_json(text, where));
  MLC_ASSIGN_OR_RETURN(const Json* shards, json_member(json, "records", where));
  if (!shards->is_array()) {
    return user_error(cat(where, ": records"), cat("is ", shards->kind_name()), "a list of shards");
  }
  ParameterIndex index;
  std::unordered_set<std::string> files;
  std::unordered_set<std::string> names;
  for (const Json& shard_json : shards->as_array()) {
    MLC_ASSIGN_OR_RETURN(ShardFile shard, read_shard(shard_json, where));
    if (!files.insert(shard.name).second) {
      return user_error(cat(where, ": ", shard.name), "stands twice");
    }
    MLC_ASSIGN_OR_RETURN(const Json* records, json_member(shard_json, "records", where));
    if (!records->is_array()) {
      return user_error(cat(where, ": ", shard.name, ": records"), cat("is ", records->kind_name()),
                        "a list of parameters");
    }
    for (const Json& record_json : records->as_array()) {
      MLC_ASSIGN_OR_RETURN(
          ParameterRecord record,
          read_record(record_json, shard, static_cast<int64_t>(index.shards.size()), where));
      if (!names.insert(record.info.name).second) {
        return user_error(cat(where, ": ", record.info.name), "stands twice");
      }
      shard.parameters.push_back(static_cast<int64_t>(index.parameters.size()));
      index.parameters.push_back(std::move(record));
    }
    MLC_RETURN_IF_ERROR(check_overlaps(index, shard, where));
    index.shards.push_back(std::move(shard));
  }
  return index;
}

}  // namespace mlc::formats
