// SPDX-License-Identifier: Apache-2.0
// The rules by which fields of a model_config are derived. They run twice: over config.json, and
// over the result with the options in it; the second time nothing is left of the keys that are no
// fields.
#include "compiler/gen_config_model.h"

#include <algorithm>

#include "compiler/gen_config_limits.h"
#include "formats/model_presets.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::compiler {
namespace {

using formats::Architecture;

enum class Pass { kFirst, kSecond };

// A config object while its fields are derived.
struct Build {
  const Architecture& architecture;
  std::string where;
  Pass pass;
  Json fields = Json::object();  // all fields of the architecture, in their order
  Json rest = Json::object();    // the other keys of the source, less those that became fields

  bool is(std::initializer_list<std::string_view> names) const {
    return std::find(names.begin(), names.end(), architecture.name) != names.end();
  }
  bool has(std::string_view field) const { return fields.contains(field); }
  const Json& at(std::string_view field) const { return *fields.find(field); }
  int64_t integer(std::string_view field) const { return integer_field(fields, field, where); }
  // Whether a size is still to be derived.
  bool is_open(std::string_view field) const { return at(field).is_null() || at(field) == Json(0); }
  const Json* from_rest(std::string_view key) const {
    const Json* value = rest.find(key);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
};

const Json* object_member(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value != nullptr && value->is_object() ? value : nullptr;
}

// Where rope parameters are: rope_scaling if it is an object, else rope_parameters; of parameters
// for each layer type, those of full attention.
const Json* rope_object(const Json& source) {
  const Json* rope = object_member(source, "rope_scaling");
  if (rope == nullptr) rope = object_member(source, "rope_parameters");
  if (rope == nullptr) return nullptr;
  const Json* full = object_member(*rope, "full_attention");
  return full != nullptr ? full : rope;
}

// rope_theta or partial_rotary_factor of a source: that of the rope object wins over the top
// level's.
const Json* rope_value(const Json& source, std::string_view key) {
  for (const Json* object : {rope_object(source), &source}) {
    const Json* value = object == nullptr ? nullptr : object->find(key);
    if (value != nullptr && !value->is_null()) return value;
  }
  return nullptr;
}

// Divides the keys of a source into fields and rest, and puts in the defaults.
void fill_fields(Build& b, const Json& source) {
  std::vector<std::string> missing;
  for (const formats::ModelConfigField& field : b.architecture.fields) {
    const Json* value = source.find(field.name);
    if (b.pass == Pass::kFirst &&
        (field.name == "rope_theta" || field.name == "partial_rotary_factor")) {
      value = rope_value(source, field.name);
    }
    // A null means "not given", but some stay in the file as they are found.
    const bool null_counts = !field.default_value || field.default_value->is_null() ||
                             field.name == "n_inner" || field.name == "rope_scaling";
    if (value != nullptr && (!value->is_null() || null_counts)) {
      b.fields.set(field.name, *value);
    } else if (field.default_value) {
      b.fields.set(field.name, *field.default_value);
    } else {
      missing.push_back(field.name);
    }
  }
  if (!missing.empty()) {
    throw UserError(b.where, cat("lacks ", join(missing, ", ")),
                    cat("the keys of model type ", b.architecture.name),
                    "is this the config.json of another architecture? --model-type chooses one");
  }
  for (const auto& [key, value] : source.as_object()) {
    if (!b.architecture.has_field(key)) b.rest.set(key, value);
  }
}

void set_position_embedding_base(Build& b) {
  if (!b.has("position_embedding_base") || !b.is_open("position_embedding_base")) return;
  Json source = b.rest;
  for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
    if (b.has(key)) source.set(key, b.at(key));
  }
  const Json* theta = rope_value(source, "rope_theta");
  b.fields.set("position_embedding_base", theta != nullptr ? *theta : Json(10000));
  b.rest.erase("rope_theta");
}

std::string rope_type(const Json& rope, std::string_view key, std::string_view where) {
  const Json* type = rope.find(key);
  if (type == nullptr) return "";
  if (!type->is_string()) {
    throw UserError(cat(where, ": rope_scaling.", key), cat("is ", type->kind_name()), "a string");
  }
  return type->as_string();
}

const std::vector<std::string>& known_rope_types() {
  static const std::vector<std::string> types = {"default", "linear",   "dynamic",
                                                 "yarn",    "longrope", "llama3"};
  return types;
}

// llama keeps rope_scaling only in the form whose rope_type is llama3; others stay in `hf`.
void set_llama_rope_scaling(Build& b) {
  const Json& rope = b.at("rope_scaling");
  if (!rope.is_object()) {
    if (!rope.is_null()) {
      throw UserError(b.where + ": rope_scaling", cat("is ", rope.kind_name()),
                      "an object or null");
    }
    return;
  }
  const std::string type = rope_type(rope, "rope_type", b.where);
  const std::vector<std::string>& known = known_rope_types();
  if (!type.empty() && std::find(known.begin(), known.end(), type) == known.end()) {
    throw UserError(unknown_name_error(ErrorKind::kUser, b.where + ": rope_scaling.rope_type",
                                       "kind of rope scaling", type, known));
  }
  if (type != "llama3") b.fields.set("rope_scaling", nullptr);
}

// phi3: the old key `type`, the old name su, and the position counts beside the factors.
void set_phi3_rope_scaling(Build& b) {
  if (!b.at("rope_scaling").is_object()) return b.fields.set("rope_scaling", nullptr);
  Json rope = b.at("rope_scaling");
  if (!rope.contains("type")) return b.fields.set("rope_scaling", nullptr);
  const std::string type = rope_type(rope, "type", b.where);
  if (type != "su" && type != "longrope") {
    throw UserError(b.where + ": rope_scaling.type", "is " + type, "longrope, or su, its old name");
  }
  rope.set("type", "longrope");
  rope.set("rope_type", "longrope");
  rope.set("max_position_embeddings", b.at("max_position_embeddings"));
  rope.set("original_max_position_embeddings", b.at("original_max_position_embeddings"));
  b.fields.set("rope_scaling", std::move(rope));
}

void set_rope_scaling(Build& b) {
  if (b.is({"llama", "mixtral", "eagle", "llama4_text_config"})) set_llama_rope_scaling(b);
  if (b.is({"phi3", "phi3_v"})) set_phi3_rope_scaling(b);
}

bool has_window_rules(const Build& b) { return b.is({"mistral", "ministral3"}); }

void set_sliding_window(Build& b) {
  if (!has_window_rules(b) || !b.is_open("sliding_window_size")) return;
  const Json* window = b.from_rest("sliding_window");
  b.fields.set("sliding_window_size", window != nullptr ? *window : Json(-1));
  b.rest.erase("sliding_window");
}

void set_context_window(Build& b) {
  if (!b.has("context_window_size") || !b.is_open("context_window_size")) return;
  if (has_window_rules(b) && b.integer("sliding_window_size") != -1) {
    return b.fields.set("context_window_size", -1);
  }
  for (const std::string& key : b.architecture.context_keys) {
    const Json* value = b.from_rest(key);
    if (value == nullptr) value = b.fields.find(key);
    if (value == nullptr || value->is_null()) continue;
    if (!value->is_int() || value->as_int() < 1 || value->as_int() > kMaxTokens) {
      throw UserError(cat(b.where, ": ", key), cat("is ", value->dump()),
                      cat("an integer from 1 to ", kMaxTokens));
    }
    b.fields.set("context_window_size", *value);
    b.rest.erase(key);
    return;
  }
  if (b.pass == Pass::kSecond) {
    throw UserError("context_window_size", "is 0", "a number of tokens",
                    "leave the option out to take it from config.json");
  }
  throw UserError(b.where, "does not tell the context size",
                  "one of " + join(b.architecture.context_keys, ", "),
                  "give it with --context-window-size");
}

std::string_view width_key(const Build& b) { return b.has("n_embd") ? "n_embd" : "hidden_size"; }
std::string_view heads_key(const Build& b) {
  return b.has("n_head") ? "n_head" : "num_attention_heads";
}

void set_heads(Build& b) {
  for (const std::string_view key : {"num_key_value_heads", "n_head_kv"}) {
    if (!b.has(key)) continue;
    if (b.is_open(key)) b.fields.set(key, b.at(heads_key(b)));
    const int64_t heads = b.integer(heads_key(b));
    const int64_t kv_heads = b.integer(key);
    if (kv_heads > 0 && heads % kv_heads != 0) {
      throw UserError(cat(b.where, ": ", key), cat("is ", kv_heads),
                      cat("a divisor of ", heads_key(b), ", which is ", heads));
    }
  }
  // qwen3 files always give head_dim; 0 stays 0 there.
  if (!b.has("head_dim") || !b.is_open("head_dim") ||
      b.is({"qwen3", "qwen3-embedding", "qwen3_moe"})) {
    return;
  }
  const int64_t width = b.integer(width_key(b));
  const int64_t heads = b.integer(heads_key(b));
  if (heads < 1) return;  // check_fields() says so
  if (width % heads != 0) {
    throw UserError(
        cat(b.where, ": ", width_key(b)), cat("is ", width),
        cat("a multiple of ", heads_key(b), ", which is ", heads, ", where head_dim is not given"));
  }
  b.fields.set("head_dim", width / heads);
}

void set_inner_width(Build& b) {
  if (b.is({"gpt2", "gpt_bigcode", "phi-msft"})) {
    if (b.is_open("n_inner") || b.at("n_inner") == Json(-1)) {
      b.fields.set("n_inner", 4 * b.integer("n_embd"));
    }
  } else if (b.is({"phi", "bert", "bert-bge"})) {
    if (b.is_open("intermediate_size") || b.at("intermediate_size") == Json(-1)) {
      b.fields.set("intermediate_size", 4 * b.integer("hidden_size"));
    }
  } else if (b.is({"rwkv5", "rwkv6"})) {
    if (b.is_open("intermediate_size")) {
      b.fields.set("intermediate_size", b.integer("hidden_size") * 7 / 2 / 32 * 32);
    }
    if (b.is_open("num_heads")) {
      b.fields.set("num_heads",
                   b.integer("hidden_size") / std::max<int64_t>(b.integer("head_size"), 1));
    }
  }
}

void set_prefill_chunk(Build& b) {
  if (!b.has("prefill_chunk_size") || b.is({"rwkv5", "rwkv6", "medusa"})) return;
  const int64_t context = b.integer("context_window_size");
  const bool open = b.is_open("prefill_chunk_size");
  if (has_window_rules(b)) {  // set once and never cut
    if (!open) return;
    int64_t chunk = *b.architecture.prefill_limit;
    for (const int64_t limit : {b.integer("sliding_window_size"), context}) {
      if (limit != -1) chunk = std::min(chunk, limit);
    }
    return b.fields.set("prefill_chunk_size", chunk);
  }
  if (open || b.integer("prefill_chunk_size") > context) {
    b.fields.set("prefill_chunk_size",
                 std::min(context, b.architecture.prefill_limit.value_or(context)));
  }
}

void set_vocab_size(Build& b) {
  const Json* padded = b.from_rest("padded_vocab_size");
  if (b.is({"chatglm"}) && b.is_open("vocab_size") && padded != nullptr) {
    b.fields.set("vocab_size", *padded);
  }
}

// Both names of gelu mean the tanh form in gemma's files. Gemma 2 and 3 do not read hidden_act.
void set_gemma_activation(Build& b) {
  if (!b.is({"gemma", "gemma2", "gemma3_text_config"})) return;
  const auto is_gelu = [](const Json& act) {
    return act == Json("gelu") || act == Json("gelu_pytorch_tanh");
  };
  if (b.at("hidden_activation").is_null()) {
    const Json* act = b.from_rest("hidden_act");
    const bool usable = act != nullptr && (is_gelu(*act) || b.is({"gemma"}));
    b.fields.set("hidden_activation", usable ? *act : Json("gelu_pytorch_tanh"));
  }
  const Json& act = b.at("hidden_activation");
  if (!is_gelu(act)) {
    throw UserError(b.where + ": hidden_activation", "is " + act.dump(),
                    "gelu_pytorch_tanh or gelu");
  }
  if (b.at("attention_bias") != Json(false)) {
    throw UserError(b.where + ": attention_bias", "is " + b.at("attention_bias").dump(),
                    cat("false in a ", b.architecture.name, " model"));
  }
}

// Block sizes of an fp8 checkpoint. `scheme`: the activation_scheme that the architecture takes.
void set_weight_blocks(Build& b, std::string_view scheme) {
  const Json* config = b.from_rest("quantization_config");
  if (config == nullptr) return;
  const auto is = [&](std::string_view key, std::string_view value) {
    const Json* member = config->find(key);
    return member != nullptr && *member == Json(value);
  };
  const bool is_static = scheme == "static";
  if (!is("quant_method", "fp8") || !is("activation_scheme", scheme) ||
      (!is_static && (!is("fmt", "e4m3") || !config->contains("weight_block_size")))) {
    throw UserError(b.where + ": quantization_config", "is of a kind that is not supported here",
                    is_static ? "quant_method fp8 with activation_scheme static"
                              : "quant_method fp8, fmt e4m3, activation_scheme dynamic and a "
                                "weight_block_size",
                    "take the checkpoint without quantization");
  }
  const Json* blocks = config->find("weight_block_size");
  if (blocks == nullptr || blocks->is_null()) {
    b.fields.set("weight_block_size", Json::Array{128, 128});
  } else {
    const auto valid = [](const Json& size) { return size.is_int() && size.as_int() > 0; };
    if (!blocks->is_array() || blocks->as_array().size() != 2 ||
        !std::all_of(blocks->as_array().begin(), blocks->as_array().end(), valid)) {
      throw UserError(b.where + ": quantization_config.weight_block_size", "is " + blocks->dump(),
                      "a list of two sizes");
    }
    b.fields.set("weight_block_size", *blocks);
  }
  const Json* kept = config->find("modules_to_not_convert");
  if (is_static && kept != nullptr && kept->is_array()) {
    b.fields.set("modules_to_not_convert", *kept);
  }
}

void set_quantization(Build& b) {
  if (b.is({"qwen3", "qwen3-embedding", "qwen3_moe", "deepseek_v2", "deepseek_v3"})) {
    set_weight_blocks(b, "dynamic");
  } else if (b.is({"ministral3"})) {
    set_weight_blocks(b, "static");
  }
}

// rope_theta has a field of its own: ministral3's parameters are written without it.
void cut_ministral3_parameters(Build& b) {
  if (b.pass != Pass::kFirst || !b.is({"ministral3"}) || !b.at("rope_parameters").is_object())
    return;
  Json parameters = b.at("rope_parameters");
  parameters.erase("rope_theta");
  b.fields.set("rope_parameters", std::move(parameters));
}

void usual_rules(Build& b) {
  if (b.pass == Pass::kSecond && b.is({"cohere"})) return;
  set_vocab_size(b);
  set_quantization(b);
  set_gemma_activation(b);
  set_position_embedding_base(b);
  cut_ministral3_parameters(b);
  set_rope_scaling(b);
  set_sliding_window(b);
  set_context_window(b);
  set_inner_width(b);
  set_heads(b);
  set_prefill_chunk(b);
  // MLC runs gemma2 within its window; the field says so. The model itself alternates (hf,
  // sliding_window).
  if (b.is({"gemma2"}) && !b.at("sliding_window").is_null()) {
    b.fields.set("context_window_size", b.at("sliding_window"));
  }
}

// An object inside the config, from its source: own fields, then `kwargs` with all other keys.
Build begin_nested(const Build& outer, std::string_view architecture, std::string_view key,
                   const Json& source) {
  if (!source.is_object()) {
    throw UserError(cat(outer.where, ": ", key), cat("is ", source.kind_name()), "an object");
  }
  Json flat = source;
  if (const Json* kwargs = object_member(source, "kwargs")) {  // written by an earlier pass
    const Json others = *kwargs;
    flat.erase("kwargs");
    for (const auto& [name, value] : others.as_object()) flat.set(name, value);
  }
  const Architecture& inner = architecture == "llama" || architecture == "mistral"
                                  ? *formats::find_architecture(architecture)
                                  : formats::nested_architecture(architecture);
  Build b{inner, cat(outer.where, ": ", key), outer.pass};
  fill_fields(b, flat);
  return b;
}

Json end_nested(const Build& b) {
  check_fields(b.architecture, b.fields, b.where);
  Json result = b.fields;
  result.set("kwargs", b.rest);
  return result;
}

// Outer sizes that are not set follow the text model's.
void take_sizes(Build& b, const Json& text, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    const Json* inner = text.find(key);
    if (inner != nullptr && inner->is_int() && b.integer(key) <= 0) b.fields.set(key, *inner);
  }
}

