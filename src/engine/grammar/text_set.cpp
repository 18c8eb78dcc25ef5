// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/text_set.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "support/check.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr size_t kMostTextStates = 4'000;  // of a deterministic automaton
constexpr size_t kMostTextPairs = 20'000;  // of states of two
constexpr size_t kMostTextParts = 50'000;  // of one that is not
constexpr size_t kMostTextNodes = 60'000;  // of a graph with counted characters
constexpr size_t kSubsetSteps = 20'000'000;
constexpr size_t kMinimizingSteps = 4'000'000;

Error too_large(const std::string& where, size_t most) {
  return user_error(where, cat("needs more than ", most, " states together with what else holds"),
                    "a smaller pattern or smaller counts",
                    "leave out one of the keywords that hold together");
}

// A nondeterministic automaton for an expression.
class Parts {
 public:
  struct Part {
    CodePointSet set;  // read on the way to `to`; nothing is, if it is empty
    int32_t to = -1;
    std::vector<int32_t> epsilons;
  };

  std::vector<Part> parts{1};

  // False if there are too many.
  bool add(const Expr& e, int32_t from, int32_t to) {
    if (parts.size() > kMostTextParts) return false;
    switch (e.kind) {
      case Expr::Kind::kBytes: {
        CodePointSet set;
        for (uint32_t b = 0; b < 0x80; ++b) {
          if (e.bytes[b]) set.push_back({b, b});
        }
        read(normalized(std::move(set)), from, to);
        return true;
      }
      case Expr::Kind::kCharacters:
        read(e.characters, from, to);
        return true;
      case Expr::Kind::kSequence: {
        for (const Expr& child : e.children) {
          const int32_t next = more();
          if (!add(child, from, next)) return false;
          from = next;
        }
        epsilon(from, to);
        return true;
      }
      case Expr::Kind::kChoice:
        return std::all_of(e.children.begin(), e.children.end(),
                           [&](const Expr& child) { return add(child, from, to); });
      case Expr::Kind::kRepeat: {
        const int64_t copies = e.max == Expr::kNoLimit ? e.min : e.max;
        for (int64_t i = 0; i < copies; ++i) {
          if (i >= e.min) epsilon(from, to);
          const int32_t next = more();
          if (!add(e.children[0], from, next)) return false;
          from = next;
        }
        if (e.max == Expr::kNoLimit) {
          const int32_t loop = more();
          epsilon(from, loop);
          if (!add(e.children[0], loop, loop)) return false;
          from = loop;
        }
        epsilon(from, to);
        return true;
      }
      case Expr::Kind::kRule:
      case Expr::Kind::kGraph:
        MLC_CHECK(false) << "sets are made of patterns and of numbers";
    }
    return true;
  }

  int32_t more() {
    parts.emplace_back();
    return static_cast<int32_t>(parts.size()) - 1;
  }

  std::vector<int32_t> closed(std::vector<int32_t> open) const {
    std::set<int32_t> seen(open.begin(), open.end());
    for (size_t i = 0; i < open.size(); ++i) {
      for (const int32_t next : parts[static_cast<size_t>(open[i])].epsilons) {
        if (seen.insert(next).second) open.push_back(next);
      }
    }
    return {seen.begin(), seen.end()};
  }

 private:
  void epsilon(int32_t from, int32_t to) {
    parts[static_cast<size_t>(from)].epsilons.push_back(to);
  }

  void read(const CodePointSet& set, int32_t from, int32_t to) {
    if (set.empty()) return;
    const int32_t part = more();
    epsilon(from, part);
    parts[static_cast<size_t>(part)].set = set;
    parts[static_cast<size_t>(part)].to = to;
  }
};

// The coarsest classes of code points that no set tells apart, and which of them each set has.
struct Classes {
  std::vector<CodePointSet> sets;
  std::vector<std::vector<bool>> has;  // [class][set]
};

Classes classes_of(const std::vector<CodePointSet>& sets) {
  std::set<uint32_t> cuts{0};
  for (const CodePointSet& set : sets) {
    for (const CodePoints& range : set) {
      cuts.insert(range.first);
      if (range.last < kLastCodePoint) cuts.insert(range.last + 1);
    }
  }
  std::map<std::vector<bool>, CodePointSet> by_membership;
  for (auto at = cuts.begin(); at != cuts.end(); ++at) {
    const auto next = std::next(at);
    const uint32_t last = next == cuts.end() ? kLastCodePoint : *next - 1;
    std::vector<bool> membership;
    for (const CodePointSet& set : sets) membership.push_back(contains(set, *at));
    by_membership[membership].push_back({*at, last});
  }
  Classes classes;
  for (auto& [membership, set] : by_membership) {
    set = normalized(std::move(set));
    if (set.empty()) continue;  // surrogates alone
    classes.sets.push_back(std::move(set));
    classes.has.push_back(membership);
  }
  return classes;
}

}  // namespace

