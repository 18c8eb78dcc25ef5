/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The C interface of mlc_llm, the only public one: Python, web pages and phones call this and
 * nothing else.
 *
 * An engine answers any number of requests together. Whoever uses it adds requests, calls
 * mlc_engine_step() as long as there is work, and takes the outputs in between:
 *
 *   MlcEngine* engine = NULL;
 *   int64_t request = 0;
 *   int32_t more = 1;
 *   const char* outputs = NULL;
 *   if (mlc_engine_open("dist/llama", NULL, NULL, &engine) != MLC_OK) puts(mlc_last_error());
 *   mlc_engine_add(engine, "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}",
 * &request); while (more) { mlc_engine_step(engine, &more); mlc_engine_take_outputs(engine,
 * &outputs); puts(outputs);
 *   }
 *   mlc_engine_close(engine);
 *
 * Threads: one at a time may use an engine; several engines need nothing of each other. Only
 * mlc_engine_open(), mlc_engine_step(), mlc_engine_logits() and mlc_engine_vectors() take long.
 * Strings are UTF-8 and end with a NUL. What a call gives (strings, arrays) belongs to the engine
 * and is valid until its next call. A pointer that may be NULL says so; where another one is NULL,
 * that is an error and not the end of the process.
 */
#ifndef MLC_LLM_MLC_LLM_H_
#define MLC_LLM_MLC_LLM_H_

#include <stdint.h>

#if defined(MLC_SHARED) && defined(_WIN32)
#define MLC_API __declspec(dllimport)
#elif defined(__GNUC__)
#define MLC_API __attribute__((visibility("default")))
#else
#define MLC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when something that is here changes; functions and JSON members may be added without. */
#define MLC_API_VERSION 1
MLC_API int32_t mlc_api_version(void);
MLC_API const char* mlc_version(void); /* "0.1.0" */

/* The numbers are the exit statuses of the program. */
typedef enum MlcStatus {
  MLC_OK = 0,
  MLC_USER_ERROR = 1,    /* an input, a file or the machine is at fault */
  MLC_USAGE_ERROR = 2,   /* an option that there is not, or of another form */
  MLC_INTERNAL_ERROR = 3 /* we are */
} MlcStatus;

/* What the last call of this thread that failed found, as the program prints it: "error: WHERE:
 * FOUND\n  expected …\n  what to do". "" before the first one. Valid until the next failure in this
 * thread. */
MLC_API const char* mlc_last_error(void);

typedef struct MlcEngine MlcEngine;

/* Opens a model.
 *   model    folder with mlc-chat-config.json, weights and tokenizer
 *   library  path of what `mlc_llm compile` made. NULL: one is compiled into the cache
 * (docs/env.md), where this library was built with the compiler, else an error options  NULL, or a
 * JSON object. A key that is not one of these is an error: "device"                      "auto",
 * "cpu" "opt"                         of a library that is compiled: "O0" … "O3", or knobs
 * (docs/opt.md) "overrides"                   "key=value;…" as of `mlc_llm chat` "threads" 0: one
 * for each physical core "verify"                      true: check the md5 of the weights first
 *     "context_window_size"         most tokens of one sequence, prompt and answer together;
 * absent: the config's "prefill_chunk_size"          most tokens of a prompt in one step; absent:
 * the config's "max_num_sequence"            sequences that are computed together, 1 to 1024;
 * default 4 "max_total_sequence_length"   tokens that the KV cache has room for; default: enough
 * for one sequence of context_window_size, and for more of them up to 32768 tokens "kept_sequences"
 * finished sequences whose cache is kept for prompts that begin alike; default max_num_sequence
 *     "config"                      as of mlc_engine_configure()
 * *engine is NULL where it fails. */
MLC_API MlcStatus mlc_engine_open(const char* model, const char* library, const char* options,
                                  MlcEngine** engine);
/* Ends what is running. NULL is ignored. */
MLC_API void mlc_engine_close(MlcEngine* engine);

/* Changes what mlc-chat-config.json says, from the next request on: a JSON object with some of
 * "temperature", "top_p", "repetition_penalty", "presence_penalty", "frequency_penalty",
 * "conv_template" (the name of a template, or one as an object) and "conv_config" (some members of
 * a template, over those that are there). Where it fails nothing changed. */
MLC_API MlcStatus mlc_engine_configure(MlcEngine* engine, const char* changes);

/* A JSON object: "library", "version", "vocab_size", "context_window_size" (tokens that one
 * sequence may have here), "prefill_chunk_size", "max_num_sequence", "max_total_sequence_length",
 * "threads", "weight_bytes", and "config": the chat config that is in force. */
MLC_API MlcStatus mlc_engine_info(MlcEngine* engine, const char** json);

