// SPDX-License-Identifier: Apache-2.0
// A model family is one file: its config, its graph, and how its parameters come from a checkpoint.
// models.def lists them; docs/models.md says what each covers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "graph/graph.h"
#include "models/weight_rule.h"
#include "support/json.h"

namespace mlc::models {

struct ModelOptions {
  DType dtype = DType::kF16;     // of the parameters, before quantization
  DType kv_dtype = DType::kF16;  // of the KV cache
};

struct Model {
  graph::Graph graph;
  std::vector<WeightRule> rules;  // one for each parameter of the graph
  std::vector<std::string>
      unused_sources;  // tensors of a checkpoint that the model knows and does not need
};

// `model_config` is the object of mlc-chat-config.json: fields, and `hf` for what the fields lose.
// Throws UserError where a key is missing, of a wrong kind or absurd, or asks for what is not
// supported.
using BuildModel = Model (*)(const Json& model_config, const ModelOptions& options);

struct ModelFamily {
  std::string_view name;  // model_type
  BuildModel build;
};

const std::vector<ModelFamily>& model_families();
// Throws UserError that lists the known families and near ones.
const ModelFamily& find_model(std::string_view model_type, std::string_view where);

#define MLC_MODEL(function, name) \
  Model function(const Json& model_config, const ModelOptions& options);
#include "models/models.def"
#undef MLC_MODEL

}  // namespace mlc::models
