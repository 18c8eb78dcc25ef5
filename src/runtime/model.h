// SPDX-License-Identifier: Apache-2.0
// A model that can compute: library, weights in place, and the memory for activations. It knows no
// architecture: it runs the plan.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/parameter_shards.h"
#include "runtime/kv_cache.h"
#include "runtime/memory.h"
#include "runtime/model_library.h"
#include "runtime/step.h"
#include "runtime/thread_pool.h"

namespace mlc::runtime {

// Seconds of CPU time that a call of the plan took on the thread that was last to finish it, summed
// over steps, and how often it ran.
struct CallTime {
  std::string label;
  std::string kernel;
  double seconds = 0;
  int64_t runs = 0;
};

class Model final : private ThreadPool::Work {
 public:
  // Errors: a weight that the library needs is missing or has another shape or dtype (another model
  // or quantization).
  static Result<std::unique_ptr<Model>> create(ModelLibrary library,
                                               formats::ParameterShards weights, int64_t threads);

  // Computes a step. The cache has room for the batch's tokens already. Returns the logits, f32
  // [wanted rows, vocab_size], valid until the next step; an error where memory is short.
  // Another output in their place: its rows and columns (docs/library_format.md), an error where
  // the library does not give it.
  Result<std::span<const float>> run(const KvCache& cache, std::span<const SequenceTokens> batch,
                                     formats::Output output = formats::Output::kLogits);

  const formats::Plan& plan() const { return library_.plan(); }
  const ModelLibrary& library() const { return library_; }
  int64_t vocab_size() const { return library_.plan().vocab_size; }
  int64_t threads() const { return pool_.size(); }
  ThreadPool& pool() { return pool_; }
  int64_t weight_bytes() const;

  // Measures every call from now on (it costs a few per cent).
  void start_profile();
  const std::vector<CallTime>& profile() const { return profile_; }

 private:
  struct Launch {
    MlcKernel kernel;
    size_t first_slot;  // in slots_
    int64_t tasks;
    size_t call;  // of the plan
    const std::string* name;
  };

  Model(ModelLibrary library, formats::ParameterShards weights, int64_t threads);
  Result<void> bind_weights();
  Result<void> prepare(const StepTables& tables, const KvCache& cache, formats::Output output);
  void run_tasks(int64_t thread, int64_t begin, int64_t end) override;
  int64_t next_launch(int64_t thread) override;
  void call_kernel(const Launch& launch, int64_t thread, int64_t begin, int64_t end) const;
  void add_time(const Launch& launch, double seconds);

  ModelLibrary library_;
  formats::ParameterShards weights_;
  ThreadPool pool_;
  std::vector<const std::byte*> weight_data_;  // by plan weight
  std::vector<std::vector<std::byte>>
      converted_;  // weights whose stored form is not what kernels read
  Memory constants_;
  Memory arena_;
  Memory scratch_;
  int64_t scratch_bytes_ = 0;  // of a thread
  std::vector<Launch> launches_;
  std::vector<uint64_t> slots_;
  size_t launch_ = 0;  // the one at hand
  std::vector<CallTime> profile_;
  bool profiling_ = false;
  // Where a profile is made: what a thread has spent on its tasks of the launch at hand.
  struct alignas(64) Spent {
    size_t launch = 0;
    double seconds = 0;
  };
  std::vector<Spent> spent_;  // by thread
};

}  // namespace mlc::runtime
