// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/tiny_model.h"

#include <cmath>
#include <cstring>
#include <random>

#include "compiler/compile.h"
#include "compiler/convert_weight.h"
#include "compiler/gen_config_model.h"
#include "compiler/memory_checkpoint.h"
#include "formats/parameter_shards.h"
#include "quantization/awq.h"
#include "quantization/group.h"
#include "quantization/rewrite.h"
#include "support/half.h"
#include "support/process.h"
#include "support/throw.h"
#include "target/amx_emulator.h"

namespace mlc {
namespace {

Json parse(const char* text) { return parse_json(text, "test").value(); }

std::vector<float> as_floats(Bytes bytes, DType dtype) {
  std::vector<float> values;
  for (size_t i = 0; i < bytes.size() / 2; ++i) {
    uint16_t half;
    std::memcpy(&half, bytes.data() + 2 * i, 2);
    values.push_back(dtype == DType::kF16 ? f16_to_f32(half) : bf16_to_f32(half));
  }
  return values;
}

template <class T>
std::vector<T> copy_of(Bytes bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

}  // namespace

Json tiny_llama_config() {
  return parse(
      R"({"model_type": "llama", "hidden_size": 72, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 6,
    "num_key_value_heads": 2, "head_dim": 20, "vocab_size": 203, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    "tie_word_embeddings": false, "attention_bias": true})");
}

Json tiny_awq_config() {
  return parse(
      R"({"model_type": "llama", "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 1, "head_dim": 32, "vocab_size": 203, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "hidden_act": "silu",
    "tie_word_embeddings": false})");
}

Json tiny_gpt_neox_config() {
  return parse(
      R"({"model_type": "gpt_neox", "hidden_size": 72, "intermediate_size": 172, "num_hidden_layers": 2, "num_attention_heads": 3,
    "vocab_size": 203, "max_position_embeddings": 4096, "layer_norm_eps": 1e-5, "rotary_pct": 0.25, "rotary_emb_base": 10000,
    "use_parallel_residual": true, "hidden_act": "gelu"})");
}

TinyModel::TinyModel(const TinyModelSpec& spec) : quantization_(spec.quantization) {
  const formats::Architecture& architecture =
      compiler::select_architecture(spec.model_type, spec.config, "test");
  const Json model_config = compiler::derive_model_config(architecture, spec.config, "test");
  formats::ChatConfig config;
  config.model_type = spec.model_type;
  config.quantization = spec.quantization;
  config.model_config = model_config;
  config.vocab_size = config.active_vocab_size = spec.config.find("vocab_size")->as_int();
  const auto field = [&](const char* key, int64_t otherwise) {
    const Json* value = model_config.find(key);
    return value == nullptr ? otherwise : value->as_int();
  };
  config.context_window_size = field("context_window_size", -1);
  config.sliding_window_size = field("sliding_window_size", -1);
  config.prefill_chunk_size = field("prefill_chunk_size", 512);
  config.conv_template = *formats::find_builtin_conversation("LM");
  or_throw(write_file(directory_.file("mlc-chat-config.json"), config.to_text()));
  const quantization::Quantization& q =
      *or_throw(quantization::find_quantization(spec.quantization, "test"));
  compiler::CompileOptions options;
  if (!spec.kv_cache_dtype.empty()) options.overrides = "kv_cache_dtype=" + spec.kv_cache_dtype;
  model_ = compiler::build_model(
      config, q, compiler::parse_overrides(options.overrides).kv_cache_dtype, "test");
  convert(spec);
  if (!spec.level.empty()) options.targets = {or_throw(target::cpu_level_target(spec.level))};
  options.model = directory();
  options.output = library();
  options.opt = spec.opt;
  options.object_cache = environment("MLC_OBJECT_CACHE").value_or("");
  compiler::compile(options);
}

void TinyModel::convert(const TinyModelSpec& spec) {
  const quantization::Quantization& q =
      *or_throw(quantization::find_quantization(spec.quantization, "test"));
  std::mt19937_64 random(spec.seed);
  std::normal_distribution<float> normal;
  compiler::MemoryCheckpoint checkpoint;
  std::vector<compiler::ParameterToConvert> parameters;
  for (const graph::NodeId id : model_.graph.parameters()) {
    const graph::Node& node = model_.graph.node(id);
    const models::WeightRule& rule =
        *std::find_if(model_.rules.begin(), model_.rules.end(),
                      [&](const auto& r) { return r.parameter == node.name; });
    const quantization::Weight weight = quantization::weight_of(node);
    parameters.push_back({weight, rule});
    // Sources of a joined parameter differ in rows only by what the model says; here the first
    // takes all but one row each.
    int64_t rows = weight.shape[0];
    for (size_t s = 0; s < rule.sources.size(); ++s) {
      const bool last = s + 1 == rule.sources.size();
      const int64_t own =
          last ? rows
               : std::max<int64_t>(8, rows / static_cast<int64_t>(rule.sources.size() - s) / 8 * 8);
      rows -= own;
      if (q.scheme == quantization::Scheme::kAwq && quantization::is_quantized(q, weight)) {
        const int64_t k = weight.shape[1];
        const std::string module = rule.sources[s].substr(0, rule.sources[s].size() - 7);
        const auto words = [&](int64_t count) {
          std::vector<uint32_t> list;
          for (int64_t i = 0; i < count; ++i) list.push_back(static_cast<uint32_t>(random()));
          return list;
        };
        std::vector<uint16_t> scales;
        for (int64_t i = 0; i < k / 128 * own; ++i)
          scales.push_back(f32_to_f16(0.02f * std::fabs(normal(random)) / std::sqrt(2.0f)));
        checkpoint.add(module + ".qweight", DType::kI32, {k, own / 8}, words(k * own / 8));
        checkpoint.add(module + ".qzeros", DType::kI32, {k / 128, own / 8},
                       words(k / 128 * own / 8));
        checkpoint.add(module + ".scales", DType::kF16, {k / 128, own}, scales);
        continue;
      }
      std::vector<int64_t> shape = weight.shape;
      shape[0] = own;
      int64_t count = 1;
      for (const int64_t d : shape) count *= d;
      const bool vector = shape.size() == 1;
      const bool norm =
          vector && node.name.find("norm") != std::string::npos && node.name.ends_with("weight");
      const float size = vector ? 0.3f
                         : node.kind == graph::ParameterKind::kEmbedding
                             ? 1.0f
                             : 1.3f / std::sqrt(static_cast<float>(shape.back()));
      std::vector<uint16_t> values;
      for (int64_t i = 0; i < count; ++i)
        values.push_back(f32_to_f16(normal(random) * size + (norm ? 1.0f : 0.0f)));
      checkpoint.add(rule.sources[s], DType::kF16, shape, values);
    }
  }
  compiler::ConvertOptions options;
  options.source = "test";
  options.directory = directory();
  compiler::convert(checkpoint, parameters, q, options);
}

