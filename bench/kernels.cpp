// SPDX-License-Identifier: Apache-2.0
// The speed of single kernels beside the limits of the machine, on one thread: `bench_kernels
// [--level L] [--rows 1,16] [--keep] [FILTER]`. Times are CPU time of the thread, so that other
// programs disturb little; the best of several runs counts. `bench_kernels --guard` fails where a
// kernel reaches less than about half the share of its limit that it is known to reach.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <functional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "codegen/codegen.h"
#include "compiler/build_plan.h"
#include "formats/model_library.h"
#include "graph/passes/passes.h"
#include "kernel/builder.h"
#include "kernel/templates/vector_ops.h"
#include "link/link.h"
#include "runtime/memory.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc {
namespace {

// Kernels in memory.
class Code {
 public:
  Code(std::vector<kernel::Kernel> kernels, const target::Target& target) {
    std::vector<codegen::KernelToGenerate> items;
    codegen::LibraryVariant variant;
    variant.required_features = target.features;
    for (const kernel::Kernel& k : kernels) {
      items.push_back({&k, "k_" + k.name});
      variant.kernel_symbols.push_back("k_" + k.name);
    }
    codegen::GeneratedCode code = codegen::generate_kernels(items, target, {.threads = 2});
    code.objects.push_back(
        codegen::generate_library_object(MLC_MODEL_LIBRARY_SYMBOL, "{}", {&variant, 1}, target));
    const std::string bytes = link::link_shared(code.objects, MLC_MODEL_LIBRARY_SYMBOL, target);
    const std::string path = cat("/tmp/bench_kernels-", process_id(), "-", serial_++, ".so");
    or_throw(write_file(path, bytes));
    handle_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!keep) std::remove(path.c_str());
    const auto* library =
        static_cast<const MlcModelLibrary*>(dlsym(handle_, MLC_MODEL_LIBRARY_SYMBOL));
    const auto* v = reinterpret_cast<const MlcLibraryVariant*>(library->variants);
    kernels_ = reinterpret_cast<const MlcKernel*>(v->kernels);
  }
  ~Code() { dlclose(handle_); }
  MlcKernel kernel(size_t i) const { return kernels_[i]; }

  // Leaves the libraries where they are, for a profiler.
  static inline bool keep = false;

 private:
  static inline int serial_ = 0;
  void* handle_;
  const MlcKernel* kernels_;
};

double best_of(int runs, const std::function<void()>& f) {
  f();
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const double begin = thread_seconds();
    f();
    best = std::min(best, thread_seconds() - begin);
  }
  return best;
}

// Bytes a second that one thread reads from memory.
double read_bandwidth() {
  std::vector<char> buffer(size_t{256} << 20, 1);
  volatile int64_t sink = 0;
  const double read = best_of(5, [&] {
    using Vector = int64_t __attribute__((vector_size(64)));
    Vector sums[4] = {};
    for (size_t i = 0; i + 256 <= buffer.size(); i += 256) {
      for (size_t k = 0; k < 4; ++k) {
        Vector v;
        std::memcpy(&v, buffer.data() + i + 64 * k, 64);
        sums[k] += v;
      }
    }
    const Vector total = sums[0] + sums[1] + sums[2] + sums[3];
    sink = total[0];
  });
  (void)sink;
  return static_cast<double>(buffer.size()) / read;
}

struct Limits {
  double read_bytes_per_s;
  double int8_ops_per_s;
  double f32_ops_per_s;
};

