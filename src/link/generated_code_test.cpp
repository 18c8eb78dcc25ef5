// SPDX-License-Identifier: Apache-2.0
// Generated code against the interpreter: small kernels, one idea each, loaded from a linked
// library, at every level of the CPU at hand. All bytes of all buffers must be equal.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>

#include "codegen/codegen.h"
#include "formats/model_library.h"
#include "kernel/interpreter.h"
#include "kernel/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "link/link.h"
#include "support/half.h"
#include "support/testing.h"
#include "target/amx_emulator.h"

namespace mlc::link {
namespace {

std::vector<target::Target> runnable_targets() {
  std::vector<target::Target> targets;
  for (const target::CpuLevel& level : target::cpu_levels()) {
    if (level.architecture != target::host_architecture() ||
        !target::AmxEmulator::features().contains(level.features))
      continue;
    targets.push_back(target::cpu_level_target(level.name).value());
  }
  return targets;
}

// A library of these kernels, at one level.
class Library {
 public:
  Library(std::span<const kernel::Kernel> kernels, const target::Target& target) {
    int64_t scratch_bytes = 64;
    std::vector<codegen::KernelToGenerate> items;
    codegen::LibraryVariant variant{target.features, "plan", {}};
    for (const kernel::Kernel& k : kernels) {
      items.push_back({&k, cat("entry", items.size())});
      variant.kernel_symbols.push_back(items.back().symbol);
      scratch_bytes = std::max(scratch_bytes, 64 + kernel::scratch_bytes(k));
    }
    scratch_.resize(static_cast<size_t>(scratch_bytes));
    std::vector<std::string> objects = codegen::generate_kernels(items, target, {}).objects;
    objects.push_back(codegen::generate_library_object("lib", "{}", {&variant, 1}, target));
    EXPECT_TRUE(write_file(directory_.file("lib.so"), link_shared(objects, "lib", target)).ok());
    handle_ = dlopen(directory_.file("lib.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    EXPECT_NE(handle_, nullptr) << dlerror();
    emulator_ =
        std::make_unique<target::AmxEmulator>();  // now that the linker is done with signals
  }
  ~Library() {
    if (handle_ != nullptr) dlclose(handle_);
  }
  const MlcModelLibrary* header() const {
    return static_cast<const MlcModelLibrary*>(dlsym(handle_, "lib"));
  }
  void* symbol(const char* name) const { return dlsym(handle_, name); }
  void run(size_t kernel, const std::vector<kernel::Argument>& arguments, int64_t begin,
           int64_t end) {
    const auto* variant = reinterpret_cast<const MlcLibraryVariant*>(header()->variants);
    std::vector<uint64_t> slots;
    for (const kernel::Argument& a : arguments) {
      slots.push_back(a.bytes.data() == nullptr ? static_cast<uint64_t>(a.size)
                                                : reinterpret_cast<uint64_t>(a.bytes.data()));
    }
    const MlcKernelArgs args{reinterpret_cast<uint64_t>(slots.data()),
                             (reinterpret_cast<uint64_t>(scratch_.data()) + 63) / 64 * 64};
    reinterpret_cast<const MlcKernel*>(variant->kernels)[kernel](&args, begin, end);
  }

 private:
  TemporaryDirectory directory_;
  std::unique_ptr<target::AmxEmulator> emulator_;
  std::vector<std::byte> scratch_;
  void* handle_ = nullptr;
};

using Buffers = std::vector<std::vector<std::byte>>;

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Random bytes; for floats any finite or infinite number, for each dtype its corners first.
std::vector<std::byte> values_of(DType dtype, int64_t count, std::mt19937_64& random) {
  std::vector<std::byte> bytes(static_cast<size_t>(count * dtype_bytes(dtype)));
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  if (dtype == DType::kF32) {
    const float corners[] = {0.0f,          -0.0f,         1.0f,       -1.0f,    INFINITY,
                             -INFINITY,     65504.0f,      65519.9f,   65520.0f, 5.9604645e-8f,
                             2.9802322e-8f, 6.1035156e-5f, 1e-40f,     0.5f,     1.5f,
                             2.5f,          -2.5f,         8388609.0f, 3.4e38f};
    for (int64_t i = 0; i < count; ++i) {
      float value = std::bit_cast<float>(static_cast<uint32_t>(random()));
      if (i < static_cast<int64_t>(std::size(corners)))
        value = corners[i];
      else if (i % 3 != 0 || std::isnan(value))
        value = static_cast<float>(static_cast<int64_t>(random() % 20001) - 10000) / 64;
      std::memcpy(bytes.data() + 4 * i, &value, 4);
    }
  } else if (dtype == DType::kF16 || dtype == DType::kBF16) {
    for (int64_t i = 0; i < count; ++i) {
      uint16_t bits = static_cast<uint16_t>(random());
      const uint16_t exponent = dtype == DType::kF16 ? 0x7c00 : 0x7f80;
      if ((bits & exponent) == exponent)
        bits &= static_cast<uint16_t>(exponent | 0x8000);  // infinities, no NaN
      std::memcpy(bytes.data() + 2 * i, &bits, 2);
    }
  } else if (dtype == DType::kU8) {
    for (std::byte& b : bytes) b &= std::byte{0x7f};  // what dot products take
  }
  return bytes;
}

constexpr int64_t kElements = 1024;

// Collects kernels; at the end of the test each runs in both ways on the same random buffers, with
// sizes of 4.
class GeneratedCode : public testing::Test {
 protected:
  void add(const std::string& text) {
    kernel::Kernel kernel = kernel::parse_kernel(text, "test");
    kernel::verify(kernel);
    kernels_.push_back(kernel::lower_math(kernel));
    texts_.push_back(text);
  }
  void add_tasks(const std::string& parameters, const std::string& statements) {
    add("kernel @k(" + parameters + ") {\n parallel %t in %n {\n" + statements + " }\n}\n");
  }

  void TearDown() override {
    std::vector<std::unique_ptr<Library>> libraries;
    std::vector<target::Target> targets = runnable_targets();
    if (only_tiles_)
      std::erase_if(targets, [](const target::Target& t) { return !t.has_tile_dot(); });
    for (const target::Target& target : targets)
      libraries.push_back(std::make_unique<Library>(kernels_, target));
    for (size_t k = 0; k < kernels_.size(); ++k) {
      const kernel::Kernel& kernel = kernels_[k];
      std::mt19937_64 random(7);
      Buffers initial;
      for (const kernel::Parameter& p : kernel.parameters) {
        initial.push_back(p.buffer ? values_of(p.buffer->element.dtype, kElements, random)
                                   : std::vector<std::byte>());
      }
      const auto arguments_for = [&](Buffers& buffers) {
        std::vector<kernel::Argument> arguments;
        for (size_t i = 0; i < buffers.size(); ++i) {
          arguments.push_back(kernel.parameters[i].buffer ? kernel::Argument{buffers[i], 0}
                                                          : kernel::Argument{{}, 4});
        }
        return arguments;
      };
      Buffers want = initial;
      const std::vector<kernel::Argument> want_arguments = arguments_for(want);
      const int64_t tasks = kernel::task_count(kernel, want_arguments);
      kernel::interpret(kernel, want_arguments, 0, tasks);
      EXPECT_TRUE(want != initial) << "does nothing:\n" << texts_[k];
      for (size_t t = 0; t < targets.size(); ++t) {
        Buffers got = initial;
        // The tasks in two calls, the later half first.
        libraries[t]->run(k, arguments_for(got), tasks / 2, tasks);
        libraries[t]->run(k, arguments_for(got), 0, tasks / 2);
        for (size_t i = 0; i < got.size(); ++i)
          EXPECT_TRUE(got[i] == want[i]) << targets[t].level << ", parameter " << i << "\n"
                                         << texts_[k];
      }
    }
  }

  bool only_tiles_ = false;  // run at the levels that have tile_dot

 private:
  std::vector<kernel::Kernel> kernels_;
  std::vector<std::string> texts_;
};

TEST(Libraries, ExportOneSymbolWithTheirData) {
  const kernel::Kernel kernel = kernel::parse_kernel("kernel @k(%n: i64) {\n}\n", "test");
  for (const target::Target& target : runnable_targets()) {
    const Library library({&kernel, 1}, target);
    const MlcModelLibrary* header = library.header();
    ASSERT_NE(header, nullptr);
    EXPECT_EQ(header->magic, MLC_MODEL_LIBRARY_MAGIC);
    EXPECT_EQ(header->abi_version, uint64_t{MLC_MODEL_LIBRARY_ABI});
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(header->metadata), header->metadata_bytes),
              "{}");
    ASSERT_EQ(header->num_variants, 1u);
    const auto* variant = reinterpret_cast<const MlcLibraryVariant*>(header->variants);
    EXPECT_EQ(variant->required_features, target.features.bits());
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(variant->plan), variant->plan_bytes),
              "plan");
    EXPECT_EQ(variant->num_kernels, 1u);
    EXPECT_EQ(library.symbol("entry0"), nullptr) << "kernels are hidden";
  }
}

