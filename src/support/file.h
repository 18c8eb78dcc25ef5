// SPDX-License-Identifier: Apache-2.0
// Files: reading, mapping, and writing whole or not at all (a temporary name, then a rename).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/error.h"

namespace mlc {

using Bytes = std::span<const std::byte>;

// Paths use '/'. path_join("a/", "b") is "a/b"; an absolute second path wins.
std::string path_join(std::string_view directory, std::string_view name);
std::string path_directory(std::string_view path);  // "." where there is none
std::string path_name(std::string_view path);       // the part behind the last '/'
std::string path_extension(std::string_view path);  // ".so", or "" where there is none

bool file_exists(const std::string& path);  // a file or a directory
bool is_directory(const std::string& path);
Result<uint64_t> file_bytes(const std::string& path);
// When the file was written or marked as used: nanoseconds since 1970.
Result<int64_t> file_time(const std::string& path);
// Makes file_time now; without effect where that may not be.
void mark_as_used(const std::string& path);
// Names (not paths) in a directory, sorted; without "." and "..".
Result<std::vector<std::string>> list_directory(const std::string& path);
Result<void> make_directories(const std::string& path);
Result<std::string> read_file(const std::string& path);

// A file mapped read-only. The bytes live as long as this object.
class MappedFile {
 public:
  static Result<MappedFile> open(const std::string& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  Bytes bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }
  // Gives the pages of a range back to the system; they are read again when touched again.
  void release(size_t offset, size_t size) const;

 private:
  MappedFile() = default;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// A file under construction. It has a temporary name in the same directory until commit() renames
// it; without commit(), and when a signal ends the process (remove_unfinished_files()), nothing of
// it remains.
class OutputFile {
 public:
  static Result<OutputFile> create(const std::string& path);
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&& other) noexcept;
  ~OutputFile();

  Result<void> write(Bytes bytes);
  Result<void> write(std::string_view text);
  // Writes out and closes the file; commit() then only renames. For several files that appear
  // together.
  Result<void> close();
  Result<void> commit();
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }

 private:
  OutputFile() = default;
  void discard();
  int descriptor_ = -1;
  void* unfinished_ = nullptr;  // its entry in the list that remove_unfinished_files() reads
  uint64_t size_ = 0;
  std::string path_;
  std::string temporary_path_;
};

// Renames all of them or, when that fails or a signal comes in between, leaves none. Of files that
// are read together, the one that names the others comes last.
Result<void> commit_together(std::span<OutputFile> files);

Result<void> write_file(const std::string& path, std::string_view text);

// Deletes the temporary files of this process. Safe to call from a signal handler.
void remove_unfinished_files();

}  // namespace mlc
