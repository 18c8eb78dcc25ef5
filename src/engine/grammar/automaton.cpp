// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/automaton.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr size_t kMostStates = 400'000;

class Builder {
 public:
  Builder(const Rules& rules, const std::string& where) : rules_(rules), where_(where) {}

  Result<Automaton> run() {
    a_.root = rules_.root;
    for (const Rule& rule : rules_.rules) {
      a_.starts.push_back(add_state());
      ends_.push_back(add_state());
      build(rule.body, a_.starts.back(), ends_.back());
      state(ends_.back()).ends_rule = true;
      if (a_.states.size() > kMostStates) {
        return user_error(where_, cat("needs more than ", kMostStates, " states, in ", rule.name),
                          "a smaller grammar", "use smaller repetition counts");
      }
    }
    find_productive();
    if (!productive_rules_[a_.root]) {
      const std::string& culprit = rules_.rules[first_unproductive(a_.root)].name;
      return user_error(where_, cat("matches no text at all: ", culprit, " cannot be met"),
                        "a grammar with some finite text");
    }
    prune();
    MLC_RETURN_IF_ERROR(refuse_left_recursion());
    find_only_ends();
    find_classes();
    return std::move(a_);
  }

 private:
  State& state(StateId s) { return a_.states[static_cast<size_t>(s)]; }

  StateId add_state() {
    a_.states.emplace_back();
    return static_cast<StateId>(a_.states.size()) - 1;
  }

  void epsilon(StateId from, StateId to) { state(from).epsilons.push_back(to); }

  StateId add_after(StateId from) {
    const StateId s = add_state();
    epsilon(from, s);
    return s;
  }

  void build(const Expr& e, StateId from, StateId to) {
    if (a_.states.size() > kMostStates) return;
    switch (e.kind) {
      case Expr::Kind::kBytes: {
        if (e.bytes.none()) return;
        const StateId s = add_after(from);
        state(s).bytes = e.bytes;
        state(s).target = to;
        return;
      }
      case Expr::Kind::kSequence: {
        for (size_t i = 0; i + 1 < e.children.size(); ++i) {
          const StateId next = add_state();
          build(e.children[i], from, next);
          from = next;
        }
        if (e.children.empty()) {
          epsilon(from, to);
        } else {
          build(e.children.back(), from, to);
        }
        return;
      }
      case Expr::Kind::kChoice:
        for (const Expr& child : e.children) build(child, from, to);
        return;
      case Expr::Kind::kRepeat:
        build_repeat(e, from, to);
        return;
      case Expr::Kind::kRule: {
        const StateId s = add_after(from);
        state(s).rule = static_cast<int32_t>(e.rule);
        state(s).target = to;
        return;
      }
    }
  }

  void build_repeat(const Expr& e, StateId from, StateId to) {
    const Expr& child = e.children[0];
    for (int64_t i = 0; i < e.min && a_.states.size() <= kMostStates; ++i) {
      const StateId next = add_state();
      build(child, from, next);
      from = next;
    }
    if (e.max == Expr::kNoLimit) {
      const StateId loop = add_after(from);
      build(child, loop, loop);
      epsilon(loop, to);
      return;
    }
    for (int64_t i = e.min; i < e.max && a_.states.size() <= kMostStates; ++i) {
      epsilon(from, to);
      const StateId next = add_state();
      build(child, from, next);
      from = next;
    }
    epsilon(from, to);
  }

  // Calls f(next) for each state that follows s, given which rules can be passed.
  template <class F>
  void for_each_next(StateId id, bool reading, const std::vector<bool>& passable, const F& f) {
    const State& s = state(id);
    for (const StateId next : s.epsilons) f(next);
    if (s.target == kNoState) return;
    if (s.rule >= 0 ? passable[static_cast<size_t>(s.rule)] : reading) f(s.target);
  }

  // The states that a rule reaches from its start.
  std::vector<StateId> reachable(size_t rule, bool reading, const std::vector<bool>& passable) {
    std::vector<StateId> found{a_.starts[rule]};
    std::unordered_set<StateId> seen{a_.starts[rule]};
    for (size_t i = 0; i < found.size(); ++i) {
      for_each_next(found[i], reading, passable, [&](StateId next) {
        if (seen.insert(next).second) found.push_back(next);
      });
    }
    return found;
  }

