// SPDX-License-Identifier: Apache-2.0
// One vector for a text: the hidden states behind the final norm, pooled over the tokens.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "engine/engine.h"
#include "support/json.h"

namespace mlc::engine {

// Which hidden states count.
enum class Pooling : uint8_t {
  kLast,  // the last token's, which alone has seen the whole text
  kMean,  // the mean of all tokens'
  kFirst  // the first token's ("cls"), for models whose tokens see what follows
};

struct EmbeddingOptions {
  Pooling pooling = Pooling::kLast;
  bool normalize = true;  // to the length 1
};

// Of `embedding_metadata` of a chat config: "pooling_strategy" ("last", "mean" or "cls") and
// "normalize"; null, or a member that is absent: as EmbeddingOptions has it. Errors name the
// member.
Result<EmbeddingOptions> read_embedding_options(const Json& metadata, std::string_view where);

// Gathers the pooled vector of hidden states that come row by row.
class Pooler {
 public:
  explicit Pooler(const EmbeddingOptions& options) : options_(options) {}

  // Every row that wanted_rows() asks for, in order.
  void add(std::span<const float> row);
  runtime::WantedLogits wanted_rows() const {
    return options_.pooling == Pooling::kLast ? runtime::WantedLogits::kLast
                                              : runtime::WantedLogits::kAll;
  }
  // The vector. Requires a row. One of length 0 stays as it is.
  std::vector<float> finish() const;

 private:
  EmbeddingOptions options_;
  std::vector<double> sum_;
  int64_t rows_ = 0;
};

// The vector of a sequence of its own, between the steps of the others, [hidden]. Errors: no
// tokens, ids that the model lacks, more than the context, a library without hidden states.
Result<std::vector<float>> embed(Engine& engine, std::span<const int32_t> tokens,
                                 const EmbeddingOptions& options);

// An error where the tokens cannot be a sequence of their own.
Result<void> check_sequence(const Session& session, std::span<const int32_t> tokens);

}  // namespace mlc::engine
