// SPDX-License-Identifier: Apache-2.0
// Kernels of the GPU class, printed as OpenCL C and run by an OpenCL device, against the kernel
// interpreter: both start from the same memory and must leave the same bytes (maths is arithmetic
// after lower-math, and every operation rounds as IEEE 754 has it). The interpreter also finds
// accesses outside of buffers and missing barriers.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "codegen/text/dialect.h"
#include "formats/symbols.h"
#include "graph/graph.h"
#include "kernel/interpreter.h"
#include "kernel/lowering/lowered.h"
#include "kernel/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "support/half.h"
#include "support/strings.h"
#include "tests/gpu/opencl_device.h"

namespace mlc {
namespace {

using kernel::Binding;
using kernel::Space;

OpenClDevice* device(std::string* why_not) {
  static std::string reason;
  static const std::unique_ptr<OpenClDevice> opened = OpenClDevice::open(&reason);
  *why_not = reason;
  return opened.get();
}

// Numbers that look random and are the same everywhere.
class Noise {
 public:
  uint64_t bits() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  float uniform(float largest) {
    return static_cast<float>(static_cast<double>(bits() >> 11) * 0x1p-53 * 2 - 1) * largest;
  }

 private:
  uint64_t state_ = 7;
};

void fill(std::span<std::byte> bytes, DType dtype, float largest, Noise& noise) {
  const auto size = static_cast<size_t>(dtype_bytes(dtype));
  for (size_t at = 0; at + size <= bytes.size(); at += size) {
    const float value = noise.uniform(largest);
    const auto put = [&](auto v) { std::memcpy(&bytes[at], &v, size); };
    switch (dtype) {
      case DType::kF32:
        put(value);
        break;
      case DType::kF16:
        put(f32_to_f16(value));
        break;
      case DType::kBF16:
        put(f32_to_bf16(value));
        break;
      default:
        put(noise.bits());
        break;
    }
  }
}

// One kernel with memory for each of its buffers. Views of the arena lie in it at odd places, with
// room between them.
class Launch {
 public:
  explicit Launch(kernel::Kernel k) : kernel_(std::move(k)) {}

  // Adds the next parameter of the kernel.
  void add_size(int64_t value) { slots_.push_back({{}, 0, value}); }
  void add_buffer(std::vector<std::byte> bytes) {
    const kernel::BufferRef& buffer = kernel_.parameters[slots_.size()].buffer;
    if (buffer->space != Space::kArena) {
      slots_.push_back({std::move(bytes), 0, 0});
      return;
    }
    arena_.resize((arena_.size() + 20) / 4 * 4, std::byte{0xcd});
    slots_.push_back({{}, arena_.size(), static_cast<int64_t>(bytes.size())});
    arena_.insert(arena_.end(), bytes.begin(), bytes.end());
  }
  const kernel::Kernel& kernel() const { return kernel_; }

  int64_t blocks() { return kernel::task_count(kernel_, arguments()); }
  void interpret() { kernel::interpret(kernel_, arguments(), 0, blocks()); }
  void run(OpenClDevice& device) {
    const codegen::TextKernel item{&kernel_, "tested"};
    source_ = codegen::print_kernels({&item, 1}, codegen::opencl_dialect());
    std::vector<OpenClArgument> arguments;
    for (const codegen::TextParameter& p : codegen::text_parameters(kernel_)) {
      using Kind = codegen::TextParameter::Kind;
      if (p.parameter < 0) {
        arguments.push_back({arena_, 0});
        continue;
      }
      Slot& slot = slots_[static_cast<size_t>(p.parameter)];
      if (p.kind == Kind::kBinding) arguments.push_back({slot.bytes, 0});
      if (p.kind == Kind::kOffset) arguments.push_back({{}, static_cast<int64_t>(slot.offset)});
      if (p.kind == Kind::kSize) arguments.push_back({{}, slot.size});
    }
    device.run(source_, "tested", arguments, blocks(), kernel::block_threads(kernel_));
  }
  const std::string& source() const { return source_; }

