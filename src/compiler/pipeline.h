// SPDX-License-Identifier: Apache-2.0
// All passes of a compilation in their order, each run by the same runner: skipped if disabled, timed, verified, dumped
// if it changed something.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "compiler/build_plan.h"
#include "quantization/quantization.h"

namespace mlc::compiler {

struct PipelineOptions {
  bool int8_activations = true;
  std::set<std::string> disabled_passes;
  std::string dump_directory;  // empty: no dumps
};

struct PassTime {
  std::string name;
  double seconds = 0;
};

std::vector<std::string> pass_names();
// One pass over a graph, by name, then its verification. Throws UserError for an unknown name.
void run_graph_pass(graph::Graph& graph, const std::string& name, const quantization::Quantization& quantization);

// From the float graph of a model to plan and kernels.
PlanAndKernels run_pipeline(graph::Graph graph, const quantization::Quantization& quantization, const target::Target& target,
                            const PipelineOptions& options, std::vector<PassTime>* times);

}  // namespace mlc::compiler
