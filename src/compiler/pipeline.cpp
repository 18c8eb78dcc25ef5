// SPDX-License-Identifier: Apache-2.0
#include "compiler/pipeline.h"

#include <functional>

#include "graph/passes/passes.h"
#include "kernel/text.h"
#include "quantization/rewrite.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

struct GraphPass {
  std::string name;
  std::function<void(graph::Graph&)> run;
  bool enabled;
};

// The list. Where the order is not free a comment says what would break.
std::vector<GraphPass> graph_passes(const quantization::Quantization& quantization, const PipelineOptions& options) {
  return {
      {"quantize-parameters", [&](graph::Graph& g) { quantization::quantize_parameters(g, quantization); }, true},
      // Needs the bit layouts; before the fusion, which moves `quantize` into what makes its input.
      {"quantize-activations", graph::quantize_activations, options.int8_activations},
      // Before the fusion, which leaves apart what has several uses, dead ones too.
      {"remove-dead-nodes", graph::remove_dead_nodes, true},
      {"fuse-epilogues", graph::fuse_epilogues, true},
  };
}

class Runner {
 public:
  Runner(const PipelineOptions& options, std::vector<PassTime>* times) : options_(options), times_(times) {}

  template <class F>
  auto timed(const std::string& name, F f) {
    const double begin = now_seconds();
    struct Stop {
      Runner* runner;
      const std::string& name;
      double begin;
      ~Stop() {
        if (runner->times_ != nullptr) runner->times_->push_back({name, now_seconds() - begin});
      }
    } stop{this, name, begin};
    return f();
  }

  void dump(const std::string& name, const char* extension, const std::function<std::string()>& text) {
    if (options_.dump_directory.empty()) return;
    const std::string number = cat(dumps_ < 10 ? "0" : "", dumps_);
    ++dumps_;
    or_throw(make_directories(options_.dump_directory));
    or_throw(write_file(path_join(options_.dump_directory, cat(number, "-", name, extension)), text()));
  }

  void run(graph::Graph& graph, const GraphPass& pass) {
    if (!pass.enabled || options_.disabled_passes.count(pass.name) > 0) return;
    timed(pass.name, [&] { pass.run(graph); });
    graph::verify(graph);
    dump(pass.name, ".ir", [&] { return graph::to_text(graph); });
  }

 private:
  const PipelineOptions& options_;
  std::vector<PassTime>* times_;
  int dumps_ = 0;
};

}  // namespace

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  const quantization::Quantization any{};
  for (const GraphPass& pass : graph_passes(any, {})) names.push_back(pass.name);
  return names;
}

void run_graph_pass(graph::Graph& graph, const std::string& name, const quantization::Quantization& quantization) {
  for (const GraphPass& pass : graph_passes(quantization, {})) {
    if (pass.name != name) continue;
    pass.run(graph);
    graph::verify(graph);
    return;
  }
  throw UserError(unknown_name_error(ErrorKind::kUser, "", "pass", name, pass_names()));
}

PlanAndKernels run_pipeline(graph::Graph graph, const quantization::Quantization& quantization, const target::Target& target,
                            const PipelineOptions& options, std::vector<PassTime>* times) {
  Runner runner(options, times);
  runner.dump("model", ".ir", [&] { return graph::to_text(graph); });
  for (const GraphPass& pass : graph_passes(quantization, options)) runner.run(graph, pass);
  PlanAndKernels result = runner.timed("build-plan", [&] { return build_plan(graph, target); });
  runner.dump("plan", ".txt", [&] { return formats::to_text(result.plan); });
  runner.dump("kernels", ".kernel", [&] {
    std::string text;
    for (const kernel::Kernel& k : result.kernels) text += kernel::to_text(k) + "\n";
    return text;
  });
  return result;
}

}  // namespace mlc::compiler
