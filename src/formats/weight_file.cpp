// SPDX-License-Identifier: Apache-2.0
#include "formats/weight_file.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "support/half.h"
#include "support/json.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

// A fault maps up to this much around the touched page, so giving back exactly what was read would
// leave a little of each chunk behind.
constexpr int64_t kFaultAroundBytes = 64 << 10;

int64_t elements(const std::vector<int64_t>& shape, size_t first_axis) {
  int64_t count = 1;
  for (size_t axis = first_axis; axis < shape.size(); ++axis) count *= shape[axis];
  return count;
}

class FileCheckpoint : public Checkpoint {
 public:
  FileCheckpoint(std::vector<MappedFile> files, std::vector<LocatedTensor> located)
      : files_(std::move(files)), located_(std::move(located)) {
    for (const LocatedTensor& tensor : located_) tensors_.push_back(tensor.tensor);
  }

  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }

  Result<void> read_rows(int64_t index, int64_t begin, int64_t count,
                         std::byte* out) const override {
    const LocatedTensor& from = located_[static_cast<size_t>(index)];
    const int64_t row = elements(from.tensor.shape, 1);
    if (from.strides.empty()) {
      const int64_t bytes = dtype_bytes(from.stored);
      copy(from, source(from) + begin * row * bytes, count * row, out);
      return {};
    }
    for (int64_t r = 0; r < count; ++r) {
      copy_strided(from, 1, source(from) + (begin + r) * stride_bytes(from, 0), out);
      out += row * dtype_bytes(from.tensor.dtype);
    }
    return {};
  }

  void release_rows(int64_t index, int64_t begin, int64_t count) const override {
    const LocatedTensor& from = located_[static_cast<size_t>(index)];
    if (count == 0 || elements(from.tensor.shape, 0) == 0) return;
    const int64_t step = from.strides.empty()
                             ? elements(from.tensor.shape, 1) * dtype_bytes(from.stored)
                             : stride_bytes(from, 0);
    int64_t first = from.offset + begin * step;
    int64_t last = from.offset + (begin + count - 1) * step + dtype_bytes(from.stored);
    if (from.strides.empty()) {
      last = first + count * step;
    } else {
      for (size_t axis = 1; axis < from.strides.size(); ++axis) {
        last += (from.tensor.shape[axis] - 1) * stride_bytes(from, axis);
      }
    }
    first = first / kFaultAroundBytes * kFaultAroundBytes;
    last = (last + kFaultAroundBytes - 1) / kFaultAroundBytes * kFaultAroundBytes;
    last = std::min(last, static_cast<int64_t>(file(from).bytes().size()));
    file(from).release(static_cast<size_t>(first), static_cast<size_t>(last - first));
  }

 private:
  const MappedFile& file(const LocatedTensor& from) const {
    return files_[static_cast<size_t>(from.tensor.file)];
  }
  const std::byte* source(const LocatedTensor& from) const {
    return file(from).bytes().data() + from.offset;
  }
  static int64_t stride_bytes(const LocatedTensor& from, size_t axis) {
    return from.strides.empty() || from.tensor.shape.empty()
               ? 0
               : from.strides[axis] * dtype_bytes(from.stored);
  }

  // `count` elements that lie one behind the other.
  static void copy(const LocatedTensor& from, const std::byte* in, int64_t count, std::byte* out) {
    if (count == 0) return;
    if (from.stored == from.tensor.dtype) {
      std::memcpy(out, in, static_cast<size_t>(count * dtype_bytes(from.stored)));
      return;
    }
    for (int64_t i = 0; i < count; ++i) {  // bf16 to f32
      uint16_t narrow;
      std::memcpy(&narrow, in + 2 * i, 2);
      const float wide = bf16_to_f32(narrow);
      std::memcpy(out + 4 * i, &wide, 4);
    }
  }

  // The sub-tensor of the axes from `axis` on. Returns where the next one goes.
  static std::byte* copy_strided(const LocatedTensor& from, size_t axis, const std::byte* in,
                                 std::byte* out) {
    if (axis >= from.strides.size()) {
      copy(from, in, 1, out);
      return out + dtype_bytes(from.tensor.dtype);
    }
    const int64_t count = from.tensor.shape[axis];
    if (axis + 1 == from.strides.size() && from.strides[axis] == 1) {
      copy(from, in, count, out);
      return out + count * dtype_bytes(from.tensor.dtype);
    }
    for (int64_t i = 0; i < count; ++i) {
      out = copy_strided(from, axis + 1, in + i * stride_bytes(from, axis), out);
    }
    return out;
  }

  std::vector<MappedFile> files_;
  std::vector<LocatedTensor> located_;
  std::vector<CheckpointTensor> tensors_;
};

struct IndexFile {
  std::string name;
  std::vector<std::string> tensors;
};

