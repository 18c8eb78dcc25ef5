// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <cstdio>

#include "cli/arguments.h"
#include "cli/command.h"
#include "formats/quantization_names.h"
#include "support/cache.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {

int run_compile(Arguments arguments) {
  compiler::CompileOptions options;
  std::string system_lib_prefix = "auto";
  std::string disabled;
  bool time_passes = false;
  bool subgroups = false;
  ArgumentParser parser(
      "compile",
      "Compiles a model library: the program that computes a model, without its weights.",
      {"mlc_llm compile dist/llama --device cpu -o dist/llama.so",
       "mlc_llm compile dist/llama/mlc-chat-config.json --opt \"O2;int8_activations=0\" -o "
       "dist/exact.so",
       "mlc_llm compile dist/llama --overrides \"context_window_size=1024;prefill_chunk_size=128\" "
       "-o dist/small.so"});
  parser.positional("MODEL", &options.model, "mlc-chat-config.json or the folder that holds it");
  parser.option("--quantization", &options.quantization,
                "instead of the config's; one of " + join(formats::quantization_names(), ", "));
  parser.option("--model-type", &options.model_type, "architecture; auto: the config's");
  parser.option("--device", &options.device, "what to compile for: cpu");
  parser.option(
      "--host", &options.host,
      "LLVM triple of the host; auto: this very CPU, else all levels of its architecture");
  parser.option("--opt", &options.opt,
                "O0, O1, O2, O3, or knobs: int8_activations=0|1;fixed_order=0|1");
  parser.option("--system-lib-prefix", &system_lib_prefix,
                "prefix of the exported symbol in a static library");
  parser.required_option("--output,-o", &options.output, "file to write: NAME.so");
  parser.option("--overrides", &options.overrides,
                "key=value;… of context_window_size, prefill_chunk_size, sliding_window_size, "
                "attention_sink_size, max_batch_size, "
                "tensor_parallel_shards, pipeline_parallel_stages, disaggregation, kv_cache_dtype");
  parser.flag("--enable-subgroups", &subgroups, "WebGPU only: no effect elsewhere");
  parser.option("--debug-dump", &options.debug_dump,
                "folder for every stage as text; one in it for each level where there are several");
  parser.option("--disable-pass", &disabled,
                "passes to leave out, separated by commas: " + join(compiler::pass_names(), ", "));
  parser.flag("--time-passes", &time_passes, "print how long each pass took");
  if (!parser.parse(arguments)) return 0;
  if (!disabled.empty()) options.disabled_passes = split(disabled, ',');
  if (subgroups) log_warning("--enable-subgroups has no effect on a CPU");
  for (const char c : system_lib_prefix) {
    const bool fine =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!fine || (system_lib_prefix[0] >= '0' && system_lib_prefix[0] <= '9')) {
      throw UserError(usage_error("--system-lib-prefix", cat("is ", system_lib_prefix),
                                  "letters, digits and _, not starting with a digit"));
    }
  }
  if (system_lib_prefix != "auto" && !system_lib_prefix.empty())
    log_warning("--system-lib-prefix has no effect on a shared library");
  options.object_cache = object_cache();
  const double begin = now_seconds();
  const compiler::CompileReport report = compiler::compile(options);
  for (const std::string& line : split(report.resolved, '\n')) log_info("compile: " + line);
  log_info(report.memory);
  if (time_passes) {
    for (const compiler::PassTime& time : report.times) {
      log_info(cat("time: ", fixed(time.seconds * 1e3, 1), " ms ", time.name));
    }
  }
  std::printf("generated %s in %s s\n", report.path.c_str(),
              fixed(now_seconds() - begin, 2).c_str());
  return 0;
}

}  // namespace mlc::cli
