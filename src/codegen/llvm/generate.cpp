// SPDX-License-Identifier: Apache-2.0
// LLVM modules to object files: target machine, the pass pipeline, emission on several threads.
#include <atomic>
#include <mutex>
#include <thread>

#include "codegen/codegen.h"
#include "codegen/llvm/emitter.h"
#include "formats/model_library.h"
#include "support/check.h"
#include "support/strings.h"

namespace mlc::codegen {
namespace {

// LLVM reports what it cannot do through a handler; the compiler column turns that into an internal
// error.
void fatal_error(void*, const char* reason, bool) { throw InternalError(cat("LLVM: ", reason)); }

void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::install_fatal_error_handler(fatal_error);
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeWebAssemblyTargetInfo();
    LLVMInitializeWebAssemblyTarget();
    LLVMInitializeWebAssemblyTargetMC();
    LLVMInitializeWebAssemblyAsmPrinter();
  });
}

std::unique_ptr<llvm::TargetMachine> make_target_machine(const target::Target& target) {
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(target.triple, error);
  MLC_CHECK(found != nullptr) << error;
  llvm::TargetOptions options;
  options.EmulatedTLS = false;
  std::string features;
  for (const std::string& name : target.features.names())
    features += (features.empty() ? "+" : ",+") + name;
  const char* cpu = target.architecture == "x86_64" ? "x86-64" : "generic";
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(target.triple, cpu, features, options, llvm::Reloc::PIC_,
                                 std::nullopt, llvm::CodeGenOptLevel::Aggressive));
  MLC_CHECK(machine != nullptr) << target.triple;
  return machine;
}

// Kernels come unrolled and vectorized, so a short pipeline does: registers for stack slots,
// simplification, common subexpressions, loop invariants.
constexpr const char* kPipeline =
    "function(sroa,early-cse<memssa>,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm<allowspeculation>),gvn,instcombine<no-verify-fixpoint>,simplifycfg,"
    "loop-mssa(licm<allowspeculation>),adce)";

std::string module_text(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream stream(text);
  module.print(stream, nullptr);
  return text;
}

void optimize(llvm::Module& module, llvm::TargetMachine& machine) {
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::ModulePassManager passes;
  if (llvm::Error error = builder.parsePassPipeline(passes, kPipeline)) {
    MLC_UNREACHABLE() << llvm::toString(std::move(error));
  }
  passes.run(module, modules);
}

std::string emit(llvm::Module& module, llvm::TargetMachine& machine, llvm::CodeGenFileType type) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  passes.add(llvm::createTargetTransformInfoWrapperPass(machine.getTargetIRAnalysis()));
  const bool impossible = machine.addPassesToEmitFile(passes, stream, nullptr, type);
  MLC_CHECK(!impossible) << "no emission for " << module.getTargetTriple();
  passes.run(module);
  return {bytes.data(), bytes.size()};
}

struct ModuleResult {
  std::string object;
  std::string llvm_ir;
  std::string assembly;
};

std::unique_ptr<llvm::Module> make_module(llvm::LLVMContext& context,
                                          const llvm::TargetMachine& machine) {
  auto module = std::make_unique<llvm::Module>("mlc", context);
  module->setTargetTriple(machine.getTargetTriple().str());
  module->setDataLayout(machine.createDataLayout());
  return module;
}

ModuleResult generate_module(const KernelToGenerate& item, const target::Target& target,
                             const GenerateOptions& options) {
  llvm::LLVMContext context;
  context.setDiscardValueNames(!options.want_llvm_ir);
  const auto machine = make_target_machine(target);
  const auto module = make_module(context, *machine);
  emit_kernel(*module, *item.kernel, item.symbol, target);
  std::string problem;
  llvm::raw_string_ostream problem_stream(problem);
  MLC_CHECK(!llvm::verifyModule(*module, &problem_stream)) << problem;
  ModuleResult result;
  if (options.want_llvm_ir) result.llvm_ir = "; before optimization\n" + module_text(*module);
  optimize(*module, *machine);
  if (options.want_llvm_ir) result.llvm_ir += "\n; after optimization\n" + module_text(*module);
  if (options.want_assembly) {  // emission changes the module: print from a second machine of the
                                // same kind
    llvm::LLVMContext again;
    const auto copy = make_module(again, *machine);
    emit_kernel(*copy, *item.kernel, item.symbol, target);
    optimize(*copy, *machine);
    result.assembly =
        emit(*copy, *make_target_machine(target), llvm::CodeGenFileType::AssemblyFile);
  }
  result.object = emit(*module, *machine, llvm::CodeGenFileType::ObjectFile);
  return result;
}

}  // namespace

