// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/machine.h"

#include <algorithm>
#include <set>

namespace mlc::engine::grammar {
namespace {

void set_bit(std::vector<uint64_t>& mask, int32_t id) {
  mask[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
}

bool has_bit(const std::vector<uint64_t>& mask, int32_t id) {
  return (mask[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0;
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
  std::set<Thread> seen(open.begin(), open.end());
  const auto add = [&](StateId state, StackId stack) {
    const Thread thread{state, stack};
    if (seen.insert(thread).second) open.push_back(thread);
  };
  while (!open.empty()) {
    const Thread thread = open.back();
    open.pop_back();
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
    if (seen.size() > kMostThreads) {
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
  Config config;
  close(open, config);
  const ConfigId next = intern(std::move(config));
  steps_[step_place(from, byte)] = next;
  return next;
}

ConfigId Machine::step(ConfigId config, std::string_view bytes) {
  for (const char c : bytes) config = step(config, static_cast<uint8_t>(c));
  return config;
}

// Walks the tree of the tokens from a configuration whose stacks are empty. A stack that is empty
// here stands for any: where a rule ends, all may follow.
const Machine::Local& Machine::local(ConfigId bottom_config) {
  const auto [at, is_new] = locals_.try_emplace(bottom_config);
  Local& found = at->second;
  if (!is_new) return found;
  const std::span<const TokenTrie::Node> nodes = tokens_.nodes();
  struct Place {
    ConfigId config;
    bool left;  // the rule may have ended before
  };
  std::vector<Place> way(tokens_.deepest() + 1);
  way[0] = {bottom_config, false};
  for (size_t i = 0; i < nodes.size();) {
    const TokenTrie::Node& node = nodes[i];
    const auto depth = static_cast<size_t>(node.depth);
    const Place from = way[depth - 1];
    const ConfigId next = from.config == kDead ? kDead : step(from.config, node.byte);
    if (next == kDead) {
      if (from.left) {
        for (int32_t t = node.first_token; t < tokens_.end_of_subtree(i); ++t) {
          found.open_questions.push_back(t);
        }
      }
      i = static_cast<size_t>(node.next);
      continue;
    }
    for (int32_t t = node.first_token; t < tokens_.end_of_tokens(i); ++t) {
      found.allowed_ids.push_back(tokens_.id(t));
    }
    way[depth] = {next, from.left || finished(next)};
    ++i;
  }
  const auto words = static_cast<size_t>(tokens_.num_ids() + 63) / 64;
  if (found.allowed_ids.size() > words) {
    found.allowed.resize(words);
    for (const int32_t id : found.allowed_ids) set_bit(found.allowed, id);
    found.allowed_ids = {};
  }
  return found;
}

// Tries tokens, given by rising places: those that begin like the one before begin where it was.
void Machine::try_tokens(ConfigId config, std::span<const int32_t> places,
                         std::vector<uint64_t>& mask) {
  std::vector<ConfigId> way(tokens_.deepest() + 1);
  way[0] = config;
  std::string_view last;
  size_t reached = 0;  // bytes of `last` that could be read
  for (const int32_t place : places) {
    const std::string_view bytes = tokens_.bytes_at(place);
    const auto common = static_cast<size_t>(
        std::mismatch(last.begin(), last.end(), bytes.begin(), bytes.end()).first - last.begin());
    if (common > reached) continue;  // the byte that could not be read is in this one too
    reached = common;
    last = bytes;
    while (reached < bytes.size()) {
      const ConfigId next = step(way[reached], static_cast<uint8_t>(bytes[reached]));
      if (next == kDead) break;
      way[++reached] = next;
    }
    if (reached == bytes.size()) set_bit(mask, tokens_.id(place));
  }
}

void Machine::find_mask(ConfigId config, std::vector<uint64_t>& mask) {
  std::vector<Thread> threads = configs_[static_cast<size_t>(config)].threads;
  std::sort(threads.begin(), threads.end(), [](const Thread& a, const Thread& b) {
    return a.stack != b.stack ? a.stack < b.stack : a.state < b.state;
  });
  mask.assign(static_cast<size_t>(tokens_.num_ids() + 63) / 64, 0);
  std::vector<int32_t> open;
  for (size_t first = 0; first < threads.size();) {
    const StackId stack = threads[first].stack;
    Config bottom;
    for (; first < threads.size() && threads[first].stack == stack; ++first) {
      bottom.threads.push_back({threads[first].state, kBottom});
    }
    const Local& part = local(intern(std::move(bottom)));
    for (size_t i = 0; i < part.allowed.size(); ++i) mask[i] |= part.allowed[i];
    for (const int32_t id : part.allowed_ids) set_bit(mask, id);
    if (stack != kBottom) {
      open.insert(open.end(), part.open_questions.begin(), part.open_questions.end());
    }
  }
  std::sort(open.begin(), open.end());
  open.erase(std::unique(open.begin(), open.end()), open.end());
  std::erase_if(open, [&](int32_t place) { return has_bit(mask, tokens_.id(place)); });
  try_tokens(config, open, mask);
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
