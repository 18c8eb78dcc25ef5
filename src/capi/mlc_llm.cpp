// SPDX-License-Identifier: Apache-2.0
// The functions of include/mlc_llm/mlc_llm.h: plain values to our types and back.
#include "mlc_llm/mlc_llm.h"

#include <algorithm>

#include "capi/open_options.h"
#include "engine/embedding.h"
#include "engine/request_json.h"
#include "support/strings.h"
#include "support/version.h"

struct MlcEngine {
  mlc::engine::LoadedModel model;
  // What the last call gave.
  std::string text;
  std::vector<int32_t> ids;

  mlc::engine::Engine& engine() const { return *model.engine; }
};

namespace mlc::capi {
namespace {

thread_local std::string last_error;

MlcStatus fail(const Error& error) {
  last_error = error.to_string();
  switch (error.kind) {
    case ErrorKind::kUser:
      return MLC_USER_ERROR;
    case ErrorKind::kUsage:
      return MLC_USAGE_ERROR;
    case ErrorKind::kInternal:
      return MLC_INTERNAL_ERROR;
  }
  return MLC_INTERNAL_ERROR;
}

MlcStatus status_of(const Result<void>& result) {
  return result.ok() ? MLC_OK : fail(result.error());
}

// An error where one of a function's pointers is NULL.
template <class... Pointers>
Result<void> check_pointers(const char* function, const Pointers*... pointers) {
  if (((pointers != nullptr) && ...)) return {};
  return user_error(function, "was given NULL", "a pointer");
}

Result<Json> parse_optional(const char* text, const char* where) {
  if (text == nullptr) return Json();
  return parse_json(text, where);
}

Result<void> open(const char* model, const char* library, const char* options, MlcEngine** out) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_open", model, out));
  *out = nullptr;
  MLC_ASSIGN_OR_RETURN(const Json json, parse_optional(options, "options"));
  std::optional<std::string> path;
  if (library != nullptr) path = library;
  MLC_ASSIGN_OR_RETURN(OpenOptions read, read_open_options(model, path, json));
  const std::optional<Json> changes = read.config_changes;
  MLC_ASSIGN_OR_RETURN(engine::LoadedModel loaded, open_model(std::move(read)));
  if (changes) {
    MLC_ASSIGN_OR_RETURN(loaded.config, changed_config(loaded.config, *changes));
  }
  auto handle = std::make_unique<MlcEngine>();
  handle->model = std::move(loaded);
  *out = handle.release();
  return {};
}

Json info(const MlcEngine& handle) {
  engine::Session& session = handle.engine().session();
  const engine::EngineOptions& options = handle.engine().options();
  return Json::Object{{"library", session.model().library().path()},
                      {"version", version()},
                      {"vocab_size", session.vocab_size()},
                      {"context_window_size", session.context_tokens()},
                      {"prefill_chunk_size", session.chunk_tokens()},
                      {"max_num_sequence", options.max_sequences},
                      {"max_total_sequence_length", session.max_tokens()},
                      {"threads", session.model().threads()},
                      {"weight_bytes", session.model().weight_bytes()},
                      {"config", handle.model.config.to_json()}};
}

Json to_json(const engine::Output& output, const tokenizers::Tokenizer& tokenizer) {
  Json tokens = Json::array();
  for (const int32_t token : output.tokens) tokens.push_back(int64_t{token});
  Json json = Json::Object{{"request", output.request},
                           {"index", output.index},
                           {"text", output.text},
                           {"tokens", std::move(tokens)}};
  if (!output.logprobs.empty()) {
    Json logprobs = Json::array();
    for (const engine::TokenLogprobs& token : output.logprobs)
      logprobs.push_back(engine::to_json(token, tokenizer));
    json.set("logprobs", std::move(logprobs));
  }
  if (!output.tool_calls.empty()) {
    Json calls = Json::array();
    for (const engine::ToolCall& call : output.tool_calls) {
      calls.push_back(Json::Object{
          {"id", call.id},
          {"type", "function"},
          {"function", Json::Object{{"name", call.name}, {"arguments", call.arguments}}}});
    }
    json.set("tool_calls", std::move(calls));
  }
  if (!output.finish) return json;
  json.set("finish_reason", engine::finish_reason_name(*output.finish));
  if (output.error) json.set("error", output.error->to_string());
  const engine::Usage& usage = output.usage;
  json.set("usage", Json::Object{{"prompt_tokens", usage.prompt_tokens},
                                 {"cached_tokens", usage.cached_tokens},
                                 {"completion_tokens", usage.completion_tokens},
                                 {"waiting_seconds", usage.waiting_seconds},
                                 {"prefill_seconds", usage.prefill_seconds},
                                 {"decode_seconds", usage.decode_seconds}});
  return json;
}

Result<engine::Request> read_request(const MlcEngine& handle, const char* text) {
  MLC_ASSIGN_OR_RETURN(const Json json, parse_json(text, "request"));
  return engine::request_from_json(json, handle.model.config, handle.engine().tokenizer());
}

Result<void> add(MlcEngine* handle, const char* text, int64_t* out) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_add", handle, text, out));
  MLC_ASSIGN_OR_RETURN(engine::Request request, read_request(*handle, text));
  MLC_ASSIGN_OR_RETURN(*out, handle->engine().add(std::move(request)));
  return {};
}

