// SPDX-License-Identifier: Apache-2.0
// For tests only: hashes of tensors, as expected.json of the fixtures and of the conformance files
// has them.
#pragma once

#include <sys/types.h>
// libmd's header follows, it needs the types above.
#include <sha2.h>

#include <cstdint>
#include <string>
#include <vector>

#include "support/file.h"
#include "support/strings.h"

namespace mlc::formats {

inline std::string sha256(Bytes bytes) {
  SHA2_CTX context;
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  char text[SHA256_DIGEST_STRING_LENGTH];
  return SHA256End(&context, text);
}

// "12x32 520f85a115708eba": the dimensions and the first quarter of the hash.
inline std::string shape_and_hash(const std::vector<int64_t>& shape,
                                  const std::vector<float>& values) {
  std::vector<std::string> dimensions;
  for (const int64_t dimension : shape) dimensions.push_back(std::to_string(dimension));
  return cat(join(dimensions, "x"), " ", sha256(std::as_bytes(std::span(values))).substr(0, 16));
}

}  // namespace mlc::formats
