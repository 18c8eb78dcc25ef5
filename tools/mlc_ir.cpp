// SPDX-License-Identifier: Apache-2.0
// mlc-ir: reads a graph or kernels in their text form, runs passes or the lowering, and prints what comes out. For the
// text tests (tests/run.py) and for looking at a dump of `mlc_llm compile --debug-dump`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "compiler/build_plan.h"
#include "compiler/pipeline.h"
#include "graph/interpreter.h"
#include "kernel/lowering/lowered.h"
#include "kernel/passes/passes.h"
#include "kernel/text.h"
#include "kernel/verifier.h"
#include "quantization/quantization.h"
#include "support/file.h"
#include "support/strings.h"
#include "support/throw.h"
#include "target/target.h"

namespace mlc {
namespace {

constexpr const char* kHelp =
    "usage: mlc-ir [OPTION]... FILE\n"
    "\n"
    "Reads FILE (a graph, or kernels one after the other), verifies it and prints it.\n"
    "\n"
    "  --pass=NAME[,NAME]...  run these passes first: a graph's as `mlc_llm compile` names them; a kernel's: lower-math\n"
    "  --quantization=NAME    the mode for the pass quantize-parameters\n"
    "  --lower                print the kernels that the nodes of the graph become\n"
    "  --plan                 print the plan of the graph\n"
    "  --cpu-level=NAME       generate for this level (x86-64-v3)\n"
    "  --interpret            run the graph on small inputs and print its result\n"
    "  --verify               print nothing but errors\n"
    "  -h, --help             print this\n";

struct Options {
  std::string file;
  std::vector<std::string> passes;
  std::string quantization;
  std::string cpu_level = "x86-64-v3";
  bool lower = false;
  bool plan = false;
  bool interpret = false;
  bool verify = false;
  bool help = false;
};

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  for (const std::string& argument : arguments) {
    const size_t equals = argument.find('=');
    const std::string name = argument.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    const auto has_value = [&](bool wanted) {
      if (wanted == (equals == std::string::npos)) {
        throw UserError(usage_error(name, wanted ? "has no value" : "takes no value"));
      }
      return true;
    };
    if (name == "-h" || name == "--help") {
      options.help = has_value(false);
    } else if (name == "--pass") {
      has_value(true);
      for (const std::string& pass : split(value, ',')) options.passes.push_back(pass);
    } else if (name == "--quantization") {
      has_value(true);
      options.quantization = value;
    } else if (name == "--cpu-level") {
      has_value(true);
      options.cpu_level = value;
    } else if (name == "--lower") {
      options.lower = has_value(false);
    } else if (name == "--plan") {
      options.plan = has_value(false);
    } else if (name == "--interpret") {
      options.interpret = has_value(false);
    } else if (name == "--verify") {
      options.verify = has_value(false);
    } else if (argument.starts_with("-")) {
      throw UserError(unknown_name_error(ErrorKind::kUsage, "", "option", name,
                                         {"--pass", "--quantization", "--cpu-level", "--lower", "--plan", "--interpret", "--verify", "--help"}));
    } else if (options.file.empty()) {
      options.file = argument;
    } else {
      throw UserError(usage_error("", "unexpected argument " + argument));
    }
  }
  if (options.file.empty() && !options.help) throw UserError(usage_error("", "missing FILE", "", "mlc-ir --help lists the options"));
  return options;
}

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

bool is_kernel_pass(const std::string& name) { return name == "lower-math"; }

// The texts of kernels that stand one after the other, each with the empty lines that keep its line numbers.
std::vector<std::string> split_kernels(const std::string& text) {
  std::vector<std::string> parts;
  std::string blank;
  std::string part;
  for (const std::string& line : split(text, '\n')) {
    if (line.starts_with("kernel ") && part.find("kernel ") != std::string::npos) {
      parts.push_back(part);
      part = blank;
    }
    part += line + "\n";
    blank += "\n";
  }
  parts.push_back(part);
  return parts;
}

kernel::Kernel run_kernel_passes(kernel::Kernel kernel, const Options& options) {
  kernel::verify(kernel);
  for (const std::string& pass : options.passes) {
    if (!is_kernel_pass(pass)) continue;
    kernel = kernel::lower_math(kernel);
    kernel::verify(kernel);
  }
  return kernel;
}

target::Target target_of(const Options& options) {
  std::vector<std::string> names;
  for (const target::CpuLevel& level : target::cpu_levels()) names.emplace_back(level.name);
  if (std::find(names.begin(), names.end(), options.cpu_level) == names.end()) {
    throw UserError(unknown_name_error(ErrorKind::kUser, "--cpu-level", "CPU level", options.cpu_level, names));
  }
  return or_throw(target::cpu_level_target(options.cpu_level));
}

std::string range_text(const kernel::LoweredCall& call, size_t variant) {
  const std::string symbol = formats::plan_symbol_name(call.symbol);
  const int64_t most = call.variants[variant].max_value;
  if (most != INT64_MAX) return cat(symbol, " <= ", most);
  return variant == 0 ? "any " + symbol : symbol + " above";
}

void print_kernels(const graph::Graph& graph, const target::Target& target, const Options& options) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const graph::Node& node = graph.nodes[i];
    if (node.op == graph::Op::kInput || node.op == graph::Op::kParameter || node.op == graph::Op::kConstant) continue;
    const kernel::LoweredNode lowered = kernel::lower(graph, static_cast<graph::NodeId>(i), target);
    for (const kernel::LoweredCall& call : lowered.calls) {
      for (size_t v = 0; v < call.variants.size(); ++v) {
        print(cat("# ", graph::op_name(node.op), ", ", range_text(call, v), call.variants[v].kernel.empty() ? ": nothing" : "", "\n"));
        for (const kernel::LoweredKernel& k : call.variants[v].kernel) print(kernel::to_text(run_kernel_passes(k.kernel, options)));
      }
    }
  }
}

