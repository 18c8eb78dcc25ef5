// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <algorithm>

#include "engine/stop_matcher.h"
#include "support/check.h"
#include "support/process.h"
#include "support/strings.h"

namespace mlc::engine {

namespace {
constexpr size_t kKeptGrammars = 16;

SamplingOptions with_seed(SamplingOptions options, uint64_t seed) {
  options.seed = seed;
  return options;
}

Error too_ambiguous_error() {
  return user_error("response_format", "can be read in too many ways at once",
                    "a grammar that is less ambiguous");
}
}  // namespace

struct Engine::Sequence {
  Sequence(RequestId request_id, int64_t answer, Request r, const std::shared_ptr<Grammar>& form,
           const tokenizers::Tokenizer& tokenizer)
      : id(request_id),
        index(answer),
        tokens(std::move(r.prompt)),
        known_length(static_cast<int64_t>(tokens.size())),
        max_tokens(r.max_tokens),
        stop_token_ids(std::move(r.stop_token_ids)),
        ignore_eos(r.ignore_eos),
        logprobs(r.logprobs),
        top_logprobs(r.top_logprobs),
        sampler(with_seed(r.sampling, r.sampling.seed + static_cast<uint64_t>(answer))),
        decoder(tokenizer),
        matcher(std::move(r.stop_strings)),
        added(now_seconds()) {
    usage.prompt_tokens = known_length;
    if (form) grammar.emplace(form);
  }

  int64_t length() const { return static_cast<int64_t>(tokens.size()); }
  int64_t remaining() const { return length() - cached; }

