// SPDX-License-Identifier: Apache-2.0
#include "engine/session.h"

#include <algorithm>
#include <unordered_set>

#include "formats/quantization_names.h"
#include "support/file.h"
#include "support/json.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::engine {
namespace {

// Room where neither the library nor the user bounds a sequence.
constexpr int64_t kTokensWithoutLimit = 1 << 17;
// A larger chunk makes the arena larger and nothing faster.
constexpr int64_t kMaxChunkTokens = 512;

// A library for another model may need but a part of the tensors, such as those of fewer layers.
Result<void> check_all_are_known(const formats::ParameterShards& shards,
                                 const runtime::ModelLibrary& library) {
  const Json* params = library.metadata().find("params");
  if (params == nullptr || !params->is_array()) return {};
  std::unordered_set<std::string_view> known;
  for (const Json& param : params->as_array()) {
    const Json* name = param.is_object() ? param.find("name") : nullptr;
    if (name != nullptr && name->is_string()) known.insert(name->as_string());
  }
  for (const formats::ParameterRecord& record : shards.index().parameters) {
    if (known.contains(record.info.name)) continue;
    return user_error(
        shards.index_path(), cat("has the tensor ", record.info.name),
        cat("only those that ", library.path(), " uses"),
        "is the library for another model or quantization? compile one for these weights");
  }
  return {};
}

// Modes of other bits can have tensors of equal shapes, such as q3f16_1 and q4f16_1 where rows are
// short.
Result<void> check_quantization(const std::string& model_directory,
                                const runtime::ModelLibrary& library) {
  const std::string path = path_join(model_directory, "mlc-chat-config.json");
  if (!file_exists(path)) return {};
  MLC_ASSIGN_OR_RETURN(const Json config, read_json_file(path));
  const auto mode_of = [](const Json& json) -> std::string {
    const Json* mode = json.is_object() ? json.find("quantization") : nullptr;
    if (mode == nullptr || !mode->is_string()) return "";
    return formats::canonical_quantization(mode->as_string()).value_or(mode->as_string());
  };
  const std::string wanted = mode_of(library.metadata());
  const std::string found = mode_of(config);
  if (wanted.empty() || found.empty() || wanted == found) return {};
  return user_error(cat(path, ": quantization"), cat("is ", found),
                    cat(wanted, ", as ", library.path(), " has it"),
                    "is the library for other weights? compile one for these");
}

bool forgets_old_positions(const formats::Plan& plan) {
  return std::all_of(plan.cache_groups.begin(), plan.cache_groups.end(),
                     [](const formats::PlanCacheGroup& g) {
                       return g.kind == formats::PlanCacheGroup::Kind::kWindow;
                     });
}

}  // namespace

Result<std::unique_ptr<Session>> Session::open(const SessionOptions& options) {
  MLC_ASSIGN_OR_RETURN(runtime::ModelLibrary library, runtime::ModelLibrary::open(options.library));
  MLC_ASSIGN_OR_RETURN(formats::ParameterShards shards,
                       formats::ParameterShards::open(options.model_directory));
  MLC_RETURN_IF_ERROR(check_quantization(options.model_directory, library));
  if (options.verify) MLC_RETURN_IF_ERROR(formats::verify_md5(shards));
  return create(std::move(library), std::move(shards), options);
}