  std::span<std::byte> bytes(size_t i) {
    Slot& slot = slots_[i];
    if (kernel_.parameters[i].buffer->space != Space::kArena) return slot.bytes;
    return std::span(arena_).subspan(slot.offset, static_cast<size_t>(slot.size));
  }

  // Everything that both could have written, element by element first for the sake of the message.
  static void expect_equal(Launch& want, Launch& got) {
    for (size_t i = 0; i < want.slots_.size(); ++i) {
      const kernel::BufferRef& buffer = want.kernel_.parameters[i].buffer;
      if (!buffer) continue;
      const std::span<std::byte> a = want.bytes(i);
      const std::span<std::byte> b = got.bytes(i);
      const auto size = static_cast<size_t>(dtype_bytes(buffer->element.dtype));
      for (size_t at = 0; at < a.size(); at += size) {
        if (std::equal(&a[at], &a[at] + size, &b[at])) continue;
        uint64_t x = 0;
        uint64_t y = 0;
        std::memcpy(&x, &a[at], size);
        std::memcpy(&y, &b[at], size);
        FAIL() << "%" << buffer->name << "[" << at / size << "]: the interpreter has " << hex(x, 8)
               << ", the device " << hex(y, 8) << "\n"
               << got.source_;
      }
    }
    EXPECT_TRUE(want.arena_ == got.arena_) << "written between buffers\n" << got.source_;
  }

 private:
  struct Slot {
    std::vector<std::byte> bytes;
    size_t offset;
    int64_t size;  // of an arena view, or the value of a size
  };

  std::vector<kernel::Argument> arguments() {
    std::vector<kernel::Argument> list;
    for (size_t i = 0; i < slots_.size(); ++i) {
      list.push_back(kernel_.parameters[i].buffer ? kernel::Argument{bytes(i), 0}
                                                  : kernel::Argument{{}, slots_[i].size});
    }
    return list;
  }

  kernel::Kernel kernel_;
  std::vector<std::byte> arena_;
  std::vector<Slot> slots_;
  std::string source_;
};

enum class Maths : uint8_t { kLowered, kBuiltIn };

struct NodeOptions {
  int64_t rows = 3;
  float largest = 4;            // of the inputs
  DType operand = DType::kF32;  // how the arena holds the node's operand, and its result
  DType result = DType::kF32;
  Maths maths = Maths::kLowered;
};

constexpr int64_t kPages = 5;

// The kernel that the result of the graph becomes on a GPU, with inputs.
Launch launch_of(graph::Graph graph, const NodeOptions& options) {
  for (graph::Node& node : graph.nodes) {
    const bool computed = node.op != graph::Op::kInput && node.op != graph::Op::kParameter;
    if (!computed || node.type.grouped) continue;
    const bool is_result = &node == &graph.node(graph.result);
    node.type.dtype = is_result ? options.result : options.operand;
    if (!is_result) node.base_type.dtype = options.operand;
  }
  kernel::LoweredNode lowered =
      kernel::lower(graph, graph.result, target::gpu_target(target::DeviceKind::kOpenCl));
  kernel::LoweredKernel& k = lowered.calls.at(0).variants.at(0).kernel.at(0);
  kernel::verify(k.kernel);
  if (options.maths == Maths::kLowered) {
    k.kernel = kernel::lower_math(k.kernel);
    kernel::verify(k.kernel);
  }
  const graph::Node& node = graph.node(graph.result);
  Noise noise;
  Launch launch(k.kernel);
  for (size_t i = 0; i < k.bindings.size(); ++i) {
    const Binding& binding = k.bindings[i];
    if (binding.kind == Binding::Kind::kSize) {
      launch.add_size(options.rows);
      continue;
    }
    const kernel::BufferRef& buffer = k.kernel.parameters[i].buffer;
    const DType dtype = buffer->element.dtype;
    int64_t bytes = 0;
    const auto value_bytes = [&](const graph::Type& type) {
      const formats::LinearSize size =
          kernel::value_buffers(type)[static_cast<size_t>(binding.component)];
      return size.constant + size.terms.at(0).second * options.rows;
    };
    switch (binding.kind) {
      case Binding::Kind::kOperand:
        bytes = value_bytes(graph.node(node.operands[static_cast<size_t>(binding.index)]).type);
        break;
      case Binding::Kind::kResult:
        bytes = value_bytes(node.type);
        break;
      case Binding::Kind::kStored:
        bytes = graph.node(node.operands[static_cast<size_t>(binding.index)]).type.last() *
                dtype_bytes(dtype);
        break;
      case Binding::Kind::kCache:
        bytes = kPages * 2 * graph.cache[0].kv_heads * graph.cache[0].head_dim * 64 *
                dtype_bytes(dtype);
        break;
      default:
        bytes = options.rows * 4;
        break;
    }
    std::vector<std::byte> content(static_cast<size_t>(bytes), std::byte{0x5a});
    if (binding.kind == Binding::Kind::kTable) {
      for (int32_t r = 0; r < options.rows; ++r) {
        const int32_t slot = (r * 83 + 61) % (kPages * 64);
        std::memcpy(&content[static_cast<size_t>(4 * r)], &slot, 4);
      }
    } else if (binding.kind != Binding::Kind::kResult) {
      fill(content, dtype, options.largest, noise);
    }
    launch.add_buffer(std::move(content));
  }
  return launch;
}

void compare(OpenClDevice& opencl, const std::string& text, const NodeOptions& options) {
  const graph::Graph graph = graph::parse_graph(text, "test");
  Launch want = launch_of(graph, options);
  want.interpret();
  Launch got = launch_of(graph, options);
  got.run(opencl);
  Launch::expect_equal(want, got);
}

class OpenCl : public testing::Test {
 protected:
  void SetUp() override {
    std::string why_not;
    opencl_ = device(&why_not);
    if (opencl_ == nullptr) GTEST_SKIP() << why_not;
  }
  OpenClDevice& opencl() { return *opencl_; }

