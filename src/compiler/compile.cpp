// SPDX-License-Identifier: Apache-2.0
#include "compiler/compile.h"

#include <algorithm>

#include "codegen/codegen.h"
#include "compiler/gen_config.h"
#include "compiler/object_cache.h"
#include "formats/model_library.h"
#include "link/link.h"
#include "quantization/rewrite.h"
#include "support/file.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

int64_t size_of(const formats::LinearSize& size, int64_t tokens, int64_t logits) {
  int64_t value = size.constant;
  for (const auto& [symbol, coefficient] : size.terms) {
    if (symbol == formats::plan_symbol(formats::Symbol::kNumTokens)) value += coefficient * tokens;
    if (symbol == formats::plan_symbol(formats::Symbol::kNumLogits)) value += coefficient * logits;
  }
  return value;
}

int64_t weight_bytes(const formats::Plan& plan) {
  int64_t bytes = 0;
  for (const formats::PlanWeight& w : plan.weights) {
    int64_t elements = 1;
    for (const int64_t d : w.shape) elements *= d;
    bytes += elements * dtype_bytes(w.dtype);
  }
  return bytes;
}

int64_t cache_bytes_per_token(const formats::Plan& plan) {
  int64_t bytes = 0;
  for (const formats::PlanCacheGroup& g : plan.cache_groups) {
    bytes += g.page_bytes / g.page_tokens * static_cast<int64_t>(g.layers.size());
  }
  return bytes;
}

// Tokens that a step of the engine computes at the most: the config's chunk is an upper limit
// (design: 256 to 512).
int64_t step_tokens(const formats::ChatConfig& config) {
  return std::clamp<int64_t>(config.prefill_chunk_size, 1, 512);
}

Json metadata(const formats::ChatConfig& config, const graph::Graph& graph,
              const formats::Plan& plan, const OptFlags& opt,
              const std::vector<target::Target>& targets) {
  Json params = Json::array();
  for (const graph::NodeId id : graph.parameters()) {
    for (const graph::StoredTensor& t : graph.node(id).stored) {
      Json shape = Json::array();
      for (const int64_t d : t.shape) shape.push_back(d);
      Json entry = Json::object();
      entry.set("name", t.name);
      entry.set("shape", shape);
      entry.set("dtype", dtype_name(t.dtype));
      entry.set("preprocs", Json::array());
      entry.set("pipeline_stages", Json::Array{Json(0)});
      params.push_back(std::move(entry));
    }
  }
  Json memory = Json::object();
  memory.set("prefill", size_of(plan.arena_bytes, step_tokens(config), 1));
  memory.set("decode", size_of(plan.arena_bytes, 1, 1));
  Json cache = Json::object();
  const formats::PlanCacheGroup& first = plan.cache_groups.at(0);
  cache.set("num_hidden_layers", plan.cache_layers);
  int64_t heads = 0;
  int64_t rope_switch_length = 0;  // keys of shorter prompts cannot be used for longer ones
  for (const graph::Node& node : graph.nodes) {
    if (node.op == graph::Op::kAttention) heads = node.attrs.int_of(graph::Attr::kHeads);
    if (node.attrs.find(graph::Attr::kSwitchLength) != nullptr)
      rope_switch_length = node.attrs.int_of(graph::Attr::kSwitchLength);
  }
  cache.set("num_attention_heads", heads);
  cache.set("num_key_value_heads", first.kv_heads);
  cache.set("head_dim", first.head_dim);
  cache.set("bytes_per_token", cache_bytes_per_token(plan));
  Json levels = Json::array();
  for (const target::Target& t : targets) levels.push_back(t.level);
  Json m = Json::object();
  m.set("model_type", config.model_type);
  m.set("quantization", config.quantization);
  m.set("context_window_size", config.context_window_size);
  m.set("sliding_window_size", config.sliding_window_size);
  m.set("attention_sink_size", config.attention_sink_size);
  m.set("prefill_chunk_size", config.prefill_chunk_size);
  m.set("tensor_parallel_shards", config.tensor_parallel_shards);
  m.set("pipeline_parallel_stages", config.pipeline_parallel_stages);
  const Json* disaggregation = config.model_config.find("disaggregation");
  m.set("disaggregation", disaggregation == nullptr ? Json(false) : *disaggregation);
  m.set("kv_state_kind", "kv_cache");
  const Json* batch = config.model_config.find("max_batch_size");
  m.set("max_batch_size", batch == nullptr ? Json(1) : *batch);
  m.set("active_vocab_size", config.active_vocab_size);
  if (rope_switch_length > 0) m.set("rope_switch_length", rope_switch_length);
  m.set("model_task", config.model_task);
  m.set("embedding_metadata", config.embedding_metadata);
  m.set("params", params);
  m.set("memory_usage", memory);
  m.set("kv_cache", cache);
  m.set("vocab_size", plan.vocab_size);
  m.set("device", "cpu");
  m.set("triple", targets[0].triple);
  m.set("cpu_levels", levels);
  m.set("opt", opt.text);
  return m;
}