void take_vocab_size(Build& b, const Json& source, const Json& text) {
  const Json* inner = text.find("vocab_size");
  if (inner == nullptr && text.contains("kwargs")) inner = text.find("kwargs")->find("vocab_size");
  if (b.pass == Pass::kFirst && !source.contains("vocab_size") && inner != nullptr) {
    b.fields.set("vocab_size", *inner);
  }
}

void build_gemma3(Build& b, const Json& source) {
  if (b.at("text_config").is_null()) {
    b.fields.set("is_text_model", true);
    b.fields.set("text_config", b.rest);
  }
  Build text = begin_nested(b, "gemma3_text_config", "text_config", b.at("text_config"));
  if (text.at("sliding_window_size").is_null() && text.from_rest("sliding_window") != nullptr) {
    text.fields.set("sliding_window_size", *text.from_rest("sliding_window"));
  }
  set_gemma_activation(text);
  const Json* theta = rope_value(text.rest, "rope_theta");
  if (text.at("position_embedding_base") == Json(1000000) && theta != nullptr) {
    text.fields.set("position_embedding_base", *theta);
    text.rest.erase("rope_theta");
  }
  set_context_window(text);
  set_heads(text);
  set_prefill_chunk(text);
  const Json& window = text.at("sliding_window_size");
  text.fields.set(
      "context_window_size",
      std::max<int64_t>(window.is_null() ? 0 : text.integer("sliding_window_size"), 8192));
  b.fields.set("text_config", end_nested(text));
  take_vocab_size(b, source, b.at("text_config"));
  take_sizes(b, b.at("text_config"),
             {"context_window_size", "prefill_chunk_size", "sliding_window_size"});
}

