// SPDX-License-Identifier: Apache-2.0
// Opens a file from memory and asks it for everything: config, tokenizer, all tensors.
#include "formats/gguf.h"
#include "formats/gguf_checkpoint.h"
#include "formats/gguf_config.h"
#include "formats/gguf_tokenizer.h"

namespace mlc::formats {
namespace {

// The data of every tensor must lie in the file.
void check_places(const GgufFile& file, Bytes bytes) {
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.data.data() < bytes.data() ||
        tensor.data.data() + tensor.data.size() > bytes.data() + bytes.size()) {
      __builtin_trap();
    }
  }
}

// Reads two thirds of each tensor, a chunk that begins anywhere.
void read_tensors(const Checkpoint& checkpoint) {
  for (size_t i = 0; i < checkpoint.tensors().size(); ++i) {
    const CheckpointTensor& tensor = checkpoint.tensors()[i];
    const auto number = static_cast<int64_t>(i);
    int64_t row_bytes = dtype_bytes(tensor.dtype);
    for (size_t axis = 1; axis < tensor.shape.size(); ++axis) row_bytes *= tensor.shape[axis];
    const int64_t begin = tensor.shape[0] / 3;
    const int64_t count = tensor.shape[0] - begin;
    std::vector<std::byte> out(static_cast<size_t>(count * row_bytes));
    if (!checkpoint.read_rows(number, begin, count, out.data()).ok()) __builtin_trap();
    checkpoint.release_rows(number, begin, count);
  }
}

void open_all(Bytes bytes) {
  auto file = GgufFile::parse(bytes, "f.gguf");
  if (!file.ok()) return;
  check_places(*file, bytes);
  const auto config = gguf_config(*file);
  if (config.ok() && !config->contains("vocab_size")) __builtin_trap();
  (void)gguf_generation_config(*file).ok();
  const auto tokenizer = gguf_tokenizer_files(*file);
  if (tokenizer.ok() && (*tokenizer)[0].name != "tokenizer.json") __builtin_trap();
  const auto checkpoint = make_gguf_checkpoint(std::move(*file));
  if (checkpoint.ok()) read_tensors(**checkpoint);
}

}  // namespace
}  // namespace mlc::formats

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  mlc::formats::open_all({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
