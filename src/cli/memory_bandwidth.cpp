// SPDX-License-Identifier: Apache-2.0
#include "cli/memory_bandwidth.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "runtime/memory.h"
#include "support/process.h"

namespace mlc::cli {
namespace {

constexpr int64_t kBufferBytes = int64_t{512} << 20;
constexpr int kRuns = 5;

// The widest registers that there are; the reads of one accumulator do not wait for another's.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define MLC_WIDEST __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define MLC_WIDEST
#endif

MLC_WIDEST uint64_t sum_words(const std::byte* data, int64_t bytes) {
  using Words = uint64_t __attribute__((vector_size(32)));
  constexpr int64_t kStep = 4 * sizeof(Words);
  Words a = {}, b = {}, c = {}, d = {};
  for (int64_t i = 0; i + kStep <= bytes; i += kStep) {
    Words w[4];
    std::memcpy(w, data + i, sizeof(w));
    a += w[0];
    b += w[1];
    c += w[2];
    d += w[3];
  }
  a = (a + b) + (c + d);
  return a[0] + a[1] + a[2] + a[3];
}

constexpr int64_t kPieceBytes = 1 << 20;
constexpr int64_t kPieces = kBufferBytes / kPieceBytes;

// A single launch over the pieces of a buffer.
class Pass : public runtime::ThreadPool::Work {
 public:
  explicit Pass(std::byte* data) : data_(data) {}
  int64_t next_launch(int64_t) override { return 0; }

 protected:
  ~Pass() = default;
  std::byte* piece(int64_t number) const { return data_ + number * kPieceBytes; }

 private:
  std::byte* data_;
};

class Fill final : public Pass {
 public:
  using Pass::Pass;
  void run_tasks(int64_t, int64_t begin, int64_t end) override {
    std::memset(piece(begin), 1, static_cast<size_t>((end - begin) * kPieceBytes));
  }
};

class Read final : public Pass {
 public:
  using Pass::Pass;
  void run_tasks(int64_t, int64_t begin, int64_t end) override {
    sum_.fetch_add(sum_words(piece(begin), (end - begin) * kPieceBytes), std::memory_order_relaxed);
  }

 private:
  std::atomic<uint64_t> sum_{0};  // keeps the reads
};

}  // namespace

Result<double> read_bandwidth(runtime::ThreadPool& pool) {
  MLC_ASSIGN_OR_RETURN(const runtime::Memory buffer, runtime::Memory::reserve(kBufferBytes));
  Fill fill(buffer.data());
  pool.run(fill, kPieces);  // every page has memory of its own
  Read read(buffer.data());
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const double begin = now_seconds();
    pool.run(read, kPieces);
    best = std::max(best, static_cast<double>(kBufferBytes) / (now_seconds() - begin));
  }
  return best;
}

}  // namespace mlc::cli