// Independent chains of the target's best dot product, and of f32 fma.
Limits measure_limits(const target::Target& target) {
  const int kChains =
      target.vector_bytes() >= 64 ? 12 : 5;  // of two registers each where vectors are narrow
  constexpr int64_t kRounds = 200000;
  const auto loop = [&](bool integer) {
    kernel::KernelBuilder b(integer ? "peak_int8" : "peak_f32");
    using namespace kernel;
    const BufferRef x = b.buffer_parameter("x", integer ? DType::kI8 : DType::kF32, Space::kArena);
    const BufferRef w = b.buffer_parameter("w", integer ? DType::kU8 : DType::kF32, Space::kArena);
    const BufferRef out =
        b.buffer_parameter("out", integer ? DType::kI32 : DType::kF32, Space::kArena);
    const DotAccumulator dots(target, 16);
    const Type type = integer ? dots.type() : Type{DType::kF32, 16};
    b.parallel("task", index(1), [&](const Expr&) {
      const BufferRef acc = b.allocate("acc", type, kChains, Space::kRegister);
      b.unrolled("i", kChains,
                 [&](const Expr& i) { b.store(acc, i, zeros(type.dtype, type.lanes)); });
      // Operands that differ by round and by chain: no product may be computed once for several.
      const int width = integer ? 64 : 16;
      b.serial("round", kRounds, [&](const Expr& round) {
        const Expr a = b.let("a", load(w, (round % 8) * width, width));
        b.unrolled("i", kChains, [&](const Expr& i) {
          const Expr old = load(acc, i);
          const Expr c = load(x, i * width, width);
          b.store(acc, i, integer ? dots.step(old, a, c) : fma(a, c, old));
        });
      });
      for (int i = 0; i < kChains; ++i)
        b.store(out, index(i * 16),
                integer ? dots.finish(load(acc, index(i))) : load(acc, index(i)));
    });
    return b.finish();
  };
  const Code code({loop(true), loop(false)}, target);
  alignas(64) static std::byte memory[3][4096];
  const uint64_t slots[3] = {reinterpret_cast<uint64_t>(memory[0]),
                             reinterpret_cast<uint64_t>(memory[1]),
                             reinterpret_cast<uint64_t>(memory[2])};
  const MlcKernelArgs args{reinterpret_cast<uint64_t>(slots), 0};
  const double int8 = best_of(5, [&] { code.kernel(0)(&args, 0, 1); });
  const double f32 = best_of(5, [&] { code.kernel(1)(&args, 0, 1); });
  return {read_bandwidth(), 2.0 * 64 * kChains * kRounds / int8,
          2.0 * 16 * kChains * kRounds / f32};
}

// A matmul [rows, k] x [n, k] from quantized or plain weights.
struct Matmul {
  std::string scheme;  // "q4f16", "q3f16", "f16", ...
  bool int8;
  int64_t n, k;
  std::string name() const { return cat(scheme, "-", int8 ? "int8" : "f32", "-", n, "x", k); }
};

struct Speed {
  int64_t rows;
  double seconds;
  double bytes_per_s;  // of weights
  double ops_per_s;
};