std::string memory_report(const formats::ChatConfig& config, const formats::Plan& plan) {
  const auto mib = [](int64_t bytes) { return fixed(static_cast<double>(bytes) / (1 << 20), 2); };
  const int64_t tokens = step_tokens(config);
  const int64_t cache = cache_bytes_per_token(plan);
  std::string text = cat("memory: parameters ", mib(weight_bytes(plan)), " MiB; activations ",
                         mib(size_of(plan.arena_bytes, tokens, 1)), " MiB for ", tokens,
                         " tokens; KV cache ", cache, " bytes a token");
  if (config.context_window_size > 0)
    text += cat(", ", mib(cache * config.context_window_size), " MiB for ",
                config.context_window_size, " tokens");
  return text;
}

void check_output(const std::string& output) {
  if (output.empty()) throw UserError(usage_error("--output", "is empty", "the name of a file"));
  if (is_directory(output))
    throw UserError("--output", cat(output, " is a directory"), "the name of a file");
  const std::string parent = path_directory(output);
  if (!is_directory(parent))
    throw UserError("--output", cat("the folder ", parent, " does not exist"), "",
                    cat("mkdir -p ", parent));
  const std::string suffix = path_extension(output);
  for (const char* other : {".tar", ".dylib", ".dll", ".lib", ".wasm", ".a"}) {
    if (suffix == other)
      throw UserError("--output", cat(suffix, " files are not implemented yet"), ".so");
  }
  if (suffix != ".so")
    log_warning(cat("--output: ", suffix.empty() ? "no suffix" : suffix,
                    " tells no kind of file; a shared library is written"));
}

std::set<std::string> known_passes(const std::vector<std::string>& disabled) {
  for (const std::string& name : disabled) {
    const std::vector<std::string> known = pass_names();
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw UserError(unknown_name_error(ErrorKind::kUsage, "--disable-pass", "pass", name, known));
    }
  }
  return {disabled.begin(), disabled.end()};
}

// Objects of the kernels in their order, compiled or from the cache. With a dump all are compiled.
std::vector<std::string> kernel_objects(const std::vector<codegen::KernelToGenerate>& kernels,
                                        const target::Target& target,
                                        const CompileOptions& options) {
  const ObjectCache cache(options.object_cache);
  std::vector<std::string> keys;
  std::vector<std::string> objects(kernels.size());
  std::vector<codegen::KernelToGenerate> missing;
  std::vector<size_t> places;
  for (size_t i = 0; i < kernels.size(); ++i) {
    keys.push_back(ObjectCache::key(*kernels[i].kernel, kernels[i].symbol, target,
                                    codegen::generator_version()));
    std::optional<std::string> found;
    if (options.debug_dump.empty()) found = cache.find(keys.back());
    if (found) {
      objects[i] = std::move(*found);
    } else {
      missing.push_back(kernels[i]);
      places.push_back(i);
    }
  }
  codegen::GenerateOptions generate;
  generate.threads = static_cast<int>(options.threads > 0 ? options.threads : physical_cores());
  generate.want_llvm_ir = generate.want_assembly = !options.debug_dump.empty();
  codegen::GeneratedCode code = codegen::generate_kernels(missing, target, generate);
  for (size_t i = 0; i < missing.size(); ++i) {
    cache.put(keys[places[i]], code.objects[i]);
    objects[places[i]] = std::move(code.objects[i]);
  }
  if (!options.debug_dump.empty()) {
    or_throw(
        write_file(path_join(options.debug_dump, cat("code-", target.level, ".ll")), code.llvm_ir));
    or_throw(
        write_file(path_join(options.debug_dump, cat("code-", target.level, ".s")), code.assembly));
  }
  constexpr uint64_t kMaxCacheBytes = 512 << 20;
  if (!missing.empty()) cache.limit(kMaxCacheBytes);
  return objects;
}

}  // namespace

formats::ChatConfig resolve_chat_config(const CompileOptions& options) {
  formats::ChatConfig config = or_throw(formats::read_chat_config(options.model));
  if (options.model_type != "auto") config.model_type = options.model_type;
  if (!options.quantization.empty()) config.quantization = options.quantization;
  const CompileOverrides overrides = parse_overrides(options.overrides);
  Json with_type = config.model_config;
  with_type.set("model_type", config.model_type);
  const formats::Architecture& architecture =
      select_architecture(options.model_type, with_type, options.model);
  config.model_config =
      override_model_config(architecture, config.model_config, overrides.config, options.model);
  const auto copy = [&](const char* key, int64_t& field) {
    const Json* value = config.model_config.find(key);
    if (value != nullptr && value->is_int()) field = value->as_int();
  };
  copy("context_window_size", config.context_window_size);
  copy("sliding_window_size", config.sliding_window_size);
  copy("prefill_chunk_size", config.prefill_chunk_size);
  copy("attention_sink_size", config.attention_sink_size);
  copy("tensor_parallel_shards", config.tensor_parallel_shards);
  copy("pipeline_parallel_stages", config.pipeline_parallel_stages);
  if (config.tensor_parallel_shards > 1) {
    throw UserError(options.model,
                    cat("tensor_parallel_shards is ", config.tensor_parallel_shards,
                        ", which is not implemented"),
                    "1", "compile with --overrides tensor_parallel_shards=1");
  }
  if (config.pipeline_parallel_stages > 1) {
    throw UserError(options.model,
                    cat("pipeline_parallel_stages is ", config.pipeline_parallel_stages,
                        ", which is not implemented"),
                    "1");
  }
  return config;
}

