// SPDX-License-Identifier: Apache-2.0
// Answers requests: several sequences share every step, prompts in chunks and answers token by
// token in one ragged batch. A caller adds requests, calls step() as long as there is work, and
// takes the outputs in between. One thread at a time; nothing blocks but the computation itself.
//
// What a request gets depends on nothing but itself (greedy or with a seed): not on the batch, on
// chunks, on what a cache held, nor on having been set aside when pages ran short.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "engine/grammar.h"
#include "engine/metrics.h"
#include "engine/request.h"
#include "engine/session.h"
#include "tokenizers/tokenizer.h"

namespace mlc::engine {

struct EngineOptions {
  int64_t max_sequences = 1;  // that are computed together
  // Finished sequences whose cache is kept for prompts that begin alike: the next turn of a chat.
  int64_t kept_sequences = 1;
};

class Engine {
 public:
  Engine(std::unique_ptr<Session> session, std::unique_ptr<tokenizers::Tokenizer> tokenizer,
         const EngineOptions& options);
  ~Engine();

  // Refuses by name what cannot be done: an option out of range, a prompt that is empty or longer
  // than the context, a response format that cannot be met.
  Result<RequestId> add(Request request);
  // Ends a request where it stands; its last output says so. Ids that are unknown or over are
  // ignored.
  void cancel(RequestId request);

  // Computes one step; true if there is more to do. A step that fails ends its requests, with the
  // error.
  bool step();
  bool idle() const { return waiting_.empty() && running_.empty(); }
  // Outputs since the last call, in the order in which they came about.
  std::vector<Output> take_outputs();

  // Forgets what finished sequences left in the cache.
  void drop_kept();

  // Feeds tokens to a sequence of its own, between the steps of the others, as Session::feed().
  // Kept sequences give way; where those that run leave no room, that is an error.
  Result<void> feed_alone(std::span<const int32_t> tokens, runtime::WantedLogits wanted,
                          const std::function<void(std::span<const float>)>& row,
                          formats::Output output = formats::Output::kLogits);

  const EngineOptions& options() const { return options_; }
  const Metrics& metrics() const { return metrics_; }
  Session& session() { return *session_; }
  const tokenizers::Tokenizer& tokenizer() const { return *tokenizer_; }

 private:
  struct Sequence;
  // What a finished sequence left behind.
  struct Kept {
    runtime::SequenceId cache;
    std::vector<int32_t> tokens;  // that the cache holds
    int64_t known_length;
  };
  struct Part {
    size_t sequence;  // in running_
    int64_t tokens;
  };

  Result<std::shared_ptr<Grammar>> grammar_for(const ResponseFormat& format);
  void admit();
  bool waits_for_prompt(const Sequence& sequence) const;
  bool start(Sequence& sequence);
  bool has_room_for(const Sequence& sequence, int64_t shared_tokens) const;
  void compose();
  bool make_room(size_t index, int64_t tokens);
  void consume(std::span<const float> logits);
  bool find_mask(Sequence& sequence);
  void sample(Sequence& sequence, std::span<const float> logits);
  void accept(Sequence& sequence, int32_t token, std::vector<TokenLogprobs> logprobs);
  void finish(Sequence& sequence, FinishReason reason, std::optional<Error> error = {});
  void release(Sequence& sequence);
  void preempt_last();
  void drop_oldest_kept();
  void remove_finished();

  std::unique_ptr<Session> session_;
  std::unique_ptr<tokenizers::Tokenizer> tokenizer_;
  EngineOptions options_;
  AllowedIds allowed_;
  SamplerScratch scratch_;
  std::shared_ptr<const GrammarVocabulary> grammar_vocabulary_;  // made when it is needed
  // Grammars of late, the one used last at the end.
  std::vector<std::pair<ResponseFormat, std::shared_ptr<Grammar>>> grammars_;
  std::vector<uint64_t> mask_;  // of the sequence at hand; empty: no grammar
  std::deque<std::unique_ptr<Sequence>> waiting_;
  std::vector<std::unique_ptr<Sequence>> running_;  // in the order in which they were admitted
  std::deque<Kept> kept_;                           // the one used last at the end
  std::vector<Part> parts_;                         // of the step at hand
  std::vector<runtime::SequenceTokens> batch_;
  std::vector<Output> outputs_;
  ToolCallCollector tool_calls_;
  Metrics metrics_;
  RequestId next_id_ = 1;
};

}  // namespace mlc::engine