  // The rules whose end can be reached; a fixed point, for each may need others.
  std::vector<bool> rules_that_end(bool reading) {
    std::vector<bool> ends(rules_.rules.size());
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = ends.size(); r-- > 0;) {
        if (ends[r]) continue;
        const std::vector<StateId> found = reachable(r, reading, ends);
        if (std::find(found.begin(), found.end(), ends_[r]) == found.end()) continue;
        ends[r] = true;
        changed = true;
      }
    }
    return ends;
  }

  void find_productive() { productive_rules_ = rules_that_end(true); }

  // The innermost rule that keeps `rule` from ending.
  size_t first_unproductive(size_t rule) {
    std::unordered_set<size_t> seen;
    while (seen.insert(rule).second) {
      for (const StateId s : reachable(rule, true, productive_rules_)) {
        const int32_t called = state(s).rule;
        if (called < 0 || productive_rules_[static_cast<size_t>(called)]) continue;
        rule = static_cast<size_t>(called);
        break;
      }
    }
    return rule;
  }

  // Removes the ways from which the rule's end is out of reach.
  void prune() {
    std::vector<std::vector<StateId>> before(a_.states.size());
    for (StateId s = 0; s < static_cast<StateId>(a_.states.size()); ++s) {
      for_each_next(s, true, productive_rules_,
                    [&](StateId next) { before[static_cast<size_t>(next)].push_back(s); });
    }
    std::vector<StateId> found = ends_;
    std::vector<bool> lives(a_.states.size());
    for (const StateId s : ends_) lives[static_cast<size_t>(s)] = true;
    for (size_t i = 0; i < found.size(); ++i) {
      for (const StateId s : before[static_cast<size_t>(found[i])]) {
        if (lives[static_cast<size_t>(s)]) continue;
        lives[static_cast<size_t>(s)] = true;
        found.push_back(s);
      }
    }
    for (State& s : a_.states) {
      std::erase_if(s.epsilons, [&](StateId next) { return !lives[static_cast<size_t>(next)]; });
      if (s.target == kNoState) continue;
      const bool passes = s.rule < 0 || productive_rules_[static_cast<size_t>(s.rule)];
      if (lives[static_cast<size_t>(s.target)] && passes) continue;
      s.target = kNoState;
      s.rule = -1;
      s.bytes.reset();
    }
  }

  // A rule that calls itself before it read anything would be called without end.
  Result<void> refuse_left_recursion() {
    const std::vector<bool> nullable = rules_that_end(false);
    std::vector<std::vector<size_t>> first_calls(rules_.rules.size());
    for (size_t r = 0; r < first_calls.size(); ++r) {
      for (const StateId s : reachable(r, false, nullable)) {
        if (state(s).rule >= 0) first_calls[r].push_back(static_cast<size_t>(state(s).rule));
      }
    }
    // Removes rules that call nothing first but removed ones; what is left calls in a circle.
    std::vector<size_t> open(first_calls.size());
    std::vector<std::vector<size_t>> callers(first_calls.size());
    std::vector<size_t> done;
    for (size_t r = 0; r < first_calls.size(); ++r) {
      open[r] = first_calls[r].size();
      for (const size_t called : first_calls[r]) callers[called].push_back(r);
      if (open[r] == 0) done.push_back(r);
    }
    for (size_t i = 0; i < done.size(); ++i) {
      for (const size_t caller : callers[done[i]]) {
        if (--open[caller] == 0) done.push_back(caller);
      }
    }
    size_t rule = 0;
    while (rule < open.size() && open[rule] == 0) ++rule;
    if (rule == open.size()) return {};
    std::unordered_set<size_t> seen;  // walk until the circle is closed
    while (seen.insert(rule).second) {
      rule = *std::find_if(first_calls[rule].begin(), first_calls[rule].end(),
                           [&](size_t called) { return open[called] > 0; });
    }
    return user_error(where_, cat(rules_.rules[rule].name, " begins with itself"),
                      "rules that read something before they call themselves",
                      "write a repetition, as in: item (\",\" item)*");
  }

  void find_only_ends() {
    a_.only_ends.assign(a_.states.size(), false);
    for (const StateId s : ends_) a_.only_ends[static_cast<size_t>(s)] = true;
    for (size_t i = 0; i < a_.states.size(); ++i) {
      const State& s = a_.states[i];
      if (s.target == kNoState && s.epsilons.size() == 1 && state(s.epsilons[0]).ends_rule) {
        a_.only_ends[i] = true;
      }
    }
  }

  void find_classes() {
    std::unordered_set<ByteSet> sets;
    for (const State& s : a_.states) {
      if (s.reads()) sets.insert(s.bytes);
    }
    a_.class_of.assign(256, 0);
    a_.num_classes = 1;
    for (const ByteSet& set : sets) {
      std::map<std::pair<uint8_t, bool>, uint8_t> split;
      for (size_t b = 0; b < 256; ++b) {
        const auto next = static_cast<uint8_t>(split.size());
        a_.class_of[b] = split.try_emplace({a_.class_of[b], set[b]}, next).first->second;
      }
      a_.num_classes = static_cast<int>(split.size());
    }
    a_.byte_of_class.assign(static_cast<size_t>(a_.num_classes), 0);
    for (size_t b = 0; b < 256; ++b) a_.byte_of_class[a_.class_of[b]] = static_cast<uint8_t>(b);
  }

  const Rules& rules_;
  const std::string& where_;
  Automaton a_;
  std::vector<StateId> ends_;  // by rule
  std::vector<bool> productive_rules_;
};

}  // namespace

Result<Automaton> build_automaton(const Rules& rules, const std::string& where) {
  return Builder(rules, where).run();
}

}  // namespace mlc::engine::grammar