models::Model build_model(const formats::ChatConfig& config,
                          const quantization::Quantization& quantization,
                          std::optional<DType> kv_cache_dtype, std::string_view where) {
  models::ModelOptions options;
  options.dtype = quantization.model_dtype;
  options.kv_dtype = kv_cache_dtype.value_or(quantization.model_dtype);
  return models::find_model(config.model_type, where).build(config.model_config, options);
}

CompileReport compile(const CompileOptions& options) {
  check_device(options.device);
  check_output(options.output);
  const formats::ChatConfig config = resolve_chat_config(options);
  const quantization::Quantization& quantization = *or_throw(quantization::find_quantization(
      config.quantization,
      options.quantization.empty() ? cat(options.model, ": quantization") : "--quantization"));
  const OptFlags opt = parse_opt(options.opt, quantization);
  const CompileOverrides overrides = parse_overrides(options.overrides);
  std::vector<target::Target> targets =
      options.targets.empty() ? parse_host(options.host) : options.targets;
  for (target::Target& t : targets) {
    t.fixed_order = opt.fixed_order;
    if (t.level == "native") t.tune_cpu = codegen::host_cpu_name();
  }
  if (!opt.without_effect.empty())
    log_info("--opt: no effect on a CPU: " + join(opt.without_effect, ", "));
  PipelineOptions pipeline;
  pipeline.int8_activations = opt.int8_activations;
  pipeline.disabled_passes = known_passes(options.disabled_passes);
  pipeline.dump_directory = options.debug_dump;

  CompileReport report;
  const auto timed = [&](const char* name, auto f) {
    const double begin = now_seconds();
    auto result = f();
    report.times.push_back({name, now_seconds() - begin});
    return result;
  };
  const models::Model model = timed("build-model", [&] {
    return build_model(config, quantization, overrides.kv_cache_dtype, options.model);
  });
  std::vector<std::string> levels;
  for (const target::Target& t : targets) levels.push_back(t.level);
  report.resolved =
      cat("config ", options.model, "\nquantization ", config.quantization, "\nmodel type ",
          config.model_type, "\ntarget cpu, ", targets[0].triple, ", ", join(levels, " "), "\nopt ",
          opt.text, "\nsystem-lib-prefix \"\"\noutput ", options.output, "\noverrides ",
          options.overrides.empty() ? "none" : options.overrides);

  std::vector<std::string> objects;
  std::vector<codegen::LibraryVariant> variants;
  Json library_metadata;
  for (const target::Target& target : targets) {
    // The stages of each level in a folder of its own.
    if (!options.debug_dump.empty() && targets.size() > 1)
      pipeline.dump_directory = path_join(options.debug_dump, target.level);
    PlanAndKernels planned =
        run_pipeline(model.graph, quantization, target, pipeline, &report.times);
    if (library_metadata.is_null()) {
      graph::Graph stored = model.graph;
      quantization::quantize_parameters(stored, quantization);
      library_metadata = metadata(config, stored, planned.plan, opt, targets);
      report.memory = memory_report(config, planned.plan);
    }
    codegen::LibraryVariant variant;
    variant.required_features = target.features;
    variant.plan = formats::serialize_plan(planned.plan);
    std::vector<codegen::KernelToGenerate> kernels;
    for (size_t i = 0; i < planned.kernels.size(); ++i) {
      variant.kernel_symbols.push_back(cat("mlc_kernel_", planned.kernels[i].name));
      kernels.push_back({&planned.kernels[i], variant.kernel_symbols.back()});
    }
    std::vector<std::string> code =
        timed("generate-code", [&] { return kernel_objects(kernels, target, options); });
    std::move(code.begin(), code.end(), std::back_inserter(objects));
    variants.push_back(std::move(variant));
  }
  objects.push_back(codegen::generate_library_object(
      MLC_MODEL_LIBRARY_SYMBOL, library_metadata.dump(), variants, targets[0]));
  const std::string bytes = timed(
      "link", [&] { return link::link_shared(objects, MLC_MODEL_LIBRARY_SYMBOL, targets[0]); });
  or_throw(write_file(options.output, bytes));
  report.path = options.output;
  return report;
}

}  // namespace mlc::compiler
