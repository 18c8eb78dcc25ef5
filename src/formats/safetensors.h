// SPDX-License-Identifier: Apache-2.0
// The safetensors format (github.com/huggingface/safetensors): the size of a JSON header, the
// header, the bytes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/weight_file.h"

namespace mlc::formats {

// The tensors of one file, by ascending offset. As the reference library does, refuses headers of
// more than 100 MB and data that overlaps, leaves gaps or does not end where the file ends.
Result<std::vector<LocatedTensor>> list_safetensors(Bytes file, const std::string& where);

enum class TensorOrder { kByOffset, kByName };

// One file.
Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path, TensorOrder order);

}  // namespace mlc::formats
