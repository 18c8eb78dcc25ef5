// SPDX-License-Identifier: Apache-2.0
// `mlc_llm chat`: a conversation at a terminal, or one turn for each line of standard input.
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <random>

#include "cli/arguments.h"
#include "cli/chat_settings.h"
#include "cli/command.h"
#include "cli/line_editor.h"
#include "cli/response_format.h"
#include "cli/terminal.h"
#include "compiler/compile_options.h"
#include "engine/engine.h"
#include "engine/history.h"
#include "engine/prompt.h"
#include "formats/chat_config.h"
#include "jit/open_model.h"
#include "support/cache.h"
#include "support/printable.h"
#include "support/process.h"
#include "support/strings.h"
#include "support/throw.h"

namespace mlc::cli {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// While it lives, SIGINT sets `interrupted` and nothing else. Without it Ctrl-C ends the program.
class InterruptGuard {
 public:
  InterruptGuard() {
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    sigaction(SIGINT, &action, &before_);
  }
  ~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

 private:
  struct sigaction before_;
};

struct ChatOptions {
  jit::OpenOptions open;
  std::optional<std::string> template_arguments;  // JSON
  std::optional<std::string> system;
  bool stats = false;
  ResponseFormatOptions response_format;
  std::optional<int64_t> seed, top_k, max_tokens;
  std::optional<double> temperature, top_p, min_p, repetition_penalty, presence_penalty,
      frequency_penalty;
};

constexpr const char* kHelp =
    "/help                 this list\n"
    "/exit                 leave\n"
    "/stats                speed of the last answer\n"
    "/metrics              all metrics of the engine, in Prometheus's text form\n"
    "/reset                forget the conversation\n"
    "/save FILE            write the conversation as a JSON list of messages\n"
    "/load FILE            go on with such a conversation\n"
    "/set KEY=VALUE;…      temperature, top_p, top_k, min_p, repetition_penalty, "
    "presence_penalty,\n"
    "                      frequency_penalty, max_tokens, seed, stop (strings separated by "
    "commas);\n"
    "                      no blanks in a value; alone: what is set\n"
    "/reload [MODEL]       load the model again, or another one\n";
constexpr const char* kKeys =
    "Enter sends. A new line: Esc+Enter, or a backslash at the end of a line, or several lines\n"
    "between \"\"\" and \"\"\". Ctrl-C stops an answer, Ctrl-D leaves.\n";

class Repl {
 public:
  Repl(ChatOptions options, bool terminal)
      : options_(std::move(options)), terminal_(terminal), model_(jit::open_model(options_.open)) {
    settings_ = ChatSettings::of(model_.config);
    if (options_.template_arguments) {
      constexpr const char* kFlag = "--chat-template-kwargs";
      template_arguments_ = or_throw(parse_json(*options_.template_arguments, kFlag));
      if (!template_arguments_.is_object()) {
        throw UserError(kFlag, cat("is ", template_arguments_.kind_name()), "a JSON object");
      }
    }
    response_format_ = response_format(options_.response_format);
    std::vector<std::string> given;
    const auto add = [&](const char* key, const auto& value) {
      if (value) given.push_back(cat(key, "=", *value));
    };
    add("temperature", options_.temperature);
    add("top_p", options_.top_p);
    add("top_k", options_.top_k);
    add("min_p", options_.min_p);
    add("repetition_penalty", options_.repetition_penalty);
    add("presence_penalty", options_.presence_penalty);
    add("frequency_penalty", options_.frequency_penalty);
    add("max_tokens", options_.max_tokens);
    add("seed", options_.seed);
    settings_.set(join(given, ";"), model_.engine->session().vocab_size());
    if (options_.system) history_.set_system(*options_.system);
  }

  // The exit status: 1 if an answer failed and nobody was there to see it.
  int run() {
    if (terminal_) {
      const InterruptGuard
          guard;  // the editor has Ctrl-C as a key; what comes besides stops an answer at most
      std::printf("%s%s", kHelp, kKeys);
      LineEditor editor(">>>", chat_history_file());
      while (const auto message = editor.read()) {
        if (!turn(message->text, message->literal)) break;
      }
      return 0;
    }
    for (std::string line; std::getline(std::cin, line);) {
      if (line.ends_with('\r')) line.pop_back();
      if (strip(line).empty()) continue;
      if (!turn(line, false)) break;
    }
    return failed_ ? 1 : 0;
  }

 private:
  // False to leave. `literal`: no command, whatever it begins with.
  bool turn(const std::string& line, bool literal) {
    try {
      if (line.starts_with('/') && !literal) return command(line);
      answer(line);
    } catch (const UserError& error) {
      std::fprintf(stderr, "%s\n", coloured(Stream::kError, Colour::kError, error.what()).c_str());
      failed_ = true;
    }
    std::fflush(stdout);
    return true;
  }