std::string generator_version() { return LLVM_VERSION_STRING " " MLC_EMITTERS_DIGEST; }

GeneratedCode generate_kernels(std::span<const KernelToGenerate> kernels,
                               const target::Target& target, const GenerateOptions& options) {
  initialize_llvm();
  std::vector<ModuleResult> results(kernels.size());
  std::vector<std::exception_ptr> errors(kernels.size());
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t i = next++; i < kernels.size(); i = next++) {
      try {
        results[i] = generate_module(kernels[i], target, options);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1;
       i < std::min(kernels.size(), static_cast<size_t>(std::max(1, options.threads))); ++i)
    threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  GeneratedCode code;
  for (size_t i = 0; i < kernels.size(); ++i) {
    if (errors[i]) std::rethrow_exception(errors[i]);
    code.objects.push_back(std::move(results[i].object));
    code.llvm_ir += results[i].llvm_ir;
    code.assembly += results[i].assembly;
  }
  return code;
}

std::string generate_library_object(const std::string& symbol, const std::string& metadata,
                                    std::span<const LibraryVariant> variants,
                                    const target::Target& target) {
  initialize_llvm();
  llvm::LLVMContext context;
  const auto machine = make_target_machine(target);
  const auto module = make_module(context, *machine);
  llvm::IRBuilder<> b(context);
  llvm::Type* i64 = b.getInt64Ty();
  llvm::Type* pointer = b.getPtrTy();
  const auto number = [&](uint64_t value) -> llvm::Constant* { return b.getInt64(value); };
  const auto data = [&](llvm::Constant* value) -> llvm::GlobalVariable* {
    return new llvm::GlobalVariable(*module, value->getType(), true,
                                    llvm::GlobalValue::PrivateLinkage, value);
  };
  const auto bytes = [&](const std::string& text) {
    auto* global = data(llvm::ConstantDataArray::getString(context, text, false));
    global->setAlignment(llvm::Align(8));
    return global;
  };
  // Structs of 64-bit fields: addresses are pointers here, which a 64-bit target stores as such.
  auto* function_type = llvm::FunctionType::get(b.getVoidTy(), {pointer, i64, i64}, false);
  std::vector<llvm::Constant*> variant_values;
  auto* variant_type = llvm::StructType::get(context, {i64, pointer, i64, pointer, i64});
  for (const LibraryVariant& variant : variants) {
    std::vector<llvm::Constant*> functions;
    for (const std::string& name : variant.kernel_symbols) {
      auto* function =
          llvm::cast<llvm::Function>(module->getOrInsertFunction(name, function_type).getCallee());
      function->setVisibility(llvm::GlobalValue::HiddenVisibility);
      functions.push_back(function);
    }
    auto* table_type = llvm::ArrayType::get(pointer, functions.size());
    auto* table = data(llvm::ConstantArray::get(table_type, functions));
    variant_values.push_back(llvm::ConstantStruct::get(
        variant_type, {number(variant.required_features.bits()), bytes(variant.plan),
                       number(variant.plan.size()), table, number(functions.size())}));
  }
  auto* variants_type = llvm::ArrayType::get(variant_type, variant_values.size());
  auto* variants_data = data(llvm::ConstantArray::get(variants_type, variant_values));
  auto* library = llvm::ConstantStruct::getAnon(
      context, {number(MLC_MODEL_LIBRARY_MAGIC), number(MLC_MODEL_LIBRARY_ABI), bytes(metadata),
                number(metadata.size()), variants_data, number(variants.size())});
  auto* exported = new llvm::GlobalVariable(*module, library->getType(), true,
                                            llvm::GlobalValue::ExternalLinkage, library, symbol);
  exported->setAlignment(llvm::Align(8));
  std::string problem;
  llvm::raw_string_ostream problem_stream(problem);
  MLC_CHECK(!llvm::verifyModule(*module, &problem_stream)) << problem;
  return emit(*module, *machine, llvm::CodeGenFileType::ObjectFile);
}

std::string host_cpu_name() { return llvm::sys::getHostCPUName().str(); }

}  // namespace mlc::codegen
