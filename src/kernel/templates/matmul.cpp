// SPDX-License-Identifier: Apache-2.0
// Which kernels a matmul has: gemv for one row and for a few, pack and gemm for more.
#include "kernel/templates/matmul.h"

#include "kernel/templates/templates.h"

namespace mlc::kernel {

LoweredNode matmul_template(const graph::Graph& graph, graph::NodeId id,
                            const target::Target& target) {
  const MatmulNode m(graph, id, target);
  LoweredNode result;
  result.temporaries = gemm_temporaries(m);
  result.calls.push_back({m.rows, {{kMaxGemvRows, {}}, {INT64_MAX, {pack_kernel(m)}}}});
  result.calls.push_back({m.rows,
                          {{1, {gemv_kernel(m, true)}},
                           {kMaxGemvRows, {gemv_kernel(m, false)}},
                           {kTileRows, {gemm_kernel(m, true)}},
                           {INT64_MAX, {gemm_kernel(m, false)}}}});
  return result;
}

}  // namespace mlc::kernel
