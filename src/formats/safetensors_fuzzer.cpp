// SPDX-License-Identifier: Apache-2.0
#include "formats/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto tensors =
      mlc::formats::list_safetensors({reinterpret_cast<const std::byte*>(data), size}, "w");
  if (!tensors.ok()) return 0;
  for (const mlc::formats::LocatedTensor& tensor : *tensors) {
    // Every element must lie in the file.
    int64_t bytes = dtype_bytes(tensor.stored);
    for (const int64_t dimension : tensor.tensor.shape) bytes *= dimension;
    if (tensor.offset < 0 || tensor.offset + bytes > static_cast<int64_t>(size)) __builtin_trap();
  }
  return 0;
}
