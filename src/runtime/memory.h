// SPDX-License-Identifier: Apache-2.0
// Memory for the KV cache and activations, aligned to 64 bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "support/error.h"

namespace mlc::runtime {

// Zeroed memory. Where the system can, pages take room only when they are touched, so that much may
// be reserved.
class Memory {
 public:
  // Huge pages, where the system has them, save misses of the TLB, and take room by 2 MB.
  enum class Pages : uint8_t { kSmall, kHuge };

  static Result<Memory> reserve(int64_t bytes, Pages pages = Pages::kSmall);
  Memory() = default;
  Memory(Memory&& other) noexcept { *this = std::move(other); }
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory();

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }  // at least those asked for

 private:
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace mlc::runtime
