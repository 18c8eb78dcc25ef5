// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "runtime/memory.h"
#include "support/strings.h"

namespace mlc::runtime {

namespace {

// What one entry of the TLB may map where the system has huge pages (x86-64, AArch64 with pages of
// 4 KB).
constexpr size_t kHugePage = size_t{2} << 20;

}  // namespace

Result<Memory> Memory::reserve(int64_t bytes, Pages pages) {
  Memory memory;
  if (bytes <= 0) return memory;
#ifdef MADV_HUGEPAGE
  const bool huge = pages == Pages::kHuge;
#else
  const bool huge = false;
#endif
  const auto size = static_cast<size_t>(bytes);
  // With huge pages a whole number of them, and one more from which what is not aligned is cut.
  const size_t wanted = huge ? (size + kHugePage - 1) / kHugePage * kHugePage : size;
  const size_t mapped = huge ? wanted + kHugePage : size;
  void* data = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data == MAP_FAILED) {
    return user_error(
        "memory",
        cat(bytes_text(static_cast<uint64_t>(bytes)), " cannot be had: ", std::strerror(errno)), "",
        "use a smaller context_window_size or max_batch_size");
  }
  memory.data_ = static_cast<std::byte*>(data);
  memory.bytes_ = static_cast<int64_t>(wanted);
#ifdef MADV_HUGEPAGE
  if (huge) {
    const size_t before = (kHugePage - reinterpret_cast<uintptr_t>(data) % kHugePage) % kHugePage;
    if (before > 0) munmap(data, before);
    memory.data_ += before;
    munmap(memory.data_ + wanted, kHugePage - before);
    madvise(memory.data_, wanted, MADV_HUGEPAGE);  // advice: small pages serve as well
  }
#endif
  return memory;
}

Memory::~Memory() {
  if (data_ != nullptr) munmap(data_, static_cast<size_t>(bytes_));
}

}  // namespace mlc::runtime
