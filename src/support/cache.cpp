// SPDX-License-Identifier: Apache-2.0
#include "support/cache.h"

#include <algorithm>
#include <cstdio>
#include <vector>

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

std::string chat_history_file() {
  if (const auto file = environment("MLC_CHAT_HISTORY")) return *file == "OFF" ? "" : *file;
  if (const auto state = environment("XDG_STATE_HOME"))
    return path_join(*state, "mlc_llm/chat_history");
  if (const auto home = environment("HOME"))
    return path_join(*home, ".local/state/mlc_llm/chat_history");
  return "";
}

std::string tokenizer_cache() {
  const std::optional<std::string> home = cache_home();
  return home ? path_join(*home, "tokenizers") : std::string();
}

void limit_folder(const std::string& folder, uint64_t bytes) {
  const auto names = list_directory(folder);
  if (!names.ok()) return;
  struct File {
    int64_t time;
    uint64_t bytes;
    std::string path;
  };
  std::vector<File> files;
  uint64_t sum = 0;
  for (const std::string& name : *names) {
    const std::string path = path_join(folder, name);
    const auto size = file_bytes(path);
    const auto time = file_time(path);
    if (!size.ok() || !time.ok()) continue;  // another process may have removed it
    files.push_back({*time, *size, path});
    sum += *size;
  }
  if (sum <= bytes) return;
  std::sort(files.begin(), files.end(),
            [](const File& a, const File& b) { return a.time < b.time; });
  for (const File& file : files) {
    if (sum <= bytes / 2) break;
    sum -= file.bytes;
    std::remove(file.path.c_str());
  }
}

}  // namespace mlc
