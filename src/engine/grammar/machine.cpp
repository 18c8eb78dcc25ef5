// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/machine.h"

#include <algorithm>
#include <bit>
#include <iterator>
#include <set>

namespace mlc::engine::grammar {
namespace {

void set_bit(std::vector<uint64_t>& mask, int32_t id) {
  mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
}

void clear_bit(std::vector<uint64_t>& mask, int32_t id) {
  mask[static_cast<size_t>(id) / 64] &= ~(uint64_t{1} << (id % 64));
}

}  // namespace

size_t Machine::ConfigHash::operator()(const Config& config) const {
  uint64_t hash = config.finished ? 1 : 2;
  for (const Thread& t : config.threads) {
    const uint64_t value = static_cast<uint64_t>(static_cast<uint32_t>(t.state)) << 32 |
                           static_cast<uint32_t>(t.stack);
    hash = (hash ^ value) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 29;
  }
  return hash;
}

Machine::Machine(const Automaton& automaton, const TokenTrie& tokens)
    : automaton_(automaton), tokens_(tokens) {
  stacks_.push_back({kNoState, kBottom});
  intern({});  // kDead
  for (size_t b = 0; b < 0x80; ++b) {
    std::vector<uint8_t>& bytes = kind_bytes_[TokenTrie::kind_of(static_cast<uint8_t>(b))];
    const bool is_new = std::none_of(bytes.begin(), bytes.end(), [&](uint8_t other) {
      return automaton_.class_of[other] == automaton_.class_of[b];
    });
    if (is_new) bytes.push_back(static_cast<uint8_t>(b));
  }
}

ConfigId Machine::intern(Config config) {
  const auto next = static_cast<ConfigId>(configs_.size());
  const auto [at, is_new] = config_numbers_.try_emplace(config, next);
  if (is_new) {
    configs_.push_back(std::move(config));
    steps_.resize(steps_.size() + static_cast<size_t>(automaton_.num_classes), kUnknown);
  }
  return at->second;
}

Machine::StackId Machine::push(StateId back, StackId below) {
  if (automaton_.only_ends[static_cast<size_t>(back)]) return below;
  const uint64_t key =
      static_cast<uint64_t>(static_cast<uint32_t>(back)) << 32 | static_cast<uint32_t>(below);
  const auto [at, is_new] = stack_numbers_.try_emplace(key, static_cast<StackId>(stacks_.size()));
  if (is_new) stacks_.push_back({back, below});
  return at->second;
}

// Follows all that reads nothing; what is left are the states that read.
void Machine::close(std::vector<Thread>& open, Config& config) {
  // `open` keeps all that was seen: mostly few, so that it is searched as it is.
  constexpr size_t kFew = 32;
  std::set<Thread> seen;
  const auto add = [&](StateId state, StackId stack) {
    const Thread thread{state, stack};
    if (open.size() < kFew) {
      if (std::find(open.begin(), open.end(), thread) == open.end()) open.push_back(thread);
      return;
    }
    if (seen.empty()) seen.insert(open.begin(), open.end());
    if (seen.insert(thread).second) open.push_back(thread);
  };
  for (size_t i = 0; i < open.size(); ++i) {
    const Thread thread = open[i];
    const State& state = automaton_.states[static_cast<size_t>(thread.state)];
    if (state.reads()) config.threads.push_back(thread);
    if (state.rule >= 0) {
      add(automaton_.starts[static_cast<size_t>(state.rule)], push(state.target, thread.stack));
    }
    for (const StateId next : state.epsilons) add(next, thread.stack);
    if (state.ends_rule) {
      if (thread.stack == kBottom) {
        config.finished = true;
      } else {
        const Stack top = stacks_[static_cast<size_t>(thread.stack)];
        add(top.back, top.below);
      }
    }
    if (open.size() > kMostThreads) {
      too_ambiguous_ = true;
      config = {};
      return;
    }
  }
  std::sort(config.threads.begin(), config.threads.end());
}

ConfigId Machine::start() {
  Config config;
  std::vector<Thread> open{{automaton_.starts[automaton_.root], kBottom}};
  close(open, config);
  return intern(std::move(config));
}

ConfigId Machine::compute_step(ConfigId from, uint8_t byte) {
  std::vector<Thread> open;
  for (const Thread& thread : configs_[static_cast<size_t>(from)].threads) {
    const State& state = automaton_.states[static_cast<size_t>(thread.state)];
    if (state.bytes[byte]) open.push_back({state.target, thread.stack});
  }
  ConfigId next = kDead;
  if (!open.empty()) {
    Config config;
    close(open, config);
    next = intern(std::move(config));
  }
  steps_[step_place(from, byte)] = next;
  return next;
}

ConfigId Machine::step(ConfigId config, std::string_view bytes) {
  for (const char c : bytes) config = step(config, static_cast<uint8_t>(c));
  return config;
}

Machine::Shadowed Machine::shadowed(ConfigId config) {
  Shadowed found{config};
  Config all = configs_[static_cast<size_t>(config)];
  Config only;
  for (Thread& thread : all.threads) {
    const Automaton::Shadow& s = automaton_.shadows[static_cast<size_t>(thread.state)];
    if (s.state == kNoState) continue;
    found.copies = only.threads.empty() ? s.copies : std::min(found.copies, s.copies);
    found.alike = found.alike && s.alike;
    found.lasts = found.lasts && s.lasts;
    thread.state = s.state;
    only.threads.push_back(thread);
  }
  if (only.threads.empty()) return found;
  for (Config* changed : {&all, &only}) {
    std::vector<Thread>& threads = changed->threads;
    std::sort(threads.begin(), threads.end());
    threads.erase(std::unique(threads.begin(), threads.end()), threads.end());
  }
  found.all = intern(std::move(all));
  found.only = intern(std::move(only));
  return found;
}

// True if `config` has all threads of `part`, so that it goes on where that one does.
bool Machine::has_all_of(ConfigId config, ConfigId part) const {
  const std::vector<Thread>& all = configs_[static_cast<size_t>(config)].threads;
  const std::vector<Thread>& some = configs_[static_cast<size_t>(part)].threads;
  return config == part || std::includes(all.begin(), all.end(), some.begin(), some.end());
}

// What characters of several bytes lead to, each of them once; kDead too where one leads nowhere.
std::vector<ConfigId> Machine::after_characters(ConfigId config) {
  struct Range {
    uint8_t first, last;
  };
  constexpr Range kAny{0x80, 0xBF};
  static const std::vector<Range> characters[] = {{{0xC2, 0xDF}, kAny},
                                                  {{0xE0, 0xE0}, {0xA0, 0xBF}, kAny},
                                                  {{0xE1, 0xEC}, kAny, kAny},
                                                  {{0xED, 0xED}, {0x80, 0x9F}, kAny},
                                                  {{0xEE, 0xEF}, kAny, kAny},
                                                  {{0xF0, 0xF0}, {0x90, 0xBF}, kAny, kAny},
                                                  {{0xF1, 0xF3}, kAny, kAny, kAny},
                                                  {{0xF4, 0xF4}, {0x80, 0x8F}, kAny, kAny}};
  std::vector<ConfigId> found;
  const auto add = [](std::vector<ConfigId>& configs, ConfigId config) {
    if (std::find(configs.begin(), configs.end(), config) == configs.end()) {
      configs.push_back(config);
    }
  };
  for (const std::vector<Range>& bytes : characters) {
    std::vector<ConfigId> reached{config};
    for (const Range& range : bytes) {
      std::vector<ConfigId> next;
      for (const ConfigId from : reached) {
        int last_class = -1;
        for (unsigned b = range.first; b <= range.last; ++b) {
          const int its_class = automaton_.class_of[b];
          if (its_class == last_class) continue;
          last_class = its_class;
          add(next, step(from, static_cast<uint8_t>(b)));
        }
      }
      reached = std::move(next);
      if (reached == std::vector<ConfigId>{kDead}) break;
    }
    for (const ConfigId to : reached) add(found, to);
  }
  return found;
}

// Adds what one character of these kinds leads to.
void Machine::after_kinds(ConfigId config, uint16_t kinds, std::vector<ConfigId>& reached) {
  const auto add = [&](ConfigId to) {
    if (std::find(reached.begin(), reached.end(), to) == reached.end()) reached.push_back(to);
  };
  for (int kind = 0; kind < TokenTrie::kNumKinds; ++kind) {
    if ((kinds >> kind & 1) == 0) continue;
    if (kind == TokenTrie::kSeveralBytes) {
      for (const ConfigId to : after_characters(config)) add(to);
    }
    for (const uint8_t byte : kind_bytes_[kind]) add(step(config, byte));
  }
}

// The kinds of which every character leads to a configuration with all threads of this one.
uint16_t Machine::looping_kinds(ConfigId config) {
  const auto place = static_cast<size_t>(config);
  if (place < looping_kinds_.size() && looping_kinds_[place] >= 0) {
    return static_cast<uint16_t>(looping_kinds_[place]);
  }
  uint16_t kinds = 0;
  std::vector<ConfigId> reached;
  for (int kind = TokenTrie::kNumKinds; kind-- > 0 && goes_on(config);) {
    // Most states that read no characters of one byte read none of several.
    if (kind == TokenTrie::kSeveralBytes && step(config, 0xC3) == kDead) continue;
    reached.clear();
    after_kinds(config, static_cast<uint16_t>(1u << kind), reached);
    const bool loops = std::all_of(reached.begin(), reached.end(),
                                   [&](ConfigId to) { return has_all_of(to, config); });
    if (loops) kinds |= static_cast<uint16_t>(1u << kind);
  }
  looping_kinds_.resize(configs_.size(), -1);
  looping_kinds_[place] = kinds;
  return kinds;
}

// A loop, or copies of what would be one without its limit: while there are copies, the run of the
// loop cannot come to a dead end.
Machine::Run Machine::run_of(ConfigId config) {
  const auto place = static_cast<size_t>(config);
  if (place < runs_.size() && runs_[place].characters >= 0) return runs_[place];
  // Copies do not lead back to themselves: the loop, which they share, is looked at first.
  Run run;
  const Shadowed shadows = shadowed(config);
  if (shadows.only != kDead) run = {looping_kinds(shadows.only), shadows.copies};
  if (run.kinds == 0) run = {looping_kinds(config), kNoEnd};
  runs_.resize(configs_.size(), {0, -1});
  return runs_[place] = run;
}

// As run_of, or a run through several configurations, in all of which its kinds can be read: what
// it takes to find one is worth it where a whole vocabulary is looked at.
Machine::Run Machine::widest_run(ConfigId config) {
  constexpr size_t kMany = 32;
  const Run run = run_of(config);
  int64_t characters = kNoEnd;
  const Shadowed shadows = shadowed(config);
  if (shadows.only != kDead) {
    if (run.kinds != 0 || !shadows.lasts || shadows.copies < 2) return run;
    characters = shadows.copies == kNoEnd ? kNoEnd : shadows.copies - 1;
    config = shadows.only;
  }
  uint16_t kinds = (1u << TokenTrie::kNumKinds) - 1;
  std::vector<ConfigId> reached{config};
  std::vector<ConfigId> next;
  for (size_t i = 0; i < reached.size() && std::popcount(kinds) > std::popcount(run.kinds);) {
    if (reached.size() > kMany) return run;
    uint16_t dead = 0;
    for (int kind = 0; kind < TokenTrie::kNumKinds; ++kind) {
      const auto bit = static_cast<uint16_t>(1u << kind);
      if ((kinds & bit) == 0) continue;
      next.clear();
      after_kinds(reached[i], bit, next);
      if (std::find(next.begin(), next.end(), kDead) != next.end()) {
        dead |= bit;
        continue;
      }
      for (const ConfigId to : next) {
        if (std::find(reached.begin(), reached.end(), to) == reached.end()) reached.push_back(to);
      }
    }
    ++i;
    if (dead == 0) continue;
    // What was reached by way of these kinds need not be reached without them.
    if ((dead & run.kinds) != 0) return run;
    kinds &= static_cast<uint16_t>(~dead);
    reached = {config};
    i = 0;
  }
  return std::popcount(kinds) > std::popcount(run.kinds) ? Run{kinds, characters} : run;
}

// True if nothing is left to be said of longer texts of the run's kinds: none of them is allowed.
bool Machine::ends_behind(ConfigId config, const Run& run, const ByteSet& follows) {
  bool may_leave = false;
  for (size_t b = 0; b < 256 && !may_leave; ++b) {
    const int kind = TokenTrie::kind_of(static_cast<uint8_t>(b));
    const int several = kind == TokenTrie::kNoCharacter ? TokenTrie::kSeveralBytes : kind;
    may_leave = follows[b] && (run.kinds >> several & 1) != 0;
  }
  std::vector<ConfigId> next;
  for (int64_t i = 0; i <= run.characters; ++i) {
    if (may_leave && finished(config)) return false;
    next.clear();
    after_kinds(config, run.kinds, next);
    if (next.size() != 1) return false;
    config = next[0];
  }
  return config == kDead;
}

// The bytes of other kinds that may come at any place of a run, or more than those.
ByteSet Machine::bytes_behind(ConfigId config, const Run& run, const ByteSet& follows) {
  constexpr size_t kMany = 64;
  std::vector<ConfigId> reached{shadowed(config).all};
  ByteSet bytes;
  for (size_t i = 0; i < reached.size(); ++i) {
    if (reached.size() > kMany) return bytes.set();
    const ConfigId from = reached[i];
    for (const Thread& thread : configs_[static_cast<size_t>(from)].threads) {
      bytes |= automaton_.states[static_cast<size_t>(thread.state)].bytes;
    }
    if (finished(from)) bytes |= follows;
    after_kinds(from, run.kinds, reached);
  }
  return bytes;
}

ByteSet Machine::follows_of(ConfigId config) const {
  ByteSet follows;
  for (const Thread& thread : configs_[static_cast<size_t>(config)].threads) {
    const int32_t rule = automaton_.rule_of[static_cast<size_t>(thread.state)];
    follows |= automaton_.follows[static_cast<size_t>(rule)];
  }
  return follows;
}

// The token at this place of the tree's order leaves the rule at each depth where that may end.
void Machine::leave(Walk& walk, int32_t place, int32_t last_leave) {
  const std::string_view bytes = tokens_.bytes_at(place);
  for (int32_t d = last_leave; d > 0; d = walk.way[static_cast<size_t>(d)].leave_before) {
    const std::string_view rest = bytes.substr(static_cast<size_t>(d));
    if (!walk.follows[static_cast<uint8_t>(rest[0])]) continue;
    std::vector<Leaving>& leaving = walk.found.leaving;
    const auto [at, is_new] = walk.leaving.try_emplace(rest, leaving.size());
    if (is_new) leaving.push_back({rest, {}});
    leaving[at->second].places.push_back(place);
  }
}

// Fills the way for these bytes, those that it has already and that agree excepted; behind a dead
// end no further.
void Machine::step_along(Walk& walk, std::string_view bytes) {
  std::vector<Place>& way = walk.way;
  size_t depth = 1;
  while (depth < way.size() && depth <= bytes.size() &&
         way[depth].byte == static_cast<uint8_t>(bytes[depth - 1])) {
    ++depth;
  }
  way.resize(std::min(way.size(), depth));
  for (; depth <= bytes.size() && way.back().config != kDead; ++depth) {
    const Place& from = way.back();
    const auto byte = static_cast<uint8_t>(bytes[depth - 1]);
    const ConfigId next = step(from.config, byte);
    const bool ends = finished(next);
    const int32_t last = from.last_leave;
    way.push_back({next, ends ? static_cast<int32_t>(depth) : last, last, byte});
  }
}

void Machine::try_token(Walk& walk, int32_t place) {
  const std::string_view bytes = tokens_.bytes_at(place);
  step_along(walk, bytes);
  const Place& last = walk.way.back();
  if (last.config != kDead) {
    set_bit(walk.found.allowed, tokens_.id(place));
  } else {
    leave(walk, place, last.last_leave);
  }
}

// Walks subtrees whose common way is known. `in_base`: that way is of kinds of the base alone.
void Machine::walk_nodes(Walk& walk, size_t first, size_t end, bool in_base) {
  const std::span<const TokenTrie::Node> nodes = tokens_.nodes();
  std::vector<uint64_t>& allowed = walk.found.allowed;
  std::vector<Place>& way = walk.way;
  // The depth behind which the way is no longer of the base's kinds alone.
  size_t base_depth = in_base ? way.size() - 1 : 0;
  for (size_t i = first; i < end;) {
    const TokenTrie::Node& node = nodes[i];
    const auto depth = static_cast<size_t>(node.depth);
    way.resize(depth);
    base_depth = std::min(base_depth, depth - 1);
    const bool still = in_base && base_depth == depth - 1;
    if (still && (node.kinds & ~walk.base) == 0 && node.most_characters <= walk.base_characters) {
      i = static_cast<size_t>(node.next);
      continue;
    }
    const Place from = way.back();
    const Run run = run_of(from.config);
    const int64_t before = depth > 1 ? node.characters - 1 : 0;
    if ((node.kinds & ~run.kinds) == 0 && node.most_characters - before <= run.characters) {
      for (int32_t t = node.first_token; t < tokens_.end_of_subtree(i); ++t) {
        set_bit(allowed, tokens_.id(t));
      }
      i = static_cast<size_t>(node.next);
      continue;
    }
    const ConfigId next = step(from.config, node.byte);
    if (next == kDead) {
      const int32_t subtree_end = tokens_.end_of_subtree(i);
      for (int32_t t = node.first_token; from.last_leave > 0 && t < subtree_end; ++t) {
        leave(walk, t, from.last_leave);
      }
      i = static_cast<size_t>(node.next);
      continue;
    }
    for (int32_t t = node.first_token; t < tokens_.end_of_tokens(i); ++t) {
      set_bit(allowed, tokens_.id(t));
    }
    const bool ends = finished(next);
    way.push_back({next, ends ? node.depth : from.last_leave, from.last_leave, node.byte});
    if (still && (node.kind & ~walk.base) == 0) base_depth = depth;
    ++i;
  }
}

// What the tokens do from a configuration whose stacks are empty. A stack that is empty here stands
// for any: where a rule ends, all may follow.
//
// Tokens of the run's kinds are allowed without a look at them. The others are walked from their
// first byte of another kind on, for those bytes that can come there.
void Machine::find_local(ConfigId bottom_config, Local& found) {
  const std::span<const TokenTrie::Node> nodes = tokens_.nodes();
  Walk walk{.found = found, .follows = follows_of(bottom_config), .way = {}};
  walk.way.reserve(tokens_.deepest() + 1);
  walk.way.push_back({bottom_config, 0, 0, 0});
  const Run run = widest_run(bottom_config);
  walk.base = run.kinds;
  walk.base_characters = run.characters;
  const TokenTrie::OfKinds& base = tokens_.of_kinds(run.kinds);
  found.allowed = base.within;
  if (run.characters <= TokenTrie::kShort) {
    const std::vector<uint64_t>& short_ones = tokens_.up_to(run.characters);
    for (size_t w = 0; w < short_ones.size(); ++w) found.allowed[w] &= short_ones[w];
    if (!ends_behind(bottom_config, run, walk.follows)) {
      walk_nodes(walk, 0, nodes.size(), true);
      return;
    }
  } else {
    for (const TokenTrie::LongToken& token : tokens_.long_tokens()) {
      if (token.characters <= run.characters) break;
      if ((tokens_.kinds_of(tokens_.id(token.place)) & ~run.kinds) != 0) continue;
      clear_bit(found.allowed, tokens_.id(token.place));
      try_token(walk, token.place);
    }
  }
  const ByteSet bytes = bytes_behind(bottom_config, run, walk.follows);
  for (size_t b = 0; b < 256; ++b) {
    if (!bytes[b]) continue;
    for (int32_t k = base.first_of[b]; k < base.first_of[b + 1]; ++k) {
      const auto i = static_cast<size_t>(base.leaving[static_cast<size_t>(k)]);
      const auto before = static_cast<size_t>(nodes[i].depth) - 1;
      step_along(walk, tokens_.bytes_at(nodes[i].first_token).substr(0, before));
      if (walk.way.size() == before + 1 && walk.way.back().config != kDead) {
        walk_nodes(walk, i, static_cast<size_t>(nodes[i].next), false);
      } else {
        for (int32_t t = nodes[i].first_token; t < tokens_.end_of_subtree(i); ++t) {
          leave(walk, t, walk.way.back().last_leave);
        }
      }
    }
  }
}

// What is known of one with fewer limits, where tokens are the same but for the longest.
void Machine::shorten(ConfigId bottom_config, const Local& like, int64_t alike, Local& found) {
  found.allowed = like.allowed;
  found.allowed.resize(static_cast<size_t>(tokens_.num_ids() + 63) / 64);
  for (const int32_t id : like.allowed_ids) set_bit(found.allowed, id);
  Walk walk{.found = found, .follows = follows_of(bottom_config), .way = {}};
  walk.way.push_back({bottom_config, 0, 0, 0});
  for (const Leaving& leaving : like.leaving) {
    Leaving shorter{leaving.rest, {}};
    for (const int32_t place : leaving.places) {
      if (TokenTrie::count_characters(tokens_.bytes_at(place)) <= alike) {
        shorter.places.push_back(place);
      }
    }
    if (shorter.places.empty()) continue;
    walk.leaving[shorter.rest] = found.leaving.size();
    found.leaving.push_back(std::move(shorter));
  }
  for (const TokenTrie::LongToken& token : tokens_.long_tokens()) {
    if (token.characters <= alike) break;
    clear_bit(found.allowed, tokens_.id(token.place));
    try_token(walk, token.place);
  }
}

const Machine::Local& Machine::local(ConfigId bottom_config) {
  const auto known = locals_.find(bottom_config);
  if (known != locals_.end()) return known->second;
  Local found;
  const Shadowed shadows = shadowed(bottom_config);
  const int64_t alike = shadows.only != kDead && shadows.alike ? shadows.copies - 1 : 0;
  if (alike >= tokens_.most_characters() && alike > 0) return local(shadows.all);
  if (alike >= TokenTrie::kShort) {
    shorten(bottom_config, local(shadows.all), alike, found);
  } else {
    find_local(bottom_config, found);
  }
  size_t count = 0;
  const size_t words = found.allowed.size();
  for (const uint64_t word : found.allowed) count += static_cast<size_t>(std::popcount(word));
  if (count < words) {
    for (size_t w = 0; w < words; ++w) {
      for (uint64_t word = found.allowed[w]; word != 0; word &= word - 1) {
        found.allowed_ids.push_back(static_cast<int32_t>(w * 64) + std::countr_zero(word));
      }
    }
    found.allowed = {};
  }
  return locals_[bottom_config] = std::move(found);
}

void Machine::find_mask(ConfigId config, std::vector<uint64_t>& mask) {
  std::vector<Thread> threads = configs_[static_cast<size_t>(config)].threads;
  std::sort(threads.begin(), threads.end(), [](const Thread& a, const Thread& b) {
    return a.stack != b.stack ? a.stack < b.stack : a.state < b.state;
  });
  mask.assign(static_cast<size_t>(tokens_.num_ids() + 63) / 64, 0);
  for (size_t first = 0; first < threads.size();) {
    const StackId stack = threads[first].stack;
    Config bottom;
    for (; first < threads.size() && threads[first].stack == stack; ++first) {
      bottom.threads.push_back({threads[first].state, kBottom});
    }
    const Local& part = local(intern(std::move(bottom)));
    for (size_t i = 0; i < part.allowed.size(); ++i) mask[i] |= part.allowed[i];
    for (const int32_t id : part.allowed_ids) set_bit(mask, id);
    if (stack == kBottom) continue;
    // Where the rule has ended: what its caller goes on with.
    const Stack top = stacks_[static_cast<size_t>(stack)];
    std::vector<Thread> open{{top.back, top.below}};
    Config caller;
    close(open, caller);
    const ConfigId after = intern(std::move(caller));
    for (const Leaving& leaving : part.leaving) {
      if (step(after, leaving.rest) == kDead) continue;
      for (const int32_t place : leaving.places) set_bit(mask, tokens_.id(place));
    }
  }
}

std::span<const uint64_t> Machine::mask(ConfigId config) {
  const auto at = masks_.find(config);
  if (at != masks_.end()) return at->second;
  if (masks_.size() >= kMostMasks) masks_.clear();
  std::vector<uint64_t> mask;
  find_mask(config, mask);
  return masks_[config] = std::move(mask);
}

}  // namespace mlc::engine::grammar
