// SPDX-License-Identifier: Apache-2.0
// Which kernels a matmul has: gemv for one row and for a few, pack and gemm for more. Few
// rows with weights by columns take two steps (gemv_columns.h).
#include "kernel/templates/gemv_columns.h"
#include "kernel/templates/templates.h"

namespace mlc::kernel {

LoweredNode matmul_template(const graph::Graph& graph, graph::NodeId id,
                            const target::Target& target) {
  const MatmulNode m(graph, id, target);
  LoweredNode result;
  result.temporaries = gemm_temporaries(m);
  LoweredCall first{m.rows, {{kMaxGemvRows, {}}, {INT64_MAX, {pack_kernel(m)}}}};
  LoweredCall second{m.rows, {{INT64_MAX, {gemm_kernel(m, false)}}}};
  if (gemm_has_single_tile(m))
    second.variants.insert(second.variants.begin(), {kTileRows, {gemm_kernel(m, true)}});
  if (m.by_sums()) {
    for (LoweredCall* call : {&first, &second}) call->variants.back().max_value = kMaxFixedRows;
    first.variants.push_back({INT64_MAX, {pack_bf16_kernel(m)}});
    second.variants.push_back({INT64_MAX, {gemm_bf16_kernel(m)}});
  }
  const auto few_rows = [&](LoweredCall& call, LoweredKernel one, LoweredKernel several) {
    call.variants.insert(call.variants.begin(),
                         {{1, {std::move(one)}}, {kMaxGemvRows, {std::move(several)}}});
  };
  if (m.int8 && m.by_columns) {
    result.temporaries.push_back(column_chains_bytes(m));
    first.variants.erase(first.variants.begin());
    few_rows(first, column_chains_kernel(m, true), column_chains_kernel(m, false));
    few_rows(second, column_finish_kernel(m, true), column_finish_kernel(m, false));
  } else {
    few_rows(second, gemv_kernel(m, true), gemv_kernel(m, false));
  }
  result.calls = {std::move(first), std::move(second)};
  return result;
}

}  // namespace mlc::kernel