void build_llama4(Build& b, const Json& source) {
  Build text = begin_nested(b, "llama4_text_config", "text_config", b.at("text_config"));
  set_position_embedding_base(text);
  set_rope_scaling(text);
  set_heads(text);
  const int64_t layers = text.integer("num_hidden_layers");
  const int64_t rope_interval = text.integer("no_rope_layer_interval");
  const int64_t moe_step = text.integer("interleave_moe_layer_step");
  check_fields(text.architecture, text.fields, text.where);  // before loops over these numbers
  const Json& rope_layers = text.at("no_rope_layers");
  if (rope_layers.is_null() || rope_layers == Json::array()) {
    Json list = Json::array();
    for (int64_t i = 0; i < layers; ++i) list.push_back((i + 1) % rope_interval != 0 ? 1 : 0);
    text.fields.set("no_rope_layers", std::move(list));
  }
  if (text.at("moe_layers").is_null()) {
    Json list = Json::array();
    for (int64_t i = moe_step - 1; i < layers; i += moe_step) list.push_back(i);
    text.fields.set("moe_layers", std::move(list));
  }
  b.fields.set("text_config", end_nested(text));
  take_vocab_size(b, source, b.at("text_config"));
  if (b.is_open("context_window_size")) {
    for (const std::string_view key : {"max_position_embeddings", "max_sequence_length"}) {
      const Json* value = text.from_rest(key);
      if (value != nullptr && b.from_rest(key) == nullptr) b.rest.set(key, *value);
    }
  }
  set_context_window(b);
  set_prefill_chunk(b);
}

