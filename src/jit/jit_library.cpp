// SPDX-License-Identifier: Apache-2.0
#include "jit/jit_library.h"

#include <algorithm>

#include "compiler/compile.h"
#include "formats/md5.h"
#include "formats/model_library.h"
#include "runtime/model_library.h"
#include "support/cache.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"
#include "support/version.h"

namespace mlc::jit {
namespace {

enum class Policy { kOn, kOff, kRedo, kReadOnly };

Policy jit_policy() {
  const std::string text = environment("MLC_JIT_POLICY").value_or("ON");
  if (text == "ON") return Policy::kOn;
  if (text == "OFF") return Policy::kOff;
  if (text == "REDO") return Policy::kRedo;
  if (text == "READONLY") return Policy::kReadOnly;
  throw UserError(unknown_name_error(ErrorKind::kUser, "MLC_JIT_POLICY", "policy", text,
                                     {"ON", "OFF", "REDO", "READONLY"}));
}

// With the keys of all objects in order.
Json sorted(const Json& value) {
  if (value.is_array()) {
    Json::Array items;
    for (const Json& item : value.as_array()) items.push_back(sorted(item));
    return items;
  }
  if (!value.is_object()) return value;
  Json::Object members;
  for (const auto& [key, member] : value.as_object()) members.emplace_back(key, sorted(member));
  std::stable_sort(members.begin(), members.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return members;
}

// All that the code depends on.
std::string library_key(const JitOptions& options) {
  const formats::ChatConfig config = or_throw(formats::read_chat_config(options.model));
  const target::Target target = or_throw(target::host_cpu_target());
  Json overrides = Json::array();
  std::vector<std::string> parts = split(options.overrides, ';');
  std::sort(parts.begin(), parts.end());
  for (const std::string& part : parts) {
    if (!strip(part).empty()) overrides.push_back(std::string(strip(part)));
  }
  Json key = Json::object();
  key.set("model_config", config.model_config);
  key.set("overrides", overrides);
  key.set("opt", options.opt);
  key.set("device", options.device == "auto" ? "cpu" : options.device);
  key.set("model_type", config.model_type);
  key.set("quantization", config.quantization);
  key.set("active_vocab_size", config.active_vocab_size);
  key.set("version", version());
  key.set("interface", MLC_MODEL_LIBRARY_ABI);
  key.set("cpu", cat(target.triple, " ", target.level, " ", join(target.features.names(), " ")));
  const std::string text = sorted(key).dump();
  formats::Md5 md5;
  md5.update(std::as_bytes(std::span(text)));
  return md5.finish();
}

}  // namespace

std::string jit_library(const JitOptions& options) {
  const Policy policy = jit_policy();
  compiler::check_device(options.device);
  compiler::parse_overrides(options.overrides);
  if (policy == Policy::kOff) {
    throw UserError("MLC_JIT_POLICY", "is OFF: no library is compiled or taken from the cache", "",
                    "give --model-lib");
  }
  const std::optional<std::string> home = cache_home();
  if (!home) {
    throw UserError("MLC_LLM_HOME",
                    "is not set, nor is HOME: there is no place for the compiled library", "",
                    "set MLC_LLM_HOME, or give --model-lib");
  }
  const std::string directory = path_join(*home, "model_lib");
  const std::string path = path_join(
      directory, cat(library_key(options), ".", environment("MLC_DSO_SUFFIX").value_or("so")));
  if (policy != Policy::kRedo && file_exists(path)) {
    const auto library = runtime::ModelLibrary::open(path);
    if (library.ok()) {
      log_info(cat("library: ", path));
      return path;
    }
    if (policy == Policy::kReadOnly) throw UserError(library.error());
    log_info(cat("library: ", path, " ", library.error().found));
  } else if (policy == Policy::kReadOnly) {
    throw UserError(path, "does not exist, and MLC_JIT_POLICY is READONLY: no library is compiled",
                    "", "set MLC_JIT_POLICY=ON, or give --model-lib");
  }
  or_throw(make_directories(directory));
  log_info(cat("library: compiling ", path, " …"));
  compiler::CompileOptions compile;
  compile.model = options.model;
  compile.device = options.device;
  compile.opt = options.opt;
  compile.object_cache = object_cache();
  compile.overrides = options.overrides;
  compile.output = path;
  const double begin = now_seconds();
  {
    const auto sign = options.while_compiling ? options.while_compiling() : nullptr;
    compiler::compile(compile);
  }
  log_info(cat("library: compiled in ", fixed(now_seconds() - begin, 2), " s"));
  return path;
}

}  // namespace mlc::jit
