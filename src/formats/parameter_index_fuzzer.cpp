// SPDX-License-Identifier: Apache-2.0
#include "formats/parameter_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto index = mlc::formats::parse_index({reinterpret_cast<const char*>(data), size}, "i");
  if (!index.ok()) return 0;
  for (const mlc::formats::ParameterRecord& record : index->parameters) {
    const int64_t bytes = index->shards[static_cast<size_t>(record.shard)].bytes;
    if (record.offset < 0 || record.bytes < 0 || record.offset + record.bytes > bytes) {
      __builtin_trap();
    }
  }
  return 0;
}
