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

// Threads take pieces as they come: one that is held up must not hold up the others.
struct Job {
  std::byte* data;
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> sum{0};

  void restart() { next = 0; }
  // The next piece, or null.
  std::byte* take() {
    const int64_t at = next.fetch_add(kPieceBytes, std::memory_order_relaxed);
    return at < kBufferBytes ? data + at : nullptr;
  }
};

void fill(void* context, int64_t) {
  auto* job = static_cast<Job*>(context);
  while (std::byte* piece = job->take()) std::memset(piece, 1, kPieceBytes);
}

void read(void* context, int64_t) {
  auto* job = static_cast<Job*>(context);
  uint64_t sum = 0;
  while (const std::byte* piece = job->take()) sum += sum_words(piece, kPieceBytes);
  job->sum += sum;
}

}  // namespace

Result<double> read_bandwidth(runtime::ThreadPool& pool) {
  MLC_ASSIGN_OR_RETURN(const runtime::Memory buffer, runtime::Memory::reserve(kBufferBytes));
  Job job{.data = buffer.data()};
  pool.run(fill, &job);  // every page has memory of its own
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    job.restart();
    const double begin = now_seconds();
    pool.run(read, &job);
    best = std::max(best, static_cast<double>(kBufferBytes) / (now_seconds() - begin));
  }
  return best;
}

}  // namespace mlc::cli