std::vector<Speed> measure_matmul(const Matmul& m, const target::Target& target,
                                  const std::vector<int64_t>& row_counts) {
  const bool plain = m.scheme == "f16" || m.scheme == "bf16";
  const graph::BitLayout layout{m.scheme == "q3" ? 3 : 4,
                                m.scheme == "q3"    ? 40
                                : m.scheme == "awq" ? 128
                                                    : 32,
                                m.scheme == "q4kn"  ? graph::WordOrder::kColumns
                                : m.scheme == "awq" ? graph::WordOrder::kAwq
                                                    : graph::WordOrder::kRows,
                                DType::kF16, m.scheme == "awq"};
  graph::Graph g;
  graph::Node x;
  x.op = graph::Op::kInput;
  x.name = "tokens";
  x.type = x.base_type = {
      .dtype = DType::kI32, .shape = {graph::Symbol::kNumTokens}, .layout = {}, .grouped = {}};
  const auto tokens = g.add(x);
  const auto parameter = [&](const std::string& name, std::vector<int64_t> shape, bool quantized) {
    graph::Node p;
    p.op = graph::Op::kParameter;
    p.name = name;
    p.type.dtype = m.scheme == "bf16" ? DType::kBF16 : DType::kF16;
    for (const int64_t d : shape) p.type.shape.emplace_back(d);
    if (quantized) p.type.layout = layout;
    p.base_type = p.type;
    p.stored = {{name, quantized ? DType::kU32 : p.type.dtype, shape}};
    if (quantized && layout.stored_zeros) p.stored.push_back({name + ".zeros", DType::kU32, {}});
    if (quantized) p.stored.push_back({name + ".scale", DType::kF16, {}});
    return g.add(p);
  };
  const auto table = parameter("table", {16, m.k}, false);
  const auto w = parameter("w", {m.n, m.k}, !plain);
  const auto compute = [&](graph::Op op, std::vector<graph::NodeId> operands) {
    graph::Node node;
    node.op = op;
    std::vector<graph::Type> types;
    for (const auto id : operands) types.push_back(g.node(id).type);
    node.operands = std::move(operands);
    node.type = node.base_type = graph::infer_type(op, types, {});
    return g.add(node);
  };
  g.result = compute(graph::Op::kMatmul, {compute(graph::Op::kEmbedding, {tokens, table}), w});
  if (m.int8) graph::quantize_activations(g);
  graph::fuse_epilogues(g);
  const compiler::PlanAndKernels planned = compiler::build_plan(g, target);
  const Code code(planned.kernels, target);
  const int64_t groups = plain ? 0 : layout.groups(m.k);
  const int64_t weight_bytes = plain ? m.n * m.k * 2
                                     : m.n * groups * (4 * layout.words_per_group() + 2) +
                                           (layout.stored_zeros ? m.n * groups / 2 : 0);
  // Enough copies of the weights that none stays in a cache.
  const int64_t copies = std::max<int64_t>(1, (int64_t{192} << 20) / weight_bytes);
  std::vector<std::byte> weights(static_cast<size_t>(weight_bytes * copies + 4096),
                                 std::byte{0x21});
  using runtime::Memory;
  const Memory scratch = or_throw(Memory::reserve(int64_t{8} << 20, Memory::Pages::kHuge));
  std::vector<Speed> speeds;
  for (const int64_t rows : row_counts) {
    int64_t arena_bytes = planned.plan.arena_bytes.constant;
    for (const auto& [symbol, coefficient] : planned.plan.arena_bytes.terms)
      arena_bytes += coefficient * rows;
    const Memory arena = or_throw(Memory::reserve(arena_bytes, Memory::Pages::kHuge));
    std::vector<std::pair<MlcKernel, std::pair<std::vector<uint64_t>, int64_t>>> launches;
    for (const auto& call : planned.plan.calls) {
      if (call.label != "w") continue;
      const auto v = std::find_if(call.variants.begin(), call.variants.end(),
                                  [&](const auto& variant) { return rows <= variant.max_value; });
      if (v->kernel == formats::PlanVariant::kNoKernel) continue;
      std::vector<uint64_t> slots;
      for (const auto& a : v->arguments) {
        int64_t offset = a.offset.constant;
        for (const auto& term : a.offset.terms) offset += term.second * rows;
        switch (a.kind) {
          case formats::PlanArgument::Kind::kArena:
            slots.push_back(reinterpret_cast<uint64_t>(arena.data() + offset));
            break;
          case formats::PlanArgument::Kind::kSize:
            slots.push_back(static_cast<uint64_t>(rows));
            break;
          default: {
            const bool is_scale = planned.plan.weights[a.index].name == "w.scale";
            const bool is_zero = planned.plan.weights[a.index].name == "w.zeros";
            const int64_t words = m.n * groups * 4 * layout.words_per_group();
            slots.push_back(
                reinterpret_cast<uint64_t>(weights.data() + (is_scale  ? words
                                                             : is_zero ? words + 2 * m.n * groups
                                                                       : 0)));
          }
        }
      }
      const int64_t units = v->tasks.symbol == 0 ? 1 : rows;
      launches.push_back(
          {code.kernel(v->kernel),
           {slots, v->tasks.multiplier * ((units + v->tasks.divisor - 1) / v->tasks.divisor)}});
    }
    int64_t copy = 0;
    const double seconds = best_of(rows >= 128 ? 3 : 20, [&] {
      copy = (copy + 1) % copies;
      for (auto& [kernel, launch] : launches) {
        std::vector<uint64_t> slots = launch.first;
        for (uint64_t& slot : slots) {
          const auto from = reinterpret_cast<uint64_t>(weights.data());
          if (slot >= from && slot < from + static_cast<uint64_t>(weight_bytes))
            slot += static_cast<uint64_t>(copy * weight_bytes);
        }
        const MlcKernelArgs args{reinterpret_cast<uint64_t>(slots.data()),
                                 reinterpret_cast<uint64_t>(scratch.data())};
        kernel(&args, 0, launch.second);
      }
    });
    speeds.push_back({rows, seconds, static_cast<double>(weight_bytes) / seconds,
                      2.0 * static_cast<double>(rows * m.n * m.k) / seconds});
  }
  return speeds;
}

void print_matmul(const Matmul& m, const target::Target& target, const Limits& limits,
                  const std::vector<int64_t>& row_counts) {
  for (const Speed& s : measure_matmul(m, target, row_counts)) {
    std::printf(
        "%-6s %-4s %6lld x %-6lld %4lld rows  %9.1f us  %6.2f GB/s (%3.0f %% of read)  %7.1f GOPS "
        "(%3.0f %% of %s)\n",
        m.scheme.c_str(), m.int8 ? "int8" : "f32", static_cast<long long>(m.n),
        static_cast<long long>(m.k), static_cast<long long>(s.rows), s.seconds * 1e6,
        s.bytes_per_s / 1e9, 100 * s.bytes_per_s / limits.read_bytes_per_s, s.ops_per_s / 1e9,
        100 * s.ops_per_s / (m.int8 ? limits.int8_ops_per_s : limits.f32_ops_per_s),
        m.int8 ? "int8 peak" : "f32 peak");
    std::fflush(stdout);
  }
}

