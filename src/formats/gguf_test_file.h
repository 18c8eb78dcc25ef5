// SPDX-License-Identifier: Apache-2.0
// For tests only: makes GGUF files in memory, good ones and bad ones.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "formats/gguf.h"

namespace mlc::formats {

class GgufTestFile {
 public:
  uint32_t version = 3;
  int64_t alignment = 32;  // of the data; the key is up to the test

  explicit GgufTestFile(std::string_view architecture = "llama") : architecture_(architecture) {
    if (!architecture.empty()) text("general.architecture", architecture);
  }

  // Keys. `type` is that of the value or of the elements.
  GgufTestFile& integer(std::string_view key, int64_t value,
                        GgufValueType type = GgufValueType::kU32) {
    return begin_key(key, type).append_number(type, static_cast<double>(value), value);
  }
  GgufTestFile& real(std::string_view key, double value, GgufValueType type = GgufValueType::kF32) {
    return begin_key(key, type).append_number(type, value, 0);
  }
  GgufTestFile& flag(std::string_view key, bool value) {
    return begin_key(key, GgufValueType::kBool).append_raw(static_cast<uint8_t>(value));
  }
  GgufTestFile& text(std::string_view key, std::string_view value) {
    return begin_key(key, GgufValueType::kString).append_text(value);
  }
  GgufTestFile& integers(std::string_view key, const std::vector<int64_t>& values,
                         GgufValueType type = GgufValueType::kI32) {
    begin_list(key, type, values.size());
    for (const int64_t value : values) append_number(type, static_cast<double>(value), value);
    return *this;
  }
  GgufTestFile& reals(std::string_view key, const std::vector<float>& values) {
    begin_list(key, GgufValueType::kF32, values.size());
    for (const float value : values) append_raw(value);
    return *this;
  }
  GgufTestFile& texts(std::string_view key, const std::vector<std::string>& values) {
    begin_list(key, GgufValueType::kString, values.size());
    for (const std::string& value : values) append_text(value);
    return *this;
  }
  // A key of the architecture: "block_count" is "llama.block_count".
  GgufTestFile& size(std::string_view key, int64_t value) {
    return integer(architecture_ + "." + std::string(key), value);
  }
  GgufTestFile& number(std::string_view key, double value) {
    return real(architecture_ + "." + std::string(key), value);
  }

  // Tensors, laid out one behind the other; shapes outermost first.
  GgufTestFile& tensor(std::string_view name, const std::vector<int64_t>& shape,
                       const std::vector<float>& values) {
    std::string data(values.size() * 4, '\0');
    if (!values.empty()) std::memcpy(data.data(), values.data(), data.size());
    return typed_tensor(name, shape, 0, data);
  }
  // Elements begin, begin + 1, ...
  GgufTestFile& counting(std::string_view name, const std::vector<int64_t>& shape,
                         float begin = 0) {
    size_t count = 1;
    for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = begin + static_cast<float>(i);
    return tensor(name, shape, values);
  }
  GgufTestFile& typed_tensor(std::string_view name, const std::vector<int64_t>& shape,
                             uint32_t type, std::string_view data) {
    data_.resize((data_.size() + static_cast<size_t>(alignment) - 1) /
                 static_cast<size_t>(alignment) * static_cast<size_t>(alignment));
    return placed_tensor(name, shape, type, data_.size(), data);
  }
  // With an offset of the test's choice; the data is put at the end.
  GgufTestFile& placed_tensor(std::string_view name, const std::vector<int64_t>& shape,
                              uint32_t type, uint64_t offset, std::string_view data) {
    append(infos_, static_cast<uint64_t>(name.size()));
    infos_ += name;
    append(infos_, static_cast<uint32_t>(shape.size()));
    for (auto dimension = shape.rbegin(); dimension != shape.rend(); ++dimension) {
      append(infos_, static_cast<uint64_t>(*dimension));
    }
    append(infos_, type);
    append(infos_, offset);
    data_ += data;
    ++tensors_;
    return *this;
  }

  std::string header(uint64_t tensors, uint64_t keys) const {
    std::string file = "GGUF";
    append(file, version);
    append(file, tensors);
    append(file, keys);
    return file;
  }
  std::string metadata() const { return header(tensors_, key_count_) + keys_; }
  std::string bytes() const {
    std::string file = metadata() + infos_;
    file.resize((file.size() + static_cast<size_t>(alignment) - 1) /
                static_cast<size_t>(alignment) * static_cast<size_t>(alignment));
    return file + data_;
  }

  template <class T>
  static void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }

 private:
  template <class T>
  GgufTestFile& append_raw(T value) {
    append(keys_, value);
    return *this;
  }
  GgufTestFile& append_text(std::string_view text) {
    append(keys_, static_cast<uint64_t>(text.size()));
    keys_ += text;
    return *this;
  }
  GgufTestFile& append_number(GgufValueType type, double real, int64_t integer) {
    switch (type) {
      case GgufValueType::kU8:
      case GgufValueType::kI8:
      case GgufValueType::kBool:
        return append_raw(static_cast<uint8_t>(integer));
      case GgufValueType::kU16:
      case GgufValueType::kI16:
        return append_raw(static_cast<uint16_t>(integer));
      case GgufValueType::kU32:
      case GgufValueType::kI32:
        return append_raw(static_cast<uint32_t>(integer));
      case GgufValueType::kU64:
      case GgufValueType::kI64:
        return append_raw(integer);
      case GgufValueType::kF32:
        return append_raw(static_cast<float>(real));
      case GgufValueType::kF64:
        return append_raw(real);
      case GgufValueType::kString:
      case GgufValueType::kArray:
        break;
    }
    ADD_FAILURE() << "no number";
    return *this;
  }
  GgufTestFile& begin_key(std::string_view key, GgufValueType type) {
    ++key_count_;
    return append_text(key).append_raw(static_cast<uint32_t>(type));
  }
  void begin_list(std::string_view key, GgufValueType type, size_t count) {
    begin_key(key, GgufValueType::kArray).append_raw(static_cast<uint32_t>(type));
    append_raw(static_cast<uint64_t>(count));
  }

  std::string architecture_;
  std::string keys_;
  std::string infos_;
  std::string data_;
  uint64_t key_count_ = 0;
  uint64_t tensors_ = 0;
};

}  // namespace mlc::formats
