// SPDX-License-Identifier: Apache-2.0
// `debug logits` and `debug greedy`: what a library computes for ids that go in as they are.
#include "cli/commands/debug_model.h"

#include <algorithm>
#include <cstdio>

#include "cli/arguments.h"
#include "compiler/compile_options.h"
#include "engine/session.h"
#include "support/json.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

using runtime::WantedLogits;

// Options that both commands share.
struct DebugOptions {
  engine::SessionOptions session;
  std::string tokens;
  std::string device = "auto";

  void declare(ArgumentParser& parser) {
    parser.positional("MODEL_DIR", &session.model_directory, "folder of converted weights");
    parser.required_option("--model-lib", &session.library, "library that compile made");
    parser.required_option("--tokens", &tokens, "JSON file: a list of token ids");
    parser.option("--device", &device, "where to compute: cpu");
    parser.option("--threads", &session.threads, "threads; 0: one for each physical core");
    parser.flag("--verify", &session.verify, "check the md5 of the weights first");
  }

  std::unique_ptr<engine::Session> open(int64_t needed_tokens) {
    compiler::check_device(device);
    session.max_tokens = needed_tokens + 64;
    return or_throw(engine::Session::open(session));
  }
};

// NumPy's format 1.0: magic, header padded to a multiple of 64, data.
std::string npy_header(int64_t rows, int64_t columns) {
  std::string header =
      cat("{'descr': '<f4', 'fortran_order': False, 'shape': (", rows, ", ", columns, "), }");
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  return bytes + header;
}

}  // namespace

std::vector<int32_t> read_token_ids(const std::string& path) {
  const Json json = or_throw(read_json_file(path));
  if (!json.is_array()) throw UserError(path, cat("is ", json.kind_name()), "a list of token ids");
  if (json.as_array().empty()) throw UserError(path, "is an empty list", "a list of token ids");
  std::vector<int32_t> ids;
  for (const Json& item : json.as_array()) {
    if (!item.is_int() || item.as_int() < 0 || item.as_int() > INT32_MAX)
      throw UserError(path, "holds something that is no token id");
    ids.push_back(static_cast<int32_t>(item.as_int()));
  }
  return ids;
}

int run_debug_logits(Arguments arguments) {
  DebugOptions options;
  std::string output;
  bool last_only = false;
  std::optional<int64_t> prefill_chunk;
  std::optional<int64_t> decode_from;
  ArgumentParser parser("debug logits",
                        "Writes the logits of every position as a .npy file, [tokens, vocab].",
                        {"mlc_llm debug logits dist/llama --model-lib dist/llama.so --tokens "
                         "ids.json --output logits.npy"});
  options.declare(parser);
  parser.required_option("--output", &output, "file to write");
  parser.flag("--last-only", &last_only, "the last position only");
  parser.option("--prefill-chunk", &prefill_chunk, "ids that are prefilled at a time");
  parser.option("--decode-from", &decode_from,
                "prefill the first K ids, feed the others one by one");
  if (!parser.parse(arguments)) return 0;
  const std::vector<int32_t> ids = read_token_ids(options.tokens);
  const auto count = static_cast<int64_t>(ids.size());
  if (prefill_chunk && *prefill_chunk < 1)
    throw UserError(
        usage_error("--prefill-chunk", cat("is ", *prefill_chunk), "a positive number"));
  const int64_t prefill = std::clamp<int64_t>(decode_from.value_or(count), 0, count);
  const auto session = options.open(count);
  OutputFile file = or_throw(OutputFile::create(output));
  or_throw(file.write(npy_header(last_only ? 1 : count, session->vocab_size())));
  if (prefill_chunk) session->set_chunk_tokens(*prefill_chunk);
  const runtime::SequenceId sequence = session->cache().add_sequence();
  int64_t seen = 0;
  const auto row = [&](std::span<const float> logits) {
    ++seen;
    if (last_only && seen < count) return;
    or_throw(
        file.write(Bytes(reinterpret_cast<const std::byte*>(logits.data()), logits.size_bytes())));
  };
  const std::span<const int32_t> all(ids);
  or_throw(session->feed(sequence, all.first(static_cast<size_t>(prefill)), count,
                         WantedLogits::kAll, row));
  for (int64_t i = prefill; i < count; ++i) {
    or_throw(session->feed(sequence, all.subspan(static_cast<size_t>(i), 1), count,
                           WantedLogits::kAll, row));
  }
  or_throw(file.commit());
  return 0;
}

int run_debug_greedy(Arguments arguments) {
  DebugOptions options;
  int64_t max_new = 16;
  ArgumentParser parser(
      "debug greedy",
      "Prints the ids that follow, each the lowest of those with the largest logit.",
      {"mlc_llm debug greedy dist/llama --model-lib dist/llama.so --tokens ids.json --max-new 16"});
  options.declare(parser);
  parser.option("--max-new", &max_new, "how many");
  if (!parser.parse(arguments)) return 0;
  if (max_new < 0) throw UserError(usage_error("--max-new", cat("is ", max_new), "at least 0"));
  const std::vector<int32_t> ids = read_token_ids(options.tokens);
  const auto count = static_cast<int64_t>(ids.size());
  const auto session = options.open(count + max_new);
  const runtime::SequenceId sequence = session->cache().add_sequence();
  int32_t next = 0;
  const auto row = [&](std::span<const float> logits) {
    next = static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  };
  std::vector<std::string> texts;
  or_throw(session->feed(sequence, ids, count, WantedLogits::kLast, row));
  for (int64_t i = 0; i < max_new; ++i) {
    texts.push_back(std::to_string(next));
    if (i + 1 < max_new)
      or_throw(session->feed(sequence, {&next, 1}, count, WantedLogits::kLast, row));
  }
  std::printf("[%s]\n", join(texts, ", ").c_str());
  return 0;
}

}  // namespace mlc::cli
