// SPDX-License-Identifier: Apache-2.0
// What a graph node becomes: calls of kernels, with what each parameter of a kernel is bound to.
// Kernels do not depend on names, layers or offsets, so that equal ones are made once.
#pragma once

#include <cstdint>
#include <vector>

#include "formats/plan.h"
#include "graph/graph.h"
#include "kernel/ir.h"
#include "target/target.h"

namespace mlc::kernel {

struct Binding {
  enum class Kind : uint8_t {
    kOperand,    // value of operand `index`; component: which of its buffers
    kResult,     // the node's value
    kStored,     // tensor `component` that a parameter (operand `index`) is stored as
    kCache,      // pages of the node's cache layer
    kTable,      // an InputTable (index), of the node's cache group
    kTemporary,  // scratch of this node alone, `index` of its list
    kSize,       // the value of a symbol
  };
  Kind kind = Kind::kOperand;
  int index = 0;
  int component = 0;
  formats::PlanSymbol symbol = 0;
};

struct LoweredKernel {
  Kernel kernel;
  std::vector<Binding> bindings;  // one for each parameter of the kernel
  formats::TaskCount tasks;
};

struct LoweredVariant {
  int64_t max_value = INT64_MAX;
  std::vector<LoweredKernel> kernel;  // one, or none where there is nothing to do
};

struct LoweredCall {
  formats::PlanSymbol symbol = 0;  // chooses the variant
  std::vector<LoweredVariant> variants;
};

struct LoweredNode {
  std::vector<LoweredCall> calls;
  std::vector<formats::LinearSize> temporaries;  // bytes
};

// The buffers that hold a value: one, or three for int8 activations (codes, scales, sums). Rows
// come from the first dimension.
std::vector<formats::LinearSize> value_buffers(const graph::Type& type);
std::vector<DType> value_buffer_dtypes(const graph::Type& type);

// The symbol of a value's first dimension, which chooses the variants of what computes it.
formats::PlanSymbol row_symbol(const graph::Type& type);

// Equal keys give equal kernels: everything of the node that code depends on.
std::string lowering_key(const graph::Graph& graph, graph::NodeId id);
LoweredNode lower(const graph::Graph& graph, graph::NodeId id, const target::Target& target);

}  // namespace mlc::kernel
