// SPDX-License-Identifier: Apache-2.0
// The other tokenizer files of any content: the first byte chooses the kind. What loads must encode
// and decode.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/formats.h"

using mlc::tokenizers::Tokenizer;

namespace {

mlc::Result<std::unique_ptr<Tokenizer>> load(uint8_t kind, std::string_view bytes) {
  switch (kind % 5) {
    case 0:
      return mlc::tokenizers::tokenizer_from_sentencepiece(bytes, "fuzz");
    case 1:
      return mlc::tokenizers::tokenizer_from_tiktoken(bytes, "fuzz");
    case 2:
      return mlc::tokenizers::tokenizer_from_rwkv(bytes, "fuzz");
    case 3: {
      const mlc::Result<std::string> packed = mlc::tokenizers::pack_rwkv_vocabulary(bytes, "fuzz");
      if (!packed.ok()) return packed.error();
      return mlc::tokenizers::tokenizer_from_rwkv(packed.value(), "fuzz");
    }
    default: {
      const size_t middle = bytes.find('\x01');
      if (middle == std::string_view::npos) return mlc::user_error("fuzz", "has no merges");
      return mlc::tokenizers::tokenizer_from_vocabulary_files(
          {std::string(bytes.substr(0, middle)), std::string(bytes.substr(middle + 1)), "{}"},
          "fuzz");
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto tokenizer = load(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  if (!tokenizer.ok()) return 0;
  std::vector<int32_t> ids = tokenizer.value()->encode(
      "low lower  1234\n\xe4\xbd\xa0\xf0\x9f\x98\x80 caf\xc3\xa9 <tool>\xff",
      {.add_special = true});
  for (int32_t id = -1; id < 40; ++id) ids.push_back(id);
  tokenizer.value()->decode(ids);
  return 0;
}
