// SPDX-License-Identifier: Apache-2.0
// For tests only: a checkpoint whose tensors are in memory.
#pragma once

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "compiler/weight_reader.h"
#include "formats/checkpoint.h"

namespace mlc::compiler {

class MemoryCheckpoint : public formats::Checkpoint {
 public:
  void add(std::string name, DType dtype, std::vector<int64_t> shape, std::string bytes,
           int64_t file = 0) {
    tensors_.push_back({std::move(name), dtype, std::move(shape), file});
    bytes_.push_back(std::move(bytes));
  }
  template <class T>
  void add(std::string name, DType dtype, std::vector<int64_t> shape, const std::vector<T>& values,
           int64_t file = 0) {
    add(std::move(name), dtype, std::move(shape),
        std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)), file);
  }
  // 0, 1, 2, ... as float32.
  void add_counted(std::string name, std::vector<int64_t> shape, float first = 0) {
    int64_t count = 1;
    for (const int64_t dimension : shape) count *= dimension;
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(first + static_cast<float>(i));
    add(std::move(name), DType::kF32, std::move(shape), values);
  }

  TensorNumbers numbers() const {
    TensorNumbers numbers;
    for (size_t i = 0; i < tensors_.size(); ++i) {
      numbers.emplace(tensors_[i].name, static_cast<int64_t>(i));
    }
    return numbers;
  }

  const std::vector<formats::CheckpointTensor>& tensors() const override { return tensors_; }
  Result<void> read_rows(int64_t tensor, int64_t begin, int64_t count,
                         std::byte* out) const override {
    const auto number = static_cast<size_t>(tensor);
    const formats::CheckpointTensor& info = tensors_[number];
    auto row_bytes = static_cast<size_t>(dtype_bytes(info.dtype));
    for (size_t axis = 1; axis < info.shape.size(); ++axis) {
      row_bytes *= static_cast<size_t>(info.shape[axis]);
    }
    const auto bytes = static_cast<size_t>(count) * row_bytes;
    const auto from = static_cast<size_t>(begin) * row_bytes;
    if (from + bytes > bytes_[number].size()) return user_error(info.name, "is cut off");
    std::memcpy(out, bytes_[number].data() + from, bytes);
    return {};
  }
  void release_rows(int64_t, int64_t, int64_t) const override {}

 private:
  std::vector<formats::CheckpointTensor> tensors_;
  std::vector<std::string> bytes_;
};

}  // namespace mlc::compiler
