// SPDX-License-Identifier: Apache-2.0
// Sets of texts that an automaton of finitely many states tells apart, code point by code point:
// what is in two of them, and what is in none, is such a set again. Where a schema says two things
// of one string (a pattern and a length, keys that match one pattern and not another) or of the
// digits of one number, the rules are made of the set that meets both.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/grammar/expression.h"
#include "engine/grammar/readers.h"
#include "support/error.h"

namespace mlc::engine::grammar {

// One code point of the set, as yet unwritten: what regex_expression makes for a TextSet.
Expr characters(const CodePointSet& set);

class TextSet {
 public:
  static TextSet all();
  static TextSet of_texts(const std::vector<std::string>& texts);
  // Of characters(), and of bytes that are ASCII characters. Errors name `where` if the automaton
  // would be too large.
  static Result<TextSet> of(const Expr& expression, const std::string& where);
  static Result<TextSet> of_pattern(std::string_view pattern, const std::string& where);
  // An automaton for the texts itself. `states`: its size; next(state, code point) and accepts
  // (state) say what it does, alike for all code points of one of `classes`, which are disjoint.
  // Code points of no class lead nowhere, and so does a state below 0. It begins in state 0.
  template <class Next, class Accepts>
  static TextSet of_automaton(int64_t states, const std::vector<CodePointSet>& classes, Next next,
                              Accepts accepts);

  Result<TextSet> both(const TextSet& other, const std::string& where) const;
  TextSet none_of_these() const;

  bool is_empty() const;
  bool contains(std::string_view text) const;
  // The texts of `min` to `max` characters (Expr::kNoLimit: any number), each character written by
  // `write`. Errors name `where` if too many states had to be told apart.
  Result<Expr> expression(WriteCharacter write, int64_t min, int64_t max,
                          const std::string& where) const;

 private:
  // Total: from each state each class of characters leads on. State 0 is the first.
  std::vector<CodePointSet> classes_;  // disjoint; all code points together
  std::vector<int32_t> next_;          // [state, class]
  std::vector<bool> accepts_;          // by state

  size_t size() const { return accepts_.size(); }
  size_t next(size_t state, size_t its_class) const {
    return static_cast<size_t>(next_[state * classes_.size() + its_class]);
  }
  std::vector<bool> living() const;
  void minimize();
};

template <class Next, class Accepts>
TextSet TextSet::of_automaton(int64_t states, const std::vector<CodePointSet>& classes, Next next,
                              Accepts accepts) {
  TextSet set;
  set.classes_ = classes;
  CodePointSet known;
  for (const CodePointSet& c : classes) known.insert(known.end(), c.begin(), c.end());
  const CodePointSet rest = complement(known);
  if (!rest.empty()) set.classes_.push_back(rest);
  for (int64_t state = 0; state <= states; ++state) {
    for (size_t c = 0; c < set.classes_.size(); ++c) {
      const bool leads = state < states && c < classes.size();
      const int64_t to = leads ? next(state, classes[c][0].first) : -1;
      set.next_.push_back(static_cast<int32_t>(to < 0 ? states : to));
    }
    set.accepts_.push_back(state < states && accepts(state));
  }
  set.minimize();
  return set;
}

}  // namespace mlc::engine::grammar
