// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "runtime/memory.h"
#include "support/strings.h"

namespace mlc::runtime {

Result<Memory> Memory::reserve(int64_t bytes) {
  Memory memory;
  if (bytes <= 0) return memory;
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return user_error(
        "memory",
        cat(bytes_text(static_cast<uint64_t>(bytes)), " cannot be had: ", std::strerror(errno)), "",
        "use a smaller context_window_size or max_batch_size");
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = bytes;
  return memory;
}

Memory::~Memory() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
}

}  // namespace mlc::runtime
