// SPDX-License-Identifier: Apache-2.0
// tokenizer.json of any content; what loads must encode and decode. Seeds: the tokenizers of
// tests/fixtures/tokenizers/components.json and ../shared/conformance/tokenizers.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizers/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto tokenizer = mlc::tokenizers::tokenizer_from_json_text(text, "fuzz");
  if (!tokenizer.ok()) return 0;
  std::vector<int32_t> ids = tokenizer.value()->encode(
      "low lower  1234\n\xe4\xbd\xa0\xf0\x9f\x98\x80 caf\xc3\xa9 <s>\xff", {.add_special = true});
  for (int32_t id = -1; id < 40; ++id) ids.push_back(id);
  tokenizer.value()->decode(ids, {.skip_special = true});
  mlc::tokenizers::StreamDecoder decoder(*tokenizer.value());
  for (const int32_t id : ids) decoder.put(id);
  decoder.finish();
  return 0;
}
