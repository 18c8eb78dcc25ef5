// SPDX-License-Identifier: Apache-2.0
// The container of GGUF files (versions 2 and 3, little-endian): metadata and the list of tensors,
// of one file or of all parts of a split model. What the keys and tensors mean is the business of
// gguf_config.h, gguf_tokenizer.h and gguf_checkpoint.h. Reference:
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "formats/gguf_types.h"
#include "support/file.h"

namespace mlc::formats {

enum class GgufValueType : uint8_t {  // with their numbers in the file
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

struct GgufTensor {
  std::string_view name;  // "blk.0.attn_q.weight"
  GgufType type = GgufType::kF32;
  // Outermost first, as PyTorch has it; at least one dimension, and the first is 1 only if it is
  // alone.
  std::vector<int64_t> shape;
  int64_t part = 0;  // number of the file in a split model
  Bytes data;        // all blocks

  int64_t elements() const;
};

class GgufFile {
 public:
  // Maps a file. Any part of a split model gives the whole model: its other parts are looked for
  // beside it. Errors name the file and the key or tensor: everything that is cut off, damaged, too
  // large for the file, doubled, of another version or of a type that is not supported, and files
  // that hold no model.
  static Result<GgufFile> open(const std::string& path);
  // The same from memory, which must outlive the result; a part of a split model is refused. `path`
  // is for messages.
  static Result<GgufFile> parse(Bytes file, const std::string& path);

  const std::string& path() const { return path_; }  // of the first part of a split model
  bool is_mapped() const { return !mappings_.empty(); }
  const std::string& architecture() const { return architecture_; }  // "llama"

  // In the order of the file or files. Names are unique.
  const std::vector<GgufTensor>& tensors() const { return tensors_; }
  const GgufTensor* find_tensor(std::string_view name) const;

  // Names of all keys, in the order of the file.
  const std::vector<std::string_view>& keys() const { return keys_; }
  bool contains(std::string_view key) const { return values_.contains(key); }

  // The value of a key, or nothing if it is absent. A number of any width will do, and a list whose
  // elements are all equal stands for that element (writers give lists for some properties of
  // layers). Errors: values of another kind; integers beyond int64.
  Result<std::optional<int64_t>> find_int(std::string_view key) const;
  Result<std::optional<double>> find_float(std::string_view key) const;  // f32 as shortest decimal
  Result<std::optional<bool>> find_bool(std::string_view key) const;     // integers 0 and 1 too
  // Any bytes; they live as long as the file.
  Result<std::optional<std::string_view>> find_string(std::string_view key) const;

  // The elements of a list, or nothing if the key is absent.
  Result<std::optional<std::vector<int64_t>>> find_ints(std::string_view key) const;  // bools too
  Result<std::optional<std::vector<float>>> find_floats(
      std::string_view key) const;  // integers too
  Result<std::optional<std::vector<std::string_view>>> find_strings(std::string_view key) const;
  std::optional<int64_t> list_length(std::string_view key) const;  // nothing: absent or no list

  // "PATH: key KEY" and "PATH: tensor NAME", for messages.
  std::string key_where(std::string_view key) const;
  std::string tensor_where(std::string_view name) const;

  // Gives the pages of bytes [begin, end) of a tensor's data back to the system.
  void release(const GgufTensor& tensor, int64_t begin, int64_t end) const;

 private:
  friend class GgufReader;

  struct Value {
    GgufValueType type;  // of the elements, for a list
    bool is_list = false;
    int64_t count = 1;
    const std::byte* data;  // checked to lie in the file with all elements
  };

  GgufFile() = default;
  const Value* find(std::string_view key) const;
  Error wrong_kind(std::string_view key, const Value& value, std::string_view expected) const;

  std::string path_;
  std::string architecture_;
  std::vector<MappedFile> mappings_;  // one for each part
  std::vector<GgufTensor> tensors_;
  std::unordered_map<std::string_view, size_t> tensor_numbers_;
  std::vector<std::string_view> keys_;
  std::unordered_map<std::string_view, Value> values_;
};

}  // namespace mlc::formats
