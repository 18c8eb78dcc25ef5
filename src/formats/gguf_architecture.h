// SPDX-License-Identifier: Apache-2.0
// The architectures of GGUF files that we read: their hyperparameters as far as the layout of the
// weights depends on them, and the names that their tensors have in GGUF and in Hugging Face
// checkpoints.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "formats/gguf.h"

namespace mlc::formats {

enum class GgufArchitecture : uint8_t {
#define MLC_GGUF_ARCHITECTURE(enumerator, name) enumerator,
#include "formats/gguf_architectures.def"
};

struct GgufModel {
  GgufArchitecture architecture;
  int64_t layers;
  int64_t heads;
  int64_t kv_heads;
  int64_t experts;  // 0: none
};

// Errors: an unknown architecture, with near names; keys that are missing or out of range.
Result<GgufModel> gguf_model(const GgufFile& file);

// Whether the model has a head of its own instead of the embedding. In gpt2, whose head is always
// the embedding, a copy of it does not count.
bool has_own_head(const GgufFile& file, GgufArchitecture architecture);

// Reads keys of the architecture, "llama.block_count" by "block_count". After an error every read
// gives nothing or 0, and error() tells the first one: code that reads many keys asks once, at its
// end.
class GgufKeyReader {
 public:
  explicit GgufKeyReader(const GgufFile& file) : file_(file) {}

  bool contains(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key);
  std::optional<double> find_float(std::string_view key);
  std::optional<bool> find_bool(std::string_view key);
  std::optional<std::string_view> find_string(std::string_view key);
  std::optional<int64_t> find_size(std::string_view key);  // from 0 to 2^31 - 1
  int64_t size(std::string_view key);                      // required, from 1
  double number(std::string_view key);                     // required

  void fail(Error error);  // keeps the first one
  void fail(std::string_view key, std::string found, std::string expected);
  bool ok() const { return !error_.has_value(); }
  const Error& error() const { return *error_; }
  std::string full_key(std::string_view key) const;

 private:
  template <class T>
  std::optional<T> taken(Result<std::optional<T>> result);
  Error missing(std::string_view key) const;

  const GgufFile& file_;
  std::optional<Error> error_;
};

// What becomes of a tensor.
enum class GgufTensorRole : uint8_t {
  kMatrix,  // ".weight" is [out, in] in both forms, ".bias" [out]
  kConv1d,  // ".weight" is [in, out] in the Hugging Face form
  kNorm,    // [n]
  kGateExperts,
  kUpExperts,
  kDownExperts,    // [experts, out, in], one matrix for each in the other form
  kGateUpExperts,  // rows of gate, then of up
};

struct GgufTensorName {
  std::string_view
      gguf;  // "ffn_down"; in a layer without "blk.N.", always without ".weight" and ".bias"
  std::string_view hf;  // "mlp.down_proj"; in a layer without its prefix
  GgufTensorRole role;
};

// How q, k and v lie in the Hugging Face form. In GGUF they are three tensors or the rows of q, of
// k and of v in one.
enum class GgufQkvForm : uint8_t {
  kSeparate,
  kRows,    // one tensor, rows as in GGUF
  kHeads,   // one tensor: q, k and v of head 0, of head 1 ...
  kGroups,  // one tensor: for each kv head the q heads that share it, k, v
};

struct GgufNames {
  std::string_view layer_prefix;  // "model.layers."
  std::span<const GgufTensorName> top;
  std::span<const GgufTensorName> layer;
  GgufQkvForm qkv_form;
  std::string_view q, k, v;  // kSeparate
  std::string_view qkv;      // else
  bool qkv_is_conv1d = false;
  bool interleaved = false;          // the two rotary halves of q and k heads alternate in GGUF
  bool norms_hold_one_more = false;  // GGUF has 1 + w
  std::string_view expert_prefix;    // "mlp.experts."
  std::string_view gate_expert, up_expert, down_expert;  // "gate_proj" ...
};

GgufNames gguf_names(const GgufModel& model);

// Tensors that hold no weights: factors of the rotary embedding, which the config takes up.
bool is_ignored_tensor(std::string_view top_or_layer_name);

}  // namespace mlc::formats