  RequestId id;
  int64_t index;                // of the answer
  std::vector<int32_t> tokens;  // the prompt, then what was generated
  int64_t known_length;         // of the prompt
  int64_t max_tokens;
  std::vector<int32_t> stop_token_ids;
  bool ignore_eos;
  bool logprobs;
  int64_t top_logprobs;
  std::optional<GrammarMatcher> grammar;
  Sampler sampler;
  tokenizers::StreamDecoder decoder;
  StopMatcher matcher;
  std::optional<runtime::SequenceId> cache;  // while it runs
  int64_t cached = 0;                        // tokens that the cache holds
  bool finished = false;
  Usage usage;
  double added;
  double begun = 0;
  double first_token = 0;
};

Engine::Engine(std::unique_ptr<Session> session, std::unique_ptr<tokenizers::Tokenizer> tokenizer,
               const EngineOptions& options)
    : session_(std::move(session)), tokenizer_(std::move(tokenizer)), options_(options) {
  options_.max_sequences = std::max<int64_t>(1, options_.max_sequences);
  allowed_.end = std::min<int64_t>(session_->vocab_size(), int64_t{tokenizer_->max_id()} + 1);
  for (int32_t id = 0; id < allowed_.end; ++id) {
    if (!tokenizer_->token_text(id)) allowed_.holes.push_back(id);
  }
}

Engine::~Engine() = default;

Result<RequestId> Engine::add(Request request) {
  const auto length = static_cast<int64_t>(request.prompt.size());
  if (length == 0) return user_error("prompt", "is empty", "at least one token");
  if (length > session_->context_tokens()) {
    return user_error(
        "prompt", cat("has ", length, " tokens"),
        cat("at most ", session_->context_tokens(), ", the context that the model has here"),
        "use a shorter prompt, or a larger context_window_size");
  }
  MLC_RETURN_IF_ERROR(session_->check_tokens(request.prompt));
  MLC_RETURN_IF_ERROR(check_sampling_options(request.sampling, session_->vocab_size()));
  if (request.max_tokens < 1 && request.max_tokens != -1) {
    return user_error("max_tokens", cat("is ", request.max_tokens),
                      "a positive number, or -1 for no limit");
  }
  if (request.top_logprobs < 0 || request.top_logprobs > kMostTopLogprobs) {
    return user_error("top_logprobs", cat("is ", request.top_logprobs),
                      cat("a number from 0 to ", kMostTopLogprobs));
  }
  if (request.top_logprobs > 0 && !request.logprobs) {
    return user_error("top_logprobs", cat("is ", request.top_logprobs, " without logprobs"),
                      "logprobs to be true");
  }
  if (request.n < 1 || request.n > kMostAnswers) {
    return user_error("n", cat("is ", request.n), cat("a number from 1 to ", kMostAnswers));
  }
  std::shared_ptr<Grammar> grammar;
  if (request.response_format.kind != ResponseFormat::Kind::kText) {
    MLC_ASSIGN_OR_RETURN(grammar, grammar_for(request.response_format));
  }
  for (int64_t i = 0; i < request.n; ++i) {
    waiting_.push_back(std::make_unique<Sequence>(next_id_, i, request, grammar, *tokenizer_));
  }
  if (request.tools.format != ToolFormat::kNone)
    tool_calls_.begin(next_id_, request.n, std::move(request.tools));
  return next_id_++;
}

Result<std::shared_ptr<Grammar>> Engine::grammar_for(const ResponseFormat& format) {
  const auto known = std::find_if(grammars_.begin(), grammars_.end(),
                                  [&](const auto& g) { return g.first == format; });
  if (known != grammars_.end()) {
    std::rotate(known, known + 1, grammars_.end());
    return grammars_.back().second;
  }
  if (!grammar_vocabulary_) {
    grammar_vocabulary_ = std::make_shared<GrammarVocabulary>(*tokenizer_, allowed_.end);
  }
  MLC_ASSIGN_OR_RETURN(std::shared_ptr<Grammar> grammar,
                       Grammar::compile(format, grammar_vocabulary_));
  if (grammars_.size() == kKeptGrammars) grammars_.erase(grammars_.begin());
  grammars_.emplace_back(format, grammar);
  return grammar;
}

void Engine::cancel(RequestId request) {
  const auto end_it = [&](auto& sequences) {
    for (auto& sequence : sequences) {
      if (sequence->id == request) finish(*sequence, FinishReason::kCancelled);
    }
  };
  end_it(running_);
  end_it(waiting_);
  remove_finished();
}

std::vector<Output> Engine::take_outputs() {
  std::vector<Output> outputs;
  outputs.swap(outputs_);
  tool_calls_.apply(outputs);
  return outputs;
}

void Engine::drop_oldest_kept() {
  session_->cache().remove(kept_.front().cache);
  kept_.pop_front();
}

void Engine::drop_kept() {
  while (!kept_.empty()) drop_oldest_kept();
}

Result<void> Engine::feed_alone(std::span<const int32_t> tokens, runtime::WantedLogits wanted,
                                const std::function<void(std::span<const float>)>& row,
                                formats::Output output) {
  drop_kept();
  const runtime::SequenceId sequence = session_->cache().add_sequence();
  const Result<void> fed =
      session_->feed(sequence, tokens, static_cast<int64_t>(tokens.size()), wanted, row, output);
  session_->cache().remove(sequence);
  return fed;
}

bool Engine::step() {
  admit();
  compose();
  if (batch_.empty()) {
    remove_finished();
    return !idle();
  }
  int64_t prefill_tokens = 0;
  int64_t decode_tokens = 0;
  const double begin = now_seconds();
  for (const Part& part : parts_) {
    Sequence& sequence = *running_[part.sequence];
    if (sequence.begun == 0) sequence.begun = begin;
    (sequence.cached < sequence.known_length ? prefill_tokens : decode_tokens) += part.tokens;
  }
  const Result<std::span<const float>> logits = session_->step_extended(batch_);
  if (logits.ok()) {
    consume(*logits);
    metrics_.count_step(prefill_tokens, decode_tokens, now_seconds() - begin);
  } else {
    for (const Part& part : parts_)
      finish(*running_[part.sequence], FinishReason::kError, logits.error());
  }
  remove_finished();
  return !idle();
}

// True while another answer of the same request is computing the prompt, which this one shares.
bool Engine::waits_for_prompt(const Sequence& sequence) const {
  return std::any_of(running_.begin(), running_.end(), [&](const auto& s) {
    return s->id == sequence.id && s->cached < s->known_length;
  });
}

// Begins as many waiting requests as there is room for, first come first served.
void Engine::admit() {
  while (!waiting_.empty() && static_cast<int64_t>(running_.size()) < options_.max_sequences) {
    if (waits_for_prompt(*waiting_.front()) || !start(*waiting_.front())) return;
    running_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

// True if the pages that are free and not spoken for are enough for all tokens that the sequence
// has and one more.
bool Engine::has_room_for(const Sequence& sequence, int64_t shared_tokens) const {
  const runtime::KvCache& cache = session_->cache();
  for (int g = 0; g < cache.num_groups(); ++g) {
    int64_t free = cache.free_pages(g);
    for (const auto& running : running_) {
      const std::span<const int32_t> pages = cache.pages(*running->cache, g);
      const auto held =
          static_cast<int64_t>(pages.size()) - std::count(pages.begin(), pages.end(), 0);
      free -= std::max<int64_t>(
          0, cache.pages_for(g, running->length() + 1, session_->chunk_tokens()) - held);
    }
    const int64_t shared = shared_tokens / cache.group(g).page_tokens;
    if (cache.pages_for(g, sequence.length() + 1, session_->chunk_tokens()) - shared > free)
      return false;
  }
  return true;
}

// Gives a waiting sequence a cache, with what another one holds of its tokens already. False if it
// has to wait.
bool Engine::start(Sequence& sequence) {
  runtime::KvCache& cache = session_->cache();
  // The longest beginning that some cache holds. The last token is computed in any case: its logits
  // are wanted.
  int64_t shared = 0;
  std::optional<runtime::SequenceId> source;
  const int64_t switch_length = session_->rope_switch_length();
  const auto consider = [&](runtime::SequenceId id, std::span<const int32_t> tokens,
                            int64_t known_length) {
    // Angles that depend on the prompt's length make other keys.
    if (switch_length > 0 && std::max(known_length, sequence.known_length) > switch_length) return;
    const auto most = std::min<int64_t>(sequence.length() - 1, static_cast<int64_t>(tokens.size()));
    const auto end =
        std::mismatch(tokens.begin(), tokens.begin() + most, sequence.tokens.begin()).first;
    const int64_t common = end - tokens.begin();
    if (common > shared && cache.holds_prefix(id, common)) {
      shared = common;
      source = id;
    }
  };
  for (const auto& running : running_) {
    consider(*running->cache,
             std::span(running->tokens).first(static_cast<size_t>(running->cached)),
             running->known_length);
  }
  for (const Kept& kept : kept_) consider(kept.cache, kept.tokens, kept.known_length);
  auto kept =
      std::find_if(kept_.begin(), kept_.end(), [&](const Kept& k) { return k.cache == source; });
  if (kept != kept_.end()) {  // the last one to make room
    std::rotate(kept, kept + 1, kept_.end());
    kept = kept_.end() - 1;
  }
  while (!has_room_for(sequence, shared) && kept_.size() > (kept != kept_.end() ? 1u : 0u)) {
    drop_oldest_kept();
    if (kept != kept_.end()) kept = kept_.end() - 1;
  }
  const bool room = has_room_for(sequence, shared);
  if (!room && !running_.empty()) return false;
  if (kept != kept_.end() && (!room || 2 * shared >= cache.length(*source))) {
    // Taken over: the next turn of a chat goes on where the last one ended.
    cache.truncate(*source, shared);
    kept_.pop_back();
    sequence.cache = *source;
  } else if (source && room) {
    sequence.cache = cache.fork(*source, shared);
  }
  if (!sequence.cache) {
    shared = 0;
    sequence.cache = cache.add_sequence();
  }
  sequence.cached = shared;
  if (sequence.begun == 0) sequence.usage.cached_tokens = shared;
  return true;
}

// Takes back the sequence that was admitted last; it starts again when there is room.
void Engine::preempt_last() {
  std::unique_ptr<Sequence> sequence = std::move(running_.back());
  running_.pop_back();
  session_->cache().remove(*sequence->cache);
  sequence->cache.reset();
  sequence->cached = 0;
  waiting_.push_front(std::move(sequence));
}

// Extends the cache of running_[index], at the cost of kept sequences and of those that came later.
// False if the sequence itself had to give way.
bool Engine::make_room(size_t index, int64_t tokens) {
  while (!session_->cache().extend(*running_[index]->cache, tokens)) {
    if (!kept_.empty()) {
      drop_oldest_kept();
    } else if (index + 1 < running_.size()) {
      preempt_last();
    } else if (index > 0) {
      preempt_last();
      return false;
    } else {
      finish(*running_[index], FinishReason::kContextFull);
      return false;
    }
  }
  return true;
}

// The batch of the next step: one token of every answer, and the rest of the chunk for prompts,
// oldest first.
void Engine::compose() {
  parts_.clear();
  batch_.clear();
  const auto answers = std::count_if(running_.begin(), running_.end(),
                                     [](const auto& s) { return s->remaining() == 1; });
  int64_t budget = std::max<int64_t>(1, session_->chunk_tokens() - answers);
  for (size_t i = 0; i < running_.size(); ++i) {
    const int64_t remaining = running_[i]->remaining();
    const int64_t tokens = remaining == 1 ? 1 : std::min(remaining, budget);
    if (tokens == 0 || !make_room(i, tokens)) continue;
    if (remaining > 1) budget -= tokens;
    const Sequence& sequence = *running_[i];
    parts_.push_back({i, tokens});
    batch_.push_back(
        {*sequence.cache,
         std::span(sequence.tokens)
             .subspan(static_cast<size_t>(sequence.cached), static_cast<size_t>(tokens)),
         sequence.known_length,
         tokens == remaining ? runtime::WantedLogits::kLast : runtime::WantedLogits::kNone});
  }
}

void Engine::consume(std::span<const float> logits) {
  const auto vocab = static_cast<size_t>(session_->vocab_size());
  size_t row = 0;
  for (const Part& part : parts_) {
    Sequence& sequence = *running_[part.sequence];
    sequence.cached += part.tokens;
    if (sequence.remaining() > 0) continue;
    sample(sequence, logits.subspan(row++ * vocab, vocab));
  }
}

// Which tokens the form of the answer allows. False if the answer is over, for there is none.
bool Engine::find_mask(Sequence& sequence) {
  mask_.clear();
  if (!sequence.grammar) return true;
  const std::span<const uint64_t> allowed = sequence.grammar->allowed();
  mask_.assign(allowed.begin(), allowed.end());
  if (sequence.grammar->finished() && !sequence.ignore_eos) {
    for (const int32_t id : sequence.stop_token_ids) {
      if (id >= 0 && id < allowed_.end)
        mask_[static_cast<size_t>(id) / 64] |= uint64_t{1} << id % 64;
    }
  }
  if (std::any_of(mask_.begin(), mask_.end(), [](uint64_t word) { return word != 0; })) return true;
  if (sequence.grammar->finished()) {
    finish(sequence, FinishReason::kStop);
  } else if (sequence.grammar->too_ambiguous()) {
    finish(sequence, FinishReason::kError, too_ambiguous_error());
  } else {
    finish(
        sequence, FinishReason::kError,
        user_error("response_format", "needs text that no token of the vocabulary can go on with",
                   "a grammar that the model's vocabulary can write"));
  }
  return false;
}

void Engine::sample(Sequence& sequence, std::span<const float> logits) {
  const double begin = now_seconds();
  if (!find_mask(sequence)) return;
  if (sequence.grammar) sequence.usage.grammar_seconds += now_seconds() - begin;
  const int32_t token = sequence.sampler.sample(logits, allowed_, scratch_, mask_);
  std::vector<TokenLogprobs> logprobs;
  if (sequence.logprobs) {
    logprobs.push_back(token_logprobs(logits, allowed_, token, sequence.top_logprobs));
  }
  accept(sequence, token, std::move(logprobs));
}

// Takes a sampled token: what can be shown, and whether the answer ends.
void Engine::accept(Sequence& sequence, int32_t token, std::vector<TokenLogprobs> logprobs) {
  const double now = now_seconds();
  Usage& usage = sequence.usage;
  if (usage.completion_tokens == 0) {
    usage.waiting_seconds = sequence.begun - sequence.added;
    usage.prefill_seconds = now - sequence.begun;
    sequence.first_token = now;
  }
  ++usage.completion_tokens;
  usage.decode_seconds = now - sequence.first_token;
  sequence.tokens.push_back(token);

  Output output;
  output.request = sequence.id;
  output.index = sequence.index;
  output.tokens = {token};
  output.logprobs = std::move(logprobs);
  const std::vector<int32_t>& stops = sequence.stop_token_ids;
  std::optional<FinishReason> reason;
  if (!sequence.ignore_eos && std::find(stops.begin(), stops.end(), token) != stops.end()) {
    reason = FinishReason::kStop;
  } else {
    const double begin = now_seconds();
    if (sequence.grammar && !sequence.grammar->accept(token)) {
      // The mask allowed it, but to follow all ways to read it is too much.
      outputs_.push_back(std::move(output));
      finish(sequence, FinishReason::kError, too_ambiguous_error());
      return;
    }
    if (sequence.grammar) usage.grammar_seconds += now_seconds() - begin;
    output.text = sequence.matcher.put(sequence.decoder.put(token));
    if (sequence.matcher.stopped() || (sequence.grammar && sequence.grammar->exhausted())) {
      reason = FinishReason::kStop;
    } else if (usage.completion_tokens == sequence.max_tokens) {
      reason = FinishReason::kMaxTokens;
    } else if (sequence.length() >= session_->context_tokens()) {
      reason = FinishReason::kContextFull;
    }
  }
  output.usage = usage;
  outputs_.push_back(std::move(output));
  if (reason) finish(sequence, *reason);
}

// The last output. What was held back is shown, for it was no stop string.
void Engine::finish(Sequence& sequence, FinishReason reason, std::optional<Error> error) {
  if (sequence.finished) return;
  sequence.finished = true;
  std::string rest = sequence.matcher.put(sequence.decoder.finish());
  rest += sequence.matcher.finish();
  if (sequence.matcher.stopped() && reason != FinishReason::kError) reason = FinishReason::kStop;
  // With the output of the token that ended it, if that is not taken yet.
  if (outputs_.empty() || outputs_.back().request != sequence.id ||
      outputs_.back().index != sequence.index) {
    outputs_.emplace_back();
    outputs_.back().request = sequence.id;
    outputs_.back().index = sequence.index;
    outputs_.back().usage = sequence.usage;
  }
  Output& output = outputs_.back();
  output.text += rest;
  output.finish = reason;
  output.error = std::move(error);
  metrics_.count_request(sequence.usage);
  release(sequence);
}

// Keeps the cache of a sequence that is over for prompts that begin alike, or gives it back.
void Engine::release(Sequence& sequence) {
  if (!sequence.cache) return;
  if (options_.kept_sequences > 0 && sequence.cached > 0) {
    sequence.tokens.resize(static_cast<size_t>(sequence.cached));
    kept_.push_back({*sequence.cache, std::move(sequence.tokens), sequence.known_length});
    while (static_cast<int64_t>(kept_.size()) > options_.kept_sequences) drop_oldest_kept();
  } else {
    session_->cache().remove(*sequence.cache);
  }
  sequence.cache.reset();
}

void Engine::remove_finished() {
  std::erase_if(running_, [](const auto& s) { return s->finished; });
  std::erase_if(waiting_, [](const auto& s) { return s->finished; });
}

}  // namespace mlc::engine
