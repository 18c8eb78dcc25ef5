// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include "support/throw.h"

namespace mlc::models {

const std::vector<ModelFamily>& model_families() {
  static const std::vector<ModelFamily> families = {
#define MLC_MODEL(function, name) {name, function},
#include "models/models.def"
#undef MLC_MODEL
  };
  return families;
}

const ModelFamily& find_model(std::string_view model_type, std::string_view where) {
  std::vector<std::string> names;
  for (const ModelFamily& family : model_families()) {
    if (family.name == model_type) return family;
    names.emplace_back(family.name);
  }
  throw UserError(
      unknown_name_error(ErrorKind::kUser, std::string(where), "model type", model_type, names));
}

}  // namespace mlc::models
