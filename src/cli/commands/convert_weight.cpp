// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/progress.h"
#include "compiler/convert_model.h"
#include "formats/open_checkpoint.h"
#include "formats/quantization_names.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::cli {

int run_convert_weight(Arguments arguments) {
  compiler::ConvertModelOptions options;
  std::string device = "auto";
  ArgumentParser parser(
      "convert_weight",
      "Converts the weights of a model into shards that every library of the model can use.",
      {"mlc_llm convert_weight ./Llama-2-7b-chat-hf --quantization q4f16_1 -o dist/llama",
       "mlc_llm convert_weight ./my-model --quantization q0f16 --source ./other/model.safetensors "
       "-o dist/mine"});
  parser.positional(
      "CONFIG", &options.config,
      "folder of a Hugging Face model, its config.json, a .gguf file, or the name of a preset");
  parser.required_option("--quantization", &options.quantization,
                         "one of " + join(formats::quantization_names(), ", "));
  parser.option("--model-type", &options.model_type,
                "architecture; auto: model_type of config.json");
  parser.option("--device", &device, "accepted; quantization runs on the CPU");
  parser.option("--source", &options.source,
                "folder, index or file of the weights; auto: beside config.json");
  parser.option("--source-format", &options.source_format,
                "one of auto, " + join(formats::source_formats(), ", "));
  parser.required_option("--output,-o", &options.output, "folder to write to; made if need be");
  if (!parser.parse(arguments)) return 0;
  if (device != "auto" && device != "cpu" && !device.starts_with("cpu:"))
    log_info(cat("--device ", device, ": no effect, quantization runs on the CPU"));
  ProgressBar bar("converting");
  options.progress = [&](int64_t done, int64_t total) { bar.show(done, total); };
  const double begin = now_seconds();
  const compiler::ConvertSummary summary = compiler::convert_model(options);
  bar.finish();
  for (const std::string& warning : summary.warnings) log_warning(warning);
  std::printf(
      "parameter size after quantization: %s GB\ntotal parameters: %lld\nbits per parameter: "
      "%s\nsaved to %s in %s s\n",
      fixed(static_cast<double>(summary.parameter_bytes) / (1 << 30), 3).c_str(),
      static_cast<long long>(summary.parameters), fixed(summary.bits_per_parameter, 3).c_str(),
      options.output.c_str(), fixed(now_seconds() - begin, 2).c_str());
  return 0;
}

}  // namespace mlc::cli
