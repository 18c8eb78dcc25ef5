// SPDX-License-Identifier: Apache-2.0
// Objects of kernels that were compiled before, in a folder: one file for each, named by a digest
// of all that the object depends on: the kernel's text, the target and the code generator. Nothing
// in it is ever out of date. What cannot be read or written is as if it were not there.
#pragma once

#include <optional>
#include <string>

#include "kernel/ir.h"
#include "target/target.h"

namespace mlc::compiler {

class ObjectCache {
 public:
  // `folder`: empty for none.
  explicit ObjectCache(std::string folder) : folder_(std::move(folder)) {}

  static std::string key(const kernel::Kernel& kernel, const std::string& symbol,
                         const target::Target& target, const std::string& generator_version);

  std::optional<std::string> find(const std::string& key) const;
  void put(const std::string& key, const std::string& object) const;
  // Halves the cache where it has more bytes; what was used last stays.
  void limit(uint64_t bytes) const;

 private:
  std::string path(const std::string& key) const;
  std::string folder_;
};

}  // namespace mlc::compiler
