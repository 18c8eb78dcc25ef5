// SPDX-License-Identifier: Apache-2.0
// The modes of quantization: what each does with which weight, and what is stored for it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "support/dtype.h"
#include "support/error.h"

namespace mlc::quantization {

enum class Scheme { kNone, kGroup, kAwq };
enum class Layout { kNK, kKN };  // of a stored linear: [out, in] or [in, out]
enum class Treatment { kPlain, kQuantized };

struct Quantization {
  std::string_view name;
  Scheme scheme;
  DType model_dtype;  // of all weights that are not quantized, and of the scales
  int bits;
  int group_size;  // values along the input axis that share a scale
  Layout linear_layout;
  Treatment embeddings;
  Treatment head;

  int values_per_word() const { return 32 / bits; }
  int words_per_group() const { return group_size / values_per_word(); }
  int64_t groups_per_row(int64_t k) const { return (k + group_size - 1) / group_size; }
  int64_t words_per_row(int64_t k) const { return groups_per_row(k) * words_per_group(); }
  int largest() const {
    return (1 << (bits - 1)) - 1;
  }  // of group codes, which are -largest ... largest
};

// `where` is the flag or the key that named it. Unknown names list near matches; modes that exist
// but that we do not make are refused with the reason.
Result<const Quantization*> find_quantization(std::string_view name, std::string_view where);
std::vector<std::string> quantization_names();

enum class WeightKind {
  kPlain,      // never quantized: norms, biases, convolutions, positions
  kLinear,     // [out, in]
  kEmbedding,  // [vocab, dim]
  kExperts,    // [experts, out, in]
};

struct Weight {
  std::string name;            // "model.layers.0.mlp.down_proj.weight"; ends so unless kPlain
  std::vector<int64_t> shape;  // before quantization
  DType dtype =
      DType::kF16;  // when it is not quantized: the model dtype, or float32 where the model says so
  WeightKind kind = WeightKind::kPlain;
  bool keep_float = false;  // a linear or embedding that the model exempts
};

// Linears, embeddings and experts, except what the mode or the model exempts: the final head by its
// name, routers of experts by the end of their name and at most 256 outputs.
bool is_quantized(const Quantization& quantization, const Weight& weight);

struct StoredTensor {
  std::string name;
  std::vector<int64_t> shape;
  DType dtype;
};

// What is stored for a weight, in this order: the weight itself; or q_weight and q_scale (group);
// or qweight, qzeros and scales (AWQ). Errors: a mode that cannot hold such a weight.
Result<std::vector<StoredTensor>> stored_tensors(const Quantization& quantization,
                                                 const Weight& weight);

// "model.norm" of "model.norm.weight".
std::string_view module_name(std::string_view parameter);

}  // namespace mlc::quantization
