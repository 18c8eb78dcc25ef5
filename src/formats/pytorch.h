// SPDX-License-Identifier: Apache-2.0
// Files that torch.save wrote: a pickle that describes the tensors, and the bytes of their
// storages, either as entries of a zip archive (since PyTorch 1.6) or one behind the other
// (before). Nothing in a file is executed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/weight_file.h"

namespace mlc::formats {

// The tensors of one file in the order of its dict. Tensors of bfloat16 are presented as float32.
Result<std::vector<LocatedTensor>> list_torch_tensors(Bytes file, const std::string& where);

// One file.
Result<std::unique_ptr<Checkpoint>> open_torch_file(const std::string& path);

}  // namespace mlc::formats
