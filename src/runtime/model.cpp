// SPDX-License-Identifier: Apache-2.0
#include "runtime/model.h"

#include <algorithm>
#include <cstring>

#include "support/check.h"
#include "support/half.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::runtime {

using formats::PlanArgument;

namespace {

std::string shape_text(const std::vector<int64_t>& shape) {
  std::vector<std::string> parts;
  for (const int64_t d : shape) parts.push_back(std::to_string(d));
  return "[" + join(parts, ", ") + "]";
}

int64_t evaluate(const formats::LinearSize& size, const StepTables& tables) {
  int64_t value = size.constant;
  for (const auto& [symbol, coefficient] : size.terms) value += coefficient * tables.sizes[symbol];
  return value;
}

uint64_t address_of(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

Model::Model(ModelLibrary library, formats::ParameterShards weights, int64_t threads)
    : library_(std::move(library)),
      weights_(std::move(weights)),
      pool_(threads),
      spent_(static_cast<size_t>(pool_.size())) {}

Result<std::unique_ptr<Model>> Model::create(ModelLibrary library, formats::ParameterShards weights,
                                             int64_t threads) {
  std::unique_ptr<Model> model(new Model(std::move(library), std::move(weights), threads));
  MLC_RETURN_IF_ERROR(model->bind_weights());
  const formats::Plan& plan = model->plan();
  MLC_ASSIGN_OR_RETURN(model->constants_,
                       Memory::reserve(static_cast<int64_t>(plan.constants.size())));
  if (!plan.constants.empty())
    std::memcpy(model->constants_.data(), plan.constants.data(), plan.constants.size());
  int64_t scratch_bytes = 0;
  for (const formats::PlanKernel& kernel : plan.kernels)
    scratch_bytes = std::max(scratch_bytes, kernel.scratch_bytes);
  model->scratch_bytes_ = (scratch_bytes + 63) / 64 * 64;
  MLC_ASSIGN_OR_RETURN(model->scratch_, Memory::reserve(model->pool_.size() * model->scratch_bytes_,
                                                        Memory::Pages::kHuge));
  return model;
}

Result<void> Model::bind_weights() {
  const std::string& where = weights_.index_path();
  for (const formats::PlanWeight& weight : plan().weights) {
    const formats::ParameterRecord* record = weights_.find(weight.name);
    if (record == nullptr) {
      return user_error(
          where, cat("has no tensor ", weight.name, ", which ", library_.path(), " needs"), "",
          "is the library for another model or quantization? compile one for these weights");
    }
    // float32 is stored as bfloat16, which is what kernels read (formats: "f32-to-bf16").
    const DType stored = record->is_f32_in_bf16 ? DType::kBF16 : record->info.dtype;
    const bool raw_float = stored == DType::kF32 && weight.dtype == DType::kBF16;
    if (record->info.shape != weight.shape || (stored != weight.dtype && !raw_float)) {
      return user_error(
          cat(where, ": tensor ", weight.name),
          cat("is ", dtype_name(record->info.dtype), " ", shape_text(record->info.shape)),
          cat(dtype_name(weight.dtype), " ", shape_text(weight.shape), ", as ", library_.path(),
              " needs it"),
          "is the library for another model or quantization? compile one for these weights");
    }
    const Bytes bytes = weights_.bytes(*record);
    if (raw_float) {
      std::vector<std::byte> halves(bytes.size() / 2);
      for (size_t i = 0; i < halves.size() / 2; ++i) {
        float value;
        std::memcpy(&value, bytes.data() + 4 * i, 4);
        const uint16_t half = f32_to_bf16(value);
        std::memcpy(halves.data() + 2 * i, &half, 2);
      }
      converted_.push_back(std::move(halves));
      weight_data_.push_back(converted_.back().data());
    } else {
      weight_data_.push_back(bytes.data());
    }
  }
  return {};
}

int64_t Model::weight_bytes() const {
  int64_t bytes = 0;
  for (const formats::PlanWeight& weight : plan().weights) {
    int64_t elements = 1;
    for (const int64_t d : weight.shape) elements *= d;
    bytes += elements * dtype_bytes(weight.dtype);
  }
  return bytes;
}

Result<void> Model::prepare(const StepTables& tables, const KvCache& cache,
                            formats::Output output) {
  const int64_t arena_bytes = evaluate(plan().arena_bytes, tables);
  if (arena_bytes > arena_.bytes()) {
    arena_ = Memory();  // nothing in it outlives a step
    MLC_ASSIGN_OR_RETURN(arena_,
                         Memory::reserve(arena_bytes + arena_bytes / 4, Memory::Pages::kHuge));
  }
  const auto table_data = [&](const PlanArgument& a) -> const int32_t* {
    switch (static_cast<formats::InputTable>(a.index)) {
      case formats::InputTable::kTokens:
        return tables.tokens.data();
      case formats::InputTable::kPositions:
        return tables.positions.data();
      case formats::InputTable::kLengths:
        return tables.lengths.data();
      case formats::InputTable::kLogitRows:
        return tables.logit_rows.data();
      case formats::InputTable::kCacheSlots:
        return tables.groups[a.group].slots.data();
      case formats::InputTable::kPages:
        return tables.groups[a.group].pages.data();
      case formats::InputTable::kItems:
        return tables.groups[a.group].items.data();
      case formats::InputTable::kMerges:
        return tables.groups[a.group].merges.data();
    }
    return nullptr;
  };
  launches_.clear();
  slots_.clear();
  for (size_t c = 0; c < plan().calls.size(); ++c) {
    const formats::PlanCall& call = plan().calls[c];
    const int64_t value = tables.sizes[call.symbol];
    if (value == 0 || (call.outputs & formats::output_bit(output)) == 0) continue;
    const auto variant =
        std::find_if(call.variants.begin(), call.variants.end(),
                     [&](const formats::PlanVariant& v) { return value <= v.max_value; });
    if (variant == call.variants.end() || variant->kernel == formats::PlanVariant::kNoKernel)
      continue;
    Launch launch;
    launch.kernel = library_.kernel(variant->kernel);
    launch.first_slot = slots_.size();
    launch.call = c;
    launch.name = &plan().kernels[variant->kernel].name;
    const int64_t units = variant->tasks.symbol == 0 ? 1 : tables.sizes[variant->tasks.symbol];
    launch.tasks =
        variant->tasks.multiplier * ((units + variant->tasks.divisor - 1) / variant->tasks.divisor);
    for (const PlanArgument& a : variant->arguments) {
      switch (a.kind) {
        case PlanArgument::Kind::kArena:
          slots_.push_back(address_of(arena_.data() + evaluate(a.offset, tables)));
          break;
        case PlanArgument::Kind::kWeight:
          slots_.push_back(address_of(weight_data_[a.index]));
          break;
        case PlanArgument::Kind::kConstants:
          slots_.push_back(address_of(constants_.data() + a.offset.constant));
          break;
        case PlanArgument::Kind::kCache:
          slots_.push_back(address_of(cache.layer_data(a.index)));
          break;
        case PlanArgument::Kind::kInput:
          slots_.push_back(address_of(table_data(a)));
          break;
        case PlanArgument::Kind::kSize:
          slots_.push_back(static_cast<uint64_t>(tables.sizes[a.symbol]));
          break;
      }
    }
    if (launch.tasks > 0) launches_.push_back(launch);
  }
  return {};
}

void Model::call_kernel(const Launch& launch, int64_t thread, int64_t begin, int64_t end) const {
  const MlcKernelArgs args{address_of(slots_.data() + launch.first_slot),
                           address_of(scratch_.data() + thread * scratch_bytes_)};
  launch.kernel(&args, begin, end);
}

void Model::add_time(const Launch& launch, double seconds) {
  CallTime& time = profile_[launch.call];
  time.seconds += seconds;
  time.kernel = *launch.name;
  ++time.runs;
}

void Model::run_tasks(int64_t thread, int64_t begin, int64_t end) {
  const double from = profiling_ ? thread_seconds() : 0;
  call_kernel(launches_[launch_], thread, begin, end);
  if (!profiling_) return;
  Spent& spent = spent_[static_cast<size_t>(thread)];
  if (spent.launch != launch_) spent = {launch_, 0};
  spent.seconds += thread_seconds() - from;
}

// Launches of one task are run at once, which saves their own round of the threads.
int64_t Model::next_launch(int64_t thread) {
  if (profiling_) add_time(launches_[launch_], spent_[static_cast<size_t>(thread)].seconds);
  while (++launch_ < launches_.size() && launches_[launch_].tasks == 1) {
    const double from = profiling_ ? thread_seconds() : 0;
    call_kernel(launches_[launch_], thread, 0, 1);
    if (profiling_) add_time(launches_[launch_], thread_seconds() - from);
  }
  return launch_ < launches_.size() ? launches_[launch_].tasks : 0;
}

Result<std::span<const float>> Model::run(const KvCache& cache,
                                          std::span<const SequenceTokens> batch,
                                          formats::Output output) {
  const int64_t columns = plan().columns(output);
  if (columns == 0) {
    return user_error(library_.path(),
                      cat("gives no ", formats::output_name(output),
                          output == formats::Output::kHidden ? " states" : ""),
                      "", "compile the library again with this mlc_llm");
  }
  const StepTables tables = make_step_tables(plan(), cache, batch, pool_.size());
  MLC_RETURN_IF_ERROR(prepare(tables, cache, output));
  launch_ = 0;
  spent_.assign(spent_.size(), {});
  if (!launches_.empty()) pool_.run(*this, launches_[0].tasks);
  const auto* values =
      reinterpret_cast<const float*>(arena_.data() + evaluate(plan().offset(output), tables));
  const int64_t rows = tables.sizes[formats::plan_symbol(formats::output_rows(output))];
  return std::span<const float>(values, static_cast<size_t>(rows * columns));
}

void Model::start_profile() {
  profiling_ = true;
  profile_.clear();
  for (const formats::PlanCall& call : plan().calls) profile_.push_back({call.label, "", 0, 0});
}

}  // namespace mlc::runtime