// Values between -1.25 and 1.25 that differ from parameter to parameter by their name's length only.
std::vector<float> small_values(const graph::Node& parameter) {
  int64_t count = 1;
  for (const graph::Dim& dim : parameter.type.shape) count *= dim.value;
  std::vector<float> values;
  for (int64_t i = 0; i < count; ++i) values.push_back(static_cast<float>((7 * i + 3 * static_cast<int64_t>(parameter.name.size())) % 11 - 5) / 4);
  return values;
}

// Only these are tables of a step; a graph in a test may have others.
void require_step_inputs(const graph::Graph& graph, const std::string& problem) {
  for (const graph::Node& node : graph.nodes) {
    const bool is_table = node.name == "tokens" || node.name == "positions" || node.name == "lengths" || node.name == "logit_rows";
    if (node.op == graph::Op::kInput && !is_table) {
      throw UserError("input %" + node.name, problem, "tokens, positions, lengths or logit_rows",
                      "make it a parameter: %" + node.name + ": f32[2, 4] plain");
    }
  }
}

// Three tokens 0, 1, 2 of one sequence, and the logits of the last.
void print_result(const graph::Graph& graph) {
  require_step_inputs(graph, "cannot be interpreted");
  const graph::Step step{{0, 1, 2}, {0, 1, 2}, {3, 3, 3}, {0, 0, 0}, {2}};
  const graph::Tensor result = graph::Interpreter(graph, small_values).run(step);
  std::vector<std::string> dims;
  for (const int64_t d : result.shape) dims.push_back(std::to_string(d));
  print("[" + join(dims, ", ") + "]\n");
  for (int64_t r = 0; r < result.rows(); ++r) {
    for (int64_t i = 0; i < result.last(); ++i) {
      char text[32];
      const double value = result.row(r)[i] == 0 ? 0 : static_cast<double>(result.row(r)[i]);  // no -0
      std::snprintf(text, sizeof(text), "%s%.5g", i == 0 ? "" : " ", value);
      print(text);
    }
    print("\n");
  }
}

void run_on_graph(const std::string& text, const Options& options) {
  graph::Graph graph = graph::parse_graph(text, path_name(options.file));
  for (const std::string& pass : options.passes) {
    if (is_kernel_pass(pass) && options.lower) continue;
    if (pass == "quantize-parameters" && options.quantization.empty()) {
      throw UserError(usage_error("--pass=quantize-parameters", "needs a mode", "", "add --quantization=q4f16_1"));
    }
    const quantization::Quantization& mode =
        *or_throw(quantization::find_quantization(options.quantization.empty() ? "q0f32" : options.quantization, "--quantization"));
    compiler::run_graph_pass(graph, pass, mode);
  }
  if (options.verify) return;
  if (options.interpret) {
    print_result(graph);
  } else if (options.lower) {
    print_kernels(graph, target_of(options), options);
  } else if (options.plan) {
    require_step_inputs(graph, "has no place in a plan");
    print(formats::to_text(compiler::build_plan(graph, target_of(options)).plan));
  } else {
    print(graph::to_text(graph));
  }
}

void run_on_kernels(const std::string& text, const Options& options) {
  for (const std::string& pass : options.passes) {
    if (!is_kernel_pass(pass)) throw UserError(unknown_name_error(ErrorKind::kUsage, "--pass", "pass over kernels", pass, {"lower-math"}));
  }
  bool first = true;
  for (const std::string& part : split_kernels(text)) {
    const kernel::Kernel kernel = run_kernel_passes(kernel::parse_kernel(part, path_name(options.file)), options);
    if (!options.verify) print((first ? "" : "\n") + kernel::to_text(kernel));
    first = false;
  }
}

int run(const std::vector<std::string>& arguments) {
  const Options options = parse_options(arguments);
  if (options.help) {
    print(kHelp);
    return 0;
  }
  const std::string text = or_throw(read_file(options.file));
  bool is_kernel = false;
  for (const std::string& line : split(text, '\n')) is_kernel = is_kernel || line.starts_with("kernel ");
  try {
    is_kernel ? run_on_kernels(text, options) : run_on_graph(text, options);
  } catch (const IrError& error) {  // of what the file says, so the file's
    throw UserError(path_name(options.file), error.what());
  }
  return 0;
}

}  // namespace
}  // namespace mlc

int main(int argc, char** argv) {
  try {
    return mlc::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const mlc::UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.error().kind == mlc::ErrorKind::kUsage ? 2 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "internal error: %s\n", error.what());
    return 3;
  }
}
