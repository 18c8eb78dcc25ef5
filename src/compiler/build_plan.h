// SPDX-License-Identifier: Apache-2.0
// A graph after all passes into a plan and the kernels that it calls.
#pragma once

#include <string>
#include <vector>

#include "formats/plan.h"
#include "graph/graph.h"
#include "kernel/ir.h"
#include "target/target.h"

namespace mlc::compiler {

struct PlanAndKernels {
  formats::Plan plan;
  std::vector<kernel::Kernel>
      kernels;  // in the order of plan.kernels, verified, without math calls
};

// Lowers every node, shares equal kernels, and puts all values into one arena: a buffer whose value
// is not used any more gives its place to a later one of the same symbols.
PlanAndKernels build_plan(const graph::Graph& graph, const target::Target& target);

}  // namespace mlc::compiler
