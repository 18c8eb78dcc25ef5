// SPDX-License-Identifier: Apache-2.0
// Temporary files that others than OutputFile write.
#pragma once

#include <string>

namespace mlc {

// A temporary file or folder: while this object lives, remove_unfinished_files() deletes it too (a
// folder when it is empty, after all files).
class UnfinishedPath {
 public:
  explicit UnfinishedPath(const std::string& path);
  ~UnfinishedPath();
  UnfinishedPath(const UnfinishedPath&) = delete;
  UnfinishedPath& operator=(const UnfinishedPath&) = delete;

 private:
  void* entry_;
};

}  // namespace mlc
