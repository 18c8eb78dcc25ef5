// SPDX-License-Identifier: Apache-2.0
// Every kernel of tiny models, call by call: the compiled code and the kernel interpreter start
// from the same memory and must leave the same bytes. At the CPU levels of this machine (all of
// them for one mode of each kind), in all quantization modes, at ragged sizes, for the row counts
// that choose each variant. The interpreter also checks every access against the size of its
// buffer.
#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "compiler/compile.h"
#include "compiler/pipeline.h"
#include "formats/parameter_shards.h"
#include "kernel/interpreter.h"
#include "kernel/text.h"
#include "quantization/quantization.h"
#include "runtime/model_library.h"
#include "runtime/step.h"
#include "support/throw.h"
#include "target/amx_emulator.h"
#include "tests/integration/tiny_model.h"

namespace mlc {
namespace {

using formats::InputTable;
using formats::PlanArgument;

// Runs a plan call by call, with memory of its own; what runs a kernel and what happens after a
// call is the caller's.
class Execution {
 public:
  struct Call {
    const formats::PlanCall* call;
    uint32_t kernel;
    int64_t tasks;
    std::vector<kernel::Argument> arguments;
  };
  using Run = std::function<void(const Call&)>;

  Execution(const formats::Plan& plan, const TinyModel& model)
      : plan_(plan),
        shards_(or_throw(formats::ParameterShards::open(model.directory()))),
        cache_(or_throw(runtime::KvCache::create(plan, 1024))) {}

  runtime::KvCache& cache() { return cache_; }

  void step(const std::vector<runtime::SequenceTokens>& batch, const Run& run) {
    for (const auto& s : batch)
      ASSERT_TRUE(cache_.extend(s.sequence, static_cast<int64_t>(s.tokens.size())));
    tables_ = runtime::make_step_tables(plan_, cache_, batch, 2);
    arena_.assign(static_cast<size_t>(value(plan_.arena_bytes)), std::byte{0});
    for (const formats::PlanCall& call : plan_.calls) {
      const int64_t rows = tables_.sizes[call.symbol];
      if (rows == 0) continue;
      const auto variant = std::find_if(call.variants.begin(), call.variants.end(),
                                        [&](const auto& v) { return rows <= v.max_value; });
      if (variant->kernel == formats::PlanVariant::kNoKernel) continue;
      const int64_t units = variant->tasks.symbol == 0 ? 1 : tables_.sizes[variant->tasks.symbol];
      Call c{&call,
             variant->kernel,
             variant->tasks.multiplier *
                 ((units + variant->tasks.divisor - 1) / variant->tasks.divisor),
             {}};
      for (const PlanArgument& a : variant->arguments) c.arguments.push_back(argument(a));
      run(c);
      if (testing::Test::HasFailure()) return;
    }
  }

  // Of the step that ran last.
  std::vector<std::byte> logits() const {
    const auto begin = arena_.begin() + value(plan_.logits_offset);
    const int64_t rows = tables_.sizes[formats::plan_symbol(formats::Symbol::kNumLogits)];
    return {begin, begin + 4 * rows * plan_.vocab_size};
  }

  // Arena and KV cache, all bytes.
  std::vector<std::byte> memory() const {
    std::vector<std::byte> bytes = arena_;
    for (uint32_t layer = 0; layer < static_cast<uint32_t>(plan_.cache_layers); ++layer) {
      const std::byte* data = cache_.layer_data(layer);
      bytes.insert(bytes.end(), data, data + layer_bytes(layer));
    }
    return bytes;
  }

 private:
  int64_t value(const formats::LinearSize& size) const {
    int64_t sum = size.constant;
    for (const auto& [symbol, coefficient] : size.terms) sum += coefficient * tables_.sizes[symbol];
    return sum;
  }

  const std::vector<int32_t>& table(const PlanArgument& a) const {
    switch (static_cast<InputTable>(a.index)) {
      case InputTable::kTokens:
        return tables_.tokens;
      case InputTable::kPositions:
        return tables_.positions;
      case InputTable::kLengths:
        return tables_.lengths;
      case InputTable::kLogitRows:
        return tables_.logit_rows;
      case InputTable::kCacheSlots:
        return tables_.groups[a.group].slots;
      case InputTable::kPages:
        return tables_.groups[a.group].pages;
      case InputTable::kItems:
        return tables_.groups[a.group].items;
      case InputTable::kMerges:
        return tables_.groups[a.group].merges;
    }
    return tables_.tokens;
  }

