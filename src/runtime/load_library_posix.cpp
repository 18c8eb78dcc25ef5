// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>

#include "runtime/model_library.h"
#include "support/file.h"
#include "support/strings.h"

namespace mlc::runtime {

Result<const MlcModelLibrary*> load_library(const std::string& path, std::shared_ptr<void>* handle) {
  if (!file_exists(path)) return user_error(path, "does not exist", "a model library", "mlc_llm compile makes one");
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
