// SPDX-License-Identifier: Apache-2.0
// An automaton at work. What it may be in after some text is a configuration: a set of threads,
// each a state with the stack of those states that called rules return to. Stacks and
// configurations have numbers, and the step from one configuration to the next by a byte is
// computed once: soon all that is left is a table, as of a deterministic automaton.
//
// Which tokens a configuration allows is found in two parts (as in arXiv 2411.15100). Threads with
// one stack are looked at without it: most tokens are allowed or not whatever the stack is. That is
// kept, for it is the same in every string, say. For tokens that leave the rule the stack decides;
// what follows in them then is but a few different texts. The mask that comes out is kept too.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/grammar/automaton.h"
#include "engine/grammar/token_trie.h"

namespace mlc::engine::grammar {

using ConfigId = int32_t;
constexpr ConfigId kDead = 0;  // no text begins so

class Machine {
 public:
  // Both must outlive it.
  Machine(const Automaton& automaton, const TokenTrie& tokens);

  ConfigId start();
  ConfigId step(ConfigId config, uint8_t byte) {
    const ConfigId next = steps_[step_place(config, byte)];
    return next != kUnknown ? next : compute_step(config, byte);
  }
  ConfigId step(ConfigId config, std::string_view bytes);
  // True if the text that led here is one that the grammar matches.
  bool finished(ConfigId config) const { return configs_[static_cast<size_t>(config)].finished; }
  // False if nothing may follow.
  bool goes_on(ConfigId config) const {
    return !configs_[static_cast<size_t>(config)].threads.empty();
  }
  // Bit id % 64 of word id / 64 is set where the token is allowed. Lives until the next call.
  std::span<const uint64_t> mask(ConfigId config);

  // True once a configuration had too many threads; it is dead then.
  bool too_ambiguous() const { return too_ambiguous_; }
  // True if it holds so much that a new machine is better than to go on for another text.
  bool is_large() const {
    return steps_.size() > kManySteps || stacks_.size() > kManyStacks ||
           locals_.size() > kManyLocals;
  }

 private:
  static constexpr ConfigId kUnknown = -1;
  static constexpr size_t kManySteps = 8'000'000;
  static constexpr size_t kManyStacks = 1'000'000;
  static constexpr size_t kManyLocals = 2'000;
  static constexpr size_t kMostThreads = 20'000;
  static constexpr size_t kMostMasks = 256;
  using StackId = int32_t;
  static constexpr StackId kBottom = 0;

  struct Thread {
    StateId state;
    StackId stack;
    auto operator<=>(const Thread&) const = default;
  };
  struct Config {
    std::vector<Thread> threads;  // rising; of states that read
    bool finished = false;
    bool operator==(const Config&) const = default;
  };
  struct ConfigHash {
    size_t operator()(const Config& config) const;
  };
  struct Stack {
    StateId back;  // where the call returns to
    StackId below;
  };
  // Tokens that leave the rule, by the rest of them that follows.
  struct Leaving {
    std::string_view rest;
    std::vector<int32_t> places;
  };
  // What is known of some states without their stack.
  struct Local {
    std::vector<int32_t> allowed_ids;  // if they are few
    std::vector<uint64_t> allowed;     // if they are many
    std::vector<Leaving> leaving;      // those that are not allowed in any case
  };

  size_t step_place(ConfigId config, uint8_t byte) const {
    return static_cast<size_t>(config) * static_cast<size_t>(automaton_.num_classes) +
           automaton_.class_of[byte];
  }
  ConfigId compute_step(ConfigId config, uint8_t byte);
  ConfigId intern(Config config);
  StackId push(StateId back, StackId below);
  void close(std::vector<Thread>& open, Config& config);
  const Local& local(ConfigId bottom_config);
  // Texts of at most so many characters, all of these kinds, lead to no dead end.
  struct Run {
    uint16_t kinds = 0;
    int64_t characters = 0;
  };
  static constexpr int64_t kNoEnd = INT64_MAX;
  // What is known of a configuration by its shadows.
  struct Shadowed {
    ConfigId all = kDead;   // with shadows in the place of states that have one; itself if none has
    ConfigId only = kDead;  // of the shadows alone; kDead if there are none
    int64_t copies = 0;     // the least of them
    bool alike = true;      // all of them are
    bool lasts = true;      // likewise
  };
  // The way from a configuration along a token's bytes.
  struct Place {
    ConfigId config;
    int32_t last_leave;    // the last depth at which the rule may end; 0: none
    int32_t leave_before;  // the one before that, if this depth is one
    uint8_t byte;
  };
  struct Walk {
    Local& found;
    ByteSet follows{};  // may come behind the rule
    uint16_t base = 0;  // tokens of these kinds, of so many characters, are allowed already
    int64_t base_characters = 0;
    std::vector<Place> way;
    std::unordered_map<std::string_view, size_t> leaving{};  // by the rest: where in found.leaving
  };

  Shadowed shadowed(ConfigId config);
  bool has_all_of(ConfigId config, ConfigId part) const;
  std::vector<ConfigId> after_characters(ConfigId config);
  void after_kinds(ConfigId config, uint16_t kinds, std::vector<ConfigId>& reached);
  uint16_t looping_kinds(ConfigId config);
  Run run_of(ConfigId config);
  Run widest_run(ConfigId config);
  bool ends_behind(ConfigId config, const Run& run, const ByteSet& follows);
  ByteSet bytes_behind(ConfigId config, const Run& run, const ByteSet& follows);
  ByteSet follows_of(ConfigId config) const;
  void step_along(Walk& walk, std::string_view bytes);
  void leave(Walk& walk, int32_t place, int32_t last_leave);
  void try_token(Walk& walk, int32_t place);
  void walk_nodes(Walk& walk, size_t first, size_t end, bool in_base);
  void find_local(ConfigId bottom_config, Local& found);
  void shorten(ConfigId bottom_config, const Local& like, int64_t alike, Local& found);
  void find_mask(ConfigId config, std::vector<uint64_t>& mask);

  const Automaton& automaton_;
  const TokenTrie& tokens_;
  std::vector<Stack> stacks_;
  std::unordered_map<uint64_t, StackId> stack_numbers_;
  std::vector<Config> configs_;
  std::unordered_map<Config, ConfigId, ConfigHash> config_numbers_;
  std::vector<ConfigId> steps_;  // [config][class of the byte]
  std::unordered_map<ConfigId, Local> locals_;
  std::vector<int32_t> looping_kinds_;  // by configuration; -1: not known yet
  std::vector<Run> runs_;               // by configuration; characters -1: not known yet
  std::vector<uint8_t> kind_bytes_[TokenTrie::kNumKinds];  // one byte of each class in the kind
  std::unordered_map<ConfigId, std::vector<uint64_t>> masks_;
  bool too_ambiguous_ = false;
};

}  // namespace mlc::engine::grammar
