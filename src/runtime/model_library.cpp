// SPDX-License-Identifier: Apache-2.0
#include "runtime/model_library.h"

#include "support/strings.h"
#include "target/target.h"

namespace mlc::runtime {

Result<ModelLibrary> ModelLibrary::open(const std::string& path) { return open(path, Use::kRun); }
Result<ModelLibrary> ModelLibrary::open_for_reading(const std::string& path) {
  return open(path, Use::kRead);
}

Result<ModelLibrary> ModelLibrary::from_memory(const MlcModelLibrary& raw, const std::string& name,
                                               std::shared_ptr<void> handle) {
  return from(raw, name, std::move(handle), Use::kRun);
}

Result<ModelLibrary> ModelLibrary::open(const std::string& path, Use use) {
  std::shared_ptr<void> handle;
  MLC_ASSIGN_OR_RETURN(const MlcModelLibrary* raw, load_library(path, &handle));
  return from(*raw, path, std::move(handle), use);
}

Result<ModelLibrary> ModelLibrary::from(const MlcModelLibrary& raw, const std::string& path,
                                        std::shared_ptr<void> handle, Use use) {
  ModelLibrary library;
  library.path_ = path;
  library.handle_ = std::move(handle);
  if (raw.magic != MLC_MODEL_LIBRARY_MAGIC) {
    return user_error(path, "is no model library", "", "mlc_llm compile makes one");
  }
  if (raw.abi_version != MLC_MODEL_LIBRARY_ABI) {
    const bool older = raw.abi_version < MLC_MODEL_LIBRARY_ABI;
    return user_error(path, cat("has the library interface ", raw.abi_version),
                      cat(MLC_MODEL_LIBRARY_ABI, ", that of this mlc_llm"),
                      older ? "compile the library again with this mlc_llm"
                            : "use a newer mlc_llm, or compile the library with this one");
  }
  const std::string_view metadata(reinterpret_cast<const char*>(raw.metadata), raw.metadata_bytes);
  MLC_ASSIGN_OR_RETURN(library.metadata_, parse_json(metadata, path));
  const auto* variants = reinterpret_cast<const MlcLibraryVariant*>(raw.variants);
  const target::CpuFeatures here = target::host_cpu_features();
  const MlcLibraryVariant* chosen = nullptr;
  for (uint64_t i = 0; i < raw.num_variants && chosen == nullptr; ++i) {
    if (use == Use::kRead || here.contains(target::CpuFeatures(variants[i].required_features)))
      chosen = &variants[i];
  }
  if (chosen == nullptr) {
    std::vector<std::string> missing;
    if (raw.num_variants > 0) {
      const uint64_t needed = variants[raw.num_variants - 1].required_features;
      missing = target::CpuFeatures(needed & ~here.bits()).names();
    }
    return user_error(path, "was compiled for another CPU: this one lacks " + join(missing, ", "),
                      "", "compile the library on this machine");
  }
  const std::string_view plan(reinterpret_cast<const char*>(chosen->plan), chosen->plan_bytes);
  MLC_ASSIGN_OR_RETURN(library.plan_, formats::parse_plan(plan, path));
  if (library.plan_.kernels.size() != chosen->num_kernels) {
    return user_error(path, "has a damaged plan: its number of kernels", "",
                      "compile the library again");
  }
  const auto* kernels = reinterpret_cast<const MlcKernel*>(chosen->kernels);
  library.kernels_.assign(kernels, kernels + chosen->num_kernels);
  return library;
}

}  // namespace mlc::runtime
