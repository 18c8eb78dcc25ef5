// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/automaton.h"

#include <algorithm>
#include <map>
#include <unordered_set>
#include <utility>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr size_t kMostStates = 400'000;
constexpr int64_t kSmallRule = 40;  // parts of its expression
constexpr int64_t kFewCopies = 8;   // that need no shadow
constexpr int64_t kNoEnd = INT64_MAX;

class Builder {
 public:
  Builder(const Rules& rules, const std::string& where) : rules_(rules), where_(where) {}

  Result<Automaton> run() {
    a_.root = rules_.root;
    for (const Rule& rule : rules_.rules) inlined_.push_back(is_small(rule.body));
    for (const Rule& rule : rules_.rules) {
      a_.starts.push_back(add_state());
      ends_.push_back(add_state());
      build(rule.body, a_.starts.back(), ends_.back());
      state(ends_.back()).ends_rule = true;
      a_.rule_of.resize(a_.states.size(), static_cast<int32_t>(a_.starts.size()) - 1);
      if (a_.states.size() > kMostStates) {
        return user_error(where_, cat("needs more than ", kMostStates, " states, in ", rule.name),
                          "a smaller grammar", "use smaller repetition counts");
      }
    }
    a_.shadows.resize(a_.states.size());
    find_productive();
    if (!productive_rules_[a_.root]) {
      const std::string& culprit = rules_.rules[first_unproductive(a_.root)].name;
      return user_error(where_, cat("matches no text at all: ", culprit, " cannot be met"),
                        "a grammar with some finite text");
    }
    prune();
    MLC_RETURN_IF_ERROR(refuse_left_recursion());
    find_only_ends();
    find_follows();
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

  // Small rules that call no other stand in their callers: where a rule ends the caller has to be
  // asked about every token, and after a rule for blanks, say, that would be half of them.
  static bool is_small(const Expr& e) {
    int64_t size = 0;
    const auto fits = [&](const auto& self, const Expr& part, int64_t copies) -> bool {
      if (part.kind == Expr::Kind::kRule || part.kind == Expr::Kind::kGraph) return false;
      if (part.kind == Expr::Kind::kChoice && part.children.empty()) return false;  // has a name
      size += copies;
      if (part.kind == Expr::Kind::kRepeat) copies *= std::max({part.min, part.max, int64_t{1}});
      return size <= kSmallRule && copies <= kSmallRule &&
             std::all_of(part.children.begin(), part.children.end(),
                         [&](const Expr& child) { return self(self, child, copies); });
    };
    return fits(fits, e, 1);
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
        if (inlined_[e.rule]) return build(rules_.rules[e.rule].body, from, to);
        const StateId s = add_after(from);
        state(s).rule = static_cast<int32_t>(e.rule);
        state(s).target = to;
        return;
      }
      case Expr::Kind::kGraph:
        build_graph(*e.graph, from, to);
        return;
      case Expr::Kind::kCharacters:
        MLC_CHECK(false) << "characters are written before they become states";
    }
  }

  void build_graph(const Graph& graph, StateId from, StateId to) {
    std::vector<StateId> nodes;
    for (size_t n = 0; n < graph.nodes.size(); ++n) nodes.push_back(add_state());
    std::vector<StateId> first;  // of the states of a node's edges
    for (size_t n = 0; n < graph.nodes.size() && a_.states.size() <= kMostStates; ++n) {
      first.push_back(static_cast<StateId>(a_.states.size()));
      for (const Graph::Edge& edge : graph.nodes[n].edges) {
        build(graph.labels[edge.label], nodes[n], nodes[edge.to]);
      }
      if (graph.nodes[n].ends) epsilon(nodes[n], to);
    }
    if (a_.states.size() > kMostStates) return;  // an error, later
    first.push_back(static_cast<StateId>(a_.states.size()));
    epsilon(from, nodes[0]);
    a_.shadows.resize(a_.states.size());
    for (size_t n = 0; n < graph.nodes.size(); ++n) {
      const Graph::Node& node = graph.nodes[n];
      for (StateId s = first[n]; node.shadow && s < first[n + 1]; ++s) {
        a_.shadows[static_cast<size_t>(s)] = {first[*node.shadow] + s - first[n], node.copies,
                                              node.alike, true};
      }
    }
  }

  void build_repeat(const Expr& e, StateId from, StateId to) {
    const Expr& child = e.children[0];
    const bool has_limit = e.max != Expr::kNoLimit;
    std::vector<StateId> copies;  // their first states
    for (int64_t i = 0; i < (has_limit ? e.max : e.min) && a_.states.size() <= kMostStates; ++i) {
      if (i >= e.min) epsilon(from, to);
      const StateId next = add_state();
      copies.push_back(next + 1);
      build(child, from, next);
      from = next;
    }
    const bool calls = child.kind == Expr::Kind::kRule && !inlined_[child.rule];
    const bool needs_shadows =
        !calls && !copies.empty() && (!has_limit || std::ssize(copies) >= kFewCopies);
    if (has_limit) {
      epsilon(from, to);
      if (!needs_shadows) return;
    }
    const StateId loop = has_limit ? add_state() : add_after(from);
    build(child, loop, loop);
    epsilon(loop, to);
    if (!needs_shadows) return;
    const auto size = static_cast<StateId>(a_.states.size()) - loop - 1;
    a_.shadows.resize(a_.states.size());
    for (size_t i = 0; i < copies.size(); ++i) {
      const int64_t left = has_limit ? static_cast<int64_t>(copies.size() - i) : kNoEnd;
      for (StateId s = 0; s < size; ++s) {
        Automaton::Shadow& shadow = a_.shadows[static_cast<size_t>(copies[i] + s)];
        if (shadow.copies >= left) continue;
        const bool may_end = has_limit && static_cast<int64_t>(i) >= e.min;
        shadow = {loop + 1 + s, left, may_end, may_end};
      }
    }
  }

  // Calls f(next) for each state that follows s, given which rules can be passed.
  template <class F>
  void for_each_next(StateId id, bool reading, const std::vector<bool>& passable, const F& f) {
    const State& s = state(id);
    for (const StateId next : s.epsilons) f(next);
    if (s.target == kNoState) return;
    if (s.rule >= 0 ? passable[static_cast<size_t>(s.rule)] : reading) f(s.target);
  }

  // The states of a rule that can be reached from one of them, itself included.
  std::vector<StateId> reachable(StateId from, bool reading, const std::vector<bool>& passable) {
    std::vector<StateId> found{from};
    std::unordered_set<StateId> seen{from};
    for (size_t i = 0; i < found.size(); ++i) {
      for_each_next(found[i], reading, passable, [&](StateId next) {
        if (seen.insert(next).second) found.push_back(next);
      });
    }
    return found;
  }

  // Calls change(rule), which says whether it changed anything, for all rules until it does not.
  // Rules that need each other mostly stand in order, or in the reverse order: both are walked.
  template <class F>
  static void until_nothing_changes(size_t count, const F& change) {
    for (bool changed = true; changed;) {
      changed = false;
      for (size_t r = 0; r < count; ++r) changed = change(r) || changed;
      for (size_t r = count; r-- > 0;) changed = change(r) || changed;
    }
  }

  // The rules whose end can be reached; a fixed point, for each may need others.
  std::vector<bool> rules_that_end(bool reading) {
    std::vector<bool> ends(rules_.rules.size());
    until_nothing_changes(ends.size(), [&](size_t r) {
      if (ends[r]) return false;
      const std::vector<StateId> found = reachable(a_.starts[r], reading, ends);
      if (std::find(found.begin(), found.end(), ends_[r]) == found.end()) return false;
      ends[r] = true;
      return true;
    });
    return ends;
  }

  void find_productive() { productive_rules_ = rules_that_end(true); }

  // The innermost rule that keeps `rule` from ending.
  size_t first_unproductive(size_t rule) {
    std::unordered_set<size_t> seen;
    while (seen.insert(rule).second) {
      for (const StateId s : reachable(a_.starts[rule], true, productive_rules_)) {
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
      for (const StateId s : reachable(a_.starts[r], false, nullable)) {
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
                      "rules that read something before others lead back to them",
                      "let the rule stand alone at the beginning of its own alternatives, or write "
                      "a repetition, as in: item (\",\" item)*");
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

  // The bytes that each rule may begin with, then those behind each call; fixed points both.
  void find_follows() {
    const std::vector<bool> nullable = rules_that_end(false);
    std::vector<ByteSet> firsts(rules_.rules.size());
    const auto first_of = [&](const std::vector<StateId>& found) {
      ByteSet bytes;
      for (const StateId s : found) {
        if (state(s).reads()) bytes |= state(s).bytes;
        if (state(s).rule >= 0) bytes |= firsts[static_cast<size_t>(state(s).rule)];
      }
      return bytes;
    };
    std::vector<std::vector<StateId>> beginnings;
    for (const StateId start : a_.starts) beginnings.push_back(reachable(start, false, nullable));
    until_nothing_changes(firsts.size(), [&](size_t r) {
      const ByteSet bytes = firsts[r] | first_of(beginnings[r]);
      return std::exchange(firsts[r], bytes) != bytes;
    });
    a_.follows.assign(rules_.rules.size(), {});
    std::vector<std::vector<size_t>> passes_on(rules_.rules.size());  // to rules that it ends with
    for (size_t i = 0; i < a_.states.size(); ++i) {
      const State& s = a_.states[i];
      if (s.rule < 0) continue;
      const std::vector<StateId> found = reachable(s.target, false, nullable);
      a_.follows[static_cast<size_t>(s.rule)] |= first_of(found);
      if (std::any_of(found.begin(), found.end(), [&](StateId f) { return state(f).ends_rule; })) {
        passes_on[static_cast<size_t>(a_.rule_of[i])].push_back(static_cast<size_t>(s.rule));
      }
    }
    until_nothing_changes(passes_on.size(), [&](size_t r) {
      bool changed = false;
      for (const size_t called : passes_on[r]) {
        const ByteSet bytes = a_.follows[called] | a_.follows[r];
        changed = std::exchange(a_.follows[called], bytes) != bytes || changed;
      }
      return changed;
    });
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
  std::vector<bool> inlined_;  // by rule
  std::vector<bool> productive_rules_;
};

}  // namespace

Result<Automaton> build_automaton(const Rules& rules, const std::string& where) {
  return Builder(rules, where).run();
}

}  // namespace mlc::engine::grammar
