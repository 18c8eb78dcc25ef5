// SPDX-License-Identifier: Apache-2.0
#include "engine/perplexity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/softmax.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

// Logits of all tokens of a step are in memory at once.
constexpr int64_t kMaxLogitBytes = int64_t{256} << 20;

}  // namespace

double Perplexity::perplexity() const { return std::exp(nll); }

Result<Perplexity> measure_perplexity(Session& session, std::span<const int32_t> tokens,
                                      int64_t window) {
  const int64_t windows = window > 0 ? static_cast<int64_t>(tokens.size()) / window : 0;
  if (window < 2) return user_error("window", cat("is ", window), "at least 2 tokens");
  if (window > session.context_tokens()) {
    return user_error(
        "window", cat("is ", window),
        cat("at most ", session.context_tokens(), ", the context that the model has here"));
  }
  if (windows == 0)
    return user_error("text", cat("has ", tokens.size(), " tokens"),
                      cat("at least a window of ", window));
  const int64_t vocab = session.vocab_size();
  const int64_t step_tokens =
      std::max<int64_t>(1, std::min(session.chunk_tokens(), kMaxLogitBytes / (4 * vocab)));
  int64_t together = std::max<int64_t>(1, step_tokens / window);
  for (int g = 0; g < session.cache().num_groups(); ++g) {
    const int64_t pages = session.cache().pages_for(g, window, step_tokens);
    together = std::clamp<int64_t>(session.cache().free_pages(g) / pages, 1, together);
  }
  const int64_t chunk = std::min(window, step_tokens);
  Perplexity result;
  double sum = 0;
  for (int64_t first = 0; first < windows; first += together) {
    std::vector<runtime::SequenceId> sequences;
    for (int64_t w = first; w < std::min(windows, first + together); ++w)
      sequences.push_back(session.cache().add_sequence());
    for (int64_t done = 0; done < window; done += chunk) {
      const int64_t count = std::min(chunk, window - done);
      std::vector<runtime::SequenceTokens> batch;
      for (size_t s = 0; s < sequences.size(); ++s) {
        const int64_t begin = (first + static_cast<int64_t>(s)) * window + done;
        batch.push_back({sequences[s],
                         tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
                         window, runtime::WantedLogits::kAll});
      }
      MLC_ASSIGN_OR_RETURN(const std::span<const float> logits, session.step(batch));
      for (size_t s = 0; s < sequences.size(); ++s) {
        for (int64_t i = 0; i < count && done + i + 1 < window; ++i) {
          const auto row = static_cast<size_t>(static_cast<int64_t>(s) * count + i);
          const std::span<const float> l =
              logits.subspan(row * static_cast<size_t>(vocab), static_cast<size_t>(vocab));
          const int32_t next = tokens[static_cast<size_t>(
              (first + static_cast<int64_t>(s)) * window + done + i + 1)];
          MLC_RETURN_IF_ERROR(session.check_tokens({&next, 1}));
          sum += log_sum_exp(l) - static_cast<double>(l[static_cast<size_t>(next)]);
          ++result.scored;
        }
      }
    }
    for (const runtime::SequenceId id : sequences) session.cache().remove(id);
  }
  result.nll = sum / static_cast<double>(result.scored);
  return result;
}

}  // namespace mlc::engine