  int64_t layer_bytes(uint32_t layer) const {
    for (int g = 0; g < cache_.num_groups(); ++g) {
      const auto& group = cache_.group(g);
      if (std::find(group.layers.begin(), group.layers.end(), layer) != group.layers.end())
        return cache_.total_pages(g) * group.page_bytes;
    }
    return 0;
  }

  static std::span<std::byte> writable(const void* data, size_t bytes) {
    return {static_cast<std::byte*>(const_cast<void*>(data)), bytes};
  }

  kernel::Argument argument(const PlanArgument& a) {
    switch (a.kind) {
      case PlanArgument::Kind::kArena:
        return {std::span(arena_).subspan(static_cast<size_t>(value(a.offset))), 0};
      case PlanArgument::Kind::kWeight: {
        const Bytes bytes = shards_.bytes(*shards_.find(plan_.weights[a.index].name));
        return {writable(bytes.data(), bytes.size()), 0};
      }
      case PlanArgument::Kind::kConstants: {
        const auto offset = static_cast<size_t>(a.offset.constant);
        return {writable(plan_.constants.data() + offset, plan_.constants.size() - offset), 0};
      }
      case PlanArgument::Kind::kCache:
        return {writable(cache_.layer_data(a.index), static_cast<size_t>(layer_bytes(a.index))), 0};
      case PlanArgument::Kind::kInput:
        return {writable(table(a).data(), table(a).size() * 4), 0};
      case PlanArgument::Kind::kSize:
        return {{}, tables_.sizes[a.symbol]};
    }
    return {};
  }

