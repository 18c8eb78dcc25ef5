// SPDX-License-Identifier: Apache-2.0
// A compiled model library in memory: its metadata, its plan and its kernels, checked against this
// program and this CPU.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/model_library.h"
#include "formats/plan.h"
#include "support/json.h"

namespace mlc::runtime {

class ModelLibrary {
 public:
  // Errors: no library, another ABI (with the side to rebuild), features that this CPU lacks, a
  // damaged plan.
  static Result<ModelLibrary> open(const std::string& path);
  // The same without a CPU that can run it: metadata and plan of the first variant, for
  // model_metadata.
  static Result<ModelLibrary> open_for_reading(const std::string& path);
  // One that is in memory already, linked into the program or handed over by a page; `handle` keeps
  // it there. `name` stands for the path in messages.
  static Result<ModelLibrary> from_memory(const MlcModelLibrary& raw, const std::string& name,
                                          std::shared_ptr<void> handle);

  const std::string& path() const { return path_; }
  const Json& metadata() const { return metadata_; }
  const formats::Plan& plan() const { return plan_; }
  MlcKernel kernel(uint32_t index) const { return kernels_[index]; }

 private:
  enum class Use { kRun, kRead };
  static Result<ModelLibrary> open(const std::string& path, Use use);
  static Result<ModelLibrary> from(const MlcModelLibrary& raw, const std::string& path,
                                   std::shared_ptr<void> handle, Use use);
  ModelLibrary() = default;

  std::string path_;
  std::shared_ptr<void> handle_;  // keeps the code mapped
  Json metadata_;
  formats::Plan plan_;
  std::vector<MlcKernel> kernels_;
};

// Platform part: loads the file and returns the address of the exported struct; `handle` keeps it
// loaded.
Result<const MlcModelLibrary*> load_library(const std::string& path, std::shared_ptr<void>* handle);

}  // namespace mlc::runtime
