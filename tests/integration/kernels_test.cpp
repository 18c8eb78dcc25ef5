// SPDX-License-Identifier: Apache-2.0
// Every kernel of tiny models, call by call: the compiled code and the kernel interpreter start from the same memory and
// must leave the same bytes. At every CPU level of this machine, in all quantization modes, at ragged sizes, for the row
// counts that choose each variant. The interpreter also checks every access against the size of its buffer.
#include <cstring>

#include "compiler/pipeline.h"
#include "compiler/compile.h"
#include "formats/parameter_shards.h"
#include "kernel/interpreter.h"
#include "quantization/quantization.h"
#include "runtime/model_library.h"
#include "runtime/step.h"
#include "support/throw.h"
#include "tests/integration/tiny_model.h"

namespace mlc {
namespace {

using formats::InputTable;
using formats::PlanArgument;

// One side of the comparison: memory of its own, and its way to run a kernel.
struct Side {
  std::vector<std::byte> arena;
  runtime::KvCache cache = runtime::KvCache::empty();
};

class PlanComparison {
 public:
  PlanComparison(const TinyModel& model, const TinyModelSpec& spec)
      : library_(or_throw(runtime::ModelLibrary::open(model.library()))), shards_(or_throw(formats::ParameterShards::open(model.directory()))) {
    // The same kernels as in the library, as IR.
    compiler::CompileOptions options;
    options.model = model.directory();
    const quantization::Quantization& q = *or_throw(quantization::find_quantization(spec.quantization, "test"));
    compiler::PipelineOptions pipeline;
    pipeline.int8_activations = compiler::parse_opt(spec.opt, q).int8_activations;
    target::Target target = or_throw(spec.level.empty() ? target::host_cpu_target() : target::cpu_level_target(spec.level));
    planned_ = compiler::run_pipeline(model.graph(), q, target, pipeline, nullptr);
    for (Side& side : sides_) side.cache = or_throw(runtime::KvCache::create(plan(), 1024));
  }

  const formats::Plan& plan() const { return planned_.plan; }

  // A new sequence on both sides.
  runtime::SequenceId add_sequence() {
    const auto id = sides_[0].cache.add_sequence();
    EXPECT_EQ(sides_[1].cache.add_sequence(), id);
    return id;
  }

  void step(std::vector<runtime::SequenceTokens> batch) {
    for (Side& side : sides_) {
      for (const auto& s : batch) ASSERT_TRUE(side.cache.extend(s.sequence, static_cast<int64_t>(s.tokens.size())));
    }
    tables_ = runtime::make_step_tables(plan(), sides_[0].cache, batch, 2);
    const auto bytes = static_cast<size_t>(value(plan().arena_bytes));
    for (Side& side : sides_) side.arena.assign(bytes, std::byte{0});
    for (const formats::PlanCall& call : plan().calls) {
      run_call(call);
      if (testing::Test::HasFailure()) return;
    }
  }

 private:
  int64_t value(const formats::LinearSize& size) const {
    int64_t sum = size.constant;
    for (const auto& [symbol, coefficient] : size.terms) sum += coefficient * tables_.sizes.at(symbol);
    return sum;
  }

  const std::vector<int32_t>& table(const PlanArgument& a) const {
    switch (static_cast<InputTable>(a.index)) {
      case InputTable::kTokens: return tables_.tokens;
      case InputTable::kPositions: return tables_.positions;
      case InputTable::kLengths: return tables_.lengths;
      case InputTable::kLogitRows: return tables_.logit_rows;
      case InputTable::kCacheSlots: return tables_.groups[a.group].slots;
      case InputTable::kPages: return tables_.groups[a.group].pages;
      case InputTable::kItems: return tables_.groups[a.group].items;
      case InputTable::kMerges: return tables_.groups[a.group].merges;
    }
    return tables_.tokens;
  }

  int64_t layer_bytes(const Side& side, uint32_t layer) const {
    for (int g = 0; g < side.cache.num_groups(); ++g) {
      const auto& group = side.cache.group(g);
      for (const int64_t l : group.layers) {
        if (l == layer) return side.cache.total_pages(g) * group.page_bytes;
      }
    }
    return 0;
  }

  static std::span<std::byte> writable(const void* data, size_t bytes) {
    return {static_cast<std::byte*>(const_cast<void*>(data)), bytes};
  }

  kernel::Argument argument(const PlanArgument& a, Side& side) const {
    switch (a.kind) {
      case PlanArgument::Kind::kArena: {
        const auto offset = static_cast<size_t>(value(a.offset));
        return {std::span(side.arena).subspan(offset), 0};
      }
      case PlanArgument::Kind::kWeight: {
        const Bytes bytes = shards_.bytes(*shards_.find(plan().weights[a.index].name));
        return {writable(bytes.data(), bytes.size()), 0};
      }
      case PlanArgument::Kind::kConstants: {
        const auto offset = static_cast<size_t>(a.offset.constant);
        return {writable(plan().constants.data() + offset, plan().constants.size() - offset), 0};
      }
      case PlanArgument::Kind::kCache:
        return {writable(side.cache.layer_data(a.index), static_cast<size_t>(layer_bytes(side, a.index))), 0};
      case PlanArgument::Kind::kInput: {
        const std::vector<int32_t>& t = table(a);
        return {writable(t.data(), t.size() * 4), 0};
      }
      case PlanArgument::Kind::kSize:
        return {{}, tables_.sizes.at(a.symbol)};
    }
    return {};
  }

