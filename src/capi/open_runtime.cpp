// SPDX-License-Identifier: Apache-2.0
// Opens models where the compiler is not there: with a library that is given.
#include "capi/open_options.h"
#include "support/cache.h"
#include "target/target.h"

namespace mlc::capi {

Result<engine::LoadedModel> open_model(OpenOptions options) {
  MLC_RETURN_IF_ERROR(target::check_device(options.device));
  MLC_ASSIGN_OR_RETURN(formats::ChatConfig config, engine::read_model_config(options.model.model));
  if (!options.library) {
    return user_error("library", "is not given, and this build has no compiler", "a library",
                      "make one with mlc_llm compile");
  }
  if (options.opt) {
    return user_error(
        "opt", "is for libraries that are compiled: " + *options.library + " is compiled already");
  }
  options.model.library = *options.library;
  const std::string directory = options.model.model;
  return engine::load_model(std::move(options.model), std::move(config), [&] {
    return tokenizers::load_tokenizer(directory, tokenizer_cache());
  });
}

}  // namespace mlc::capi