/* Adds a request, a JSON object with
 *   one of
 *     "messages"            [{"role", "content"}, …] as in OpenAI's interface, with "tool_calls"
 * and "tool_call_id"; the conversation template makes the prompt "prompt"              a text, or a
 * list of token ids: as they are and any of "max_tokens"          -1 or absent: until the context
 * is full ("max_completion_tokens" is the same) "temperature", "top_p", "repetition_penalty",
 * "presence_penalty", "frequency_penalty" absent: the config's "top_k", "min_p", "logit_bias"
 * {"id": -100 … 100}, "seed" (absent: another one each time) "stop"                a text or a list
 * of texts, besides the template's "stop_token_ids"      a list, besides the template's
 *     "ignore_eos"          true: the template's stop texts and tokens do not count
 *     "tools", "tool_choice" ("none", "auto", "required" or {"function": {"name"}}),
 * "chat_template_kwargs"   for the checkpoint's own chat template; where the form of its calls is
 * known, texts come when an answer is whole (docs/chat_templates.md)
 *     "n"                   so many answers, 1 to 128, which share the prompt; answer i is that of
 * seed + i
 *     "logprobs"            true: "logprobs" of the outputs, with so many "top_logprobs" (0 to 20)
 * each. With a prompt also the number itself, as in OpenAI's completions
 *     "response_format"     {"type": "text"}, {"type": "json_object", "schema": …} (any object
 * where there is no schema), {"type": "json_schema", "json_schema": {"schema": …}}, {"type":
 * "regex", "regex": "…"} or {"type": "grammar", "grammar": "…"} (EBNF): docs/grammar.md
 * A member that is null counts as absent; any other one is an error. *request
 * is a number above 0 for the engine's life. */
MLC_API MlcStatus mlc_engine_add(MlcEngine* engine, const char* request_json, int64_t* request);
/* Ends a request where it stands; the last output of each of its answers says so. Requests
 * that are over or unknown are ignored. */
MLC_API void mlc_engine_cancel(MlcEngine* engine, int64_t request);

/* Computes one step of all requests: a token of every answer, a chunk of the prompts. *more is 0
 * where nothing is left. A step that fails ends its requests, and their outputs say why. */
MLC_API MlcStatus mlc_engine_step(MlcEngine* engine, int32_t* more);
/* What came out since the last call, oldest first: a JSON list of objects
 *   "request"         its number
 *   "index"           of the answer: 0 … n - 1
 *   "text"            what can be shown now, valid UTF-8; the texts of an answer join to it
 *   "tokens"          ids that were sampled, also one that ended the answer
 *   "logprobs"        where they were asked for and there are tokens: for each {"token", "logprob",
 * "bytes", "top_logprobs": [{"token", "logprob", "bytes"}, …]} as in OpenAI's interface
 * and, in the last one of an answer,
 *   "tool_calls"      where there are some: a list of {"id", "type": "function", "function":
 * {"name", "arguments": a JSON object's text}}; "text" is then what stands beside them
 *   "finish_reason"   "stop", "tool_calls", "length", "abort" (cancelled) or "error"
 *   "error"           with "error": the message
 *   "usage"           {"prompt_tokens", "cached_tokens" (of the prompt, which a cache held),
 * "completion_tokens", "waiting_seconds", "prefill_seconds", "decode_seconds"} */
MLC_API MlcStatus mlc_engine_take_outputs(MlcEngine* engine, const char** json);

/* Forgets what finished requests left in the cache. */
MLC_API MlcStatus mlc_engine_forget(MlcEngine* engine);
/* Sums over all requests, in Prometheus's text form. */
MLC_API MlcStatus mlc_engine_metrics(MlcEngine* engine, const char** text);

/* The prompt that mlc_engine_add() would feed for a request: *ids [*count]. */
MLC_API MlcStatus mlc_engine_prompt(MlcEngine* engine, const char* request_json,
                                    const int32_t** ids, int64_t* count);
/* Text of `bytes` bytes to token ids [*count]. add_special: with what the tokenizer puts around a
 * text (bos, eos …). */
MLC_API MlcStatus mlc_engine_encode(MlcEngine* engine, const char* text, int64_t bytes,
                                    int32_t add_special, const int32_t** ids, int64_t* count);
/* Token ids to valid UTF-8 of *bytes bytes. skip_special: without special tokens. Ids that no token
 * has are left out. */
MLC_API MlcStatus mlc_engine_decode(MlcEngine* engine, const int32_t* ids, int64_t count,
                                    int32_t skip_special, const char** text, int64_t* bytes);

/* Logits of a row, and the ids that there are: 0 … mlc_engine_vocab_size() - 1. 0 for NULL. */
MLC_API int64_t mlc_engine_vocab_size(const MlcEngine* engine);
typedef enum MlcRows {
  MLC_LAST_ROW = 0, /* after the last token */
  MLC_ALL_ROWS = 1  /* after each token */
} MlcRows;
/* Logits of a sequence of its own that begins with ids [count]: f32 [1 or count, vocab_size],
 * written to the caller's `logits` as the model gives them, without penalties or temperature.
 * Between steps, while requests run, too. */
MLC_API MlcStatus mlc_engine_logits(MlcEngine* engine, const int32_t* ids, int64_t count,
                                    MlcRows rows, float* logits);

/* Values of a vector of mlc_engine_vectors(). 0 for NULL, and for a library that gives none. */
MLC_API int64_t mlc_engine_hidden_size(const MlcEngine* engine);
typedef enum MlcVectors {
  MLC_TOKEN_VECTORS = 0, /* [count, hidden_size]: of each token alone, what the first block gets */
  MLC_HIDDEN_STATES = 1, /* [count, hidden_size]: of each token, behind the final norm */
  MLC_EMBEDDING = 2      /* [1, hidden_size]: hidden states pooled as "embedding_metadata" of the
                            config says; without it the last token's, made as long as 1 */
} MlcVectors;
/* Vectors of a sequence of its own that begins with ids [count], f32, written to the caller's
 * `vectors`. Between steps, while requests run, too. */
MLC_API MlcStatus mlc_engine_vectors(MlcEngine* engine, const int32_t* ids, int64_t count,
                                     MlcVectors what, float* vectors);

#ifdef __cplusplus
}
#endif

#endif /* MLC_LLM_MLC_LLM_H_ */
