// SPDX-License-Identifier: Apache-2.0
#include "formats/open_checkpoint.h"

#include <algorithm>

#include "formats/gguf_checkpoint.h"
#include "formats/pytorch.h"
#include "formats/safetensors.h"
#include "support/file.h"
#include "support/json.h"
#include "support/strings.h"

namespace mlc::formats {
namespace {

constexpr std::string_view kTorch = "huggingface-torch";
constexpr std::string_view kSafetensors = "huggingface-safetensor";
constexpr std::string_view kAwq = "awq";
constexpr std::string_view kGguf = "gguf";

struct KnownFile {
  std::string_view format;
  std::string_view name;
};
// In the order in which "auto" looks for them.
constexpr KnownFile kKnownFiles[] = {
    {kTorch, "pytorch_model.bin.index.json"},
    {kTorch, "pytorch_model.bin"},
    {kSafetensors, "model.safetensors.index.json"},
    {kSafetensors, "model.safetensors"},
};

bool is_index(const std::string& path) { return path.ends_with(".json"); }

Result<std::string> resolve_source(const std::string& source, const std::string& config_path) {
  if (source != "auto") return source;
  if (config_path.ends_with(".gguf")) return config_path;
  const std::string directory = path_directory(config_path);
  MLC_ASSIGN_OR_RETURN(const Json config, read_json_file(config_path));
  const Json* path = config.find("weight_path");
  if (path == nullptr) return directory;
  if (!path->is_string()) {
    return user_error(cat(config_path, ": weight_path"), cat("is ", path->kind_name()), "a path");
  }
  return path_join(directory, path->as_string());
}

// The first known file of a directory that `format` allows.
Result<CheckpointLocation> search_directory(const std::string& directory,
                                            const std::string& format) {
  // AWQ checkpoints are safetensors.
  const std::string_view wanted = format == kAwq ? kSafetensors : std::string_view(format);
  std::vector<std::string> names;
  for (const KnownFile& known : kKnownFiles) {
    if (wanted != "auto" && wanted != known.format) continue;
    const std::string path = path_join(directory, known.name);
    if (file_exists(path)) {
      return CheckpointLocation{path, std::string(format == kAwq ? kAwq : known.format)};
    }
    names.emplace_back(known.name);
  }
  MLC_ASSIGN_OR_RETURN(const std::vector<std::string> present, list_directory(directory));
  std::vector<std::string> weights;
  for (const std::string& name : present) {
    for (const std::string_view extension : {".safetensors", ".bin", ".pt", ".pth", ".gguf"}) {
      if (name.ends_with(extension)) weights.push_back(name);
    }
  }
  std::string remedy = "name the file with --source, and its format with --source-format";
  if (!weights.empty()) remedy += cat("; the directory has ", join(weights, ", "));
  return user_error(directory,
                    wanted == "auto" ? std::string("holds no weights")
                                     : cat("holds no weights in the format ", format),
                    cat("one of ", join(names, ", ")), remedy);
}

// The format of a file that was named.
Result<std::string> detect_format(const std::string& path) {
  if (path.ends_with(".safetensors")) return std::string(kSafetensors);
  if (path.ends_with(".gguf")) return std::string(kGguf);
  for (const std::string_view extension : {".bin", ".pt", ".pth"}) {
    if (path.ends_with(extension)) return std::string(kTorch);
  }
  if (is_index(path)) {
    MLC_ASSIGN_OR_RETURN(const Json index, read_json_file(path));
    const Json* map = index.find("weight_map");
    if (map != nullptr && map->is_object() && !map->as_object().empty()) {
      const Json& file = map->as_object()[0].second;
      return std::string(
          file.is_string() && file.as_string().ends_with(".safetensors") ? kSafetensors : kTorch);
    }
    return user_error(path, "is no index of weights", "a file with \"weight_map\"",
                      "name the directory or the file of the weights with --source");
  }
  return user_error(path, "has a name that does not tell its format",
                    ".safetensors, .bin, .pt, .pth, .gguf or .index.json",
                    "name the format with --source-format");
}

}  // namespace

std::vector<std::string> source_formats() {
  return {std::string(kTorch), std::string(kSafetensors), std::string(kAwq), std::string(kGguf)};
}

Result<CheckpointLocation> locate_checkpoint(const std::string& source, const std::string& format,
                                             const std::string& config_path) {
  std::vector<std::string> formats = source_formats();
  formats.insert(formats.begin(), "auto");
  if (std::find(formats.begin(), formats.end(), format) == formats.end()) {
    return unknown_name_error(ErrorKind::kUsage, "--source-format", "format", format, formats);
  }
  MLC_ASSIGN_OR_RETURN(const std::string path, resolve_source(source, config_path));
  if (!file_exists(path)) {
    return user_error(path, "does not exist", "a directory, an index or a file with weights",
                      source == "auto" ? "" : "check --source");
  }
  if (is_directory(path)) return search_directory(path, format);
  if (format != "auto") return CheckpointLocation{path, format};
  MLC_ASSIGN_OR_RETURN(std::string detected, detect_format(path));
  return CheckpointLocation{path, std::move(detected)};
}

Result<std::unique_ptr<Checkpoint>> open_checkpoint(const std::string& source,
                                                    const std::string& format,
                                                    const std::string& config_path) {
  MLC_ASSIGN_OR_RETURN(const CheckpointLocation location,
                       locate_checkpoint(source, format, config_path));
  if (location.format == kTorch) {
    if (is_index(location.path)) return open_indexed_checkpoint(location.path, list_torch_tensors);
    return open_torch_file(location.path);
  }
  if (location.format == kGguf) return open_gguf_checkpoint(location.path);
  if (is_index(location.path)) return open_indexed_checkpoint(location.path, list_safetensors);
  const bool was_found = location.format == kSafetensors && location.path != source;
  return open_safetensors(location.path, was_found ? TensorOrder::kByOffset : TensorOrder::kByName);
}

}  // namespace mlc::formats
