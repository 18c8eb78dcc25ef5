// SPDX-License-Identifier: Apache-2.0
// Files on POSIX systems and WASI. Mapping is in file_mapping_*.cpp.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/unfinished_path.h"

namespace mlc {
namespace {

Error system_error(const std::string& path, std::string_view action) {
  const int code = errno;
  std::string remedy;
  if (code == ENOSPC || code == EDQUOT) remedy = "free some space or choose another output";
  if (code == EACCES || code == EROFS) remedy = "choose a place where you may write";
  if (action == "open" || action == "read") remedy.clear();
  return user_error(path, cat("cannot ", action, ": ", std::strerror(code)), "", remedy);
}

// Paths of unfinished files, for a signal handler: a list that only grows (a large model has
// thousands of shards) and whose entries are used again; an entry is taken by setting `used`, and
// valid while `ready`.
struct UnfinishedFile {
  std::atomic<bool> used{true};
  std::atomic<bool> ready{false};
  std::string path;
  UnfinishedFile* next = nullptr;
};
std::atomic<UnfinishedFile*> g_unfinished{nullptr};

UnfinishedFile* remember_unfinished(const std::string& path) {
  UnfinishedFile* entry = g_unfinished;
  while (entry != nullptr && entry->used.exchange(true)) entry = entry->next;
  const bool is_new = entry == nullptr;
  if (is_new) entry = new UnfinishedFile;
  entry->path = path;
  entry->ready = true;
  if (is_new) {
    entry->next = g_unfinished;
    while (!g_unfinished.compare_exchange_weak(entry->next, entry)) {
    }
  }
  return entry;
}

void forget_unfinished(void* entry) {
  if (entry == nullptr) return;
  static_cast<UnfinishedFile*>(entry)->ready = false;
  static_cast<UnfinishedFile*>(entry)->used = false;
}

}  // namespace

void remove_unfinished_files() {
  for (UnfinishedFile* file = g_unfinished; file != nullptr; file = file->next) {
    if (file->ready) unlink(file->path.c_str());
  }
  for (UnfinishedFile* file = g_unfinished; file != nullptr; file = file->next) {
    if (file->ready) rmdir(file->path.c_str());  // no more than an error where it is a file
  }
}

UnfinishedPath::UnfinishedPath(const std::string& path) : entry_(remember_unfinished(path)) {}
UnfinishedPath::~UnfinishedPath() { forget_unfinished(entry_); }

std::string path_join(std::string_view directory, std::string_view name) {
  if (directory.empty() || name.starts_with('/')) return std::string(name);
  return cat(directory, directory.ends_with('/') ? "" : "/", name);
}

std::string path_directory(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  return std::string(path.substr(0, std::max<size_t>(slash, 1)));
}

std::string path_name(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  return std::string(path.substr(path.rfind('/') + 1));
}

std::string path_extension(std::string_view path) {
  const std::string name = path_name(path);
  const size_t dot = name.rfind('.');
  return dot == std::string::npos || dot == 0 ? "" : name.substr(dot);
}

bool file_exists(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0;
}

bool is_directory(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

Result<uint64_t> file_bytes(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return system_error(path, "open");
  return static_cast<uint64_t>(info.st_size);
}

Result<int64_t> file_time(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return system_error(path, "open");
#ifdef __APPLE__
  const timespec& time = info.st_mtimespec;
#else
  const timespec& time = info.st_mtim;
#endif
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void mark_as_used(const std::string& path) { utimensat(AT_FDCWD, path.c_str(), nullptr, 0); }

Result<std::vector<std::string>> list_directory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return system_error(path, "open");
  std::vector<std::string> names;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> make_directories(const std::string& path) {
  if (path.empty() || is_directory(path)) return {};
  const std::string parent = path_directory(path);
  if (parent != path) MLC_RETURN_IF_ERROR(make_directories(parent));
  if (mkdir(path.c_str(), 0777) != 0) {
    const int code = errno;
    if (is_directory(path)) return {};
    errno = code;
    return system_error(path, "create the directory");
  }
  return {};
}

Result<std::string> read_file(const std::string& path) {
  if (is_directory(path)) {
    errno = EISDIR;
    return system_error(path, "read");
  }
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return system_error(path, "open");
  std::string text;
  char buffer[1 << 16];
  while (true) {
    const ssize_t count = read(descriptor, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      const Error error = system_error(path, "read");
      close(descriptor);
      return error;
    }
    if (count == 0) break;
    text.append(buffer, static_cast<size_t>(count));
  }
  close(descriptor);
  return text;
}

Result<OutputFile> OutputFile::create(const std::string& path) {
  if (is_directory(path)) return user_error(path, "is a directory", "the name of a file");
  OutputFile file;
  file.path_ = path;
  static std::atomic<int> serial{0};
  file.temporary_path_ = cat(path, ".tmp-", process_id(), "-", serial++);
  file.unfinished_ = remember_unfinished(file.temporary_path_);
  file.descriptor_ =
      open(file.temporary_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (file.descriptor_ < 0) {
    Error error = system_error(path, "write");
    file.temporary_path_.clear();
    return error;
  }
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept { *this = std::move(other); }

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  descriptor_ = std::exchange(other.descriptor_, -1);
  unfinished_ = std::exchange(other.unfinished_, nullptr);
  size_ = other.size_;
  path_ = std::move(other.path_);
  temporary_path_ = std::exchange(other.temporary_path_, "");
  return *this;
}

OutputFile::~OutputFile() { discard(); }

void OutputFile::discard() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  if (!temporary_path_.empty()) unlink(temporary_path_.c_str());
  temporary_path_.clear();
  forget_unfinished(std::exchange(unfinished_, nullptr));
}

Result<void> OutputFile::write(Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_error(path_, "write");
    bytes = bytes.subspan(static_cast<size_t>(count));
    size_ += static_cast<uint64_t>(count);
  }
  return {};
}

Result<void> OutputFile::write(std::string_view text) {
  return write(Bytes(reinterpret_cast<const std::byte*>(text.data()), text.size()));
}

Result<void> OutputFile::close() {
  if (descriptor_ >= 0 && ::close(std::exchange(descriptor_, -1)) != 0) {
    return system_error(path_, "write");
  }
  return {};
}

Result<void> OutputFile::commit() {
  MLC_RETURN_IF_ERROR(close());
  if (rename(temporary_path_.c_str(), path_.c_str()) != 0) return system_error(path_, "write");
  temporary_path_.clear();
  forget_unfinished(std::exchange(unfinished_, nullptr));
  return {};
}

Result<void> commit_together(std::span<OutputFile> files) {
  for (OutputFile& file : files) MLC_RETURN_IF_ERROR(file.close());
  std::vector<UnfinishedFile*> renamed;  // unfinished until all have their names
  for (OutputFile& file : files) {
    renamed.push_back(remember_unfinished(file.path()));
    if (const Result<void> result = file.commit(); !result.ok()) {
      for (size_t i = 0; i + 1 < renamed.size(); ++i) unlink(files[i].path().c_str());
      for (UnfinishedFile* entry : renamed) forget_unfinished(entry);
      return result.error();
    }
  }
  for (UnfinishedFile* entry : renamed) forget_unfinished(entry);
  return {};
}

Result<void> write_file(const std::string& path, std::string_view text) {
  MLC_ASSIGN_OR_RETURN(OutputFile file, OutputFile::create(path));
  MLC_RETURN_IF_ERROR(file.write(text));
  return file.commit();
}

}  // namespace mlc