  bool command(const std::string& line) {
    const size_t blank = line.find(' ');
    const std::string name = line.substr(0, blank);
    const std::string argument(
        blank == std::string::npos ? "" : strip(std::string_view(line).substr(blank)));
    if (name == "/help") {
      std::printf("%s%s", kHelp, terminal_ ? kKeys : "");
    } else if (name == "/exit") {
      return false;
    } else if (name == "/stats") {
      std::printf("%s\n", speed().c_str());
    } else if (name == "/metrics") {
      std::printf("%s", model_.engine->metrics().prometheus_text().c_str());
    } else if (name == "/reset") {
      history_.clear();
    } else if (name == "/save") {
      save(argument);
    } else if (name == "/load") {
      load_conversation(argument);
    } else if (name == "/set") {
      if (argument.empty()) {
        std::printf("%s\n", settings_.to_text().c_str());
      } else {
        settings_.set(argument, model_.engine->session().vocab_size());
      }
    } else if (name == "/reload") {
      ChatOptions options = options_;
      if (!argument.empty()) {
        options.open.model.model = argument;
        options.open.library.reset();
      }
      model_ = jit::open_model(options.open);
      options_ = std::move(options);
      history_.clear();
      last_.reset();
    } else {
      throw UserError(unknown_name_error(
          ErrorKind::kUser, "", "command", name,
          {"/help", "/exit", "/stats", "/metrics", "/reset", "/save", "/load", "/set", "/reload"}));
    }
    std::fflush(stdout);
    return true;
  }

  void save(const std::string& path) const {
    if (path.empty()) throw UserError("/save", "has no file", "/save FILE");
    if (history_.empty()) throw UserError("/save", "the conversation is empty");
    or_throw(write_file(path, history_.to_json().dump(2, false) + "\n"));
    note(cat("[", history_.turns(), history_.turns() == 1 ? " turn" : " turns", " written to ",
             path, "]"));
  }

  void load_conversation(const std::string& path) {
    if (path.empty()) throw UserError("/load", "has no file", "/load FILE");
    engine::History loaded =
        or_throw(engine::History::from_json(or_throw(read_json_file(path)), path));
    if (!loaded.system() && history_.system()) loaded.set_system(*history_.system());
    history_ = std::move(loaded);
    note(cat("[", history_.turns(), history_.turns() == 1 ? " turn" : " turns", " read from ", path,
             "]"));
  }

  // A remark of the program's, on standard error.
  static void note(const std::string& text) {
    std::fprintf(stderr, "%s\n",
                 coloured(Stream::kError, Colour::kNote, escape_unprintable(text)).c_str());
  }

  // Of the last answer.
  std::string speed() const {
    const auto rate = [](double value) { return value > 0 ? fixed(value, 1) : std::string("N/A"); };
    return cat("prefill: ", rate(last_ ? last_->prefill_tokens_per_second() : 0),
               " tok/s, decode: ", rate(last_ ? last_->decode_tokens_per_second() : 0), " tok/s");
  }

  engine::Request make_request(const std::string& message) const {
    const formats::Conversation& conversation = model_.config.conv_template;
    engine::StopLists stops = engine::stop_lists(conversation);
    engine::Request request;
    formats::PromptInput input = history_.with(message);
    input.template_arguments = template_arguments_;
    request.prompt = or_throw(engine::prompt_ids(conversation, model_.engine->tokenizer(), input));
    request.sampling = settings_.sampling;
    request.sampling.seed = settings_.seed
                                ? *settings_.seed
                                : (uint64_t{std::random_device()()} << 32 | std::random_device()());
    request.max_tokens = settings_.max_tokens;
    request.response_format = response_format_;
    request.stop_strings = std::move(stops.strings);
    request.stop_strings.insert(request.stop_strings.end(), settings_.stop.begin(),
                                settings_.stop.end());
    request.stop_token_ids = std::move(stops.token_ids);
    return request;
  }

