// SPDX-License-Identifier: Apache-2.0
// MappedFile where nothing can be mapped: the file is read into memory.
#include <cstdlib>
#include <cstring>

#include "support/file.h"

namespace mlc {

Result<MappedFile> MappedFile::open(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  MappedFile file;
  file.path_ = path;
  file.size_ = text.size();
  auto* data = static_cast<std::byte*>(std::malloc(text.size() + 1));
  if (data == nullptr) return user_error(path, "does not fit into memory");
  std::memcpy(data, text.data(), text.size());
  file.data_ = data;
  return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this == &other) return *this;
  std::free(const_cast<std::byte*>(data_));
  data_ = std::exchange(other.data_, nullptr);
  size_ = std::exchange(other.size_, 0);
  path_ = std::move(other.path_);
  return *this;
}

MappedFile::~MappedFile() { std::free(const_cast<std::byte*>(data_)); }

void MappedFile::release(size_t, size_t) const {}

}  // namespace mlc
