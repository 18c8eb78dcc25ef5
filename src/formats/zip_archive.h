// SPDX-License-Identifier: Apache-2.0
// The entries of a zip archive that is in memory. Stored entries only (PyTorch never compresses),
// zip64 included. Format: PKWARE APPNOTE 6.3.
#pragma once

#include <string>
#include <vector>

#include "support/file.h"

namespace mlc::formats {

struct ZipEntry {
  std::string name;
  Bytes bytes;
};

bool looks_like_zip(Bytes file);

// In the order of the central directory. Each entry is checked to lie inside the file.
Result<std::vector<ZipEntry>> list_zip_entries(Bytes file, const std::string& where);

}  // namespace mlc::formats
