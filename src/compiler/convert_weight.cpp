// SPDX-License-Identifier: Apache-2.0
#include "compiler/convert_weight.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "compiler/convert_plan.h"
#include "compiler/weight_reader.h"
#include "formats/parameter_shard_writer.h"
#include "quantization/group.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using quantization::Quantization;

// Read at a time: small enough for the caches, large enough that a system call for each does not
// matter.
constexpr int64_t kChunkBytes = 1 << 20;
// Whole tensors in memory at a time, of all threads together; one that is larger waits until it is
// alone.
constexpr int64_t kWholeTensorBytes = 64 << 20;

Bytes as_bytes(const std::vector<std::byte>& bytes) { return {bytes.data(), bytes.size()}; }
template <class T>
Bytes as_bytes(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

// float32 is stored as bf16; the others are stored as they are.
std::vector<std::byte> as_stored(DType dtype, std::vector<std::byte> values) {
  if (dtype != DType::kF32) return values;
  std::vector<std::byte> stored(values.size() / 2);
  formats::encode_f32_to_bf16({reinterpret_cast<const float*>(values.data()), values.size() / 4},
                              stored.data());
  return stored;
}

// Limits how much whole tensors take together. One larger than the limit is let in when it is
// alone.
class MemoryGate {
 public:
  void enter(int64_t bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return used_ == 0 || used_ + bytes <= kWholeTensorBytes; });
    used_ += bytes;
  }
  void leave(int64_t bytes) {
    const std::lock_guard lock(mutex_);
    used_ -= bytes;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t used_ = 0;
};

class GatePass {
 public:
  GatePass(MemoryGate& gate, int64_t bytes) : gate_(gate), bytes_(bytes) {
    if (bytes_ > 0) gate_.enter(bytes_);
  }
  ~GatePass() {
    if (bytes_ > 0) gate_.leave(bytes_);
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

 private:
  MemoryGate& gate_;
  int64_t bytes_;
};

class Conversion {
 public:
  Conversion(const formats::Checkpoint& checkpoint, const ConvertPlan& plan,
             const Quantization& mode, const ConvertOptions& options,
             formats::ParameterShardWriter& writer)
      : checkpoint_(checkpoint),
        plan_(plan),
        mode_(mode),
        options_(options),
        writer_(writer),
        has_nan_(plan.items.size()) {}

