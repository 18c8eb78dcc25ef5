// SPDX-License-Identifier: Apache-2.0
#include "engine/fake_model.h"

#include <cstring>

#include "engine/random.h"
#include "formats/parameter_shard_writer.h"
#include "tokenizers/byte_alphabet.h"

namespace mlc::engine {
namespace {

using formats::InputTable;
using formats::PlanArgument;

constexpr int64_t kBlockTokens = 8;
constexpr int64_t kTileTokens = 4;

template <class T>
const T* slot(const MlcKernelArgs* args, int i) {
  return reinterpret_cast<const T*>(reinterpret_cast<const uint64_t*>(args->slots)[i]);
}
template <class T>
T* mutable_slot(const MlcKernelArgs* args, int i) {
  return reinterpret_cast<T*>(reinterpret_cast<const uint64_t*>(args->slots)[i]);
}
int64_t size_slot(const MlcKernelArgs* args, int i) {
  return static_cast<int64_t>(reinterpret_cast<const uint64_t*>(args->slots)[i]);
}

// Of a position in a page of the one layer: [K, V] of one head with one element.
int64_t cache_index(int64_t page, int64_t offset) { return page * 2 * kFakePageTokens + offset; }

struct Constants {
  int64_t rope_switch_length;
  int64_t vocab_size;
  int64_t window;
  int64_t sink;
  int64_t script_size;
};

Constants constants_of(const MlcKernelArgs* args, int i) {
  Constants constants;
  std::memcpy(&constants, slot<std::byte>(args, i), sizeof(constants));
  return constants;
}

// cache[position] = the token; its sign tells on which side of the switch the sequence's length is.
void append(const MlcKernelArgs* args, int64_t begin, int64_t end) {
  const int32_t* tokens = slot<int32_t>(args, 0);
  const int32_t* lengths = slot<int32_t>(args, 1);
  const int32_t* slots = slot<int32_t>(args, 2);
  float* cache = mutable_slot<float>(args, 3);
  const Constants constants = constants_of(args, 4);
  for (int64_t i = begin; i < end; ++i) {
    const bool is_long =
        constants.rope_switch_length > 0 && lengths[i] > constants.rope_switch_length;
    const float value = static_cast<float>(tokens[i] + 1) * (is_long ? -1.0f : 1.0f);
    cache[cache_index(slots[i] / kFakePageTokens, slots[i] % kFakePageTokens)] = value;
  }
}

void compute_logits(const MlcKernelArgs* args, int64_t begin, int64_t end) {
  const int32_t* rows = slot<int32_t>(args, 0);
  const int32_t* positions = slot<int32_t>(args, 1);
  const int32_t* items = slot<int32_t>(args, 2);
  const int64_t num_items = size_slot(args, 3);
  const int32_t* pages = slot<int32_t>(args, 4);
  const float* cache = slot<float>(args, 5);
  const Constants constants = constants_of(args, 6);
  const uint32_t* script = slot<uint32_t>(args, 7);
  float* logits = mutable_slot<float>(args, 8);
  for (int64_t row = begin; row < end; ++row) {
    const int32_t token = rows[row];
    int64_t first_page = -1;
    for (int64_t i = 0; i < num_items && first_page < 0; ++i) {
      const int32_t* item = items + 8 * i;
      if (item[0] <= token && token < item[0] + item[1]) first_page = item[3];
    }
    const int64_t position = positions[token];
    uint64_t hash = 1469598103934665603u;
    for (int64_t p = 0; p <= position; ++p) {
      const bool seen = constants.window == 0 || p < constants.sink ||
                        p > position - (constants.window - constants.sink);
      if (!seen) continue;
      const float value =
          cache[cache_index(pages[first_page + p / kFakePageTokens], p % kFakePageTokens)];
      hash =
          (hash ^ static_cast<uint64_t>(static_cast<int64_t>(value) + p * 7919)) * 1099511628211u;
    }
    float* out = logits + row * constants.vocab_size;
    for (int64_t v = 0; v < constants.vocab_size; ++v) {
      out[v] = static_cast<float>(uniform_draw(hash, static_cast<uint64_t>(v)) * 6 - 3);
    }
    if (position + 1 < constants.script_size && static_cast<int32_t>(script[position + 1]) >= 0)
      out[script[position + 1]] += 30;
  }
}

PlanArgument input(InputTable table) {
  PlanArgument a;
  a.kind = PlanArgument::Kind::kInput;
  a.index = static_cast<uint32_t>(table);
  return a;
}

PlanArgument of_kind(PlanArgument::Kind kind) {
  PlanArgument a;
  a.kind = kind;
  return a;
}

formats::Plan make_plan(const FakeModelOptions& options) {
  formats::Plan plan;
  plan.vocab_size = options.vocab_size;
  plan.weights.push_back(
      {"script", DType::kU32, {static_cast<int64_t>(options.script.size()) + 1}});
  formats::PlanCacheGroup group;
  group.kind = options.window > 0 ? formats::PlanCacheGroup::Kind::kWindow
                                  : formats::PlanCacheGroup::Kind::kFull;
  group.window = options.window;
  group.sink = options.sink;
  group.kv_heads = 1;
  group.head_dim = 1;
  group.dtype = DType::kF32;
  group.page_tokens = kFakePageTokens;
  group.page_bytes = 2 * 4 * kFakePageTokens;
  group.block_tokens = kBlockTokens;
  group.tile_tokens = kTileTokens;
  group.layers = {0};
  plan.cache_groups.push_back(group);
  plan.cache_layers = 1;
  const Constants constants{options.rope_switch_length, options.vocab_size, options.window,
                            options.sink, static_cast<int64_t>(options.script.size())};
  plan.constants.assign(reinterpret_cast<const char*>(&constants), sizeof(constants));
  plan.kernels = {{"append_fake", 0}, {"logits_fake", 64}};
  const auto tokens = formats::plan_symbol(formats::Symbol::kNumTokens);
  const auto logits = formats::plan_symbol(formats::Symbol::kNumLogits);
  plan.arena_bytes = formats::LinearSize::of(logits, 4 * options.vocab_size, 64) +
                     formats::LinearSize::of(tokens, options.arena_bytes_per_token);
  plan.logits_offset = 64;
  formats::PlanCall append_call{"append", tokens, {}};
  append_call.variants.push_back(
      {INT64_MAX,
       0,
       {1, tokens, 1},
       {input(InputTable::kTokens), input(InputTable::kLengths), input(InputTable::kCacheSlots),
        of_kind(PlanArgument::Kind::kCache), of_kind(PlanArgument::Kind::kConstants)}});
  formats::PlanCall logits_call{"logits", logits, {}};
  PlanArgument items = of_kind(PlanArgument::Kind::kSize);
  items.symbol = formats::plan_symbol(0, formats::CacheCount::kItems);
  PlanArgument out;
  out.offset = 64;
  logits_call.variants.push_back(
      {INT64_MAX,
       1,
       {1, logits, 1},
       {input(InputTable::kLogitRows), input(InputTable::kPositions), input(InputTable::kItems),
        items, input(InputTable::kPages), of_kind(PlanArgument::Kind::kCache),
        of_kind(PlanArgument::Kind::kConstants), of_kind(PlanArgument::Kind::kWeight), out}});
  plan.calls = {append_call, logits_call};
  return plan;
}

// Everything that the struct points to.
struct LibraryParts {
  MlcModelLibrary library{};
  MlcLibraryVariant variant{};
  std::string metadata;
  std::string plan;
  MlcKernel kernels[2] = {append, compute_logits};
};

uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

}  // namespace

FakeModel::FakeModel(FakeModelOptions options) {
  const auto parts = std::make_shared<LibraryParts>();
  Json metadata = Json::object();
  metadata.set("context_window_size", options.context_window_size);
  metadata.set("prefill_chunk_size", options.prefill_chunk_size);
  metadata.set("vocab_size", options.vocab_size);
  if (options.rope_switch_length > 0)
    metadata.set("rope_switch_length", options.rope_switch_length);
  parts->metadata = metadata.dump();
  parts->plan = formats::serialize_plan(make_plan(options));
  parts->variant = {0, address(parts->plan.data()), parts->plan.size(), address(parts->kernels), 2};
  parts->library = {MLC_MODEL_LIBRARY_MAGIC,         MLC_MODEL_LIBRARY_ABI,
                    address(parts->metadata.data()), parts->metadata.size(),
                    address(&parts->variant),        1};
  library_ = std::shared_ptr<MlcModelLibrary>(parts, &parts->library);

  options.script.push_back(-1);  // an empty tensor is none
  formats::ParameterInfo script{
      "script", {static_cast<int64_t>(options.script.size())}, DType::kU32};
  auto writer = formats::ParameterShardWriter::create(directory(), {script}).value();
  EXPECT_TRUE(writer.append(0, std::as_bytes(std::span(options.script))).ok());
  EXPECT_TRUE(writer.finish(32).ok());
}

Result<std::unique_ptr<Session>> FakeModel::open(SessionOptions options) const {
  if (options.threads == 0) options.threads = 2;
  MLC_ASSIGN_OR_RETURN(runtime::ModelLibrary library,
                       runtime::ModelLibrary::from_memory(*library_, "fake.so", library_));
  MLC_ASSIGN_OR_RETURN(formats::ParameterShards shards,
                       formats::ParameterShards::open(directory()));
  return Session::create(std::move(library), std::move(shards), options);
}

std::unique_ptr<tokenizers::Tokenizer> fake_tokenizer() {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) {
    std::string text;
    tokenizers::append_byte_alphabet(text, std::string(1, static_cast<char>(byte)));
    vocab.set(text, byte);
  }
  vocab.set("<|end|>", 256);
  vocab.set(" the", 257);
  vocab.set("[x]", 258);
  vocab.set("<last>", 260);
  Json added = Json::array();
  const auto add = [&](int id, const char* text, bool special) {
    Json token = Json::object();
    token.set("id", id);
    token.set("content", text);
    for (const char* key : {"single_word", "lstrip", "rstrip", "normalized"}) token.set(key, false);
    token.set("special", special);
    added.push_back(token);
  };
  add(256, "<|end|>", true);
  add(257, " the", false);
  add(258, "[x]", false);
  Json model = Json::object();
  model.set("type", "BPE");
  model.set("vocab", vocab);
  model.set("merges", Json::array());
  Json byte_level = Json::object();
  byte_level.set("type", "ByteLevel");
  byte_level.set("add_prefix_space", false);
  byte_level.set("use_regex", false);
  Json tokenizer = Json::object();
  tokenizer.set("added_tokens", added);
  tokenizer.set("normalizer", nullptr);
  tokenizer.set("pre_tokenizer", byte_level);
  tokenizer.set("decoder", byte_level);
  tokenizer.set("model", model);
  return tokenizers::tokenizer_from_json(tokenizer, "fake").value();
}

}  // namespace mlc::engine