TEST_F(GeneratedCode, ArithmeticOnFloats) {
  const std::string floats = "%x: f32 weight, %y: f32 arena, %z: f32 arena, %n: i64";
  for (const char* op : {"+", "-", "*", "/"}) {
    add_tasks(floats,
              cat("store %z[%t * 16] = load<16>(%x, %t * 16) ", op, " load<16>(%y, %t * 16)\n"));
    add_tasks(floats, cat("store %z[%t] = load(%x, %t) ", op, " load(%y, %t)\n"));
  }
  add_tasks(floats,
            "store %z[%t * 16] = fma(load<16>(%x, %t * 16), load<16>(%y, 0), load<16>(%y, 16))\n");
  add_tasks(floats, "store %z[%t * 16] = round(load<16>(%x, %t * 16))\n");
  add_tasks(floats, "store %z[%t * 16] = sqrt(abs(load<16>(%x, %t * 16)))\n");
}

TEST_F(GeneratedCode, MinimumAndMaximumTakeTheSecondOfEqualsAndOfNaN) {
  const std::string floats = "%x: f32 arena, %z: f32 arena, %n: i64";
  add_tasks(floats, "store %z[%t * 16] = min(load<16>(%x, %t * 16), load<16>(%x, 1))\n");
  add_tasks(floats, "store %z[%t * 16] = max(load<16>(%x, %t * 16), load<16>(%x, 1))\n");
  add_tasks(floats, "store %z[%t * 8] = max(broadcast<8>(0.0:f32), load<8>(%x, %t * 8))\n");
  // 0 / 0 of the first elements is a NaN.
  add_tasks(floats,
            "let %q = load<4>(%x, 0) / load<4>(%x, 1)\n store %z[%t * 4] = max(min(%q, 2.0:f32x4), "
            "-2.0:f32x4)\n");
}

