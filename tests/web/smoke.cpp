// SPDX-License-Identifier: Apache-2.0
// What smoke.mjs calls: the base and the right column at work on texts that it puts into the
// module's memory. An answer is a JSON text, {"error": ...} where something was refused.
#include <cstdlib>
#include <string>
#include <string_view>

#include "engine/sampler.h"
#include "runtime/kv_cache.h"
#include "runtime/step.h"
#include "support/json.h"
#include "tokenizers/tokenizer.h"

namespace {

using mlc::Json;

std::string answer;  // the last one, until the next call

const char* give(const Json& json) {
  answer = json.dump();
  return answer.c_str();
}

const char* give(const mlc::Error& error) {
  return give(Json(Json::Object{{"error", error.to_string()}}));
}

template <class T>
Json array(const std::vector<T>& values) {
  Json::Array result;
  for (const T value : values) result.push_back(Json(static_cast<int64_t>(value)));
  return Json(std::move(result));
}

mlc::formats::Plan plan_with_a_cache() {
  mlc::formats::PlanCacheGroup group;
  group.kv_heads = group.head_dim = 1;
  group.dtype = mlc::DType::kF32;
  group.page_tokens = 4;
  group.page_bytes = 32;
  group.block_tokens = 8;
  group.tile_tokens = 4;
  group.layers = {0, 1};
  mlc::formats::Plan plan;
  plan.cache_groups = {group};
  plan.cache_layers = 2;
  return plan;
}

}  // namespace

#define MLC_EXPORT(name) extern "C" __attribute__((export_name(#name))) const char* name

extern "C" __attribute__((export_name("allocate"))) void* allocate(size_t bytes) {
  return std::malloc(bytes);
}

// JSON text as our printer writes it.
MLC_EXPORT(reprint)(const char* text, size_t size) {
  const auto json = mlc::parse_json({text, size}, "input");
  return json.ok() ? give(*json) : give(json.error());
}

// Ids of a text, and the text of these ids, by a tokenizer.json.
MLC_EXPORT(tokenize)(const char* tokenizer_json, size_t tokenizer_size, const char* text,
                     size_t size) {
  const auto tokenizer =
      mlc::tokenizers::tokenizer_from_json_text({tokenizer_json, tokenizer_size}, "tokenizer.json");
  if (!tokenizer.ok()) return give(tokenizer.error());
  const std::vector<int32_t> ids = tokenizer.value()->encode({text, size});
  return give(Json(Json::Object{{"ids", array(ids)}, {"text", tokenizer.value()->decode(ids)}}));
}

// A cache with room for `max_tokens`, a sequence of 5 tokens and a fork of it that goes on with 2:
// the tables of that step.
MLC_EXPORT(step_tables)(int max_tokens) {
  const mlc::formats::Plan plan = plan_with_a_cache();
  auto cache = mlc::runtime::KvCache::create(plan, max_tokens);
  if (!cache.ok()) return give(cache.error());
  const auto first = cache->add_sequence();
  if (!cache->extend(first, 5)) return give(mlc::user_error("cache", "no room for 5 tokens"));
  const auto second = cache->fork(first, 5);
  if (!second || !cache->extend(*second, 2))
    return give(mlc::user_error("cache", "no room for a fork"));
  const int32_t tokens[] = {7, 8};
  const mlc::runtime::SequenceTokens batch[] = {
      {*second, tokens, 7, mlc::runtime::WantedLogits::kLast}};
  const auto tables = mlc::runtime::make_step_tables(plan, *cache, batch, 1);
  return give(Json(Json::Object{{"tokens", array(tables.tokens)},
                                {"positions", array(tables.positions)},
                                {"slots", array(tables.groups[0].slots)},
                                {"free_pages", cache->free_pages(0)}}));
}

// Tokens drawn from the logits 0, 1/8, 2/8 ...
MLC_EXPORT(sample)(int vocab_size, int count, int seed) {
  std::vector<float> logits;
  for (int i = 0; i < vocab_size; ++i) logits.push_back(static_cast<float>(i) / 8);
  mlc::engine::SamplerScratch scratch;
  mlc::engine::Sampler sampler(
      {.temperature = 1, .top_p = 0.9, .seed = static_cast<uint64_t>(seed)});
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i)
    tokens.push_back(sampler.sample(logits, {.end = vocab_size, .holes = {}}, scratch));
  return give(array(tokens));
}
