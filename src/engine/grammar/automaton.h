// SPDX-License-Identifier: Apache-2.0
// The rules of a grammar as one pushdown automaton over bytes: a nondeterministic automaton for
// each rule, whose states read a byte, call a rule, or go on without reading. Whatever cannot lead
// to the end of a text is removed, so that a text that the automaton can read is the beginning of
// one that the grammar matches.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/grammar/expression.h"
#include "support/error.h"

namespace mlc::engine::grammar {

using StateId = int32_t;
constexpr StateId kNoState = -1;

// One of: reads a byte and goes to `target`; calls a rule and goes on at `target`; or neither.
struct State {
  ByteSet bytes{};
  StateId target = kNoState;
  int32_t rule = -1;                // called; -1: none
  std::vector<StateId> epsilons{};  // reached without reading
  bool ends_rule = false;           // the rule may end here

  bool reads() const { return target != kNoState && rule < 0; }
};

struct Automaton {
  std::vector<State> states;
  std::vector<StateId> starts;  // by rule
  size_t root = 0;
  // From here on nothing but the rule's end is left: no need to come back to it.
  std::vector<bool> only_ends;  // by state
  // A state in one of several copies of what is repeated so many times, and the state that stands
  // for it in a loop without a limit: from there all can be read that can be read from here.
  // kNoState: there is none.
  struct Shadow {
    StateId state = kNoState;
    int64_t copies = 0;  // from its own one on
    // True if the repetition may end behind each of them: then texts that begin fewer than `copies`
    // characters cannot tell the state from its shadow.
    bool alike = false;
    // True if such texts come to no dead end here unless they do there.
    bool lasts = false;
  };
  std::vector<Shadow> shadows;   // by state
  std::vector<int32_t> rule_of;  // by state
  std::vector<ByteSet> follows;  // by rule: the bytes that may come behind it, whoever called it
  // Bytes that no state tells apart are one class.
  std::vector<uint8_t> class_of;  // [256]
  int num_classes = 0;
  std::vector<uint8_t> byte_of_class;  // one byte of each
};

// Errors name `where` and the rule: one that calls itself before it reads anything, a root that
// matches no text, a grammar that is too large.
Result<Automaton> build_automaton(const Rules& rules, const std::string& where);

}  // namespace mlc::engine::grammar
