// SPDX-License-Identifier: Apache-2.0
#include <cstdlib>
#include <cstring>

#include "runtime/memory.h"
#include "support/strings.h"

namespace mlc::runtime {

Result<Memory> Memory::reserve(int64_t bytes, Pages) {
  Memory memory;
  if (bytes <= 0) return memory;
  const auto size = (static_cast<size_t>(bytes) + 63) / 64 * 64;
  auto* data = static_cast<std::byte*>(std::aligned_alloc(64, size));
  if (data == nullptr) {
    return user_error("memory", cat(bytes_text(static_cast<uint64_t>(bytes)), " cannot be had"), "",
                      "use a smaller context_window_size or max_batch_size");
  }
  std::memset(data, 0, size);
  memory.data_ = data;
  memory.bytes_ = bytes;
  return memory;
}

Memory::~Memory() { std::free(data_); }

}  // namespace mlc::runtime
