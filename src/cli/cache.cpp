// SPDX-License-Identifier: Apache-2.0
#include "cli/cache.h"

#include "support/file.h"
#include "support/process.h"

namespace mlc::cli {

std::optional<std::string> cache_home() {
  if (const auto home = environment("MLC_LLM_HOME")) return *home;
  if (const auto cache = environment("XDG_CACHE_HOME")) return path_join(*cache, "mlc_llm");
  if (const auto home = environment("HOME")) return path_join(*home, ".cache/mlc_llm");
  return {};
}

std::string tokenizer_cache() {
  const std::optional<std::string> home = cache_home();
  return home ? path_join(*home, "tokenizers") : std::string();
}

}  // namespace mlc::cli
