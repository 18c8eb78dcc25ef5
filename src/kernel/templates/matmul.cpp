// SPDX-License-Identifier: Apache-2.0
// Which kernels a matmul has: gemv for one row or two, gemv_strips for some, pack and gemm for
// many. Few rows with weights by columns are gemv's, or take two steps (gemv_columns.h).
#include <algorithm>

#include "kernel/templates/gemv_columns.h"
#include "kernel/templates/templates.h"

namespace mlc::kernel {
namespace {

using Template = LoweredKernel (*)(const MatmulNode& m);

// From here on what a strip costs at its end, where its chains are summed, is little.
constexpr int64_t kLongK = 2048;

// Up to how many rows gemv_strips is faster than gemm (docs/performance.md).
int64_t most_rows_of_strips(const MatmulNode& m) {
  if (!m.int8) return m.target.vector_bytes() >= 64 ? kMaxRowsOfWholeStrips : kTileRows;
  if (m.by_tiles() || m.by_blocks()) return kMaxGemvRows;
  if (m.target.vector_bytes() >= 64) return m.k >= kLongK ? kMaxRowsOfWholeStrips : kMaxGemvRows;
  // gemm's sums of pairs do not fit the registers.
  if (m.target.vector_bytes() >= 32 && !m.target.has_dot4()) return INT64_MAX;
  return kMaxGemvRows;
}

}  // namespace

LoweredNode matmul_template(const graph::Graph& graph, graph::NodeId id,
                            const target::Target& target) {
  const MatmulNode m(graph, id, target);
  LoweredNode result;
  LoweredCall first{m.rows, {}};
  LoweredCall second{m.rows, {}};
  // What computes up to `rows` rows, more than what was added before: a kernel, and one ahead of it
  // (or none) that may serve several.
  Template ahead = nullptr;
  const auto add = [&](int64_t rows, Template before, const Template kernel) {
    if (first.variants.empty() || before != ahead) {
      first.variants.push_back({rows, {}});
      if (before) first.variants.back().kernel.push_back(before(m));
    }
    first.variants.back().max_value = rows;
    ahead = before;
    second.variants.push_back({rows, {kernel(m)}});
  };
  const Template one_row = [](const MatmulNode& n) { return gemv_kernel(n, 1); };
  int64_t done = kMaxGemvRows;
  if (!m.by_columns) done = most_rows_of_strips(m);
  if (done < INT64_MAX) result.temporaries = gemm_temporaries(m);
  if (m.int8 && m.by_columns) {
    result.temporaries.push_back(column_chains_bytes(m));
    add(
        1, [](const MatmulNode& n) { return column_chains_kernel(n, true); },
        [](const MatmulNode& n) { return column_finish_kernel(n, true); });
    add(
        kMaxGemvRows, [](const MatmulNode& n) { return column_chains_kernel(n, false); },
        [](const MatmulNode& n) { return column_finish_kernel(n, false); });
  } else if (!m.by_columns) {
    add(1, nullptr, one_row);
    if (m.int8 && m.k < kLongK)
      add(2, nullptr, [](const MatmulNode& n) { return gemv_kernel(n, 2); });
    add(std::min(done, kMaxRowsOfWholeStrips), nullptr,
        [](const MatmulNode& n) { return gemv_strips_kernel(n, false); });
    if (done > kMaxRowsOfWholeStrips)
      add(done, nullptr, [](const MatmulNode& n) { return gemv_strips_kernel(n, true); });
  } else {
    add(1, nullptr, one_row);
    add(kMaxGemvRows, nullptr, [](const MatmulNode& n) { return gemv_kernel(n, kMaxGemvRows); });
  }
  if (done < kTileRows && gemm_has_single_tile(m))
    add(kTileRows, pack_kernel, [](const MatmulNode& n) { return gemm_kernel(n, true); });
  if (done < INT64_MAX)
    add(m.by_sums() ? kMaxFixedRows : INT64_MAX, pack_kernel,
        [](const MatmulNode& n) { return gemm_kernel(n, false); });
  if (m.by_sums()) add(INT64_MAX, pack_bf16_kernel, gemm_bf16_kernel);
  if (first.variants.size() > 1 || ahead) result.calls.push_back(std::move(first));
  result.calls.push_back(std::move(second));
  return result;
}

}  // namespace mlc::kernel
