// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <unordered_set>

#include "support/json.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are used as they lie in files");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;

struct DTypeName {
  std::string_view name;
  DType dtype;
};
constexpr DTypeName kDTypeNames[] = {
    {"F32", DType::kF32},   {"F16", DType::kF16},        {"BF16", DType::kBF16},
    {"F64", DType::kF64},   {"I8", DType::kI8},          {"U8", DType::kU8},
    {"I16", DType::kI16},   {"U16", DType::kU16},        {"I32", DType::kI32},
    {"U32", DType::kU32},   {"I64", DType::kI64},        {"U64", DType::kU64},
    {"BOOL", DType::kBool}, {"F8_E4M3", DType::kF8E4M3}, {"F8_E5M2", DType::kF8E5M2},
};

Result<DType> parse_dtype_name(const std::string& name, const std::string& where) {
  std::vector<std::string> known;
  for (const DTypeName& entry : kDTypeNames) {
    if (entry.name == name) return entry.dtype;
    known.emplace_back(entry.name);
  }
  return unknown_name_error(ErrorKind::kUser, where, "dtype", name, known);
}

Result<std::vector<int64_t>> read_sizes(const Json& entry, std::string_view key,
                                        const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Json* list, json_member(entry, key, where));
  std::vector<int64_t> sizes;
  bool good = list->is_array();
  if (good) {
    for (const Json& item : list->as_array()) {
      good = good && item.is_int() && item.as_int() >= 0;
      sizes.push_back(good ? item.as_int() : 0);
    }
  }
  if (!good) {
    const std::string text = list->dump();
    return user_error(cat(where, ": ", key),
                      cat("is ", text.size() > 80 ? text.substr(0, 80) + "..." : text),
                      "a list of integers from 0 to 2^63 - 1");
  }
  return sizes;
}

struct Entry {
  LocatedTensor located;
  int64_t begin;
  int64_t end;
};

Result<Entry> read_entry(const std::string& name, const Json& json, int64_t data_bytes,
                         const std::string& file_where) {
  const std::string where = cat(file_where, ": tensor ", name);
  Entry entry;
  entry.located.tensor.name = name;
  MLC_ASSIGN_OR_RETURN(const std::string dtype_text, json_string(json, "dtype", where));
  MLC_ASSIGN_OR_RETURN(entry.located.stored, parse_dtype_name(dtype_text, where));
  entry.located.tensor.dtype = entry.located.stored;
  MLC_ASSIGN_OR_RETURN(entry.located.tensor.shape, read_sizes(json, "shape", where));
  MLC_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets, read_sizes(json, "data_offsets", where));
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    return user_error(cat(where, ": data_offsets"), cat("is ", shape_text(offsets)),
                      "[begin, end] with begin <= end");
  }
  entry.begin = offsets[0];
  entry.end = offsets[1];
  if (entry.end > data_bytes) {
    return user_error(where, cat("ends at byte ", entry.end, " of the data"),
                      cat("an end within the ", data_bytes, " bytes that the file has"),
                      "the file is cut off or damaged: download it again");
  }
  const int64_t element_bytes = dtype_bytes(entry.located.stored);
  const std::optional<int64_t> count = checked_elements(entry.located.tensor.shape, element_bytes);
  if (!count.has_value()) {
    return user_error(cat(where, ": shape"),
                      cat("is ", shape_text(entry.located.tensor.shape), ", more than 2^63 bytes"));
  }
  if (*count * element_bytes != entry.end - entry.begin) {
    return user_error(where, cat("has ", entry.end - entry.begin, " bytes of data"),
                      cat(*count * element_bytes, " for ", dtype_text, " ",
                          shape_text(entry.located.tensor.shape)),
                      "the file is damaged: download it again");
  }
  return entry;
}

}  // namespace

Result<std::vector<LocatedTensor>> list_safetensors(Bytes file, const std::string& where) {
  const std::string damaged = "is this a safetensors file? if so it is damaged: download it again";
  if (file.size() < 8) {
    return user_error(where, cat("has ", file.size(), " bytes"), "at least 8: the header's size",
                      damaged);
  }
  uint64_t header_bytes;
  std::memcpy(&header_bytes, file.data(), 8);
  if (header_bytes > kMaxHeaderBytes) {
    return user_error(where, cat("has a header of ", header_bytes, " bytes"),
                      cat("at most ", kMaxHeaderBytes), damaged);
  }
  if (header_bytes > file.size() - 8) {
    return user_error(
        where, cat("has a header of ", header_bytes, " bytes and ends after ", file.size() - 8),
        "the whole header", "the file is cut off: download it again");
  }
  const auto* text = reinterpret_cast<const char*>(file.data()) + 8;
  MLC_ASSIGN_OR_RETURN(const Json header,
                       parse_json({text, static_cast<size_t>(header_bytes)}, where + ": header"));
  if (!header.is_object()) {
    return user_error(where + ": header", cat("is ", header.kind_name()),
                      "an object: name of tensor -> dtype, shape, data_offsets");
  }
  const int64_t data_bytes = static_cast<int64_t>(file.size() - 8 - header_bytes);
  std::vector<Entry> entries;
  std::unordered_set<std::string_view> names;
  for (const auto& [name, json] : header.as_object()) {
    if (!names.insert(name).second)
      return user_error(cat(where, ": tensor ", name), "stands twice");
    if (name == "__metadata__") continue;
    MLC_ASSIGN_OR_RETURN(Entry entry, read_entry(name, json, data_bytes, where));
    entries.push_back(std::move(entry));
  }
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.begin, a.end, a.located.tensor.name) <
           std::tie(b.begin, b.end, b.located.tensor.name);
  });
  int64_t end = 0;
  std::vector<LocatedTensor> tensors;
  for (Entry& entry : entries) {
    if (entry.begin != end) {
      return user_error(cat(where, ": tensor ", entry.located.tensor.name),
                        cat("begins at byte ", entry.begin, " of the data"),
                        cat(end, ", where the tensor before it ends"),
                        "tensors must neither overlap nor leave gaps: download the file again");
    }
    end = entry.end;
    entry.located.offset = 8 + static_cast<int64_t>(header_bytes) + entry.begin;
    tensors.push_back(std::move(entry.located));
  }
  if (end != data_bytes) {
    return user_error(where, cat("has ", data_bytes, " bytes of data"),
                      cat(end, ", the end of the last tensor"),
                      "the file is damaged: download it again");
  }
  return tensors;
}

Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path, TensorOrder order) {
  MLC_ASSIGN_OR_RETURN(MappedFile file, open_weight_file(path));
  MLC_ASSIGN_OR_RETURN(std::vector<LocatedTensor> tensors, list_safetensors(file.bytes(), path));
  if (order == TensorOrder::kByName) {
    std::sort(tensors.begin(), tensors.end(), [](const LocatedTensor& a, const LocatedTensor& b) {
      return a.tensor.name < b.tensor.name;
    });
  }
  std::vector<MappedFile> files;
  files.push_back(std::move(file));
  return make_file_checkpoint(std::move(files), std::move(tensors));
}

}  // namespace mlc::formats