Result<void> prompt(MlcEngine* handle, const char* text, const int32_t** ids, int64_t* count) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_prompt", handle, text, ids, count));
  MLC_ASSIGN_OR_RETURN(engine::Request request, read_request(*handle, text));
  handle->ids = std::move(request.prompt);
  *ids = handle->ids.data();
  *count = static_cast<int64_t>(handle->ids.size());
  return {};
}

Result<void> configure(MlcEngine* handle, const char* changes) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_configure", handle, changes));
  MLC_ASSIGN_OR_RETURN(const Json json, parse_json(changes, "config"));
  MLC_ASSIGN_OR_RETURN(handle->model.config, changed_config(handle->model.config, json));
  return {};
}

Result<void> take_outputs(MlcEngine* handle, const char** out) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_take_outputs", handle, out));
  Json list = Json::array();
  for (const engine::Output& output : handle->engine().take_outputs())
    list.push_back(to_json(output, handle->engine().tokenizer()));
  handle->text = list.dump(-1, /*ensure_ascii=*/false);
  *out = handle->text.c_str();
  return {};
}

Result<void> logits(MlcEngine* handle, const int32_t* ids, int64_t count, MlcRows rows,
                    float* out) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_logits", handle, ids, out));
  const std::span<const int32_t> tokens(ids, static_cast<size_t>(std::max<int64_t>(0, count)));
  MLC_RETURN_IF_ERROR(engine::check_sequence(handle->engine().session(), tokens));
  const auto wanted =
      rows == MLC_ALL_ROWS ? runtime::WantedLogits::kAll : runtime::WantedLogits::kLast;
  return handle->engine().feed_alone(tokens, wanted, [&](std::span<const float> row) {
    out = std::copy(row.begin(), row.end(), out);
  });
}

Result<void> vectors(MlcEngine* handle, const int32_t* ids, int64_t count, MlcVectors what,
                     float* out) {
  MLC_RETURN_IF_ERROR(check_pointers("mlc_engine_vectors", handle, ids, out));
  const std::span<const int32_t> tokens(ids, static_cast<size_t>(std::max<int64_t>(0, count)));
  engine::Engine& engine = handle->engine();
  if (what == MLC_EMBEDDING) {
    MLC_ASSIGN_OR_RETURN(const engine::EmbeddingOptions options,
                         engine::read_embedding_options(handle->model.config.embedding_metadata,
                                                        "mlc-chat-config.json"));
    MLC_ASSIGN_OR_RETURN(const std::vector<float> vector, engine::embed(engine, tokens, options));
    std::copy(vector.begin(), vector.end(), out);
    return {};
  }
  MLC_RETURN_IF_ERROR(engine::check_sequence(engine.session(), tokens));
  return engine.feed_alone(
      tokens, runtime::WantedLogits::kAll,
      [&](std::span<const float> row) { out = std::copy(row.begin(), row.end(), out); },
      what == MLC_TOKEN_VECTORS ? formats::Output::kEmbeddings : formats::Output::kHidden);
}

}  // namespace
}  // namespace mlc::capi

using namespace mlc;        // NOLINT: the functions below are C's
using namespace mlc::capi;  // NOLINT: as above

int32_t mlc_api_version(void) { return MLC_API_VERSION; }
const char* mlc_version(void) { return version(); }
const char* mlc_last_error(void) { return last_error.c_str(); }

