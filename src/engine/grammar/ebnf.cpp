// SPDX-License-Identifier: Apache-2.0
// Grammars in extended Backus-Naur form, as GBNF has it:
//
//   # a comment
//   root ::= "[" (item ("," item)*)? "]"
//   item ::= [a-z]+ | [^\n]{1,3} | . | "\u00e9"
//
// Rules may begin with themselves (sum ::= sum "+" item | item); by way of others they may not.
#include <map>

#include "engine/grammar/pattern_cursor.h"
#include "engine/grammar/readers.h"

namespace mlc::engine::grammar {
namespace {

bool is_name_character(uint32_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

bool begins_name(uint32_t c) { return is_name_character(c) && c != '.' && c != '-'; }

class EbnfReader {
 public:
  EbnfReader(std::string_view text, const std::string& where)
      : cursor_(text, where), where_(where) {}

  Result<Rules> run() {
    skip_blanks();
    while (!cursor_.done()) {
      const std::string name = take_name();
      if (name.empty() || !take_assignment()) {
        return cursor_.error("has no rule here", "name ::= expression");
      }
      const size_t rule = number_of(name);
      if (!defined_.insert({name, rule}).second) {
        return cursor_.error(cat("has a second rule ", name), "each rule once",
                             "join the rules by |");
      }
      MLC_ASSIGN_OR_RETURN(Expr body, read_choice(0));
      rules_.rules[rule].body = std::move(body);
      if (!cursor_.done() && !at_rule()) {
        return cursor_.error("has a character that belongs to no rule",
                             "a string, a class, a name, ( or a new rule");
      }
    }
    for (const Rule& rule : rules_.rules) {
      if (defined_.count(rule.name) == 0) {
        return user_error(where_, cat("uses the rule ", rule.name), "a rule of that name",
                          cat("add ", rule.name, " ::= ..."));
      }
    }
    const auto root = defined_.find("root");
    if (root == defined_.end()) {
      return user_error(where_, "has no rule root", "the rule that an answer is to match",
                        "add root ::= ...");
    }
    rules_.root = root->second;
    for (size_t rule = 0, end = rules_.rules.size(); rule < end; ++rule) iterate(rule);
    return std::move(rules_);
  }

 private:
  static void add_alternatives(const Expr& e, std::vector<Expr>& alternatives) {
    if (e.kind != Expr::Kind::kChoice) {
      alternatives.push_back(e);
      return;
    }
    for (const Expr& child : e.children) add_alternatives(child, alternatives);
  }

  // A rule with alternatives that begin with itself, as in  e ::= e "+" e | e "!" | t, matches what
  // begins with another one and goes on with what stood behind the rule:  t ("+" t | "!")*. Where
  // the rule stands at the end as well, what it goes on with is a part of the repetition already.
  void iterate(size_t rule) {
    const auto is_itself = [&](const Expr& e) {
      return e.kind == Expr::Kind::kRule && e.rule == rule;
    };
    std::vector<Expr> alternatives;
    add_alternatives(rules_.rules[rule].body, alternatives);
    std::vector<Expr> first;
    std::vector<std::vector<Expr>> rests;
    bool begins_with_itself = false;
    for (Expr& alternative : alternatives) {
      const bool alone = is_itself(alternative);
      const bool begins = alternative.kind == Expr::Kind::kSequence &&
                          !alternative.children.empty() && is_itself(alternative.children[0]);
      begins_with_itself = begins_with_itself || alone || begins;
      if (begins) {
        rests.emplace_back(alternative.children.begin() + 1, alternative.children.end());
      } else if (!alone) {
        first.push_back(std::move(alternative));
      }
    }
    if (!begins_with_itself || first.empty()) return;
    const size_t operand = rules_.add(rules_.rules[rule].name);
    rules_.rules[operand].body = choice(std::move(first));
    std::vector<Expr> more;
    for (std::vector<Expr>& rest : rests) {
      if (is_itself(rest.back())) rest.back() = rule_reference(operand);
      more.push_back(sequence(std::move(rest)));
    }
    rules_.rules[rule].body =
        sequence({rule_reference(operand), repeat(choice(std::move(more)), 0, Expr::kNoLimit)});
  }

  void skip_blanks() {
    while (!cursor_.done()) {
      const uint32_t c = cursor_.peek();
      if (c == '#') {
        while (!cursor_.done() && cursor_.peek() != '\n') cursor_.take();
      } else if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
        cursor_.take();
      } else {
        return;
      }
    }
  }

  std::string take_name() {
    std::string name;
    if (!begins_name(cursor_.peek())) return name;
    while (is_name_character(cursor_.peek())) name += static_cast<char>(cursor_.take());
    return name;
  }

  bool take_assignment() {
    skip_blanks();
    return cursor_.take_if(':') && cursor_.take_if(':') && cursor_.take_if('=');
  }

  // True where `name ::=` follows.
  bool at_rule() {
    const size_t place = cursor_.place();
    const bool is_rule = !take_name().empty() && take_assignment();
    cursor_.go_back(place);
    return is_rule;
  }

  size_t number_of(const std::string& name) {
    const auto [at, is_new] = numbers_.try_emplace(name, rules_.rules.size());
    if (is_new) rules_.add(name);
    return at->second;
  }

  Result<Expr> read_choice(int depth) {
    return read_alternatives(cursor_, depth, [&] { return read_sequence(depth); });
  }

  Result<Expr> read_sequence(int depth) {
    std::vector<Expr> parts;
    for (;;) {
      skip_blanks();
      const uint32_t c = cursor_.peek();
      if (cursor_.done() || c == '|' || c == ')' || at_rule()) break;
      MLC_ASSIGN_OR_RETURN(std::optional<Expr> part, read_element(depth));
      if (!part) break;
      for (;;) {
        skip_blanks();
        if (cursor_.take_if('*')) {
          part = repeat(std::move(*part), 0, Expr::kNoLimit);
        } else if (cursor_.take_if('+')) {
          part = repeat(std::move(*part), 1, Expr::kNoLimit);
        } else if (cursor_.take_if('?')) {
          part = optional(std::move(*part));
        } else {
          MLC_ASSIGN_OR_RETURN(std::optional<Expr> counted, cursor_.counts(*part));
          if (!counted) break;
          part = std::move(counted);
        }
      }
      parts.push_back(std::move(*part));
    }
    return sequence(std::move(parts));
  }

  // Nothing where no element begins.
  Result<std::optional<Expr>> read_element(int depth) {
    if (cursor_.take_if('(')) {
      MLC_ASSIGN_OR_RETURN(Expr inner, read_choice(depth + 1));
      if (!cursor_.take_if(')')) return cursor_.error("has a ( without its )");
      return std::optional<Expr>(std::move(inner));
    }
    if (cursor_.take_if('.')) return std::optional<Expr>(one_of(complement({})));
    if (cursor_.peek() == '"') return read_string();
    if (cursor_.peek() == '[') return read_class();
    if (begins_name(cursor_.peek())) {
      return std::optional<Expr>(rule_reference(number_of(take_name())));
    }
    return std::optional<Expr>();
  }

  Result<uint32_t> read_character() {
    const uint32_t c = cursor_.take();
    if (c != '\\') return c;
    MLC_ASSIGN_OR_RETURN(const std::optional<uint32_t> escaped, cursor_.common_escape());
    if (escaped) return *escaped;
    const uint32_t next = cursor_.peek();
    if (cursor_.done() || begins_name(next)) {
      return cursor_.error("has an escape that is not known",
                           "\\n \\r \\t \\xHH \\uHHHH \\UHHHHHHHH, or \\ before a sign");
    }
    return cursor_.take();
  }

  Result<std::optional<Expr>> read_string() {
    cursor_.take();
    std::string text;
    while (!cursor_.take_if('"')) {
      if (cursor_.done() || cursor_.peek() == '\n') {
        return cursor_.error("has a string without its closing \"");
      }
      MLC_ASSIGN_OR_RETURN(const uint32_t c, read_character());
      text += utf8(c);
    }
    return std::optional<Expr>(literal(text));
  }

  Result<std::optional<Expr>> read_class() {
    cursor_.take();
    const bool negated = cursor_.take_if('^');
    CodePointSet set;
    while (!cursor_.take_if(']')) {
      if (cursor_.done() || cursor_.peek() == '\n') {
        return cursor_.error("has a class without its closing ]");
      }
      MLC_ASSIGN_OR_RETURN(const uint32_t first, read_character());
      uint32_t last = first;
      if (cursor_.peek() == '-' && cursor_.peek(1) != ']') {
        cursor_.take();
        if (cursor_.done()) return cursor_.error("has a class without its closing ]");
        MLC_ASSIGN_OR_RETURN(last, read_character());
        if (last < first) return cursor_.error("has a range whose end is before its beginning");
      }
      set.push_back({first, last});
    }
    return std::optional<Expr>(one_of(negated ? complement(std::move(set)) : set));
  }

  PatternCursor cursor_;
  const std::string& where_;
  Rules rules_;
  std::map<std::string, size_t> numbers_;
  std::map<std::string, size_t> defined_;
};

}  // namespace

Result<Rules> read_ebnf(std::string_view text, const std::string& where) {
  return EbnfReader(text, where).run();
}

}  // namespace mlc::engine::grammar