// The text model of a llava file may be given by the name of a known one.
Json llava_text_source(Build& b) {
  Json text = b.at("text_config");
  if (!text.is_object() || text.contains("kwargs")) return text;
  const Json* name = text.find("_name_or_path");
  if (name != nullptr && name->is_string() && !text.contains("hidden_size")) {
    static const std::pair<std::string_view, std::string_view> kPresets[] = {
        {"meta-llama/Llama-2-7b-hf", "llama2_7b"},
        {"meta-llama/Llama-2-13b-hf", "llama2_13b"},
        {"lmsys/vicuna-7b-v1.5", "llama2_7b"},
        {"mistralai/Mistral-7B-v0.1", "mistral_7b"}};
    const Json* preset = nullptr;
    std::vector<std::string> known;
    for (const auto& [id, preset_name] : kPresets) {
      known.emplace_back(id);
      if (name->as_string() == id) preset = formats::find_model_preset(preset_name);
    }
    if (preset == nullptr) {
      throw UserError(unknown_name_error(ErrorKind::kUser, b.where + ": text_config._name_or_path",
                                         "text model", name->as_string(), known));
    }
    for (const auto& [key, value] : preset->as_object()) text.set(key, value);
  }
  const Json* classes = text.find("architectures");
  if (classes != nullptr && classes->is_array() && classes->as_array().size() == 1) {
    b.fields.set("text_architecture", classes->as_array()[0]);
  }
  return text;
}

