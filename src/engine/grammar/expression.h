// SPDX-License-Identifier: Apache-2.0
// What a grammar is made of before it becomes an automaton: named rules, and expressions over
// bytes. EBNF, regular expressions and JSON schemas are read into it.
#pragma once

#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlc::engine::grammar {

using ByteSet = std::bitset<256>;

// Code points from first to last, both included. A set is a list of them.
struct CodePoints {
  uint32_t first = 0;
  uint32_t last = 0;
  bool operator==(const CodePoints&) const = default;
};
using CodePointSet = std::vector<CodePoints>;

constexpr uint32_t kLastCodePoint = 0x10FFFF;

// Sorted, without overlap, without surrogates and what lies above the last code point.
CodePointSet normalized(CodePointSet set);
CodePointSet complement(CodePointSet set);
CodePointSet intersection(const CodePointSet& a, const CodePointSet& b);
bool contains(const CodePointSet& set, uint32_t code_point);  // of a normalized set
std::string utf8(uint32_t code_point);
// The code points of a valid UTF-8 text; bytes that are none count as U+FFFD.
std::vector<uint32_t> code_points_of(std::string_view text);

struct Graph;

struct Expr {
  enum class Kind : uint8_t {
    kBytes,     // one byte of `bytes`; an empty set matches nothing
    kSequence,  // of children; without any it matches the empty text
    kChoice,    // one of the children; without any it matches nothing
    kRepeat,    // the one child, from `min` to `max` times
    kRule,      // what rule number `rule` matches
    kGraph,     // what stands along a way through `graph`
    // One code point of `characters`, before it is known how it is written (text_set.h): an
    // automaton of bytes has none.
    kCharacters,
  };
  static constexpr int64_t kNoLimit = -1;

  Kind kind = Kind::kSequence;
  ByteSet bytes{};
  std::vector<Expr> children{};
  int64_t min = 0;
  int64_t max = kNoLimit;
  size_t rule = 0;
  std::shared_ptr<const Graph> graph{};
  CodePointSet characters{};
};

// Nodes with edges between them, and what is written along an edge. A text begins at node 0.
struct Graph {
  static constexpr int64_t kNoEnd = INT64_MAX;
  struct Edge {
    size_t to;
    size_t label;
  };
  struct Node {
    std::vector<Edge> edges;
    bool ends = false;  // a text may end here
    // A node with the same edges in a copy of the graph without limits, from where all can be
    // written that can be written from here; texts of at most `copies` characters that go on there
    // do so here. `alike`: shorter ones end here if they end there.
    std::optional<size_t> shadow;
    int64_t copies = 0;
    bool alike = false;
  };
  std::vector<Node> nodes;
  std::vector<Expr> labels;  // with shadows: one character each
};

Expr empty();
Expr nothing();
Expr literal(std::string_view text);
Expr sequence(std::vector<Expr> parts);
Expr choice(std::vector<Expr> alternatives);
Expr repeat(Expr child, int64_t min, int64_t max);
Expr optional(Expr child);
Expr rule_reference(size_t rule);
// One character of the set, as UTF-8.
Expr one_of(const CodePointSet& set);

struct Rule {
  std::string name;  // as messages call it
  Expr body;
};

struct Rules {
  std::vector<Rule> rules;
  size_t root = 0;

  size_t add(std::string name) {
    rules.push_back({std::move(name), {}});
    return rules.size() - 1;
  }
};

}  // namespace mlc::engine::grammar
