// SPDX-License-Identifier: Apache-2.0
#include "compiler/convert_model.h"

#include "compiler/gen_config.h"
#include "formats/open_checkpoint.h"
#include "models/model.h"
#include "quantization/rewrite.h"
#include "support/file.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {

ConvertSummary convert_model(const ConvertModelOptions& options) {
  const quantization::Quantization& quantization =
      *or_throw(quantization::find_quantization(options.quantization, "--quantization"));
  const ModelSource source = load_model_source(options.config);
  if (options.source == "auto" && !file_exists(source.where)) {
    throw UserError(source.where, "is an architecture without weights", "",
                    "name the weights with --source");
  }
  const formats::Architecture& architecture =
      select_architecture(options.model_type, source.config, source.where);
  const Json model_config = derive_model_config(architecture, source.config, source.where);
  models::ModelOptions model_options;
  model_options.dtype = quantization.model_dtype;
  const models::Model model =
      models::find_model(architecture.name, source.where).build(model_config, model_options);

  ConvertOptions convert_options;
  convert_options.directory = options.output;
  convert_options.unused_sources = model.unused_sources;
  convert_options.progress = options.progress;
  const formats::CheckpointLocation location =
      or_throw(formats::locate_checkpoint(options.source, options.source_format, source.where));
  convert_options.source = location.path;
  const auto checkpoint =
      or_throw(formats::open_checkpoint(options.source, options.source_format, source.where));
  std::vector<ParameterToConvert> parameters;
  for (const graph::NodeId id : model.graph.parameters()) {
    const graph::Node& node = model.graph.node(id);
    const auto rule =
        std::find_if(model.rules.begin(), model.rules.end(),
                     [&](const models::WeightRule& r) { return r.parameter == node.name; });
    if (rule == model.rules.end()) throw InternalError(cat("no weight rule for ", node.name));
    parameters.push_back({quantization::weight_of(node), *rule});
  }
  or_throw(make_directories(options.output));
  return convert(*checkpoint, parameters, quantization, convert_options);
}

}  // namespace mlc::compiler
