// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile_options.h"

#include <algorithm>
#include <map>

#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

// Knobs of other devices' vendors: accepted, without effect on a CPU. cutlass_attn and cutlass_norm
// are older names.
const std::vector<std::string> kVendorKnobs = {
    "flashinfer", "cublas_gemm",  "faster_transformer", "cudagraph",
    "cutlass",    "cutlass_attn", "cutlass_norm",       "ipc_allreduce_strategy"};

struct Assignment {
  std::string key;
  std::string value;
};

std::vector<Assignment> assignments(std::string_view text, const std::string& flag) {
  std::vector<Assignment> list;
  for (const std::string& part : split(text, ';')) {
    const std::string_view item = strip(part);
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos)
      throw UserError(usage_error(flag, cat("has the part ", item), "name=value"));
    list.push_back(
        {std::string(strip(item.substr(0, equals))), std::string(strip(item.substr(equals + 1)))});
  }
  return list;
}

bool parse_switch(const Assignment& a, const std::string& flag) {
  if (a.value == "1") return true;
  if (a.value == "0") return false;
  throw UserError(usage_error(flag, cat(a.key, " is ", a.value), "0 or 1"));
}

}  // namespace

OptFlags parse_opt(std::string_view text, const quantization::Quantization& quantization) {
  const std::string flag = "--opt";
  // What the presets O2 and O3 turn on; a string of knobs alone begins from there.
  const bool coded = quantization.scheme != quantization::Scheme::kNone;
  OptFlags flags;
  flags.int8_activations = coded;
  std::string_view rest = strip(text);
  const std::string_view first = strip(rest.substr(0, rest.find(';')));
  const bool preset =
      first.size() == 2 && first[0] == 'O' && first.find('=') == std::string_view::npos;
  if (preset) {
    if (first[1] < '0' || first[1] > '3') {
      throw UserError(
          unknown_name_error(ErrorKind::kUsage, flag, "preset", first, {"O0", "O1", "O2", "O3"}));
    }
    if (first[1] < '2') flags.int8_activations = false;
    rest.remove_prefix(std::min(rest.size(), first.size()));
  }
  for (const Assignment& a : assignments(rest, flag)) {
    if (a.key == "int8_activations") {
      flags.int8_activations = parse_switch(a, flag) && coded;
    } else if (a.key == "fixed_order") {
      flags.fixed_order = parse_switch(a, flag);
    } else if (std::find(kVendorKnobs.begin(), kVendorKnobs.end(), a.key) != kVendorKnobs.end()) {
      if (a.key != "ipc_allreduce_strategy") parse_switch(a, flag);
      flags.without_effect.push_back(a.key);
    } else {
      std::vector<std::string> known = {"int8_activations", "fixed_order"};
      known.insert(known.end(), kVendorKnobs.begin(), kVendorKnobs.end());
      throw UserError(unknown_name_error(ErrorKind::kUsage, flag, "knob", a.key, known));
    }
  }
  flags.text = cat("int8_activations=", flags.int8_activations ? 1 : 0,
                   ";fixed_order=", flags.fixed_order ? 1 : 0);
  return flags;
}

CompileOverrides parse_overrides(std::string_view text) {
  const std::string flag = "--overrides";
  CompileOverrides overrides;
  for (const Assignment& a : assignments(text, flag)) {
    const auto integer = [&] {
      const auto value = parse_int64(a.value);
      if (!value) throw UserError(usage_error(flag, cat(a.key, " is ", a.value), "an integer"));
      return *value;
    };
    ModelConfigOverrides& c = overrides.config;
    if (a.key == "context_window_size") {
      c.context_window_size = integer();
    } else if (a.key == "prefill_chunk_size") {
      c.prefill_chunk_size = integer();
    } else if (a.key == "sliding_window_size" || a.key == "sliding_window") {
      c.sliding_window_size = integer();
    } else if (a.key == "attention_sink_size") {
      c.attention_sink_size = integer();
    } else if (a.key == "max_batch_size") {
      c.max_batch_size = integer();
    } else if (a.key == "tensor_parallel_shards") {
      c.tensor_parallel_shards = integer();
    } else if (a.key == "pipeline_parallel_stages") {
      c.pipeline_parallel_stages = integer();
    } else if (a.key == "disaggregation") {
      c.disaggregation = a.value == "true" || a.value == "1" || a.value == "yes";
    } else if (a.key == "kv_cache_dtype") {
      const std::map<std::string, DType> dtypes = {
          {"f32", DType::kF32}, {"f16", DType::kF16}, {"bf16", DType::kBF16}, {"int8", DType::kI8}};
      const auto dtype = dtypes.find(a.value);
      if (dtype == dtypes.end()) {
        throw UserError(
            usage_error(flag, cat("kv_cache_dtype is ", a.value), "one of f32, f16, bf16, int8"));
      }
      overrides.kv_cache_dtype = dtype->second;
    } else {
      throw UserError(unknown_name_error(
          ErrorKind::kUsage, flag, "key", a.key,
          {"context_window_size", "prefill_chunk_size", "sliding_window_size", "sliding_window",
           "attention_sink_size", "max_batch_size", "tensor_parallel_shards",
           "pipeline_parallel_stages", "disaggregation", "kv_cache_dtype"}));
    }
  }
  return overrides;
}

std::vector<target::Target> parse_host(const std::string& host) {
  if (host.empty() || host == "auto") return {or_throw(target::host_cpu_target())};
  std::string architecture = host.substr(0, host.find('-'));
  if (architecture == "arm64") architecture = "aarch64";
  const bool linux_system =
      host.find("linux") != std::string::npos && host.find("android") == std::string::npos;
  std::vector<target::Target> targets;
  for (const target::CpuLevel& level : target::cpu_levels()) {
    if (level.architecture == architecture && linux_system)
      targets.push_back(or_throw(target::cpu_level_target(level.name)));
  }
  if (targets.empty()) {
    throw UserError(user_error("--host", cat("no code can be made for ", host, " yet"),
                               "x86_64-linux-gnu or aarch64-linux-gnu"));
  }
  std::reverse(targets.begin(), targets.end());
  return targets;
}

void check_device(const std::string& device) { or_throw(target::check_device(device)); }

}  // namespace mlc::compiler