void build_llava(Build& b, const Json& source) {
  const Build vision =
      begin_nested(b, "clip_vision_config", "vision_config", b.at("vision_config"));
  b.fields.set("vision_config", end_nested(vision));
  const Json text_source = llava_text_source(b);
  const Json& text_class = b.at("text_architecture");
  const bool mistral = text_class == Json("MistralForCausalLM");
  if (!mistral && text_class != Json("LlamaForCausalLM")) {
    throw UserError(b.where + ": text_config.architectures", "is " + text_class.dump(),
                    "LlamaForCausalLM or MistralForCausalLM");
  }
  Build text = begin_nested(b, mistral ? "mistral" : "llama", "text_config", text_source);
  usual_rules(text);
  b.fields.set("text_config", end_nested(text));
  take_vocab_size(b, source, b.at("text_config"));
  take_sizes(b, b.at("text_config"),
             {"context_window_size", "sliding_window_size", "prefill_chunk_size"});
}

// What phi3_v files use whatever they say: CLIP ViT-L/14 at 336.
Json phi3_vision_config() {
  return Json::Object{
      {"hidden_size", 1024},       {"image_size", 336},       {"intermediate_size", 4096},
      {"num_attention_heads", 16}, {"num_hidden_layers", 24}, {"patch_size", 14},
      {"projection_dim", 768},     {"vocab_size", nullptr},   {"num_channels", 3},
      {"layer_norm_eps", 1e-05},   {"kwargs", Json::object()}};
}

