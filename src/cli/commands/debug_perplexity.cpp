// SPDX-License-Identifier: Apache-2.0
#include "cli/commands/debug_perplexity.h"

#include <algorithm>
#include <cstdio>
#include <optional>

#include "cli/arguments.h"
#include "cli/commands/debug_model.h"
#include "compiler/compile_options.h"
#include "engine/perplexity.h"
#include "support/cache.h"
#include "support/json.h"
#include "support/strings.h"
#include "support/throw.h"
#include "tokenizers/tokenizer.h"

namespace mlc::cli {

int run_debug_perplexity(Arguments arguments) {
  engine::SessionOptions options;
  std::optional<std::string> text, ids_file;
  std::string device = "auto";
  int64_t tokens = 20480;
  int64_t window = 512;
  ArgumentParser parser(
      "debug perplexity",
      "Prints the perplexity of a text as JSON: scored (tokens), nll (the mean of -ln p), "
      "perplexity. The text is cut into "
      "windows that do not overlap; all tokens of a window but the first are scored.",
      {"mlc_llm debug perplexity dist/llama --model-lib dist/llama.so --text book.txt --tokens "
       "20480 --window 512"});
  parser.positional("MODEL_DIR", &options.model_directory,
                    "folder of converted weights and tokenizer files");
  parser.required_option("--model-lib", &options.library, "library that compile made");
  parser.option("--text", &text, "file to read");
  parser.option("--ids", &ids_file, "JSON list of token ids, in place of a text");
  parser.option("--tokens", &tokens, "how many tokens of it, at the most");
  parser.option("--window", &window, "tokens of a window");
  parser.option("--device", &device, "where to compute: cpu");
  parser.option("--threads", &options.threads, "threads; 0: one for each physical core");
  parser.flag("--verify", &options.verify, "check the md5 of the weights first");
  if (!parser.parse(arguments)) return 0;
  if (tokens < 1) throw UserError(usage_error("--tokens", cat("is ", tokens), "a positive number"));
  if (window < 2) throw UserError(usage_error("--window", cat("is ", window), "at least 2"));
  compiler::check_device(device);
  if (text.has_value() == ids_file.has_value()) {
    throw UserError(usage_error("--text", text ? "does not go with --ids" : "is missing",
                                "either --text or --ids"));
  }
  std::vector<int32_t> ids;
  if (text) {
    const auto tokenizer =
        or_throw(tokenizers::load_tokenizer(options.model_directory, tokenizer_cache()));
    ids = tokenizer->encode(or_throw(read_file(*text)));
  } else {
    ids = read_token_ids(*ids_file);
  }
  ids.resize(std::min(ids.size(), static_cast<size_t>(tokens)));
  const auto session = or_throw(engine::Session::open(options));
  const engine::Perplexity result = or_throw(engine::measure_perplexity(*session, ids, window));
  Json json = Json::object();
  json.set("scored", result.scored);
  json.set("nll", result.nll);
  json.set("perplexity", result.perplexity());
  std::printf("%s\n", json.dump().c_str());
  return 0;
}

}  // namespace mlc::cli
