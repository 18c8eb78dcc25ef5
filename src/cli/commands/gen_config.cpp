// SPDX-License-Identifier: Apache-2.0
#include "compiler/gen_config.h"

#include <optional>
#include <string>

#include "cli/arguments.h"
#include "cli/command.h"
#include "formats/conversation.h"
#include "formats/model_config_fields.h"
#include "formats/quantization_names.h"
#include "support/strings.h"

namespace mlc::cli {

int run_gen_config(Arguments arguments) {
  compiler::GenConfigOptions options;
  compiler::ModelConfigOverrides& overrides = options.overrides;
  std::optional<std::string> disaggregation;
  ArgumentParser parser(
      "gen_config", "Writes mlc-chat-config.json and the tokenizer files that belong to a model.",
      {"mlc_llm gen_config ./Llama-3.2-1B-Instruct --quantization q4f16_1 -o dist/llama",
       "mlc_llm gen_config ./my-model --quantization q0f16 --conv-template LM "
       "--context-window-size 2048 -o dist/mine",
       "mlc_llm gen_config llama3_2_1b --quantization q4f16_1 --conv-template llama-3_1 -o "
       "dist/preset"});
  parser.positional(
      "CONFIG", &options.config,
      "folder of a Hugging Face model, its config.json, a .gguf file, or the name of a preset");
  parser.required_option(
      "--quantization", &options.quantization,
      "recorded in the file; one of " + join(formats::quantization_names(), ", "));
  parser.option("--model-type", &options.model_type,
                "architecture; auto: model_type of config.json; one of auto, " +
                    join(formats::architecture_names(), ", "));
  parser.option("--conv-template", &options.conv_template,
                "how messages become a prompt (default: by the chat template of the checkpoint); "
                "LM is plain text; one of " +
                    join(formats::builtin_conversation_names(), ", "));
  parser.option("--context-window-size", &overrides.context_window_size,
                "tokens of prompt and answer together (default: from config.json)");
  parser.option("--sliding-window-size", &overrides.sliding_window_size,
                "tokens that attention sees, -1 for all (default: from config.json)");
  parser.option("--prefill-chunk-size", &overrides.prefill_chunk_size,
                "most tokens of a prompt in one step (default: the context size, at most 8192; "
                "2048 for some)");
  parser.option(
      "--attention-sink-size", &overrides.attention_sink_size,
      "first tokens that stay visible beside the sliding window (default: 4 for mistral)");
  parser.option("--tensor-parallel-shards", &overrides.tensor_parallel_shards,
                "devices that share each layer (default: 1)");
  parser.option("--pipeline-parallel-stages", &overrides.pipeline_parallel_stages,
                "devices that share the layers (default: 1)");
  parser.option(
      "--disaggregation", &disaggregation,
      "prefill and decode on different devices: any text but an empty one means yes (default: no)");
  parser.option("--max-batch-size", &overrides.max_batch_size,
                "most sequences in one step (default: 128)");
  parser.required_option("--output,-o", &options.output, "folder to write to; made if need be");
  if (!parser.parse(arguments)) return 0;
  if (disaggregation) overrides.disaggregation = !disaggregation->empty();
  compiler::gen_config(options);
  return 0;
}

}  // namespace mlc::cli