Expr characters(const CodePointSet& set) {
  Expr e;
  e.kind = Expr::Kind::kCharacters;
  e.characters = normalized(set);
  return e;
}

TextSet TextSet::all() { return TextSet::of_texts({}).none_of_these(); }

TextSet TextSet::of_texts(const std::vector<std::string>& texts) {
  // A tree of the texts, whose size nothing multiplies.
  std::vector<std::map<uint32_t, int64_t>> nodes(1);
  std::vector<bool> ends(1);
  std::set<uint32_t> points;
  for (const std::string& text : texts) {
    int64_t at = 0;
    for (const uint32_t c : code_points_of(text)) {
      points.insert(c);
      const auto next = static_cast<int64_t>(nodes.size());
      const auto [place, is_new] = nodes[static_cast<size_t>(at)].try_emplace(c, next);
      at = place->second;
      if (!is_new) continue;
      nodes.emplace_back();
      ends.push_back(false);
    }
    ends[static_cast<size_t>(at)] = true;
  }
  std::vector<CodePointSet> classes;
  for (const uint32_t c : points) classes.push_back({{c, c}});
  return of_automaton(
      static_cast<int64_t>(nodes.size()), classes,
      [&](int64_t state, uint32_t c) {
        const auto& next = nodes[static_cast<size_t>(state)];
        const auto at = next.find(c);
        return at == next.end() ? int64_t{-1} : at->second;
      },
      [&](int64_t state) { return ends[static_cast<size_t>(state)]; });
}

Result<TextSet> TextSet::of_pattern(std::string_view pattern, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const Expr e,
                       regex_expression(pattern, RegexMatch::kSomewhere, characters, where));
  return of(e, where);
}

Result<TextSet> TextSet::of(const Expr& expression, const std::string& where) {
  Parts parts;
  const int32_t end = parts.more();
  if (!parts.add(expression, 0, end)) return too_large(where, kMostTextParts);
  std::vector<CodePointSet> sets;
  std::map<std::vector<std::pair<uint32_t, uint32_t>>, size_t> set_numbers;
  std::vector<size_t> set_of(parts.parts.size());
  for (size_t p = 0; p < parts.parts.size(); ++p) {
    const CodePointSet& set = parts.parts[p].set;
    if (set.empty()) continue;
    std::vector<std::pair<uint32_t, uint32_t>> key;
    for (const CodePoints& range : set) key.emplace_back(range.first, range.last);
    const auto [at, is_new] = set_numbers.try_emplace(key, sets.size());
    if (is_new) sets.push_back(set);
    set_of[p] = at->second;
  }
  const Classes classes = classes_of(sets);
  TextSet found;
  found.classes_ = classes.sets;
  std::map<std::vector<int32_t>, int32_t> numbers;
  std::vector<std::vector<int32_t>> subsets;
  const auto number_of = [&](std::vector<int32_t> subset) {
    const auto [at, is_new] =
        numbers.try_emplace(std::move(subset), static_cast<int32_t>(subsets.size()));
    if (is_new) subsets.push_back(at->first);
    return at->second;
  };
  number_of(parts.closed({0}));
  size_t looked_at = 0;
  for (size_t s = 0; s < subsets.size(); ++s) {
    const std::vector<int32_t> subset = subsets[s];
    found.accepts_.push_back(std::binary_search(subset.begin(), subset.end(), end));
    looked_at += subset.size() * found.classes_.size();
    if (subsets.size() > kMostTextStates || looked_at > kSubsetSteps) {
      return too_large(where, kMostTextStates);
    }
    for (size_t c = 0; c < found.classes_.size(); ++c) {
      std::vector<int32_t> open;
      for (const int32_t p : subset) {
        const Parts::Part& part = parts.parts[static_cast<size_t>(p)];
        if (!part.set.empty() && classes.has[c][set_of[static_cast<size_t>(p)]]) {
          open.push_back(part.to);
        }
      }
      found.next_.push_back(number_of(parts.closed(std::move(open))));
    }
  }
  found.minimize();
  return found;
}

