// SPDX-License-Identifier: Apache-2.0
// One step over a ragged batch: what the engine asks for, and the tables and sizes that kernels
// read for it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "formats/plan.h"
#include "runtime/kv_cache.h"

namespace mlc::runtime {

// Which tokens of a sequence in the step have their logits computed.
enum class WantedLogits : uint8_t { kNone, kLast, kAll };

// Tokens of one sequence that follow what its cache holds. The cache has been extended for them
// already.
struct SequenceTokens {
  SequenceId sequence = 0;
  std::span<const int32_t> tokens;
  int64_t known_length = 0;  // n0 of spec "one set of frequencies": the sequence's length when its
                             // prefill began, prompt included
  WantedLogits logits = WantedLogits::kLast;
};

struct StepTables {
  // Values of all symbols, by PlanSymbol.
  std::vector<int64_t> sizes;
  std::vector<int32_t> tokens, positions, lengths, logit_rows;
  struct Group {
    std::vector<int32_t> slots, pages, items, merges;
  };
  std::vector<Group> groups;
};

// `threads`: for how many the work of long contexts is cut. The results do not depend on it.
StepTables make_step_tables(const formats::Plan& plan, const KvCache& cache,
                            std::span<const SequenceTokens> batch, int64_t threads);

}  // namespace mlc::runtime