 private:
  OpenClDevice* opencl_ = nullptr;
};

// A graph whose result is `op` of %0, [num_tokens, n] in the arena. %w, %b: vectors of n; %y: of
// %0's shape; %h: a vector of n / 2; %t: a rope table of `rotary` columns.
std::string graph_text(int64_t n, int64_t result, const std::string& op,
                       const std::string& vectors = "f16", int64_t rotary = 8) {
  return cat("cache @0 {kind = full, kv_heads = 2, head_dim = 24, dtype = ",
             vectors == "f32" ? "f32" : vectors, ", layers = [0]}\n",
             "func @main(\n  %x: f32[num_tokens, ", n, "],\n  %y: f32[num_tokens, ", n,
             "],\n  %t: f32[num_tokens, ", rotary, "],\n", "  %w: ", vectors, "[", n,
             "] plain \"w\" ", vectors, "[", n, "],\n  %b: ", vectors, "[", n, "] plain \"b\" ",
             vectors, "[", n, "],\n  %h: ", vectors, "[", std::max<int64_t>(1, n / 2),
             "] plain \"h\" ", vectors, "[", std::max<int64_t>(1, n / 2), "]\n) -> ",
             op.find("quantize") == std::string::npos ? "f32" : "i8", "[num_tokens, ", result, "]",
             op.find("quantize") == std::string::npos ? "" : " {group = 32, bits = 4}",
             " {\n  %0 = scale %x {value = 1.0}\n  %1 = ", op, "\n  return %1\n}\n");
}

// One element, less and more than a block has threads, ragged blocks of columns, and several of
// them.
const std::vector<int64_t> kSizes = {1, 127, 129, 512, 1100};

TEST_F(OpenCl, NormsOfAllSizesLeaveTheInterpretersBytes) {
  for (const int64_t n : kSizes) {
    for (const std::string op : {"rms_norm %0, %w {eps = 1e-05}", "layer_norm %0 {eps = 1e-05}",
                                 "layer_norm %0, %w, %b {eps = 1e-05}"}) {
      SCOPED_TRACE(cat(op, " of ", n));
      compare(opencl(), graph_text(n, n, op), {.rows = n > 500 ? 2 : 5});
      if (HasFailure()) return;
    }
  }
}

TEST_F(OpenCl, ElementwiseOperatorsOfAllSizesLeaveTheInterpretersBytes) {
  for (const int64_t n : kSizes) {
    std::vector<std::string> ops = {"add %0, %y",
                                    "mul %0, %y {epilogue = [add %b, silu, scale {value = -1.5}]}"};
    if (n == 129)
      ops.insert(ops.end(),
                 {"gelu %0", "gelu_tanh %0", "relu %0", "scale %0 {value = 0.3}", "mul %0, %w"});
    for (const std::string& op : ops) {
      SCOPED_TRACE(cat(op, " of ", n));
      compare(opencl(), graph_text(n, n, op), {.rows = n > 500 ? 2 : 3});
      if (HasFailure()) return;
    }
  }
}

TEST_F(OpenCl, GatesLeaveTheInterpretersBytes) {
  for (const int64_t half : {1, 31, 600}) {
    for (const std::string op :
         {"gate %0 {activation = silu}",
          "add %0, %b {epilogue = [gate {activation = gelu_tanh}, mul %h]}"}) {
      SCOPED_TRACE(cat(op, " of ", half));
      compare(opencl(), graph_text(2 * half, half, op), {.rows = 2});
      if (HasFailure()) return;
    }
  }
}

TEST_F(OpenCl, QuantizedRowsLeaveTheInterpretersBytes) {
  for (const int64_t n : {5, 100, 256, 1100}) {
    for (const std::string op :
         {"relu %0 {epilogue = [quantize {group = 32, bits = 4}]}",
          "rms_norm %0, %w {eps = 1e-05, epilogue = [quantize {group = 32, bits = 4}]}"}) {
      SCOPED_TRACE(cat(op, " of ", n));
      compare(opencl(), graph_text(n, n, op), {.rows = 2});
      if (HasFailure()) return;
    }
  }
  for (const auto& [group, bits] : {std::pair{40, 3}, std::pair{32, 8}}) {
    const std::string attributes = cat("{group = ", group, ", bits = ", bits, "}");
    std::string text = graph_text(90, 90, cat("quantize %0 ", attributes));
    text = replace_all(text, "{group = 32, bits = 4} {", cat(attributes, " {"));
    compare(opencl(), text, {.rows = 3});
  }
}

// Two query heads, two of keys, two of values, 24 wide.
TEST_F(OpenCl, RopeAndCacheLeaveTheInterpretersBytes) {
  for (const std::string style : {"half", "pair"}) {
    for (const auto& [rotary, dtype] :
         std::vector<std::pair<int, std::string>>{{24, "f16"}, {8, "bf16"}, {8, "f32"}}) {
      const std::string rope = cat("rope %0, %t {heads = 4, head_dim = 24, rotary_dim = ", rotary,
                                   ", style = \"", style, "\"");
      const std::string append = "kv_append {layer = 0, heads = 2, kv_heads = 2, head_dim = 24}";
      SCOPED_TRACE(cat(rope, " ", dtype));
      compare(opencl(),
              graph_text(144, 48, cat(rope, ", epilogue = [", append, "]}"), dtype, rotary),
              {.rows = 4});
      if (HasFailure()) return;
    }
    const std::string rope =
        cat("rope %0, %t {heads = 4, head_dim = 24, rotary_dim = 8, style = \"", style, "\"}");
    compare(opencl(), graph_text(144, 144, rope), {.rows = 4});
  }
  compare(opencl(),
          graph_text(144, 48, "kv_append %0 {layer = 0, heads = 2, kv_heads = 2, head_dim = 24}"),
          {.rows = 4});
}

TEST_F(OpenCl, SixteenBitActivationsLeaveTheInterpretersBytes) {
  for (const DType operand : {DType::kF16, DType::kBF16, DType::kF32}) {
    for (const DType result : {DType::kF16, DType::kBF16, DType::kF32}) {
      const std::string vectors(dtype_short_name(operand == result ? DType::kF32 : result));
      for (const std::string op : {"add %0, %b", "rms_norm %0, %w {eps = 1e-05}"}) {
        SCOPED_TRACE(cat(op, " ", dtype_short_name(operand), " to ", dtype_short_name(result),
                         " with ", vectors));
        compare(opencl(), graph_text(133, 133, op, vectors),
                {.rows = 2, .operand = operand, .result = result});
        if (HasFailure()) return;
      }
    }
  }
}

// Values that are infinite, subnormal or zero in 16 bits.
TEST_F(OpenCl, StoresRoundAsTheInterpreterDoes) {
  for (const float largest : {1e30f, 1e-5f, 1e-39f}) {
    for (const DType result : {DType::kF16, DType::kBF16, DType::kF32}) {
      SCOPED_TRACE(cat(largest, " as ", dtype_short_name(result)));
      compare(opencl(), graph_text(700, 700, "scale %0 {value = 0.75}"),
              {.rows = 1, .largest = largest, .result = result});
    }
  }
}

// The functions of OpenCL C in place of ours: 16 ulp of the result at the most (erf), amplified
// where 1 + erf cancels.
TEST_F(OpenCl, BuiltInMathsIsNearOurs) {
  for (const std::string op : {"silu %0", "gelu %0", "gelu_tanh %0"}) {
    const graph::Graph graph = graph::parse_graph(graph_text(200, 200, op), "test");
    Launch want = launch_of(graph, {});
    want.interpret();
    Launch got = launch_of(graph, {.maths = Maths::kBuiltIn});
    got.run(opencl());
    for (size_t i = 0; i < got.kernel().parameters.size(); ++i) {
      if (!got.kernel().parameters[i].buffer || got.kernel().parameters[i].buffer->name != "out")
        continue;
      std::vector<float> a(want.bytes(i).size() / 4);
      std::vector<float> b(a.size());
      std::memcpy(a.data(), want.bytes(i).data(), 4 * a.size());
      std::memcpy(b.data(), got.bytes(i).data(), 4 * b.size());
      for (size_t k = 0; k < a.size(); ++k)
        ASSERT_NEAR(a[k], b[k], 16 * 0x1p-23f * 4) << op << " element " << k;
      EXPECT_NE(got.source().find(op == "silu %0"   ? "exp("
                                  : op == "gelu %0" ? "erf("
                                                    : "tanh("),
                std::string::npos);
    }
  }
}

void compare_kernel(OpenClDevice& opencl, const std::string& text,
                    const std::vector<std::vector<std::byte>>& buffers) {
  const kernel::Kernel k = kernel::lower_math(kernel::parse_kernel(text, "test"));
  kernel::verify(k);
  Launch want(k);
  Launch got(k);
  for (const auto& bytes : buffers) {
    want.add_buffer(bytes);
    got.add_buffer(bytes);
  }
  want.interpret();
  got.run(opencl);
  Launch::expect_equal(want, got);
}

std::vector<std::byte> noise_bytes(DType dtype, int64_t count, float largest) {
  std::vector<std::byte> bytes(static_cast<size_t>(count * dtype_bytes(dtype)));
  Noise noise;
  fill(bytes, dtype, largest, noise);
  return bytes;
}

TEST_F(OpenCl, IntegerExpressionsOfEveryWidthLeaveTheInterpretersBytes) {
  for (const std::string t : {"i8", "u8", "i16", "u16", "i32", "u32", "i64"}) {
    const std::string text =
        cat("kernel @k(%x: ", t, " arena, %y: ", t, " arena, %out: ", t, R"( arena) {
  gpu_block %block in 3 {
    gpu_thread %thread in 32 {
      let %i = (%block * 32) + %thread
      let %a = load(%x, %i) >> 2:)",
            t, R"(
      let %b = load(%y, %i) | 1:)",
            t, R"(
      store %out[%i * 12] = (%a & 5:)",
            t, R"() + (%b & 3:)", t, R"()
      store %out[(%i * 12) + 1] = (%a & 7:)",
            t, R"() * 3:)", t, R"(
      store %out[(%i * 12) + 2] = %a / %b
      store %out[(%i * 12) + 3] = %a % %b
      store %out[(%i * 12) + 4] = min(%a, %b)
      store %out[(%i * 12) + 5] = max(%a, 17:)",
            t, R"()
      store %out[(%i * 12) + 6] = %a ^ %b
      store %out[(%i * 12) + 7] = (%a & 3:)",
            t, R"() << 2:)", t, R"(
      store %out[(%i * 12) + 8] = select((%a < %b) & (%a != 4:)",
            t, R"(), %a, %b)
      store %out[(%i * 12) + 9] = cast<)",
            t, R"(>(%i)
      store %out[(%i * 12) + 10] = cast<)",
            t, R"(>(cast<i32>(%b) & -2147483648:i32)
      store %out[(%i * 12) + 11] = cast<)",
            t, R"(>(cast<u8>(%a) + 250:u8)
    }
  }
}
)");
    SCOPED_TRACE(t);
    const DType dtype = *parse_short_dtype(t);
    const std::vector<std::byte> x = noise_bytes(dtype, 96, 1);
    const std::vector<std::byte> y(x.rbegin(), x.rend());
    compare_kernel(opencl(), text, {x, y, noise_bytes(dtype, 96 * 12, 1)});
    if (HasFailure()) return;
  }
}