void check_layers_and_shards(const Build& b) {
  if (b.is({"llama", "mixtral", "eagle", "olmo", "olmo2"})) {
    const int64_t stages = b.integer("pipeline_parallel_stages");
    const int64_t layers = b.integer("num_hidden_layers");
    if (stages < 1 || stages > layers) {
      throw UserError("pipeline_parallel_stages", cat("is ", stages),
                      cat("1 to ", layers, ", the number of layers"));
    }
  }
  if (b.is({"rwkv5", "rwkv6"})) {
    if (b.integer("tensor_parallel_shards") != 1) {
      throw UserError("tensor_parallel_shards", cat("is ", b.integer("tensor_parallel_shards")),
                      cat("1: ", b.architecture.name, " runs on one device"));
    }
    const std::string_view version = b.is({"rwkv5"}) ? "5_2" : "6_0";
    if (b.at("model_version") != Json(version)) {
      throw UserError(b.where + ": model_version", "is " + b.at("model_version").dump(),
                      std::string(version));
    }
    if (b.integer("num_heads") * b.integer("head_size") != b.integer("hidden_size")) {
      throw UserError(b.where + ": hidden_size", cat("is ", b.integer("hidden_size")),
                      cat("a multiple of head_size, which is ", b.integer("head_size")));
    }
  }
  if (b.is({"olmo"}) && b.at("clip_qkv").is_number() && b.at("clip_qkv").as_double() <= 0) {
    throw UserError(b.where + ": clip_qkv", "is " + b.at("clip_qkv").dump(), "a number above 0");
  }
}

// Sizes that follow from others must be usable, whatever way they came about.
void check_windows(const Build& b) {
  if (b.is({"medusa"})) return;
  const int64_t context = b.integer("context_window_size");
  const int64_t chunk = b.integer("prefill_chunk_size");
  const bool unlimited = has_window_rules(b) || b.is({"rwkv5", "rwkv6", "llava"});
  if (context < 1 && !(context == -1 && unlimited)) {
    throw UserError("context_window_size", cat("is ", context),
                    cat("a number of tokens", unlimited ? ", or -1 for no limit" : ""));
  }
  if (chunk < 1) throw UserError("prefill_chunk_size", cat("is ", chunk), "a number of tokens");
  if (b.has("sliding_window_size") && b.at("sliding_window_size") == Json(0)) {
    throw UserError("sliding_window_size", "is 0", "a number of tokens, or -1 for no window");
  }
}

Json build(const Architecture& architecture, const Json& source, std::string_view where,
           Pass pass) {
  Build b{architecture, std::string(where), pass};
  fill_fields(b, source);
  if (b.is({"gemma3", "gemma3_text"})) {
    build_gemma3(b, source);
  } else if (b.is({"llama4"})) {
    build_llama4(b, source);
  } else if (b.is({"llava"})) {
    build_llava(b, source);
  } else {
    if (b.is({"phi3_v"})) b.fields.set("vision_config", phi3_vision_config());
    usual_rules(b);
  }
  check_fields(architecture, b.fields, where);
  check_layers_and_shards(b);
  check_windows(b);
  return std::move(b.fields);
}

