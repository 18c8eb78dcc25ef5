// SPDX-License-Identifier: Apache-2.0
// `mlc_llm bench`: speed of prefill and decode, what it takes to start, and how near decode is to
// the speed of memory.
#include <algorithm>
#include <cstdio>
#include <map>

#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/memory_bandwidth.h"
#include "compiler/compile_options.h"
#include "engine/memory_report.h"
#include "engine/random.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "support/json.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

struct BenchOptions {
  engine::SessionOptions session;
  std::string device = "auto";
  int64_t prompt = 512;
  int64_t generate = 128;
  int64_t repeat = 5;
  int64_t batch = 1;
  bool json = false;
  bool profile = false;
};

struct Round {
  double prefill = 0;  // tokens a second, of all sequences
  double decode = 0;
  double first_token_seconds = 0;
};

struct Rates {
  double median = 0, min = 0, max = 0;
};

Rates rates(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  return {(values[(n - 1) / 2] + values[n / 2]) / 2, values.front(), values.back()};
}

class Bench {
 public:
  Bench(engine::Session& session, const BenchOptions& options)
      : session_(session), options_(options) {
    allowed_.end = session.vocab_size();
    for (int64_t i = 0; i < options.prompt; ++i) {
      prompt_.push_back(static_cast<int32_t>(engine::uniform_draw(0, static_cast<uint64_t>(i)) *
                                             static_cast<double>(session.vocab_size())));
    }
  }

  // Prefills all sequences, then decodes them together. `between` is called after the prefill.
  template <class F>
  Round run(F between) {
    engine::Sampler sampler({.temperature = 0});
    engine::SamplerScratch scratch;
    const auto best = [&](std::span<const float> logits) {
      return sampler.sample(logits, allowed_, scratch);
    };
    Round round;
    std::vector<runtime::SequenceId> sequences;
    std::vector<int32_t> last;
    const double begin = now_seconds();
    for (int64_t i = 0; i < options_.batch; ++i) {
      sequences.push_back(session_.cache().add_sequence());
      or_throw(session_.feed(sequences.back(), prompt_, options_.prompt,
                             runtime::WantedLogits::kLast,
                             [&](std::span<const float> logits) { last.push_back(best(logits)); }));
      if (i == 0) round.first_token_seconds = now_seconds() - begin;
    }
    const double prefilled = now_seconds();
    between();
    const double decode_begin = now_seconds();
    const auto vocab = static_cast<size_t>(session_.vocab_size());
    for (int64_t token = 0; token < options_.generate; ++token) {
      std::vector<runtime::SequenceTokens> batch;
      for (size_t s = 0; s < sequences.size(); ++s) {
        batch.push_back({sequences[s], std::span(last).subspan(s, 1), options_.prompt,
                         runtime::WantedLogits::kLast});
      }
      const std::span<const float> logits = or_throw(session_.step(batch));
      for (size_t s = 0; s < last.size(); ++s) last[s] = best(logits.subspan(s * vocab, vocab));
    }
    const double end = now_seconds();
    for (const runtime::SequenceId id : sequences) session_.cache().remove(id);
    const auto sequences_count = static_cast<double>(options_.batch);
    round.prefill = sequences_count * static_cast<double>(options_.prompt) / (prefilled - begin);
    round.decode = sequences_count * static_cast<double>(options_.generate) / (end - decode_begin);
    return round;
  }
  Round run() {
    return run([] {});
  }

  // Where the time goes, summed by kernel.
  void print_profile() {
    session_.model().start_profile();
    std::vector<runtime::CallTime> prefill;
    run([&] {
      prefill = session_.model().profile();
      session_.model().start_profile();
    });
    print("prefill", prefill);
    print("decode", session_.model().profile());
  }

