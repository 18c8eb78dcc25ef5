// SPDX-License-Identifier: Apache-2.0
// For tests only: temporary folders, fixtures, and the conformance material that may lie beside the
// checkout.
#pragma once

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc {

// A folder that is removed with everything in it at the end of the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    static int serial = 0;
    path_ = path_join(testing::TempDir(), cat("mlc_test_", process_id(), "_", serial++));
    EXPECT_TRUE(make_directories(path_).ok());
  }
  ~TemporaryDirectory() { remove_all(path_); }
  const std::string& path() const { return path_; }
  std::string file(std::string_view name) const { return path_join(path_, name); }

 private:
  static void remove_all(const std::string& path) {
    if (is_directory(path)) {
      for (const std::string& name : list_directory(path).value())
        remove_all(path_join(path, name));
    }
    std::remove(path.c_str());
  }
  std::string path_;
};

inline Bytes as_bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

template <class T>
std::string error_text(const Result<T>& result) {
  return result.ok() ? "no error" : result.error().to_string();
}

inline testing::AssertionResult has_part(const std::string& text, std::string_view part) {
  if (text.find(part) != std::string::npos) return testing::AssertionSuccess();
  return testing::AssertionFailure() << text << "\nlacks " << part;
}

inline std::string source_path(std::string_view name) { return path_join(MLC_SOURCE_DIR, name); }
inline std::string shared_path(std::string_view name) {
  return path_join(path_join(MLC_SOURCE_DIR, "../shared"), name);
}

}  // namespace mlc

#define EXPECT_HAS(text, part) EXPECT_TRUE(mlc::has_part(text, part))

// First line of a test that reads ../shared: skipped where that folder is absent. Where it is
// there, a file missing in it must fail the test.
#define MLC_NEEDS_SHARED() \
  if (!mlc::is_directory(mlc::shared_path("."))) GTEST_SKIP() << "../shared is absent"
