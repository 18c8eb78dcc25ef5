// SPDX-License-Identifier: Apache-2.0
// Opens a file from memory and asks it for everything: config, tokenizer, all rows of all tensors.
#include "formats/gguf.h"
#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace mlc::formats;  // a file of its own
  auto file = GgufFile::parse({reinterpret_cast<const std::byte*>(data), size}, "f.gguf");
  if (!file.ok()) return 0;
  for (const GgufTensor& tensor : file->tensors()) {
    const std::byte* begin = reinterpret_cast<const std::byte*>(data);
    if (tensor.data.data() < begin || tensor.data.data() + tensor.data.size() > begin + size) {
      __builtin_trap();
    }
  }
  const bool has_config = gguf_config(*file).ok();
  const bool has_generation_config = gguf_generation_config(*file).ok();
  const auto tokenizer = gguf_tokenizer_files(*file);
  if (tokenizer.ok() && (*tokenizer)[0].name != "tokenizer.json") __builtin_trap();
  if (has_config && !has_generation_config) __builtin_trap();  // the keys of one are in the other
  const auto checkpoint = make_gguf_checkpoint(std::move(*file));
  if (!checkpoint.ok()) return 0;
  for (size_t i = 0; i < (*checkpoint)->tensors().size(); ++i) {
    const mlc::formats::CheckpointTensor& tensor = (*checkpoint)->tensors()[i];
    const int64_t rows = tensor.shape[0];
    int64_t row_bytes = dtype_bytes(tensor.dtype);
    for (size_t axis = 1; axis < tensor.shape.size(); ++axis) row_bytes *= tensor.shape[axis];
    const int64_t begin = rows / 3;  // a chunk in the middle
    std::vector<std::byte> out(static_cast<size_t>((rows - begin) * row_bytes));
    const auto number = static_cast<int64_t>(i);
    if (!(*checkpoint)->read_rows(number, begin, rows - begin, out.data()).ok()) __builtin_trap();
    (*checkpoint)->release_rows(number, begin, rows - begin);
  }
  return 0;
}