Result<std::unique_ptr<Session>> Session::create(runtime::ModelLibrary library,
                                                 formats::ParameterShards shards,
                                                 const SessionOptions& options) {
  const auto setting = [&](const char* key, int64_t absent) -> int64_t {
    const Json* value = library.metadata().find(key);
    return value != nullptr && value->is_int() && value->as_int() > 0 ? value->as_int() : absent;
  };
  MLC_RETURN_IF_ERROR(check_all_are_known(shards, library));
  std::unique_ptr<Session> session(new Session());
  int64_t context = setting("context_window_size", INT32_MAX);  // positions are int32
  if (options.context_tokens > 0) context = std::min(context, options.context_tokens);
  session->max_tokens_ =
      options.max_tokens > 0 ? options.max_tokens : std::min(context, kTokensWithoutLimit);
  // Where all layers forget old positions a sequence may be longer than the cache.
  session->context_tokens_ =
      forgets_old_positions(library.plan()) ? context : std::min(context, session->max_tokens_);
  const int64_t chunk = setting("prefill_chunk_size", kMaxChunkTokens);
  session->chunk_tokens_ =
      std::min({options.chunk_tokens > 0 ? options.chunk_tokens : chunk, chunk, kMaxChunkTokens});
  session->rope_switch_length_ = setting("rope_switch_length", 0);
  const int64_t threads = options.threads > 0 ? options.threads : physical_cores();
  MLC_ASSIGN_OR_RETURN(session->model_,
                       runtime::Model::create(std::move(library), std::move(shards), threads));
  MLC_ASSIGN_OR_RETURN(session->cache_,
                       runtime::KvCache::create(session->model_->plan(), session->max_tokens_));
  return session;
}

Result<void> Session::check_tokens(std::span<const int32_t> tokens) const {
  for (const int32_t token : tokens) {
    if (token < 0 || token >= vocab_size()) {
      return user_error("tokens", cat("hold the id ", token),
                        cat("ids from 0 to ", vocab_size() - 1));
    }
  }
  return {};
}

void Session::take_back(std::span<const runtime::SequenceTokens> batch) {
  for (const runtime::SequenceTokens& s : batch) {
    cache_.truncate(s.sequence, cache_.length(s.sequence) - static_cast<int64_t>(s.tokens.size()));
  }
}

Result<std::span<const float>> Session::step(std::span<const runtime::SequenceTokens> batch,
                                             formats::Output output) {
  for (const runtime::SequenceTokens& s : batch) MLC_RETURN_IF_ERROR(check_tokens(s.tokens));
  for (size_t i = 0; i < batch.size(); ++i) {
    if (cache_.extend(batch[i].sequence, static_cast<int64_t>(batch[i].tokens.size()))) continue;
    take_back(batch.first(i));
    return user_error("KV cache",
                      cat("has no room for ", batch[i].tokens.size(), " more tokens after ",
                          cache_.length(batch[i].sequence)),
                      cat("at most ", max_tokens_, " tokens"),
                      "use a larger context_window_size or a shorter text");
  }
  return step_extended(batch, output);
}

Result<std::span<const float>> Session::step_extended(
    std::span<const runtime::SequenceTokens> batch, formats::Output output) {
  const Result<std::span<const float>> logits = model_->run(cache_, batch, output);
  if (!logits.ok()) {
    take_back(batch);
    return logits;
  }
  for (const runtime::SequenceTokens& s : batch) cache_.release_unseen(s.sequence);
  return logits;
}

Result<void> Session::feed(runtime::SequenceId sequence, std::span<const int32_t> tokens,
                           int64_t known_length, runtime::WantedLogits wanted,
                           const std::function<void(std::span<const float>)>& row,
                           formats::Output output) {
  for (size_t done = 0; done < tokens.size();) {
    const size_t count = std::min(tokens.size() - done, static_cast<size_t>(chunk_tokens_));
    const bool last = done + count == tokens.size();
    runtime::SequenceTokens batch{sequence, tokens.subspan(done, count), known_length, wanted};
    if (wanted == runtime::WantedLogits::kLast && !last)
      batch.logits = runtime::WantedLogits::kNone;
    MLC_ASSIGN_OR_RETURN(const std::span<const float> values, step({&batch, 1}, output));
    const auto width = static_cast<size_t>(columns(output));
    for (size_t r = 0; r < values.size() / width; ++r) row(values.subspan(r * width, width));
    done += count;
  }
  return {};
}

}  // namespace mlc::engine