  void answer(const std::string& message) {
    engine::Request request = make_request(message);
    // A conversation that has grown longer than the context loses its older half.
    while (static_cast<int64_t>(request.prompt.size()) >
               model_.engine->session().context_tokens() &&
           !history_.empty()) {
      note(cat("[the conversation has ", request.prompt.size(), " tokens, the context ",
               model_.engine->session().context_tokens(), ": its older half is forgotten]"));
      history_.drop_older_half();
      request = make_request(message);
    }
    const engine::RequestId id = or_throw(model_.engine->add(std::move(request)));
    std::string text;
    std::optional<engine::FinishReason> finish;
    std::optional<Error> error;
    Spinner spinner("reading the prompt");
    const auto show = [&] {
      for (const engine::Output& output : model_.engine->take_outputs()) {
        spinner.stop();
        print(output.text);
        text += output.text;
        finish = output.finish;
        error = output.error;
        last_ = output.usage;
      }
    };
    interrupted = 0;
    while (!finish) {
      if (interrupted != 0) {
        model_.engine->cancel(id);
      } else {
        model_.engine->step();
      }
      show();
    }
    std::fputs("\n", stdout);
    std::fflush(stdout);
    if (error) throw UserError(*error);
    history_.add_turn(message, text);
    if (options_.stats && last_) {
      note(cat("[", last_->prompt_tokens, " + ", last_->completion_tokens, " tokens, ", speed(),
               "]"));
    }
    switch (*finish) {
      case engine::FinishReason::kMaxTokens:
        note(cat("[output truncated after ", settings_.max_tokens, " tokens, as max_tokens says]"));
        break;
      case engine::FinishReason::kContextFull:
        note(cat("[output truncated due to context length limit: ",
                 model_.engine->session().context_tokens(),
                 " tokens; the older half of the conversation is forgotten]"));
        history_.drop_older_half();
        break;
      case engine::FinishReason::kStop:
      case engine::FinishReason::kToolCalls:
      case engine::FinishReason::kCancelled:
      case engine::FinishReason::kError:
        break;
    }
  }

  // A terminal is not given control characters that the model may write.
  void print(const std::string& text) const {
    if (!terminal_) {
      std::fwrite(text.data(), 1, text.size(), stdout);
    } else {
      for (const char c : text) {
        const bool control =
            (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
        if (!control) std::fputc(c, stdout);
      }
    }
    std::fflush(stdout);
  }

  ChatOptions options_;
  bool terminal_;
  engine::LoadedModel model_;
  ChatSettings settings_;
  Json template_arguments_ = Json::object();
  engine::ResponseFormat response_format_;
  engine::History history_;
  std::optional<engine::Usage> last_;
  bool failed_ = false;
};

}  // namespace

int run_chat(Arguments arguments) {
  ChatOptions options;
  ArgumentParser parser("chat",
                        "Talks to a model. At a terminal: line editing, history (kept, see "
                        "MLC_CHAT_HISTORY in docs/env.md), /help. Else every "
                        "line of standard input is a turn; answers go to "
                        "standard output and all else to standard error.",
                        {"mlc_llm chat dist/llama",
                         "mlc_llm chat dist/llama --model-lib dist/llama.so --temperature 0",
                         "echo 'What is a prime number?' | mlc_llm chat dist/llama --seed 1"});
  parser.positional("MODEL", &options.open.model.model,
                    "folder with mlc-chat-config.json, weights and tokenizer");
  parser.option("--model-lib", &options.open.library,
                "library that compile made; without it one is compiled into the cache");
  parser.option("--device", &options.open.device, "where to compute: cpu");
  parser.option("--overrides", &options.open.model.overrides,
                "key=value;… of context_window_size, prefill_chunk_size, sliding_window_size, "
                "attention_sink_size, tensor_parallel_shards, "
                "pipeline_parallel_stages, kv_cache_dtype, opt");
  parser.option("--opt", &options.open.opt,
                "of the library that is compiled: O0, O1, O2, O3, or knobs as of compile");
  parser.option("--system", &options.system, "system message, in place of the template's");
  parser.option("--threads", &options.open.model.threads, "threads; 0: one for each physical core");
  parser.option("--seed", &options.seed, "makes every answer reproducible");
  parser.option("--temperature", &options.temperature, "0: the most probable token always");
  parser.option("--top-p", &options.top_p,
                "draw from the most probable tokens that have this share");
  parser.option("--top-k", &options.top_k, "draw from so many tokens; 0: all");
  parser.option("--min-p", &options.min_p,
                "leave out tokens less probable than this part of the most probable one");
  parser.option("--repetition-penalty", &options.repetition_penalty,
                "above 1: fewer tokens that were written already");
  parser.option("--presence-penalty", &options.presence_penalty,
                "-2 to 2: subtracted from logits of tokens that were written");
  parser.option("--frequency-penalty", &options.frequency_penalty,
                "-2 to 2: the same for each time");
  parser.option("--max-tokens", &options.max_tokens, "of an answer; -1: until the context is full");
  parser.option("--chat-template-kwargs", &options.template_arguments,
                "JSON object of arguments for the checkpoint's own chat template, such as "
                "{\"enable_thinking\": false}");
  parser.flag("--stats", &options.stats, "the speed after each answer");
  options.response_format.add_to(parser);
  parser.flag("--verify", &options.open.model.verify, "check the md5 of the weights first");
  if (!parser.parse(arguments)) return 0;
  options.open.while_compiling = [] { return std::make_shared<Spinner>("compiling"); };
  if (options.open.model.threads < 0)
    throw UserError(usage_error("--threads", cat("is ", options.open.model.threads), "at least 0"));
  compiler::check_device(options.open.device);
  const bool terminal = isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1;
  return Repl(std::move(options), terminal).run();
}

}  // namespace mlc::cli