TEST_F(GeneratedCode, ComparisonsAndSelection) {
  const std::string parameters = "%x: f32 arena, %i: i32 arena, %z: f32 arena, %n: i64";
  for (const char* op : {"==", "!=", "<", "<="}) {
    add_tasks(parameters, cat("store %z[%t * 16] = select(load<16>(%x, %t * 16) ", op,
                              " load<16>(%x, 2), 1.0:f32x16, load<16>(%x, 0))\n"));
    add_tasks(parameters, cat("store %z[%t * 8] = select(load<8>(%i, %t * 8) ", op,
                              " load<8>(%i, 2), 1.0:f32x8, 2.0:f32x8)\n"));
  }
  add_tasks(parameters,
            "let %a = load<8>(%x, 0) < load<8>(%x, 8)\n let %b = load<8>(%i, 0) < load<8>(%i, 8)\n "
            "store %z[%t * 8] = select(%a & %b, 1.0:f32x8, 2.0:f32x8)\n");
}

TEST_F(GeneratedCode, ArithmeticOnIntegers) {
  for (const char* dtype : {"i8", "u8", "i16", "i32", "u32", "i64"}) {
    const std::string parameters = cat("%x: ", dtype, " weight, %z: ", dtype, " arena, %n: i64");
    for (const char* op : {"+", "-", "*", "&", "|", "^"}) {
      add_tasks(parameters,
                cat("store %z[%t * 16] = load<16>(%x, %t * 16) ", op, " load<16>(%x, 3)\n"));
    }
    add_tasks(parameters, cat("store %z[%t * 16] = (load<16>(%x, %t * 16) << 3:", dtype,
                              "x16) >> 5:", dtype, "x16\n"));
    add_tasks(parameters, cat("store %z[%t * 16] = min(load<16>(%x, %t * 16), max(load<16>(%x, 1), "
                              "load<16>(%x, 7)))\n"));
    add_tasks(parameters, cat("store %z[%t] = (load(%x, %t) / 7:", dtype,
                              ") + (load(%x, %t) % 5:", dtype, ")\n"));
  }
}