// config.json of a multimodal model as one flat object, where its architecture reads it so: the
// text model's keys win, but for `outer_wins`.
Json flat_source(const Architecture& architecture, const Json& config) {
  Json flat = config;
  const Json* text = object_member(config, "text_config");
  const bool is_ministral3 = architecture.name == "ministral3";
  if (text != nullptr && (is_ministral3 || architecture.name.starts_with("qwen3_5"))) {
    flat.erase("text_config");
    for (const auto& [key, value] : text->as_object()) {
      const bool outer_wins = is_ministral3 && (key == "tie_word_embeddings" || key == "dtype");
      if (!outer_wins || !config.contains(key)) flat.set(key, value);
    }
  }
  if (architecture.has_field("model_type") && !flat.contains("model_type")) {
    flat.set("model_type", architecture.name);
  }
  return flat;
}

// Whether a field says all that the key of config.json says. Objects may have gained members on the
// way.
bool carries(const Json& field, const Json& found) {
  if (!field.is_object() || !found.is_object()) return field == found;
  return std::all_of(found.as_object().begin(), found.as_object().end(), [&](const auto& member) {
    const Json* value = field.find(member.first);
    return value != nullptr &&
           (*value == member.second || (member.second == Json("su") && *value == Json("longrope")));
  });
}

Json hf_object(const Architecture& architecture, const Json& source, const Json& fields) {
  Json hf = Json::object();
  for (const auto& [key, value] : source.as_object()) {
    const auto& keys = architecture.hf_keys;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) continue;
    const Json* field = fields.find(key);
    if (field == nullptr || !carries(*field, value)) hf.set(key, value);
  }
  return hf;
}

}  // namespace

const Architecture& select_architecture(std::string_view model_type, const Json& config,
                                        std::string_view where) {
  std::string name(model_type);
  if (model_type == "auto") {
    const Json* type = config.find("model_type");
    if (type == nullptr) {
      if (const Json* model_config = object_member(config, "model_config")) {
        type = model_config->find("model_type");
      }
    }
    if (type == nullptr || !type->is_string()) {
      throw UserError(
          std::string(where),
          type == nullptr ? "has no model_type" : cat("model_type is ", type->kind_name()),
          "the name of an architecture", "say which it is with --model-type");
    }
    name = type->as_string();
  }
  const Architecture* found = formats::find_architecture(name);
  if (found == nullptr) {
    const bool given = model_type != "auto";
    throw UserError(unknown_name_error(given ? ErrorKind::kUsage : ErrorKind::kUser,
                                       given ? "--model-type" : std::string(where), "model type",
                                       name, formats::architecture_names()));
  }
  return *found;
}

Json derive_model_config(const Architecture& architecture, const Json& config,
                         std::string_view where) {
  if (!config.is_object()) {
    throw UserError(std::string(where), cat("is ", config.kind_name()), "an object");
  }
  const Json source = flat_source(architecture, config);
  Json model_config = build(architecture, source, where, Pass::kFirst);
  Json hf = hf_object(architecture, source, model_config);
  if (!hf.as_object().empty()) model_config.set("hf", std::move(hf));
  return model_config;
}

Json override_model_config(const Architecture& architecture, const Json& model_config,
                           const ModelConfigOverrides& overrides, std::string_view where) {
  Json updated = model_config;
  const auto put = [&](std::string_view key, const auto& value) {
    if (!value) return;
    if (!architecture.has_field(key)) {
      log_warning(cat(key, " ", Json(*value).dump(), " is left out: model type ", architecture.name,
                      " has no such field"));
      return;
    }
    updated.set(key, *value);
  };
  put("context_window_size", overrides.context_window_size);
  put("sliding_window_size", overrides.sliding_window_size);
  put("prefill_chunk_size", overrides.prefill_chunk_size);
  put("attention_sink_size", overrides.attention_sink_size);
  put("max_batch_size", overrides.max_batch_size);
  put("tensor_parallel_shards", overrides.tensor_parallel_shards);
  put("pipeline_parallel_stages", overrides.pipeline_parallel_stages);
  put("disaggregation", overrides.disaggregation);
  const Json* hf = model_config.find("hf");
  Json result = build(architecture, updated, where, Pass::kSecond);
  if (hf != nullptr) result.set("hf", *hf);
  return result;
}

}  // namespace mlc::compiler
