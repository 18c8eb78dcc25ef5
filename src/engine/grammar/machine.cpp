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

// The configuration with shadows in the place of states that have one, and how many bytes cannot
// tell it from `config`; 0 if no state has one.
int64_t Machine::shadow_of(ConfigId config, ConfigId& shadow) {
  int64_t alike = 0;
  Config changed = configs_[static_cast<size_t>(config)];
  for (Thread& thread : changed.threads) {
    const Automaton::Shadow& s = automaton_.shadows[static_cast<size_t>(thread.state)];
    if (s.state == kNoState) continue;
    alike = alike == 0 ? s.alike : std::min(alike, s.alike);
    thread.state = s.state;
  }
  if (alike == 0) return 0;
  std::sort(changed.threads.begin(), changed.threads.end());
  changed.threads.erase(std::unique(changed.threads.begin(), changed.threads.end()),
                        changed.threads.end());
  shadow = intern(std::move(changed));
  return alike;
}

// True if every character of several bytes leads back to the same configuration.
bool Machine::loops_over_characters(ConfigId config) {
  struct Range {
    uint8_t first, last;
  };
  constexpr Range kAny{0x80, 0xBF};
  const std::vector<Range> characters[] = {{{0xC2, 0xDF}, kAny},
                                           {{0xE0, 0xE0}, {0xA0, 0xBF}, kAny},
                                           {{0xE1, 0xEC}, kAny, kAny},
                                           {{0xED, 0xED}, {0x80, 0x9F}, kAny},
                                           {{0xEE, 0xEF}, kAny, kAny},
                                           {{0xF0, 0xF0}, {0x90, 0xBF}, kAny, kAny},
                                           {{0xF1, 0xF3}, kAny, kAny, kAny},
                                           {{0xF4, 0xF4}, {0x80, 0x8F}, kAny, kAny}};
  for (const std::vector<Range>& bytes : characters) {
    std::vector<ConfigId> reached{config};
    for (const Range& range : bytes) {
      std::vector<ConfigId> next;
      for (const ConfigId from : reached) {
        for (unsigned b = range.first; b <= range.last; ++b) {
          const ConfigId to = step(from, static_cast<uint8_t>(b));
          if (to == kDead) return false;
          if (std::find(next.begin(), next.end(), to) == next.end()) next.push_back(to);
        }
      }
      reached = std::move(next);
    }
    if (reached != std::vector<ConfigId>{config}) return false;
  }
  return true;
}

// The kinds of bytes that lead back to the same configuration, all of them.
uint16_t Machine::looping_kinds(ConfigId config) {
  const auto place = static_cast<size_t>(config);
  if (place < looping_kinds_.size() && looping_kinds_[place] >= 0) {
    return static_cast<uint16_t>(looping_kinds_[place]);
  }
  unsigned kinds = (1u << TokenTrie::kNumKinds) - 1;
  for (unsigned b = 0; b < 0x80; ++b) {
    const auto byte = static_cast<uint8_t>(b);
    const unsigned kind = 1u << TokenTrie::kind_of(byte);
    if ((kinds & kind) != 0 && step(config, byte) != config) kinds &= ~kind;
  }
  if (!loops_over_characters(config)) kinds &= ~(1u << TokenTrie::kSeveralBytes);
  looping_kinds_.resize(configs_.size(), -1);
  looping_kinds_[place] = static_cast<int32_t>(kinds);
  return static_cast<uint16_t>(kinds);
}

