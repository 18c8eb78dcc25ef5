// SPDX-License-Identifier: Apache-2.0
// In a browser the page loads a library and hands it over; a file cannot be loaded here.
#include "runtime/model_library.h"

namespace mlc::runtime {

Result<const MlcModelLibrary*> load_library(const std::string& path, std::shared_ptr<void>*) {
  return user_error(path, "cannot be loaded from a file in WebAssembly");
}

}  // namespace mlc::runtime