Result<TextSet> TextSet::both(const TextSet& other, const std::string& where) const {
  std::vector<CodePointSet> sets = classes_;
  sets.insert(sets.end(), other.classes_.begin(), other.classes_.end());
  const Classes classes = classes_of(sets);
  TextSet found;
  found.classes_ = classes.sets;
  std::vector<std::pair<size_t, size_t>> of_class;  // of both sets
  for (const std::vector<bool>& has : classes.has) {
    const auto mine = std::find(has.begin(), has.end(), true) - has.begin();
    const auto its = std::find(has.begin() + std::ssize(classes_), has.end(), true) - has.begin();
    of_class.emplace_back(static_cast<size_t>(mine), static_cast<size_t>(its) - classes_.size());
  }
  std::map<std::pair<size_t, size_t>, int32_t> numbers{{{0, 0}, 0}};
  std::vector<std::pair<size_t, size_t>> pairs{{0, 0}};
  const std::vector<bool> lives = living();
  const std::vector<bool> other_lives = other.living();
  for (size_t p = 0; p < pairs.size(); ++p) {
    if (pairs.size() > kMostTextPairs) return too_large(where, kMostTextPairs);
    const auto [a, b] = pairs[p];
    found.accepts_.push_back(accepts_[a] && other.accepts_[b]);
    for (const auto& [mine, its] : of_class) {
      std::pair<size_t, size_t> to{next(a, mine), other.next(b, its)};
      // All pairs with a dead end are one: the first that is met stands for them.
      if (!lives[to.first] || !other_lives[to.second]) to = {size(), other.size()};
      if (to.first == size()) {
        found.next_.push_back(-1);
        continue;
      }
      const auto [at, is_new] = numbers.try_emplace(to, static_cast<int32_t>(pairs.size()));
      if (is_new) pairs.push_back(to);
      found.next_.push_back(at->second);
    }
  }
  const auto dead = static_cast<int32_t>(pairs.size());
  std::replace(found.next_.begin(), found.next_.end(), -1, dead);
  found.next_.insert(found.next_.end(), found.classes_.size(), dead);
  found.accepts_.push_back(false);
  found.minimize();
  return found;
}

TextSet TextSet::none_of_these() const {
  TextSet found = *this;
  found.accepts_.flip();
  return found;
}

bool TextSet::is_empty() const { return !living()[0]; }

bool TextSet::contains(std::string_view text) const {
  size_t state = 0;
  for (const uint32_t c : code_points_of(text)) {
    size_t its_class = 0;
    while (!grammar::contains(classes_[its_class], c)) ++its_class;
    state = next(state, its_class);
  }
  return accepts_[state];
}

// The states from which a text of the set may still be reached.
std::vector<bool> TextSet::living() const {
  std::vector<std::vector<size_t>> before(size());
  std::vector<size_t> open;
  std::vector<bool> lives = accepts_;
  for (size_t s = 0; s < size(); ++s) {
    if (lives[s]) open.push_back(s);
    for (size_t c = 0; c < classes_.size(); ++c) before[next(s, c)].push_back(s);
  }
  for (size_t i = 0; i < open.size(); ++i) {
    for (const size_t s : before[open[i]]) {
      if (lives[s]) continue;
      lives[s] = true;
      open.push_back(s);
    }
  }
  return lives;
}

// Joins states that no text tells apart: blocks are split until the next ones of a block's states
// are in the same blocks. Automata for which that would take long stay as they are.
void TextSet::minimize() {
  std::vector<int32_t> block(size());
  for (size_t s = 0; s < size(); ++s) block[s] = accepts_[s] ? 1 : 0;
  size_t count = 0;
  for (size_t steps = 0;;) {
    std::map<std::vector<int32_t>, int32_t> numbers;
    std::vector<int32_t> split(size());
    for (size_t s = 0; s < size(); ++s) {
      std::vector<int32_t> key{block[s]};
      for (size_t c = 0; c < classes_.size(); ++c) key.push_back(block[next(s, c)]);
      // State 0 is looked at first and stays number 0.
      split[s] =
          numbers.try_emplace(std::move(key), static_cast<int32_t>(numbers.size())).first->second;
    }
    block = std::move(split);
    if (numbers.size() == count) break;
    count = numbers.size();
    steps += size() * (classes_.size() + 1);
    if (steps > kMinimizingSteps) return;
  }
  TextSet joined;
  joined.accepts_.resize(count);
  joined.next_.resize(count * classes_.size());
  for (size_t s = 0; s < size(); ++s) {
    const auto b = static_cast<size_t>(block[s]);
    joined.accepts_[b] = accepts_[s];
    for (size_t c = 0; c < classes_.size(); ++c) {
      joined.next_[b * classes_.size() + c] = block[next(s, c)];
    }
  }
  accepts_ = std::move(joined.accepts_);
  next_ = std::move(joined.next_);
}

