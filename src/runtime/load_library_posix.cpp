// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "runtime/model_library.h"
#include "support/file.h"
#include "support/strings.h"
#include "target/target.h"

namespace mlc::runtime {
namespace {

// dlopen() says nothing of use about a library for another machine, and ends the process when a part of the file that
// its headers promise is not there. This looks at the headers of a 64-bit ELF file; dlopen() judges all others.
Result<void> check_elf(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  const auto number = [&](uint64_t offset, size_t size) {
    uint64_t value = 0;
    if (offset <= bytes.size() && size <= bytes.size() - offset) std::memcpy(&value, bytes.data() + offset, size);
    return value;
  };
  constexpr size_t kHeaderBytes = 64;
  if (bytes.size() < kHeaderBytes || number(0, 4) != 0x464c457f || number(4, 2) != 0x0102) return {};
  const auto ends_at = [](uint64_t offset, uint64_t size) { return offset > UINT64_MAX - size ? UINT64_MAX : offset + size; };
  const uint64_t segments = number(32, 8), segment_bytes = number(54, 2), num_segments = number(56, 2);
  const uint64_t sections = number(40, 8), section_bytes = number(58, 2), num_sections = number(60, 2);
  uint64_t needed = std::max(ends_at(segments, segment_bytes * num_segments), ends_at(sections, section_bytes * num_sections));
  if (needed <= bytes.size()) {
    for (uint64_t i = 0; i < num_segments; ++i) {
      const uint64_t segment = segments + i * segment_bytes;
      needed = std::max(needed, ends_at(number(segment + 8, 8), number(segment + 32, 8)));
    }
  }
  if (needed > bytes.size()) {
    return user_error(path, cat("has ", bytes_text(bytes.size())), cat(bytes_text(needed), ", as its headers say"),
                      "the file is cut off or damaged: compile it again");
  }
  const uint64_t machine = number(18, 2);
  const std::string architecture = machine == 62 ? "x86_64" : machine == 183 ? "aarch64" : cat("another machine (ELF's number ", machine, ")");
  if (architecture != target::host_architecture()) {
    return user_error(path, "was compiled for " + architecture, target::host_architecture() + ", which runs this program",
                      "compile the library on this machine");
  }
  return {};
}

}  // namespace

Result<const MlcModelLibrary*> load_library(const std::string& path, std::shared_ptr<void>* handle) {
  if (!file_exists(path)) return user_error(path, "does not exist", "a model library", "mlc_llm compile makes one");
  MLC_RETURN_IF_ERROR(check_elf(path));
  // A name without a slash would be searched for in the system's folders.
  const std::string exact = path.find('/') == std::string::npos ? "./" + path : path;
  void* loaded = dlopen(exact.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (loaded == nullptr) {
    return user_error(path, cat("cannot be loaded: ", dlerror()), "a shared library for this system", "mlc_llm compile makes one");
  }
  handle->reset(loaded, [](void* p) { dlclose(p); });
  const void* symbol = dlsym(loaded, MLC_MODEL_LIBRARY_SYMBOL);
  if (symbol == nullptr) {
    return user_error(path, cat("is no model library: it has no symbol ", MLC_MODEL_LIBRARY_SYMBOL), "", "mlc_llm compile makes one");
  }
  return static_cast<const MlcModelLibrary*>(symbol);
}

}  // namespace mlc::runtime