Result<std::vector<IndexFile>> read_weight_map(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const Json index, read_json_file(path));
  MLC_ASSIGN_OR_RETURN(const Json* map, json_member(index, "weight_map", path));
  if (!map->is_object()) {
    return user_error(cat(path, ": weight_map"), cat("is ", map->kind_name()),
                      "an object: name of tensor -> name of file");
  }
  std::vector<IndexFile> files;
  std::unordered_map<std::string, size_t> numbers;
  std::unordered_map<std::string_view, bool> seen;
  for (const auto& [tensor, file] : map->as_object()) {
    const std::string where = cat(path, ": weight_map: ", tensor);
    if (!seen.emplace(tensor, true).second) return user_error(where, "stands twice");
    if (!file.is_string()) {
      return user_error(where, cat("is ", file.kind_name()), "the name of a file");
    }
    const std::string& name = file.as_string();
    const std::vector<std::string> parts = split(name, '/');
    if (name.empty() || name.find('\0') != std::string::npos || name[0] == '/' ||
        std::find(parts.begin(), parts.end(), "..") != parts.end()) {
      return user_error(where, cat("names the file \"", name, "\""),
                        "a file in the folder of the index");
    }
    const auto [number, is_new] = numbers.emplace(name, files.size());
    if (is_new) files.push_back({name, {}});
    files[number->second].tensors.push_back(tensor);
  }
  if (files.empty()) return user_error(cat(path, ": weight_map"), "is empty");
  return files;
}

}  // namespace

Result<void> refuse_lfs_pointer(std::string_view start, const std::string& where) {
  if (!start.starts_with("version https://git-lfs")) return {};
  return user_error(where, "is a pointer of Git LFS", "the file that it stands for",
                    cat("run git lfs pull in ", path_directory(where)));
}

Result<MappedFile> open_weight_file(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  if (bytes.empty()) return user_error(path, "is empty", "a file of weights", "download it again");
  MLC_RETURN_IF_ERROR(refuse_lfs_pointer(
      {reinterpret_cast<const char*>(bytes.data()), std::min<size_t>(bytes.size(), 64)}, path));
  return file;
}

std::string shape_text(const std::vector<int64_t>& shape) {
  std::vector<std::string> parts;
  for (const int64_t dimension : shape) parts.push_back(std::to_string(dimension));
  return cat("[", join(parts, ", "), "]");
}

int64_t count_elements(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t dimension : shape) count *= dimension;
  return count;
}

std::optional<int64_t> checked_elements(const std::vector<int64_t>& shape, int64_t element_bytes) {
  int64_t bytes = element_bytes;
  bool is_empty = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) return {};
    is_empty |= dimension == 0;
    // A zero elsewhere must not hide an overflow: others multiply the other dimensions.
    if (__builtin_mul_overflow(bytes, std::max<int64_t>(dimension, 1), &bytes)) return {};
  }
  return is_empty ? 0 : bytes / element_bytes;
}

std::unique_ptr<Checkpoint> make_file_checkpoint(std::vector<MappedFile> files,
                                                 std::vector<LocatedTensor> tensors) {
  return std::make_unique<FileCheckpoint>(std::move(files), std::move(tensors));
}

Result<std::unique_ptr<Checkpoint>> open_indexed_checkpoint(const std::string& index_path,
                                                            TensorLister list_tensors) {
  MLC_ASSIGN_OR_RETURN(const std::vector<IndexFile> names, read_weight_map(index_path));
  std::vector<MappedFile> files;
  std::vector<LocatedTensor> tensors;
  for (const IndexFile& wanted : names) {
    const std::string path = path_join(path_directory(index_path), wanted.name);
    if (!file_exists(path)) {
      return user_error(path,
                        cat("is missing; ", index_path, " says that it holds ", wanted.tensors[0],
                            wanted.tensors.size() > 1 ? " and others" : ""),
                        "", "download it");
    }
    MLC_ASSIGN_OR_RETURN(MappedFile file, open_weight_file(path));
    MLC_ASSIGN_OR_RETURN(std::vector<LocatedTensor> held, list_tensors(file.bytes(), path));
    std::unordered_map<std::string_view, LocatedTensor*> by_name;
    for (LocatedTensor& tensor : held) by_name.emplace(tensor.tensor.name, &tensor);
    for (const std::string& name : wanted.tensors) {
      const auto found = by_name.find(name);
      if (found == by_name.end()) {
        return user_error(path, cat("lacks the tensor ", name),
                          cat("it here, as ", index_path, " says"),
                          "take index and files from one download");
      }
      LocatedTensor tensor = *found->second;
      tensor.tensor.file = static_cast<int64_t>(files.size());
      tensors.push_back(std::move(tensor));
    }
    files.push_back(std::move(file));
  }
  return make_file_checkpoint(std::move(files), std::move(tensors));
}

}  // namespace mlc::formats
