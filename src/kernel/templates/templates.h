// SPDX-License-Identifier: Apache-2.0
// Kernel templates: each writes the kernels of a node for one class of target, with the node's
// epilogue in them.
#pragma once

#include "kernel/lowering/lowered.h"

namespace mlc::kernel {

// Row-wise: rms_norm, layer_norm.
LoweredNode norm_template(const graph::Graph& graph, graph::NodeId id,
                          const target::Target& target);
// Chains of elementwise operators.
LoweredNode elementwise_template(const graph::Graph& graph, graph::NodeId id,
                                 const target::Target& target);
// Rows by number: gather_rows, and embedding from any bit layout.
LoweredNode gather_template(const graph::Graph& graph, graph::NodeId id,
                            const target::Target& target);
LoweredNode rope_table_template(const graph::Graph& graph, graph::NodeId id,
                                const target::Target& target);
// Matmul of one row (gemv), of some (gemv_strips) and of many (gemm).
LoweredNode matmul_template(const graph::Graph& graph, graph::NodeId id,
                            const target::Target& target);
// Query tokens of a work item at the most, for `queries` query heads a KV head.
int64_t attention_tile_tokens(int64_t queries);
LoweredNode attention_template(const graph::Graph& graph, graph::NodeId id,
                               const target::Target& target);

}  // namespace mlc::kernel
