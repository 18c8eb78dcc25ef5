// SPDX-License-Identifier: Apache-2.0
// The speed of a tokenizer on one thread: `bench_tokenizers TOKENIZER TEXT_FILE... [--rounds N]
// [--cache FOLDER]`.
// Prints JSON: milliseconds of loading, and for each file those of encoding it whole and of
// decoding it. Times are CPU time of the thread, so that other programs disturb little; the best of
// the rounds counts. bench/compare_tokenizers.py runs it beside Hugging Face's tokenizers package.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>
#include <string>
#include <vector>

#include "support/file.h"
#include "support/json.h"
#include "support/strings.h"
#include "support/throw.h"
#include "tokenizers/tokenizer.h"

namespace mlc {
namespace {

double cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <class F>
double best_of(int64_t rounds, F run) {
  double best = std::numeric_limits<double>::infinity();
  for (int64_t i = 0; i < rounds; ++i) {
    const double begin = cpu_milliseconds();
    run();
    best = std::min(best, cpu_milliseconds() - begin);
  }
  return best;
}

int run(const std::vector<std::string>& arguments) {
  std::vector<std::string> paths;
  std::string cache;
  int64_t rounds = 5;
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--rounds" && i + 1 < arguments.size()) {
      rounds = std::max<int64_t>(1, parse_int64(arguments[++i]).value_or(1));
    } else if (arguments[i] == "--cache" && i + 1 < arguments.size()) {
      cache = arguments[++i];
    } else {
      paths.push_back(arguments[i]);
    }
  }
  if (paths.empty()) {
    std::fputs("usage: bench_tokenizers TOKENIZER TEXT_FILE... [--rounds N] [--cache FOLDER]\n",
               stderr);
    return 2;
  }
  std::unique_ptr<tokenizers::Tokenizer> tokenizer;
  const double load = best_of(rounds, [&] {
    tokenizer.reset();
    tokenizer = or_throw(tokenizers::load_tokenizer(paths[0], cache));
  });
  Json result = Json::object();
  result.set("tokens", tokenizer->vocab_size());
  result.set("load_ms", load);
  Json texts = Json::array();
  for (size_t i = 1; i < paths.size(); ++i) {
    const std::string text = or_throw(read_file(paths[i]));
    std::vector<int32_t> ids;
    std::string decoded;
    Json one = Json::object();
    one.set("file", paths[i]);
    one.set("encode_ms", best_of(rounds, [&] { ids = tokenizer->encode(text); }));
    one.set("decode_ms", best_of(rounds, [&] { decoded = tokenizer->decode(ids); }));
    one.set("bytes", static_cast<int64_t>(text.size()));
    one.set("ids", static_cast<int64_t>(ids.size()));
    texts.push_back(std::move(one));
  }
  result.set("texts", std::move(texts));
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace mlc

int main(int argc, char** argv) {
  try {
    return mlc::run({argv + 1, argv + argc});
  } catch (const mlc::UserError& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
