// SPDX-License-Identifier: Apache-2.0
#include "support/cache.h"

#include "support/file.h"
#include "support/process.h"

namespace mlc {

std::optional<std::string> cache_home() {
  if (const auto home = environment("MLC_LLM_HOME")) return *home;
  if (const auto cache = environment("XDG_CACHE_HOME")) return path_join(*cache, "mlc_llm");
  if (const auto home = environment("HOME")) return path_join(*home, ".cache/mlc_llm");
  return {};
}

std::string object_cache() {
  if (const auto folder = environment("MLC_OBJECT_CACHE")) return *folder == "OFF" ? "" : *folder;
  const std::optional<std::string> home = cache_home();
  return home ? path_join(*home, "objects") : std::string();
}

std::string tokenizer_cache() {
  const std::optional<std::string> home = cache_home();
  return home ? path_join(*home, "tokenizers") : std::string();
}

}  // namespace mlc