// What a kernel must reach. The shares are about half of those measured (docs/performance.md), so
// that only a change that spoils a kernel falls below; the limit is measured again at each try,
// since other programs take memory bandwidth.
struct Floor {
  Matmul matmul;
  int64_t rows;
  double share;
};

int guard(const target::Target& target) {
  int failed = 0;
  for (const Floor& floor :
       {Floor{{"q4", true, 2048, 8192}, 1, 0.35}, Floor{{"q4", true, 2048, 2048}, 8, 0.20},
        Floor{{"q4", true, 2048, 2048}, 16, 0.20}, Floor{{"q4", true, 2048, 2048}, 512, 0.30},
        Floor{{"q3", true, 2048, 2048}, 512, 0.25}, Floor{{"q4kn", true, 2048, 2048}, 512, 0.30},
        Floor{{"q4kn", true, 2048, 2048}, 1, 0.40}, Floor{{"awq", true, 2048, 2048}, 1, 0.30},
        Floor{{"q4", false, 2048, 2048}, 512, 0.45}, Floor{{"f16", false, 2048, 2048}, 1, 0.40},
        Floor{{"f16", false, 2048, 2048}, 512, 0.45}}) {
    constexpr int kTries = 5;
    double best = 0;
    for (int i = 0; i < kTries && best < floor.share; ++i) {
      const Speed speed = measure_matmul(floor.matmul, target, {floor.rows})[0];
      const Limits limits = measure_limits(target);
      best = std::max(best, floor.rows == 1
                                ? speed.bytes_per_s / limits.read_bytes_per_s
                                : speed.ops_per_s / (floor.matmul.int8 ? limits.int8_ops_per_s
                                                                       : limits.f32_ops_per_s));
    }
    const bool ok = best >= floor.share;
    if (!ok)
      std::printf("reached %.0f %% of the limit in %d tries, expected at least %.0f %%\n",
                  100 * best, kTries, 100 * floor.share);
    std::printf("%s %s with %lld rows\n", ok ? "ok" : "FAILED", floor.matmul.name().c_str(),
                static_cast<long long>(floor.rows));
    std::fflush(stdout);
    failed += !ok;
  }
  return failed > 0;
}

int run(int argc, char** argv) {
  std::string level;
  std::string filter;
  bool is_guard = false;
  std::vector<int64_t> row_counts{1, 2, 4, 8, 16, 32, 64, 128, 512};
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) == "--level" && i + 1 < argc) {
      level = argv[++i];
    } else if (std::string(argv[i]) == "--rows" && i + 1 < argc) {
      row_counts.clear();
      std::istringstream list(argv[++i]);
      for (std::string rows; std::getline(list, rows, ',');) row_counts.push_back(std::stoll(rows));
    } else if (std::string(argv[i]) == "--keep") {
      Code::keep = true;
    } else if (std::string(argv[i]) == "--guard") {
      is_guard = true;
    } else {
      filter = argv[i];
    }
  }
  target::Target target =
      or_throw(level.empty() ? target::host_cpu_target() : target::cpu_level_target(level));
  if (level.empty()) target.tune_cpu = codegen::host_cpu_name();
  if (is_guard) return guard(target);
  const Limits limits = measure_limits(target);
  std::printf("one thread, %s: read %.1f GB/s, int8 peak %.0f GOPS, f32 peak %.0f GFLOPS\n",
              target.level.c_str(), limits.read_bytes_per_s / 1e9, limits.int8_ops_per_s / 1e9,
              limits.f32_ops_per_s / 1e9);
  for (const Matmul& m :
       {Matmul{"q4", true, 2048, 2048}, Matmul{"q4", true, 16384, 2048},
        Matmul{"q4", true, 2048, 8192}, Matmul{"q4", true, 576, 576}, Matmul{"q4", true, 3072, 576},
        Matmul{"q4", false, 2048, 2048}, Matmul{"q3", true, 2048, 2048},
        Matmul{"q4kn", true, 2048, 2048}, Matmul{"awq", true, 2048, 2048},
        Matmul{"f16", false, 2048, 2048}, Matmul{"bf16", false, 2048, 2048}}) {
    if (m.name().find(filter) != std::string::npos) print_matmul(m, target, limits, row_counts);
  }
  return 0;
}

}  // namespace
}  // namespace mlc

int main(int argc, char** argv) {
  try {
    return mlc::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