  void run_call(const formats::PlanCall& call) {
    const int64_t rows = tables_.sizes.at(call.symbol);
    if (rows == 0) return;
    const auto variant = std::find_if(call.variants.begin(), call.variants.end(), [&](const auto& v) { return rows <= v.max_value; });
    if (variant->kernel == formats::PlanVariant::kNoKernel) return;
    const int64_t units = variant->tasks.symbol == 0 ? 1 : tables_.sizes.at(variant->tasks.symbol);
    const int64_t tasks = variant->tasks.multiplier * ((units + variant->tasks.divisor - 1) / variant->tasks.divisor);
    const kernel::Kernel& kernel = planned_.kernels[variant->kernel];
    std::vector<kernel::Argument> interpreted;
    std::vector<uint64_t> slots;
    for (const PlanArgument& a : variant->arguments) {
      interpreted.push_back(argument(a, sides_[0]));
      const kernel::Argument compiled = argument(a, sides_[1]);
      slots.push_back(a.kind == PlanArgument::Kind::kSize ? static_cast<uint64_t>(compiled.size) : reinterpret_cast<uint64_t>(compiled.bytes.data()));
    }
    kernel::interpret(kernel, interpreted, 0, tasks);
    std::vector<std::byte> scratch(static_cast<size_t>(plan().kernels[variant->kernel].scratch_bytes) + 64);
    const uint64_t scratch_address = (reinterpret_cast<uint64_t>(scratch.data()) + 63) / 64 * 64;
    const MlcKernelArgs args{reinterpret_cast<uint64_t>(slots.data()), scratch_address};
    library_.kernel(variant->kernel)(&args, 0, tasks);
    ASSERT_TRUE(sides_[0].arena == sides_[1].arena) << call.label << ": " << kernel.name;
    for (uint32_t layer = 0; layer < static_cast<uint32_t>(plan().cache_layers); ++layer) {
      ASSERT_EQ(std::memcmp(sides_[0].cache.layer_data(layer), sides_[1].cache.layer_data(layer), static_cast<size_t>(layer_bytes(sides_[0], layer))), 0)
          << call.label << ": " << kernel.name;
    }
  }

  runtime::ModelLibrary library_;
  formats::ParameterShards shards_;
  compiler::PlanAndKernels planned_;
  Side sides_[2];  // interpreted, compiled
  runtime::StepTables tables_;
};

struct Case {
  std::string name;
  TinyModelSpec spec;
};

// Small enough for the interpreter, ragged where the templates have edges.
std::vector<Case> cases() {
  std::vector<Case> list;
  const auto small = [](Json config) {
    config.set("num_hidden_layers", 1);
    return config;
  };
  const auto add = [&](const std::string& quantization, const std::string& opt, Json config, const std::string& suffix) {
    Case c;
    c.spec.model_type = config.find("model_type")->as_string();
    c.spec.quantization = quantization;
    c.spec.opt = opt;
    c.spec.config = std::move(config);
    c.name = quantization + "_" + opt.substr(0, 2) + suffix;
    list.push_back(std::move(c));
  };
  for (const char* q : {"q0f16", "q0bf16", "q0f32", "q3f16_0", "q3f16_1", "q4f16_0", "q4f16_1", "q4f32_1", "q4bf16_1", "q4f16_2"}) add(q, "O2", small(tiny_llama_config()), "");
  for (const char* q : {"q3f16_0", "q3f16_1", "q4f16_0", "q4f16_1"}) add(q, "O0", small(tiny_llama_config()), "_exact");
  add("q4f16_awq", "O2", small(tiny_awq_config()), "");
  add("q4f16_awq", "O0", small(tiny_awq_config()), "_exact");
  add("q4f16_1", "O2", small(tiny_gpt_neox_config()), "_gpt_neox");
  Json window = small(tiny_llama_config());
  window.set("model_type", "mistral");
  window.set("sliding_window", 50);
  add("q4f16_1", "O2", window, "_window");
  Json scaled = small(tiny_llama_config());
  scaled.set("rope_scaling", parse_json(R"({"rope_type": "dynamic", "factor": 2.0})", "test").value());
  scaled.set("max_position_embeddings", 32);
  add("q0f16", "O2", scaled, "_dynamic_rope");
  return list;
}

class Kernels : public testing::TestWithParam<Case> {};

TEST_P(Kernels, CompiledCodeLeavesTheInterpretersBytes) {
  const std::vector<std::string> levels = runnable_levels();
  for (const std::string& level : levels) {
    TinyModelSpec spec = GetParam().spec;
    spec.level = level;
    SCOPED_TRACE(level);
    const TinyModel model(spec);
    PlanComparison comparison(model, spec);
    const std::vector<int32_t> tokens = test_tokens(200, 203);
    const std::span<const int32_t> all(tokens);
    const auto first = comparison.add_sequence();
    const auto second = comparison.add_sequence();
    using runtime::WantedLogits;
    // Interpreting is slow: all variants at the highest level and the baseline, one step of each kind between.
    const bool thorough = level == levels.back() || level == levels.front();
    comparison.step({{first, all.first(1), 60, WantedLogits::kAll}});                                                       // one row
    comparison.step({{first, all.subspan(1, 5), 60, WantedLogits::kLast}, {second, all.subspan(7, 1), 60, WantedLogits::kAll}});  // a few
    comparison.step({{first, all.subspan(6, thorough ? 37 : 12), 60, WantedLogits::kNone}, {second, all.subspan(8, 3), 60, WantedLogits::kAll}});
    if (thorough) {
      comparison.step({{second, all.subspan(11, 19), 60, WantedLogits::kAll}});
      // Past a block of positions, so that a single token's work is cut into partial results.
      for (int64_t i = 0; i < 4 && !HasFailure(); ++i) comparison.step({{first, all.subspan(40, 30), 60, WantedLogits::kNone}});
      comparison.step({{first, all.subspan(70, 1), 60, WantedLogits::kAll}});
    }
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Kernels, testing::ValuesIn(cases()), [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mlc
