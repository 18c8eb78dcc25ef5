// SPDX-License-Identifier: Apache-2.0
#include "jit/open_model.h"

#include <future>

#include "compiler/compile_options.h"
#include "jit/jit_library.h"
#include "support/cache.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::jit {
namespace {

// `opt` may also stand among the overrides.
void take_opt(OpenOptions& options) {
  std::vector<std::string> rest;
  for (const std::string& part : split(options.model.overrides, ';')) {
    if (strip(part).starts_with("opt=")) {
      options.opt = std::string(strip(part).substr(4));
    } else {
      rest.push_back(part);
    }
  }
  options.model.overrides = join(rest, ";");
}

std::optional<int64_t> override_of(const std::string& text, std::string_view wanted) {
  std::optional<int64_t> found;
  for (const std::string& part : split(text, ';')) {
    const size_t equals = part.find('=');
    if (equals != std::string::npos && strip(std::string_view(part).substr(0, equals)) == wanted) {
      found = parse_int64(strip(std::string_view(part).substr(equals + 1)));
    }
  }
  return found;
}

// With the overrides taken out: the library is compiled with them, and its limits are the model's.
void compile_library(OpenOptions& options) {
  engine::ModelOptions& model = options.model;
  model.library = jit_library({model.model, options.device, model.overrides,
                               options.opt.value_or("O2"), options.while_compiling});
  if (const auto context = override_of(model.overrides, "context_window_size"))
    model.context_tokens = *context;
  if (const auto chunk = override_of(model.overrides, "prefill_chunk_size"))
    model.chunk_tokens = *chunk;
  model.overrides.clear();
}

}  // namespace

std::string library_of(OpenOptions options) {
  take_opt(options);
  or_throw(engine::read_model_config(options.model.model));
  compile_library(options);
  return options.model.library;
}

engine::LoadedModel open_model(OpenOptions options) {
  compiler::check_device(options.device);
  take_opt(options);
  engine::ModelOptions& model = options.model;
  formats::ChatConfig config = or_throw(engine::read_model_config(model.model));
  // The vocabulary is read while the library is loaded or compiled.
  auto tokenizer = std::async(std::launch::async, [directory = model.model] {
    return tokenizers::load_tokenizer(directory, tokenizer_cache());
  });
  if (!options.library) {
    compile_library(options);
  } else if (options.opt) {
    throw UserError(
        "--opt", cat("does not go with --model-lib: ", *options.library, " is compiled already"));
  } else {
    model.library = *options.library;
  }
  return or_throw(
      engine::load_model(std::move(model), std::move(config), [&] { return tokenizer.get(); }));
}

}  // namespace mlc::jit