Result<Expr> TextSet::expression(WriteCharacter write, int64_t min, int64_t max,
                                 const std::string& where) const {
  auto graph = std::make_shared<Graph>();
  const std::vector<bool> lives = living();
  Expr e = nothing();
  if (!lives[0]) return e;
  // Of each state: where it leads, by label.
  std::vector<std::vector<Graph::Edge>> edges(size());
  std::map<std::vector<bool>, size_t> labels;  // by the classes that they have
  for (size_t s = 0; s < size(); ++s) {
    std::map<size_t, std::vector<bool>> by_target;
    for (size_t c = 0; lives[s] && c < classes_.size(); ++c) {
      if (!lives[next(s, c)]) continue;
      std::vector<bool>& its = by_target[next(s, c)];
      its.resize(classes_.size());
      its[c] = true;
    }
    for (const auto& [to, its] : by_target) {
      const auto [at, is_new] = labels.try_emplace(its, graph->labels.size());
      if (is_new) {
        CodePointSet set;
        for (size_t c = 0; c < classes_.size(); ++c) {
          if (its[c]) set.insert(set.end(), classes_[c].begin(), classes_[c].end());
        }
        graph->labels.push_back(write(normalized(std::move(set))));
      }
      edges[s].push_back({to, at->second});
    }
  }
  // Characters are counted as far as that matters: up to the maximum, or, where there is none, to
  // the minimum, behind which comes the loop without limits. reached[c]: the states that c
  // characters lead to; feasible[c]: those of them from which a text of a length that is asked for
  // may be reached still; all_feasible[c]: they are the same.
  const bool has_end = max != Expr::kNoLimit;
  const auto counted = static_cast<size_t>(has_end ? max + 1 : min);
  if (counted > kMostTextNodes || counted * size() > kMinimizingSteps) {
    return too_large(where, kMostTextNodes);
  }
  using States = std::vector<bool>;
  std::vector<States> reached(counted + 1, States(size()));
  std::vector<States> feasible(counted + 1, States(size()));
  std::vector<bool> all_feasible(counted + 1);
  reached[0][0] = true;
  size_t num_nodes = size();
  for (size_t c = 0; c < counted; ++c) {
    for (size_t s = 0; s < size(); ++s) {
      if (!reached[c][s]) continue;
      ++num_nodes;
      for (const Graph::Edge& edge : edges[s]) reached[c + 1][edge.to] = true;
    }
  }
  if (num_nodes > kMostTextNodes) return too_large(where, kMostTextNodes);
  if (!has_end) feasible[counted] = reached[counted];
  for (size_t c = counted; c-- > 0;) {
    for (size_t s = 0; s < size(); ++s) {
      const bool may_end = static_cast<int64_t>(c) >= min && accepts_[s];
      feasible[c][s] = reached[c][s] && (may_end || std::any_of(edges[s].begin(), edges[s].end(),
                                                                [&](const Graph::Edge& edge) {
                                                                  return feasible[c + 1][edge.to];
                                                                }));
    }
    all_feasible[c] = feasible[c] == reached[c];
  }
  if (counted > 0 && !feasible[0][0]) return e;
  // Nodes: those that are feasible, layer by layer, then the loop.
  std::vector<std::vector<size_t>> number(counted + 1, std::vector<size_t>(size()));
  size_t next_number = 0;
  for (size_t c = 0; c < counted; ++c) {
    for (size_t s = 0; s < size(); ++s) {
      if (feasible[c][s]) number[c][s] = next_number++;
    }
  }
  for (size_t s = 0; s < size(); ++s) number[counted][s] = next_number + s;
  graph->nodes.resize(next_number + size());
  for (size_t s = 0; s < size(); ++s) {
    Graph::Node& node = graph->nodes[number[counted][s]];
    node.ends = accepts_[s];
    for (const Graph::Edge& edge : edges[s]) {
      node.edges.push_back({number[counted][edge.to], edge.label});
    }
  }
  // The number of characters behind which all is feasible still.
  int64_t copies = Graph::kNoEnd;
  for (size_t c = counted; c-- > 0;) {
    const bool next_is_loop = c + 1 == counted;
    if (next_is_loop ? has_end : !all_feasible[c + 1]) {
      copies = 0;
    } else if (copies != Graph::kNoEnd) {
      ++copies;
    }
    for (size_t s = 0; s < size(); ++s) {
      if (!feasible[c][s]) continue;
      Graph::Node& node = graph->nodes[number[c][s]];
      node.ends = static_cast<int64_t>(c) >= min && accepts_[s];
      for (const Graph::Edge& edge : edges[s]) {
        if (feasible[c + 1][edge.to]) node.edges.push_back({number[c + 1][edge.to], edge.label});
      }
      if (copies == 0) continue;
      node.shadow = number[counted][s];
      node.copies = copies;
      node.alike = static_cast<int64_t>(c) >= min;
    }
  }
  e = Expr{};
  e.kind = Expr::Kind::kGraph;
  e.graph = std::move(graph);
  return e;
}

}  // namespace mlc::engine::grammar