 private:
  static void print(const char* phase, const std::vector<runtime::CallTime>& calls) {
    std::map<std::string, runtime::CallTime> by_kernel;
    double total = 0;
    for (const runtime::CallTime& call : calls) {
      if (call.runs == 0) continue;
      runtime::CallTime& sum = by_kernel[call.kernel];
      sum.kernel = call.kernel;
      sum.seconds += call.seconds;
      sum.runs += call.runs;
      total += call.seconds;
    }
    std::vector<runtime::CallTime> rows;
    for (auto& [kernel, sum] : by_kernel) rows.push_back(sum);
    std::stable_sort(rows.begin(), rows.end(),
                     [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    std::printf("%s: %s ms in kernels\n", phase, fixed(total * 1e3, 2).c_str());
    for (const runtime::CallTime& row : rows) {
      std::printf(
          "  %6s %%  %10s ms  %8lld x %9s us  %s\n", fixed(row.seconds / total * 100, 2).c_str(),
          fixed(row.seconds * 1e3, 2).c_str(), static_cast<long long>(row.runs),
          fixed(row.seconds / static_cast<double>(row.runs) * 1e6, 2).c_str(), row.kernel.c_str());
    }
  }

  engine::Session& session_;
  const BenchOptions& options_;
  engine::AllowedIds allowed_;
  std::vector<int32_t> prompt_;
};

Json to_json(const Rates& rates) {
  Json json = Json::object();
  json.set("median", rates.median);
  json.set("min", rates.min);
  json.set("max", rates.max);
  return json;
}

void require_positive(const char* flag, int64_t value) {
  if (value < 1) throw UserError(usage_error(flag, cat("is ", value), "a positive number"));
}

}  // namespace

int run_bench(Arguments arguments) {
  BenchOptions options;
  ArgumentParser parser(
      "bench",
      "Measures prefill and decode in tokens a second: median, least and most of several rounds "
      "after one that is not timed. Load "
      "time and time to first token are those of that first round.",
      {"mlc_llm bench dist/llama --model-lib dist/llama.so --prompt 512 --generate 128 --repeat 5",
       "mlc_llm bench dist/llama --model-lib dist/llama.so --batch 8 --json"});
  parser.positional("MODEL", &options.session.model_directory, "folder of converted weights");
  parser.required_option("--model-lib", &options.session.library, "library that compile made");
  parser.option("--prompt", &options.prompt, "tokens to prefill");
  parser.option("--generate", &options.generate, "tokens to decode behind the prompt");
  parser.option("--repeat", &options.repeat, "rounds that are timed");
  parser.option("--batch", &options.batch, "sequences that are decoded together");
  parser.option("--threads", &options.session.threads, "threads; 0: one for each physical core");
  parser.option("--device", &options.device, "where to compute: cpu");
  parser.flag("--json", &options.json, "print one JSON object");
  parser.flag("--profile", &options.profile, "print the time of each kernel in one more round");
  if (!parser.parse(arguments)) return 0;
  require_positive("--prompt", options.prompt);
  require_positive("--generate", options.generate);
  require_positive("--repeat", options.repeat);
  require_positive("--batch", options.batch);
  compiler::check_device(options.device);

  const int64_t context = options.prompt + options.generate;
  options.session.max_tokens = options.batch * (context + 64);
  const double begin = now_seconds();
  const auto session = or_throw(engine::Session::open(options.session));
  const double load_seconds = now_seconds() - begin;
  if (context > session->context_tokens()) {
    throw UserError(
        usage_error("--prompt and --generate", cat("need a context of ", context, " tokens"),
                    cat("at most ", session->context_tokens(), ", the library's context window")));
  }
  Bench bench(*session, options);
  const Round first = bench.run();
  std::vector<double> prefill, decode;
  for (int64_t i = 0; i < options.repeat; ++i) {
    const Round round = bench.run();
    prefill.push_back(round.prefill);
    decode.push_back(round.decode);
  }
  const uint64_t peak_bytes = peak_memory_bytes();  // without the buffer of the next measurement
  const double bandwidth = or_throw(read_bandwidth(session->model().pool()));
  const int64_t step_bytes = engine::weight_bytes_read(session->model().plan(), options.batch);
  const Rates prefill_rates = rates(prefill);
  const Rates decode_rates = rates(decode);
  const double share = decode_rates.median / static_cast<double>(options.batch) *
                       static_cast<double>(step_bytes) / bandwidth;

  if (options.json) {
    Json json = Json::object();
    json.set("prompt", options.prompt);
    json.set("generate", options.generate);
    json.set("batch", options.batch);
    json.set("threads", session->model().threads());
    json.set("prefill", to_json(prefill_rates));
    json.set("decode", to_json(decode_rates));
    json.set("ttft_ms", first.first_token_seconds * 1e3);
    json.set("load_ms", load_seconds * 1e3);
    json.set("peak_memory_bytes", static_cast<int64_t>(peak_bytes));
    json.set("weight_bytes_per_step", step_bytes);
    json.set("read_bandwidth_bytes_per_s", bandwidth);
    json.set("bandwidth_share", share);
    std::printf("%s\n", json.dump().c_str());
  } else {
    const auto line = [](const char* name, const Rates& r) {
      std::printf("%s: %s tokens/s (%s to %s)\n", name, fixed(r.median, 2).c_str(),
                  fixed(r.min, 2).c_str(), fixed(r.max, 2).c_str());
    };
    std::printf("prompt %lld, generate %lld, batch %lld, threads %lld\n",
                static_cast<long long>(options.prompt), static_cast<long long>(options.generate),
                static_cast<long long>(options.batch),
                static_cast<long long>(session->model().threads()));
    line("prefill", prefill_rates);
    line("decode", decode_rates);
    std::printf("time to first token: %s ms\nload: %s ms\npeak memory: %s\n",
                fixed(first.first_token_seconds * 1e3, 1).c_str(),
                fixed(load_seconds * 1e3, 1).c_str(), bytes_text(peak_bytes).c_str());
    std::printf(
        "memory: reads %s GB/s; decode reads %s MB of weights a step, which is %s %% of that\n",
        fixed(bandwidth / 1e9, 2).c_str(), fixed(static_cast<double>(step_bytes) / 1e6, 1).c_str(),
        fixed(share * 100, 1).c_str());
  }
  if (options.profile) bench.print_profile();
  return 0;
}

}  // namespace mlc::cli
