// SPDX-License-Identifier: Apache-2.0
// What the readers of weight files share: opening one, sizes of shapes, and a Checkpoint over
// tensors that lie in mapped files.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "formats/checkpoint.h"
#include "support/file.h"

namespace mlc::formats {

// Maps a file of weights. Refuses an empty one and the pointer that Git LFS leaves in place of the
// file.
Result<MappedFile> open_weight_file(const std::string& path);

// An error for a pointer of Git LFS, which is a text of a few lines.
Result<void> refuse_lfs_pointer(std::string_view start, const std::string& where);

// "[2, 3]"
std::string shape_text(const std::vector<int64_t>& shape);

// The product of the dimensions, for a shape that was checked.
int64_t count_elements(const std::vector<int64_t>& shape);
// The product of the dimensions, or nothing if one is negative or elements * element_bytes exceeds
// 2^63 - 1.
std::optional<int64_t> checked_elements(const std::vector<int64_t>& shape, int64_t element_bytes);

// Where a tensor lies in its file.
struct LocatedTensor {
  CheckpointTensor tensor;  // as the reader of a Checkpoint sees it
  DType stored =
      DType::kF32;     // as it lies in the file; differs only for bf16 that is widened to f32
  int64_t offset = 0;  // of the first element, in bytes; inside the file with all elements
  std::vector<int64_t> strides{};  // in elements; empty: C order
};

// The tensors of all files, in the order given; tensor.file says which file holds one.
std::unique_ptr<Checkpoint> make_file_checkpoint(std::vector<MappedFile> files,
                                                 std::vector<LocatedTensor> tensors);

// Reads the list of tensors of one file of a format.
using TensorLister = Result<std::vector<LocatedTensor>> (*)(Bytes file, const std::string& where);

// The checkpoint whose index ("weight_map": name of tensor -> name of file) is at `index_path`.
// Order: files as they first appear in the map, in each the tensors as they appear in the map.
Result<std::unique_ptr<Checkpoint>> open_indexed_checkpoint(const std::string& index_path,
                                                            TensorLister list_tensors);

}  // namespace mlc::formats
