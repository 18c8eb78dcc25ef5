// SPDX-License-Identifier: Apache-2.0
#include "compiler/object_cache.h"

#include "formats/md5.h"
#include "kernel/text.h"
#include "support/cache.h"
#include "support/file.h"
#include "support/strings.h"

namespace mlc::compiler {
namespace {

std::string digest(std::string_view text) {
  formats::Md5 md5;
  md5.update(std::as_bytes(std::span(text)));
  return md5.finish();
}

constexpr size_t kDigestDigits = 32;

}  // namespace

std::string ObjectCache::key(const kernel::Kernel& kernel, const std::string& symbol,
                             const target::Target& target, const std::string& generator_version) {
  return digest(cat(generator_version, "\n", target.triple, " ", target.architecture, " ",
                    target.level, " ", join(target.features.names(), " "), " ", target.tune_cpu,
                    "\n", symbol, "\n", kernel::to_text(kernel)));
}

std::string ObjectCache::path(const std::string& key) const {
  return path_join(folder_, key + ".o");
}

std::optional<std::string> ObjectCache::find(const std::string& key) const {
  if (folder_.empty()) return std::nullopt;
  auto file = read_file(path(key));
  // The object stands behind its own digest: a file that was damaged is not used.
  if (!file.ok() || file->size() < kDigestDigits) return std::nullopt;
  std::string object = file->substr(kDigestDigits);
  if (digest(object) != std::string_view(*file).substr(0, kDigestDigits)) return std::nullopt;
  mark_as_used(path(key));
  return object;
}

void ObjectCache::put(const std::string& key, const std::string& object) const {
  if (folder_.empty() || !make_directories(folder_).ok()) return;
  (void)write_file(path(key), digest(object) + object);
}

void ObjectCache::limit(uint64_t bytes) const {
  if (!folder_.empty()) limit_folder(folder_, bytes);
}

}  // namespace mlc::compiler
