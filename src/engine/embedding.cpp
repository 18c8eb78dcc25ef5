// SPDX-License-Identifier: Apache-2.0
#include "engine/embedding.h"

#include <cmath>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::engine {

Result<EmbeddingOptions> read_embedding_options(const Json& metadata, std::string_view where) {
  EmbeddingOptions options;
  if (!metadata.is_object()) return options;
  if (const Json* pooling = metadata.find("pooling_strategy")) {
    const std::string name = pooling->is_string() ? pooling->as_string() : pooling->dump();
    if (name == "last") {
      options.pooling = Pooling::kLast;
    } else if (name == "mean") {
      options.pooling = Pooling::kMean;
    } else if (name == "cls") {
      options.pooling = Pooling::kFirst;
    } else {
      return user_error(cat(where, ": embedding_metadata: pooling_strategy"), cat("is ", name),
                        "last, mean or cls");
    }
  }
  if (const Json* normalize = metadata.find("normalize")) {
    if (!normalize->is_bool()) {
      return user_error(cat(where, ": embedding_metadata: normalize"),
                        cat("is ", normalize->kind_name()), "true or false");
    }
    options.normalize = normalize->as_bool();
  }
  return options;
}

void Pooler::add(std::span<const float> row) {
  const bool counts = options_.pooling != Pooling::kFirst || rows_ == 0;
  if (sum_.empty()) sum_.resize(row.size(), 0.0);
  for (size_t i = 0; counts && i < row.size(); ++i) sum_[i] += static_cast<double>(row[i]);
  if (counts) ++rows_;
}

std::vector<float> Pooler::finish() const {
  MLC_CHECK(rows_ > 0) << "a vector of no rows";
  double squares = 0;
  for (const double value : sum_) squares += value * value;
  // The mean's factor is lost in the length.
  double divisor = static_cast<double>(rows_);
  if (options_.normalize && squares > 0) divisor = std::sqrt(squares);
  std::vector<float> vector;
  for (const double value : sum_) vector.push_back(static_cast<float>(value / divisor));
  return vector;
}

Result<void> check_sequence(const Session& session, std::span<const int32_t> tokens) {
  if (tokens.empty()) return user_error("tokens", "are none", "at least one token");
  MLC_RETURN_IF_ERROR(session.check_tokens(tokens));
  if (static_cast<int64_t>(tokens.size()) > session.context_tokens()) {
    return user_error("tokens", cat("are ", tokens.size()),
                      cat("at most ", session.context_tokens(), ", the context here"));
  }
  return {};
}

Result<std::vector<float>> embed(Engine& engine, std::span<const int32_t> tokens,
                                 const EmbeddingOptions& options) {
  MLC_RETURN_IF_ERROR(check_sequence(engine.session(), tokens));
  Pooler pooler(options);
  MLC_RETURN_IF_ERROR(engine.feed_alone(
      tokens, pooler.wanted_rows(), [&](std::span<const float> row) { pooler.add(row); },
      formats::Output::kHidden));
  return pooler.finish();
}

}  // namespace mlc::engine
