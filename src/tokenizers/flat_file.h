// SPDX-License-Identifier: Apache-2.0
// Tables as bytes, for a file that this program writes for itself on this machine: values and
// arrays of plain structs one behind the other, in the machine's own layout.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace mlc::tokenizers {

class FlatWriter {
 public:
  template <class T>
  void value(const T& item) {
    static_assert(std::is_trivially_copyable_v<T>);
    bytes_.append(reinterpret_cast<const char*>(&item), sizeof item);
  }
  // A vector or a string: the number of elements, then the elements.
  template <class Sequence>
  void array(const Sequence& items) {
    using T = std::remove_cvref_t<decltype(items[0])>;
    static_assert(std::is_trivially_copyable_v<T>);
    value(static_cast<uint64_t>(items.size()));
    bytes_.append(reinterpret_cast<const char*>(items.data()), items.size() * sizeof(T));
  }
  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// Reads what a FlatWriter wrote, in the same order. After the first read that the bytes are too few
// for, all reads fail.
class FlatReader {
 public:
  explicit FlatReader(std::string_view bytes) : rest_(bytes) {}
  template <class T>
  bool value(T* item) {
    if (rest_.size() < sizeof *item) return fail();
    std::memcpy(item, rest_.data(), sizeof *item);
    rest_.remove_prefix(sizeof *item);
    return true;
  }
  template <class T>
  bool array(std::vector<T>* items) {
    uint64_t count = 0;
    if (!value(&count) || count > rest_.size() / sizeof(T)) return fail();
    items->resize(static_cast<size_t>(count));
    if (count > 0) std::memcpy(items->data(), rest_.data(), items->size() * sizeof(T));
    rest_.remove_prefix(items->size() * sizeof(T));
    return true;
  }
  // A view of the bytes read.
  bool text(std::string_view* text) {
    uint64_t count = 0;
    if (!value(&count) || count > rest_.size()) return fail();
    *text = rest_.substr(0, static_cast<size_t>(count));
    rest_.remove_prefix(text->size());
    return true;
  }
  bool array(std::string* items) {
    std::string_view view;
    if (!text(&view)) return false;
    *items = view;
    return true;
  }
  bool at_end() const { return !failed_ && rest_.empty(); }

 private:
  bool fail() {
    failed_ = true;
    rest_ = {};
    return false;
  }
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace mlc::tokenizers