TEST_F(OpenCl, FloatExpressionsLeaveTheInterpretersBytes) {
  const std::string text = R"(kernel @k(%x: f32 arena, %out: f32 arena) {
  gpu_block %block in 4 {
    gpu_thread %thread in 64 {
      let %i = (%block * 64) + %thread
      let %a = load(%x, %i)
      let %b = load(%x, 255 - %i)
      allocate %acc: f32[2] register
      store %acc[0] = %a
      unrolled %u in 2 {
        store %acc[%u] = (load(%acc, 0) * 0.1:f32) - -2.5:f32
      }
      store %out[%i * 16] = (%a * %b) + load(%acc, 1)
      store %out[(%i * 16) + 1] = fma(%a, %b, %a)
      store %out[(%i * 16) + 2] = %a / %b
      store %out[(%i * 16) + 3] = min(%a, inf:f32)
      store %out[(%i * 16) + 4] = max(%a, -inf:f32)
      store %out[(%i * 16) + 5] = sqrt(abs(%a))
      store %out[(%i * 16) + 6] = round(%a)
      store %out[(%i * 16) + 7] = cast<f32>(cast<i32>(%a))
      store %out[(%i * 16) + 8] = bitcast<f32>(bitcast<i32>(%a) & -2147483648:i32)
      store %out[(%i * 16) + 9] = exp(%a)
      store %out[(%i * 16) + 10] = exp2(%b)
      store %out[(%i * 16) + 11] = log2(abs(%a))
      store %out[(%i * 16) + 12] = sin(%a)
      store %out[(%i * 16) + 13] = cos(%b)
      store %out[(%i * 16) + 14] = select(%a <= %b, 1e-05:f32, 3.4028235e+38:f32)
      store %out[(%i * 16) + 15] = cast<f32>(abs(cast<i32>(%b)))
    }
  }
}
)";
  compare_kernel(opencl(), text,
                 {noise_bytes(DType::kF32, 256, 20), noise_bytes(DType::kF32, 256 * 16, 1)});
}

// A barrier in a loop and under a condition that all threads share; private buffers that live
// across it.
TEST_F(OpenCl, BarriersInLoopsLeaveTheInterpretersBytes) {
  const std::string text = R"(kernel @k(%x: i32 arena, %out: i32 arena) {
  gpu_block %block in 3 {
    allocate %shared: i32[40] shared
    gpu_thread %thread in 40 {
      allocate %mine: i32[1] local
      store %mine[0] = load(%x, (%block * 40) + %thread)
      for %step in 5 {
        store %shared[%thread] = load(%mine, 0)
        if %block != 1 {
          barrier
          store %mine[0] = load(%mine, 0) ^ load(%shared, (%thread + 7) % 40)
          barrier
        } else {
          store %mine[0] = load(%mine, 0) ^ cast<i32>(%step)
        }
      }
      store %out[(%block * 40) + %thread] = load(%mine, 0)
    }
  }
}
)";
  compare_kernel(opencl(), text,
                 {noise_bytes(DType::kI32, 120, 1), noise_bytes(DType::kI32, 120, 1)});
}

}  // namespace
}  // namespace mlc