TEST_F(GeneratedCode, Casts) {
  const std::pair<const char*, const char*> casts[] = {
      {"f16", "f32"}, {"bf16", "f32"}, {"f32", "f16"}, {"f32", "bf16"},
      {"i8", "i32"},  {"u8", "i32"},   {"u8", "i16"},  {"i16", "i32"},
      {"i32", "i8"},  {"u32", "u8"},   {"i32", "i64"}, {"i8", "f32"},
      {"u8", "f32"},  {"i32", "f32"},  {"u32", "i32"}, {"i64", "i32"}};
  for (const auto& [from, to] : casts) {
    for (const int lanes : {1, 4, 8, 16, 32}) {
      const std::string load = lanes == 1 ? cat("load(%x, %t * ", lanes, ")")
                                          : cat("load<", lanes, ">(%x, %t * ", lanes, ")");
      add_tasks(cat("%x: ", from, " weight, %z: ", to, " arena, %n: i64"),
                cat("store %z[%t * ", lanes, "] = cast<", to, ">(", load, ")\n"));
    }
  }
}

// f32 to 16-bit floats rounds to even; every exponent, with mantissas around the places where
// rounding turns.
TEST(GeneratedCasts, HalfFloatsRoundAsTheirDefinitionSays) {
  std::vector<float> in;
  for (uint32_t exponent = 0; exponent < 256; ++exponent) {
    for (const uint32_t mantissa : {0u, 1u, 0xfffu, 0x1000u, 0x1001u, 0x2fffu, 0x3000u, 0x7fffu,
                                    0x8000u, 0x8001u, 0x18000u, 0x7fe000u, 0x7ff000u, 0x7fffffu}) {
      for (const uint32_t sign : {0u, 0x80000000u}) {
        const float value = std::bit_cast<float>(sign | exponent << 23 | mantissa);
        if (!std::isnan(value)) in.push_back(value);
      }
    }
  }
  in.resize(in.size() / 16 * 16);
  const kernel::Kernel kernel = kernel::parse_kernel(
      "kernel @k(%x: f32 arena, %h: f16 arena, %b: bf16 arena, %n: i64) {\n parallel %t in %n {\n "
      "let %v = load<16>(%x, %t * 16)\n"
      " store %h[%t * 16] = cast<f16>(%v)\n store %b[%t * 16] = cast<bf16>(%v)\n }\n}\n",
      "test");
  for (const target::Target& target : runnable_targets()) {
    Library library({&kernel, 1}, target);
    std::vector<std::byte> x = bytes_of(in);
    std::vector<std::byte> h(in.size() * 2);
    std::vector<std::byte> b(in.size() * 2);
    const auto tasks = static_cast<int64_t>(in.size() / 16);
    library.run(0, {{x, 0}, {h, 0}, {b, 0}, {{}, tasks}}, 0, tasks);
    for (size_t i = 0; i < in.size(); ++i) {
      uint16_t half;
      uint16_t brain;
      std::memcpy(&half, h.data() + 2 * i, 2);
      std::memcpy(&brain, b.data() + 2 * i, 2);
      ASSERT_EQ(half, f32_to_f16(in[i])) << target.level << " " << in[i];
      ASSERT_EQ(brain, f32_to_bf16(in[i])) << target.level << " " << in[i];
    }
  }
}

TEST_F(GeneratedCode, DotProducts) {
  for (const int lanes : {4, 8, 16}) {
    add_tasks("%a: u8 arena, %b: i8 weight, %c: i32 arena, %z: i32 arena, %n: i64",
              cat("store %z[%t * ", lanes, "] = dot4(load<", lanes, ">(%c, 0), load<", 4 * lanes,
                  ">(%a, %t), load<", 4 * lanes, ">(%b, %t * 8))\n"));
    add_tasks("%a: u8 arena, %b: i8 weight, %c: i32 arena, %z: i32 arena, %n: i64",
              cat("store %z[%t * ", lanes, "] = pair_sum(dot2(load<", 4 * lanes, ">(%a, %t), load<",
                  4 * lanes, ">(%b, %t * 8)))\n"));
  }
}

TEST_F(GeneratedCode, ProductsOfBlocks) {
  for (const int lanes : {4, 16}) {
    add_tasks("%a: u8 arena, %b: i8 weight, %c: i32 arena, %z: i32 arena, %n: i64",
              cat("store %z[%t * ", lanes, "] = block_dot(load<", lanes, ">(%c, %t), load<",
                  4 * lanes, ">(%a, %t), load<", 4 * lanes, ">(%b, %t * 8))\n"));
  }
}