  const formats::Plan& plan_;
  formats::ParameterShards shards_;
  runtime::KvCache cache_;
  std::vector<std::byte> arena_;
  runtime::StepTables tables_;
};

// The steps of the comparison: they choose every variant of every call, and go past a block of
// positions, so that a single token's work is cut into partial results.
void run_steps(
    Execution& execution, const Execution::Run& run,
    const std::function<void()>& after_step = [] {}) {
  static const std::vector<int32_t> tokens = test_tokens(200, 203);
  const std::span<const int32_t> all(tokens);
  const auto first = execution.cache().add_sequence();
  const auto second = execution.cache().add_sequence();
  using runtime::WantedLogits;
  const auto step = [&](const std::vector<runtime::SequenceTokens>& batch) {
    execution.step(batch, run);
    after_step();
  };
  step({{first, all.first(1), 60, WantedLogits::kAll}});
  step({{first, all.subspan(1, 5), 60, WantedLogits::kLast},
        {second, all.subspan(7, 1), 60, WantedLogits::kAll}});
  step({{first, all.subspan(6, 37), 60, WantedLogits::kNone},
        {second, all.subspan(8, 11), 60, WantedLogits::kAll}});
  // Positions that are not computed: their keys and values are zeros, which will do.
  ASSERT_TRUE(execution.cache().extend(first, 90));
  step({{first, all.subspan(40, 5), 60, WantedLogits::kNone}});
  step({{first, all.subspan(70, 1), 60, WantedLogits::kAll}});
  step({{first, all.subspan(71, 1), 60, WantedLogits::kNone},
        {second, all.subspan(20, 1), 60, WantedLogits::kAll}});
}

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
  const auto add = [&](const std::string& quantization, const std::string& opt, Json config,
                       const std::string& suffix) {
    Case c;
    c.spec.model_type = config.find("model_type")->as_string();
    c.spec.quantization = quantization;
    c.spec.opt = opt;
    c.spec.config = std::move(config);
    c.name = quantization + "_" + opt.substr(0, 2) + suffix;
    list.push_back(std::move(c));
  };
  for (const char* q : {"q0f16", "q0bf16", "q0f32", "q3f16_0", "q3f16_1", "q4f16_0", "q4f16_1",
                        "q4f32_1", "q4bf16_1", "q4f16_2"})
    add(q, "O2", small(tiny_llama_config()), "");
  for (const char* q : {"q3f16_0", "q3f16_1", "q4f16_0", "q4f16_1"})
    add(q, "O0", small(tiny_llama_config()), "_exact");
  add("q4f16_awq", "O2", small(tiny_awq_config()), "");
  add("q4f16_awq", "O0", small(tiny_awq_config()), "_exact");
  add("q4f16_1", "O2", small(tiny_gpt_neox_config()), "_gpt_neox");
  add("q4f16_1", "O2", small(tiny_llama_config()), "_int8_cache");
  list.back().spec.kv_cache_dtype = "int8";
  Json window = small(tiny_llama_config());
  window.set("model_type", "mistral");
  window.set("sliding_window", 50);
  add("q4f16_1", "O2", window, "_window");
  Json scaled = small(tiny_llama_config());
  scaled.set("rope_scaling",
             parse_json(R"({"rope_type": "dynamic", "factor": 2.0})", "test").value());
  scaled.set("max_position_embeddings", 32);
  add("q0f16", "O2", scaled, "_dynamic_rope");
  return list;
}

// All levels for the modes whose templates differ; for the others, which share them, the baseline,
// AVX2 and the best one.
std::vector<std::string> levels_of(const Case& c) {
  std::vector<std::string> levels = runnable_levels();
  const std::set<std::string> all = {"q4f16_1_O2", "q3f16_1_O2", "q4f16_0_O2", "q4f16_awq_O2",
                                     "q0f16_O2"};
  if (all.contains(c.name)) return levels;
  const std::string best = *std::find_if_not(levels.rbegin(), levels.rend(), is_emulated);
  std::erase_if(levels, [&](const std::string& level) {
    return level != "x86-64" && level != "x86-64-v3" && level != best;
  });
  return levels;
}

compiler::PlanAndKernels plan_of(const TinyModel& model, const TinyModelSpec& spec,
                                 const std::string& level, bool* int8_activations = nullptr) {
  const quantization::Quantization& q =
      *or_throw(quantization::find_quantization(spec.quantization, "test"));
  compiler::PipelineOptions pipeline;
  const compiler::OptFlags opt = compiler::parse_opt(spec.opt, q);
  pipeline.int8_activations = opt.int8_activations;
  if (int8_activations != nullptr) *int8_activations = pipeline.int8_activations;
  target::Target target = or_throw(target::cpu_level_target(level));
  target.fixed_order = opt.fixed_order;
  return compiler::run_pipeline(model.graph(), q, target, pipeline, nullptr);
}

void run_compiled(const compiler::PlanAndKernels& planned, const runtime::ModelLibrary& library,
                  const Execution::Call& call) {
  std::vector<uint64_t> slots;
  for (const kernel::Argument& a : call.arguments) {
    slots.push_back(a.bytes.data() == nullptr ? static_cast<uint64_t>(a.size)
                                              : reinterpret_cast<uint64_t>(a.bytes.data()));
  }
  std::vector<std::byte> scratch(
      static_cast<size_t>(planned.plan.kernels[call.kernel].scratch_bytes) + 64);
  const uint64_t scratch_address = (reinterpret_cast<uint64_t>(scratch.data()) + 63) / 64 * 64;
  const MlcKernelArgs args{reinterpret_cast<uint64_t>(slots.data()), scratch_address};
  library.kernel(call.kernel)(&args, 0, call.tasks);
}

class Kernels : public testing::TestWithParam<Case> {};

TEST_P(Kernels, CompiledCodeLeavesTheInterpretersBytes) {
  // Levels often have the same kernels and differ in the instructions only: what was interpreted
  // once serves all.
  std::map<std::string, std::vector<std::vector<std::byte>>> interpreted;
  for (const std::string& level : levels_of(GetParam())) {
    SCOPED_TRACE(level);
    TinyModelSpec spec = GetParam().spec;
    spec.level = level;
    const TinyModel model(spec);
    bool int8_activations = false;
    const compiler::PlanAndKernels planned = plan_of(model, spec, level, &int8_activations);
    std::string key;
    for (kernel::Kernel k : planned.kernels) {
      k.name.clear();
      key += kernel::to_text(k);
    }
    std::vector<std::vector<std::byte>>& want = interpreted[key];
    if (want.empty()) {
      Execution execution(planned.plan, model);
      run_steps(execution, [&](const Execution::Call& call) {
        kernel::interpret(planned.kernels[call.kernel], call.arguments, 0, call.tasks);
        want.push_back(execution.memory());
      });
    }
    const auto library = model.open_library();
    const int64_t emulated = target::AmxEmulator::emulated();
    Execution execution(planned.plan, model);
    size_t done = 0;
    run_steps(execution, [&](const Execution::Call& call) {
      run_compiled(planned, library, call);
      ASSERT_LT(done, want.size());
      ASSERT_TRUE(execution.memory() == want[done])
          << call.call->label << ": " << planned.kernels[call.kernel].name;
      ++done;
    });
    EXPECT_EQ(done, want.size());
    EXPECT_EQ(target::AmxEmulator::emulated() > emulated, is_emulated(level) && int8_activations);
    if (HasFailure()) return;
  }
}

// The kernels of a level that no test here executes in every mode, interpreted.
TEST(InterpretedKernels, OfBlocksGiveTheLogitsOfOthers) {
  for (const Case& c : cases()) {
    if (c.name != "q4f16_1_O2" && c.name != "q3f16_1_O2" && c.name != "q4f16_0_O2" &&
        c.name != "q4f16_awq_O2")
      continue;
    SCOPED_TRACE(c.name);
    const TinyModel model(c.spec);
    std::map<std::string, std::vector<std::vector<std::byte>>> logits;
    for (const char* level : {"x86-64", "armv8-i8mm"}) {
      const compiler::PlanAndKernels planned = plan_of(model, c.spec, level);
      Execution execution(planned.plan, model);
      run_steps(
          execution,
          [&](const Execution::Call& call) {
            kernel::interpret(planned.kernels[call.kernel], call.arguments, 0, call.tasks);
          },
          [&] { logits[level].push_back(execution.logits()); });
    }
    EXPECT_GT(logits["x86-64"][1].size(), 0u);
    EXPECT_TRUE(logits["x86-64"] == logits["armv8-i8mm"]);
  }
}

// Without a fixed order tiles of bf16 are summed where there are many rows.
TEST(KernelsWithoutFixedOrder, SumsOfTilesLeaveTheInterpretersBytes) {
  const std::string level = "x86-64-v4-amx";
  const std::vector<std::string> levels = runnable_levels();
  if (std::find(levels.begin(), levels.end(), level) == levels.end())
    GTEST_SKIP() << "no AMX here, nor can it be emulated";
  const std::vector<int32_t> tokens = test_tokens(131, kTinyVocab);
  for (const Case& c : cases()) {
    if (c.name != "q4f16_1_O2" && c.name != "q3f16_1_O2" && c.name != "q4f16_0_O2" &&
        c.name != "q4f16_awq_O2")
      continue;
    SCOPED_TRACE(c.name);
    TinyModelSpec spec = c.spec;
    spec.level = level;
    spec.opt = "O2;fixed_order=0";
    const TinyModel model(spec);
    const compiler::PlanAndKernels planned = plan_of(model, spec, level);
    const auto run = [&](const std::function<void(const Execution&, const Execution::Call&)>& f) {
      Execution execution(planned.plan, model);
      const auto sequence = execution.cache().add_sequence();
      execution.step({{sequence, tokens, 131, runtime::WantedLogits::kLast}},
                     [&](const Execution::Call& call) { f(execution, call); });
    };
    std::vector<std::vector<std::byte>> want;
    run([&](const Execution& execution, const Execution::Call& call) {
      kernel::interpret(planned.kernels[call.kernel], call.arguments, 0, call.tasks);
      want.push_back(execution.memory());
    });
    const auto library = model.open_library();
    size_t done = 0;
    size_t sums = 0;
    run([&](const Execution& execution, const Execution::Call& call) {
      run_compiled(planned, library, call);
      const std::string& name = planned.kernels[call.kernel].name;
      sums += name.find("gemm_bf16") != std::string::npos ? 1 : 0;
      ASSERT_LT(done, want.size());
      ASSERT_TRUE(execution.memory() == want[done]) << call.call->label << ": " << name;
      ++done;
    });
    EXPECT_EQ(done, want.size());
    EXPECT_EQ(sums, 4u);  // qkv, out, gate and up, down; logits have one row
    if (HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Kernels, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace mlc