std::vector<float> TinyModel::parameter(const graph::Node& node) const {
  const quantization::Quantization& q =
      *or_throw(quantization::find_quantization(quantization_, "test"));
  const quantization::Weight weight = quantization::weight_of(node);
  const auto shards = or_throw(formats::ParameterShards::open(directory()));
  const auto stored = or_throw(quantization::stored_tensors(q, weight));
  const auto bytes = [&](size_t i) { return shards.bytes(*shards.find(stored[i].name)); };
  const auto memory = [&](size_t i) { return graph::memory_dtype(stored[i].dtype); };
  if (!quantization::is_quantized(q, weight)) return as_floats(bytes(0), memory(0));
  const int64_t n = weight.shape[0];
  const int64_t k = weight.shape[1];
  if (q.scheme == quantization::Scheme::kAwq) {
    return quantization::unpack_awq(copy_of<uint32_t>(bytes(0)).data(),
                                    copy_of<uint32_t>(bytes(1)).data(),
                                    copy_of<uint16_t>(bytes(2)).data(), n, k);
  }
  std::vector<uint32_t> words = copy_of<uint32_t>(bytes(0));
  std::vector<float> scales = as_floats(bytes(1), memory(1));
  const int64_t groups = q.groups_per_row(k);
  const int64_t words_per_row = q.words_per_row(k);
  const bool transposed = weight.kind == quantization::WeightKind::kLinear &&
                          q.linear_layout == quantization::Layout::kKN;
  std::vector<float> values;
  for (int64_t row = 0; row < n; ++row) {
    for (int64_t i = 0; i < k; ++i) {
      const int64_t w = i / q.values_per_word();
      const int64_t g = i / q.group_size;
      const uint32_t word =
          words[static_cast<size_t>(transposed ? w * n + row : row * words_per_row + w)];
      const float scale = scales[static_cast<size_t>(transposed ? g * n + row : row * groups + g)];
      const int64_t code = (word >> (i % q.values_per_word() * q.bits)) & ((1u << q.bits) - 1);
      values.push_back(static_cast<float>(code - q.largest()) * scale);
    }
  }
  return values;
}

std::unique_ptr<engine::Session> TinyModel::open(int64_t threads, int64_t max_tokens) const {
  engine::SessionOptions options;
  options.model_directory = directory();
  options.library = library();
  options.threads = threads;
  options.max_tokens = max_tokens;
  return or_throw(engine::Session::create(
      open_library(), or_throw(formats::ParameterShards::open(directory())), options));
}

namespace {

// A library of one level, and the copy of its head that does not ask for what is emulated.
struct Forced {
  target::AmxEmulator emulator;
  std::shared_ptr<void> loaded;
  MlcModelLibrary library;
  MlcLibraryVariant variant;
};

}  // namespace

runtime::ModelLibrary TinyModel::open_library() const {
  const auto forced = std::make_shared<Forced>();
  forced->library = *or_throw(runtime::load_library(library(), &forced->loaded));
  forced->variant = *reinterpret_cast<const MlcLibraryVariant*>(forced->library.variants);
  const uint64_t emulated =
      target::AmxEmulator::features().bits() & ~target::host_cpu_features().bits();
  forced->variant.required_features &= ~emulated;
  forced->library.variants = reinterpret_cast<uint64_t>(&forced->variant);
  EXPECT_EQ(forced->library.num_variants, 1u);
  return or_throw(runtime::ModelLibrary::from_memory(forced->library, library(), forced));
}

bool is_emulated(const std::string& level) {
  return !target::host_cpu_features().contains(or_throw(target::cpu_level_target(level)).features);
}

std::vector<std::string> runnable_levels() {
  std::vector<std::string> levels;
  const target::CpuFeatures here = target::AmxEmulator::features();
  for (const target::CpuLevel& level : target::cpu_levels()) {
    if (level.architecture == target::host_architecture() && here.contains(level.features))
      levels.emplace_back(level.name);
  }
  return levels;
}

std::vector<int32_t> test_tokens(int64_t count, int64_t vocab_size) {
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>((i * i * 31 + i * 97 + 5) % vocab_size));
  return tokens;
}

}  // namespace mlc