// Codes of all 7 bits come from the task, for random words have more.
TEST_F(GeneratedCode, ProductsOfTiles) {
  only_tiles_ = true;
  for (const int quads : {1, 8, 16}) {
    add_tasks("%x: u32 weight, %b: i8 weight, %z: i32 arena, %n: i64",
              cat("allocate %a: u32[512] local\n for %i in 512 {\n  store %a[%i] = load(%x, %i % "
                  "256) & 2139062143:u32\n }\n allocate %c: i32[512] local\n tile_dot<",
                  quads, ", ", quads + 3, "> %c[0] = %a[%t], %b[0]\n tile_dot<", quads, ", ", quads,
                  "> %c[256] = %a[1], %b[0]\n for %i2 in 64 {\n  store %z[(%t * 64) + "
                  "%i2] = load(%c, %i2 * 7) + load(%c, 511 - %i2)\n }\n"));
  }
}

TEST_F(GeneratedCode, ShufflesGathersAndScatters) {
  const std::string floats = "%x: f32 weight, %z: f32 arena, %n: i64";
  add_tasks(floats,
            "store %z[%t * 8] = shuffle<0, 9, 2, 11, 4, 13, 6, 15>(load<8>(%x, 0), load<8>(%x, %t "
            "* 8))\n");
  add_tasks(floats, "store %z[%t] = shuffle<5>(load<8>(%x, %t), load<8>(%x, %t))\n");
  add_tasks(floats, "store %z[%t * 8] = load(%x, ramp<5, 8>(%t))\n");
  add_tasks(floats, "store %z[%t * 4] = load(%x, vector<9, 0, 3, 3>:i64 + broadcast<4>(%t))\n");
  add_tasks(floats, "store %z[ramp<4, 8>(%t)] = load<8>(%x, %t * 8)\n");
  add_tasks("%x: u32 weight, %z: f32 arena, %n: i64",
            "store %z[%t * 8] = cast<f32>(bitcast<i8x8>(load<2>(%x, %t * 2)))\n");
  // Weights and the cache have no alignment.
  add_tasks("%x: f16 weight, %z: f32 arena, %n: i64",
            "store %z[%t * 8] = cast<f32>(load<8>(%x, (%t * 8) + 3))\n");
}

TEST_F(GeneratedCode, ControlFlow) {
  const std::string floats = "%x: f32 weight, %z: f32 arena, %n: i64";
  add_tasks(floats,
            "if %t < 2 {\n store %z[%t] = load(%x, 0)\n} else {\n store %z[%t] = load(%x, 1)\n}\n");
  add_tasks(floats, "for %i in %t + 1 {\n store %z[(%t * 8) + %i] = load(%x, %i)\n}\n");
  add_tasks(floats, "for %i in %t {\n store %z[%i + (%t * 9)] = 1.0:f32\n}\nprefetch %x[%t]\n");
  add("kernel @k(%x: f32 weight, %z: f32 arena, %n: i64) {\n store %z[%n] = load(%x, 3)\n}\n");
  add("kernel @k(%z: f32 arena, %n: i64) {\n let %m = %n * 2\n {\n  let %a = %m + 1\n  parallel %t "
      "in %a {\n   store %z[%t] = cast<f32>(%a)\n  }\n }\n}\n");
}

TEST_F(GeneratedCode, BuffersOfTheKernel) {
  // Registers, on the stack, and so large that they lie in the thread's scratch.
  const std::string floats = "%x: f32 weight, %z: f32 arena, %n: i64";
  add_tasks(floats,
            "allocate %r: f32x8[3] register\n unrolled %u in 3 {\n store %r[%u] = load<8>(%x, %u * "
            "8)\n }\n"
            "for %i in 5 {\n unrolled %u2 in 2 {\n store %r[%u2 + 1] = load(%r, %u2 + 1) + "
            "load(%r, 0)\n }\n }\n store %z[%t * 8] = load(%r, 1) + load(%r, 2)\n");
  for (const int64_t size : {64, 8192}) {
    add_tasks(floats, cat("allocate %l: f32[", size, "] local\n allocate %m: f32[", size,
                          "] local\n for %i in 16 {\n store %l[%i] = load(%x, %i + %t)\n store %m[",
                          size - 1,
                          " - %i] = load(%x, %i)\n }\n for %j in 16 {\n store %z[(%t * 16) + %j] = "
                          "load(%l, 15 - %j) * load(%m, ",
                          size - 16, " + %j)\n }\n"));
  }
}

TEST_F(GeneratedCode, MathGivesTheSameBitsAsItsInterpretedExpansion) {
  for (const char* function : {"exp", "exp2", "log2", "tanh", "erf", "sin", "cos"}) {
    add_tasks("%x: f32 weight, %z: f32 arena, %n: i64",
              cat("store %z[%t * 16] = ", function, "(load<16>(%x, %t * 16))\n"));
  }
}

}  // namespace
}  // namespace mlc::link
