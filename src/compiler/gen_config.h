// SPDX-License-Identifier: Apache-2.0
// The driver behind `mlc_llm gen_config`: writes mlc-chat-config.json and the tokenizer files of a
// model.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "compiler/gen_config_model.h"
#include "compiler/gen_config_tokenizer.h"
#include "support/json.h"

namespace mlc::compiler {

// What gen_config needs to know of a model, whatever form it comes in.
struct ModelSource {
  std::string where;  // for messages: a file, or "preset NAME"
  Json config;        // as config.json
  std::vector<std::pair<std::string, Json>>
      generation_configs;  // name and contents, the first one wins
  std::vector<SourceFile> tokenizer_files;
  std::string chat_template;  // where ChatTemplate::load() may find one; "": nowhere
};

// CONFIG of the command line: a folder with config.json, a file like it, a .gguf file, or the name
// of a preset where no file has that name. Throws UserError.
ModelSource load_model_source(const std::string& config);

struct GenConfigOptions {
  std::string config;
  std::string quantization;
  std::string model_type = "auto";
  // Without one the checkpoint's own chat template is used.
  std::optional<std::string> conv_template;
  ModelConfigOverrides overrides;
  std::string output;  // a folder; made if need be
};

// Throws UserError; then nothing was written.
void gen_config(const GenConfigOptions& options);

}  // namespace mlc::compiler
