// SPDX-License-Identifier: Apache-2.0
// Loop IR to machine code. The implementation is in codegen/llvm; nothing of LLVM is seen here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernel/ir.h"
#include "target/target.h"

namespace mlc::codegen {

struct KernelToGenerate {
  const kernel::Kernel* kernel;
  std::string symbol;
};

struct GenerateOptions {
  int threads = 1;            // kernels that are compiled at once; the bytes do not depend on it
  bool want_llvm_ir = false;  // before and after optimization
  bool want_assembly = false;
};

struct GeneratedCode {
  std::vector<std::string>
      objects;  // relocatable files, one for each kernel: a hidden function of its symbol
  std::string llvm_ir;
  std::string assembly;
};

// Changes where equal kernels may give other objects: LLVM's version and a digest of our emitters.
std::string generator_version();

// Kernels must be verified and free of math calls and vectorized loops (kernel/passes).
GeneratedCode generate_kernels(std::span<const KernelToGenerate> kernels,
                               const target::Target& target, const GenerateOptions& options);

// One level of a library: see MlcLibraryVariant in formats/model_library.h.
struct LibraryVariant {
  target::CpuFeatures required_features;
  std::string plan;
  std::vector<std::string> kernel_symbols;
};

// The object that holds the exported MlcModelLibrary `symbol` and the data that it points to.
std::string generate_library_object(const std::string& symbol, const std::string& metadata,
                                    std::span<const LibraryVariant> variants,
                                    const target::Target& target);

// LLVM's name of the CPU at hand, for the order of instructions only ("" where it has none).
std::string host_cpu_name();

}  // namespace mlc::codegen