MlcStatus mlc_engine_open(const char* model, const char* library, const char* options,
                          MlcEngine** engine) {
  return status_of(open(model, library, options, engine));
}

void mlc_engine_close(MlcEngine* engine) { delete engine; }

MlcStatus mlc_engine_configure(MlcEngine* engine, const char* changes) {
  return status_of(configure(engine, changes));
}

MlcStatus mlc_engine_info(MlcEngine* engine, const char** json) {
  const Result<void> checked = check_pointers("mlc_engine_info", engine, json);
  if (!checked.ok()) return fail(checked.error());
  engine->text = info(*engine).dump(-1, /*ensure_ascii=*/false);
  *json = engine->text.c_str();
  return MLC_OK;
}

MlcStatus mlc_engine_add(MlcEngine* engine, const char* request_json, int64_t* request) {
  return status_of(add(engine, request_json, request));
}

void mlc_engine_cancel(MlcEngine* engine, int64_t request) {
  if (engine != nullptr) engine->engine().cancel(request);
}

MlcStatus mlc_engine_step(MlcEngine* engine, int32_t* more) {
  const Result<void> checked = check_pointers("mlc_engine_step", engine, more);
  if (!checked.ok()) return fail(checked.error());
  *more = engine->engine().step() ? 1 : 0;
  return MLC_OK;
}

MlcStatus mlc_engine_take_outputs(MlcEngine* engine, const char** json) {
  return status_of(take_outputs(engine, json));
}

MlcStatus mlc_engine_forget(MlcEngine* engine) {
  const Result<void> checked = check_pointers("mlc_engine_forget", engine);
  if (!checked.ok()) return fail(checked.error());
  engine->engine().drop_kept();
  return MLC_OK;
}

MlcStatus mlc_engine_metrics(MlcEngine* engine, const char** text) {
  const Result<void> checked = check_pointers("mlc_engine_metrics", engine, text);
  if (!checked.ok()) return fail(checked.error());
  engine->text = engine->engine().metrics().prometheus_text();
  *text = engine->text.c_str();
  return MLC_OK;
}

MlcStatus mlc_engine_prompt(MlcEngine* engine, const char* request_json, const int32_t** ids,
                            int64_t* count) {
  return status_of(prompt(engine, request_json, ids, count));
}

MlcStatus mlc_engine_encode(MlcEngine* engine, const char* text, int64_t bytes, int32_t add_special,
                            const int32_t** ids, int64_t* count) {
  const Result<void> checked = check_pointers("mlc_engine_encode", engine, text, ids, count);
  if (!checked.ok()) return fail(checked.error());
  engine->ids = engine->engine().tokenizer().encode(
      std::string_view(text, static_cast<size_t>(std::max<int64_t>(0, bytes))),
      {.add_special = add_special != 0});
  *ids = engine->ids.data();
  *count = static_cast<int64_t>(engine->ids.size());
  return MLC_OK;
}

MlcStatus mlc_engine_decode(MlcEngine* engine, const int32_t* ids, int64_t count,
                            int32_t skip_special, const char** text, int64_t* bytes) {
  const Result<void> checked = check_pointers("mlc_engine_decode", engine, ids, text, bytes);
  if (!checked.ok()) return fail(checked.error());
  engine->text = engine->engine().tokenizer().decode(
      std::span(ids, static_cast<size_t>(std::max<int64_t>(0, count))),
      {.skip_special = skip_special != 0});
  *text = engine->text.c_str();
  *bytes = static_cast<int64_t>(engine->text.size());
  return MLC_OK;
}

int64_t mlc_engine_vocab_size(const MlcEngine* engine) {
  return engine == nullptr ? 0 : engine->engine().session().vocab_size();
}

MlcStatus mlc_engine_logits(MlcEngine* engine, const int32_t* ids, int64_t count, MlcRows rows,
                            float* out) {
  return status_of(logits(engine, ids, count, rows, out));
}

int64_t mlc_engine_hidden_size(const MlcEngine* engine) {
  return engine == nullptr ? 0 : engine->engine().session().columns(formats::Output::kHidden);
}

MlcStatus mlc_engine_vectors(MlcEngine* engine, const int32_t* ids, int64_t count, MlcVectors what,
                             float* out) {
  return status_of(vectors(engine, ids, count, what, out));
}