// Walks the tree of the tokens from a configuration whose stacks are empty. A stack that is empty
// here stands for any: where a rule ends, all may follow. Of tokens of at most `known_length` bytes
// all is known already; of longer ones those that `found` allows are the only ones that may be
// allowed.
void Machine::walk(ConfigId bottom_config, int64_t known_length, Local& found) {
  const std::span<const TokenTrie::Node> nodes = tokens_.nodes();
  struct Place {
    ConfigId config;
    uint16_t loops;      // kinds of bytes
    int32_t last_leave;  // the last depth at which the rule may end; 0: none
  };
  std::vector<Place> way(tokens_.deepest() + 1);
  std::vector<int32_t> leave_before(tokens_.deepest() + 1);  // the one before, by depth
  std::unordered_map<std::string_view, size_t> numbers;
  for (size_t i = 0; i < found.leaving.size(); ++i) numbers[found.leaving[i].rest] = i;
  const auto leave = [&](int32_t place, int32_t depth) {
    const std::string_view rest = tokens_.bytes_at(place).substr(static_cast<size_t>(depth));
    const auto [at, is_new] = numbers.try_emplace(rest, found.leaving.size());
    if (is_new) found.leaving.push_back({rest, {}});
    found.leaving[at->second].places.push_back(place);
  };
  const auto is_known = [&](int32_t place) {
    return known_length > 0 && std::ssize(tokens_.bytes_at(place)) <= known_length;
  };
  ByteSet follows;
  for (const Thread& thread : configs_[static_cast<size_t>(bottom_config)].threads) {
    const int32_t rule = automaton_.rule_of[static_cast<size_t>(thread.state)];
    follows |= automaton_.follows[static_cast<size_t>(rule)];
  }
  std::vector<uint8_t> bytes(tokens_.deepest() + 1);  // of the way, by depth
  way[0] = {bottom_config, looping_kinds(bottom_config), 0};
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const auto depth = static_cast<size_t>(node.depth);
    const Place& from = way[depth - 1];
    if (node.deepest <= known_length) {
      i = static_cast<size_t>(node.next);
      continue;
    }
    if ((node.kinds & ~from.loops) == 0) {  // whatever follows, nothing changes
      for (int32_t t = node.first_token; known_length == 0 && t < tokens_.end_of_subtree(i); ++t) {
        set_bit(found.allowed, tokens_.id(t));
      }
      i = static_cast<size_t>(node.next);
      continue;
    }
    const ConfigId next = step(from.config, node.byte);
    bytes[depth] = node.byte;
    if (next == kDead) {
      const int32_t end = tokens_.end_of_subtree(i);
      for (int32_t t = node.first_token; known_length > 0 && t < end; ++t) {
        if (!is_known(t)) clear_bit(found.allowed, tokens_.id(t));
      }
      for (int32_t d = from.last_leave; d > 0; d = leave_before[static_cast<size_t>(d)]) {
        if (!follows[bytes[static_cast<size_t>(d) + 1]]) continue;
        for (int32_t t = node.first_token; t < end; ++t) {
          if (!is_known(t)) leave(t, d);
        }
      }
      i = static_cast<size_t>(node.next);
      continue;
    }
    for (int32_t t = node.first_token; known_length == 0 && t < tokens_.end_of_tokens(i); ++t) {
      set_bit(found.allowed, tokens_.id(t));
    }
    int32_t last_leave = from.last_leave;
    if (finished(next)) {
      leave_before[depth] = last_leave;
      last_leave = node.depth;
    }
    const uint16_t loops = next == from.config ? from.loops : looping_kinds(next);
    way[depth] = {next, loops, last_leave};
    ++i;
  }
}

const Machine::Local& Machine::local(ConfigId bottom_config) {
  const auto known = locals_.find(bottom_config);
  if (known != locals_.end()) return known->second;
  const auto words = static_cast<size_t>(tokens_.num_ids() + 63) / 64;
  Local found;
  ConfigId shadow = kDead;
  const int64_t alike = shadow_of(bottom_config, shadow);
  if (alike >= static_cast<int64_t>(tokens_.deepest())) return local(shadow);
  if (alike > 1) {
    const Local& like = local(shadow);
    found.allowed = like.allowed;
    found.allowed.resize(words);
    for (const int32_t id : like.allowed_ids) set_bit(found.allowed, id);
    for (const Leaving& leaving : like.leaving) {
      Leaving shorter{leaving.rest, {}};
      std::copy_if(leaving.places.begin(), leaving.places.end(), std::back_inserter(shorter.places),
                   [&](int32_t place) { return std::ssize(tokens_.bytes_at(place)) <= alike; });
      if (!shorter.places.empty()) found.leaving.push_back(std::move(shorter));
    }
    walk(bottom_config, alike, found);
  } else {
    found.allowed.resize(words);
    walk(bottom_config, 0, found);
  }
  size_t count = 0;
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
