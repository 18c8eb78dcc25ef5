// SPDX-License-Identifier: Apache-2.0
// Finds out where the weights of a model are and in which format, and opens them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "formats/checkpoint.h"

namespace mlc::formats {

// The names that --source-format takes besides "auto".
std::vector<std::string> source_formats();

struct CheckpointLocation {
  std::string path;    // an index, or the one file
  std::string format;  // one of source_formats()
};

// `source`: a directory, an index or a file; "auto" is `config_path` itself if it is a .gguf file,
// else "weight_path" of the config.json there if it has that key, else the directory of that file.
// `format`: "auto" or one of source_formats(); "auto" takes the first that is there of
// pytorch_model.bin.index.json, pytorch_model.bin, model.safetensors.index.json and
// model.safetensors, and never AWQ.
Result<CheckpointLocation> locate_checkpoint(const std::string& source, const std::string& format,
                                             const std::string& config_path);

// Order of the tensors: that of the index, else of the dict of a PyTorch file, else ascending
// offset in a model.safetensors that was found in a directory, else (a .safetensors that `source`
// names) by name.
Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& source,
                                                    const std::string& format,
                                                    const std::string& config_path);

}  // namespace mlc::formats