  void run() {
    const int64_t wanted = options_.threads > 0 ? options_.threads : physical_cores();
    const int64_t count = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, items()));
    std::vector<std::thread> threads;
    for (int64_t i = 1; i < count; ++i) threads.emplace_back([this] { work(); });
    work();
    for (std::thread& thread : threads) thread.join();
    if (failure_) std::rethrow_exception(failure_);
  }

  std::vector<std::string> parameters_with_nan() const {
    std::vector<std::string> names;
    for (size_t i = 0; i < has_nan_.size(); ++i) {
      if (has_nan_[i] != 0) names.push_back(plan_.items[i].rule.parameter);
    }
    return names;
  }

 private:
  int64_t items() const { return static_cast<int64_t>(plan_.items.size()); }

  void work() {
    try {
      while (!failed_) {
        const int64_t number = next_++;
        if (number >= items()) return;
        convert_item(static_cast<size_t>(number));
        report(plan_.items[static_cast<size_t>(number)].source_bytes);
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void report(int64_t bytes) {
    if (!options_.progress) return;
    const std::lock_guard lock(mutex_);
    done_bytes_ += bytes;
    options_.progress(done_bytes_, plan_.source_bytes);
  }

  void convert_item(size_t number) {
    const ConvertItem& item = plan_.items[number];
    switch (item.action) {
      case ConvertItem::Action::kCopy:
        return copy(item);
      case ConvertItem::Action::kPack:
        has_nan_[number] = pack(item);
        return;
      case ConvertItem::Action::kJoinColumns:
        return join_columns(item);
    }
  }

  static int64_t rows_at_once(const ResolvedRule& rule) {
    const int64_t row_bytes = std::max<int64_t>(1, rule.row_length * dtype_bytes(rule.dtype));
    return std::clamp<int64_t>(kChunkBytes / row_bytes, 1, std::max<int64_t>(1, rule.rows));
  }

  // Calls function(row, count) for all rows in order; ends early when another thread has failed.
  template <class Function>
  void for_chunks(const ResolvedRule& rule, Function function) {
    const int64_t step = rows_at_once(rule);
    for (int64_t row = 0; row < rule.rows && !failed_; row += step) {
      function(row, std::min(step, rule.rows - row));
    }
  }

  void copy(const ConvertItem& item) {
    const ResolvedRule& rule = item.rule;
    const GatePass pass(gate_, rule.whole_bytes());
    WeightReader reader(checkpoint_, rule);
    std::vector<std::byte> values;
    for_chunks(rule, [&](int64_t row, int64_t count) {
      values.resize(static_cast<size_t>(count * rule.row_length * dtype_bytes(rule.dtype)));
      reader.read(row, count, values.data());
      values = as_stored(rule.dtype, std::move(values));
      or_throw(writer_.append(item.first_output, as_bytes(values)));
    });
  }

  bool pack(const ConvertItem& item) {
    const ResolvedRule& rule = item.rule;
    const int64_t k = rule.row_length;
    const int64_t words_per_row = mode_.words_per_row(k);
    const int64_t scale_bytes_per_row = mode_.groups_per_row(k) * dtype_bytes(mode_.model_dtype);
    const int64_t all_words = item.is_transposed ? rule.rows * words_per_row : 0;
    const GatePass pass(gate_, rule.whole_bytes() + 8 * all_words);
    WeightReader reader(checkpoint_, rule);
    std::vector<std::byte> values;
    std::vector<uint32_t> words(static_cast<size_t>(all_words));
    std::vector<std::byte> scales(static_cast<size_t>(rule.rows * scale_bytes_per_row));
    bool has_nan = false;
    for_chunks(rule, [&](int64_t row, int64_t count) {
      values.resize(static_cast<size_t>(count * k * dtype_bytes(rule.dtype)));
      reader.read(row, count, values.data());
      if (!item.is_transposed) words.resize(static_cast<size_t>(count * words_per_row));
      uint32_t* out = words.data() + (item.is_transposed ? row * words_per_row : 0);
      has_nan |= quantization::pack_rows(mode_, item.kind, values.data(), count, k, out,
                                         scales.data() + row * scale_bytes_per_row);
      if (!item.is_transposed) or_throw(writer_.append(item.first_output, as_bytes(words)));
    });
    if (item.is_transposed) {
      std::vector<uint32_t> turned(words.size());
      quantization::transpose(reinterpret_cast<const std::byte*>(words.data()), rule.rows,
                              words_per_row, 4, reinterpret_cast<std::byte*>(turned.data()),
                              rule.rows);
      or_throw(writer_.append(item.first_output, as_bytes(turned)));
      std::vector<std::byte> turned_scales(scales.size());
      quantization::transpose(scales.data(), rule.rows, mode_.groups_per_row(k),
                              dtype_bytes(mode_.model_dtype), turned_scales.data(), rule.rows);
      scales = std::move(turned_scales);
    }
    scales = as_stored(mode_.model_dtype, std::move(scales));
    or_throw(writer_.append(item.first_output + 1, as_bytes(scales)));
    return has_nan;
  }

  void join_columns(const ConvertItem& item) {
    const ResolvedRule& rule = item.rule;
    const int64_t bytes = dtype_bytes(rule.dtype);
    std::vector<std::vector<std::byte>> parts(rule.sources.size());
    std::vector<std::byte> joined;
    for_chunks(rule, [&](int64_t row, int64_t count) {
      for (size_t i = 0; i < parts.size(); ++i) {
        const SourceMatrix& source = rule.sources[i];
        parts[i].resize(static_cast<size_t>(count * source.row_length * bytes));
        or_throw(checkpoint_.read_rows(source.tensor, row, count, parts[i].data()));
        checkpoint_.release_rows(source.tensor, row, count);
      }
      joined.clear();
      for (int64_t r = 0; r < count; ++r) {
        for (const models::SourceRows& columns : rule.selection) {
          const auto from = static_cast<size_t>(columns.source);
          const std::byte* first =
              parts[from].data() + (r * rule.sources[from].row_length + columns.begin) * bytes;
          joined.insert(joined.end(), first, first + columns.count * bytes);
        }
      }
      or_throw(writer_.append(item.first_output, as_bytes(joined)));
    });
  }

  const formats::Checkpoint& checkpoint_;
  const ConvertPlan& plan_;
  const Quantization& mode_;
  const ConvertOptions& options_;
  formats::ParameterShardWriter& writer_;
  std::vector<char> has_nan_;  // of each item; not bits, since threads write to neighbours
  MemoryGate gate_;
  std::atomic<int64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;  // of the three below
  std::exception_ptr failure_;
  int64_t done_bytes_ = 0;
};

std::string list_some(const std::vector<std::string>& names) {
  constexpr size_t kSome = 8;
  if (names.size() <= kSome) return join(names, ", ");
  const std::vector<std::string> first(names.begin(), names.begin() + kSome);
  return cat(join(first, ", "), " and ", names.size() - kSome, " more");
}

}  // namespace

ConvertSummary convert(const formats::Checkpoint& checkpoint,
                       std::span<const ParameterToConvert> parameters, const Quantization& mode,
                       const ConvertOptions& options) {
  const ConvertPlan plan = plan_conversion(checkpoint, parameters, mode, options);
  formats::ParameterShardWriter writer =
      or_throw(formats::ParameterShardWriter::create(options.directory, plan.outputs));
  ConvertSummary summary;
  summary.stored_tensors = static_cast<int64_t>(plan.outputs.size());
  summary.parameters = plan.source_elements;
  for (const formats::ParameterInfo& output : plan.outputs) {
    summary.parameter_bytes += formats::declared_bytes(output);
  }
  summary.bits_per_parameter = static_cast<double>(summary.parameter_bytes) * 8 /
                               static_cast<double>(std::max<int64_t>(1, summary.parameters));
  Conversion conversion(checkpoint, plan, mode, options, writer);
  conversion.run();
  or_throw(writer.finish(summary.bits_per_parameter));
  if (!plan.unused_sources.empty()) {
    summary.warnings.push_back(
        cat(options.source, ": no parameter uses ", list_some(plan.unused_sources)));
  }
  const std::vector<std::string> with_nan = conversion.parameters_with_nan();
  if (!with_nan.empty()) {
    summary.warnings.push_back(cat(options.source, ": not a number (NaN) occurs in ",
                                   list_some(with_nan), "; is the checkpoint damaged?"));
  }
  return summary;
}

}  // namespace mlc::compiler
