// SPDX-License-Identifier: Apache-2.0
// Regular expressions of the kind that JavaScript and JSON schemas have, as far as they are
// regular: no lookaround, no backreferences. A lazy quantifier matches the same texts as a greedy
// one.
#include "engine/grammar/pattern_cursor.h"
#include "engine/grammar/readers.h"

namespace mlc::engine::grammar {
namespace {

CodePointSet shorthand(uint32_t letter) {
  const CodePointSet digits{{'0', '9'}};
  const CodePointSet word{{'a', 'z'}, {'A', 'Z'}, {'0', '9'}, {'_', '_'}};
  const CodePointSet space{{0x09, 0x0D},     {0x20, 0x20},     {0xA0, 0xA0},     {0x1680, 0x1680},
                           {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                           {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  switch (letter) {
    case 'd':
      return digits;
    case 'D':
      return complement(digits);
    case 'w':
      return word;
    case 'W':
      return complement(word);
    case 's':
      return space;
    case 'S':
      return complement(space);
    default:
      return {};
  }
}

class RegexReader {
 public:
  RegexReader(std::string_view pattern, RegexMatch match, WriteCharacter write,
              const std::string& where)
      : cursor_(pattern, where), match_(match), write_(write) {}

  Result<Expr> run() {
    MLC_ASSIGN_OR_RETURN(Expr e, read_choice(0));
    if (!cursor_.done()) return cursor_.error("has a ) without its (");
    return e;
  }

 private:
  Result<Expr> read_choice(int depth) {
    return read_alternatives(cursor_, depth, [&] { return read_sequence(depth); });
  }

  Expr anything() const { return repeat(write_(complement({})), 0, Expr::kNoLimit); }

  bool at_end_of_sequence() const {
    return cursor_.done() || cursor_.peek() == '|' || cursor_.peek() == ')';
  }

  Result<Expr> read_sequence(int depth) {
    std::vector<Expr> parts;
    const bool open = depth == 0 && match_ == RegexMatch::kSomewhere;
    if (depth == 0 && cursor_.take_if('^')) {
      while (cursor_.take_if('^')) {
      }
    } else if (open) {
      parts.push_back(anything());
    }
    bool ended = false;
    while (!at_end_of_sequence()) {
      if (cursor_.peek() == '$' && depth == 0) {
        cursor_.take();
        if (!at_end_of_sequence()) {
          return cursor_.error("has a $ before the end",
                               "$ at the end of the expression or of an "
                               "alternative outside of groups");
        }
        ended = true;
        break;
      }
      MLC_ASSIGN_OR_RETURN(Expr part, read_element(depth));
      MLC_ASSIGN_OR_RETURN(part, read_quantifier(std::move(part)));
      parts.push_back(std::move(part));
    }
    if (open && !ended) parts.push_back(anything());
    return sequence(std::move(parts));
  }

  Result<Expr> read_quantifier(Expr part) {
    if (cursor_.take_if('*')) {
      part = repeat(std::move(part), 0, Expr::kNoLimit);
    } else if (cursor_.take_if('+')) {
      part = repeat(std::move(part), 1, Expr::kNoLimit);
    } else if (cursor_.take_if('?')) {
      part = optional(std::move(part));
    } else {
      MLC_ASSIGN_OR_RETURN(std::optional<Expr> counted, cursor_.counts(part));
      if (!counted) return part;
      part = std::move(*counted);
    }
    cursor_.take_if('?');
    const uint32_t c = cursor_.peek();
    if (c == '*' || c == '+' || c == '?') {
      return cursor_.error("has a quantifier after a quantifier");
    }
    return part;
  }

  Result<Expr> read_element(int depth) {
    const uint32_t c = cursor_.peek();
    switch (c) {
      case '(':
        return read_group(depth);
      case '[':
        return read_class();
      case '.':
        cursor_.take();
        return write_(complement({{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}}));
      case '\\': {
        cursor_.take();
        MLC_ASSIGN_OR_RETURN(const CodePointSet set, read_escape());
        return write_(set);
      }
      case '^':
      case '$':
        return cursor_.error(cat("has a ", static_cast<char>(c), " inside"),
                             "^ at the beginning and $ at the end of the expression or of an "
                             "alternative outside of groups");
      case '*':
      case '+':
      case '?':
        return cursor_.error("has a quantifier with nothing before it");
      default:
        cursor_.take();
        return write_({{c, c}});
    }
  }

  Result<Expr> read_group(int depth) {
    cursor_.take();
    if (cursor_.take_if('?')) {
      if (cursor_.peek() == '<' && cursor_.peek(1) != '=' && cursor_.peek(1) != '!') {
        while (!cursor_.done() && cursor_.take() != '>') {
        }
      } else if (!cursor_.take_if(':')) {
        const uint32_t c = cursor_.peek();
        const bool looks = c == '=' || c == '!' || c == '<';
        return cursor_.error(looks ? "has a lookaround, which is not supported"
                                   : "has a kind of group that is not supported",
                             "groups of the kinds (...), (?:...) and (?<name>...)");
      }
    }
    MLC_ASSIGN_OR_RETURN(Expr inner, read_choice(depth + 1));
    if (!cursor_.take_if(')')) return cursor_.error("has a ( without its )");
    return inner;
  }

  // After the backslash.
  Result<CodePointSet> read_escape() {
    if (cursor_.done()) return cursor_.error("ends in a \\");
    if (cursor_.peek() == 'u' && cursor_.peek(1) == '{') {
      cursor_.take();
      cursor_.take();
      int digits = 0;
      while (digits < 7 && cursor_.peek(static_cast<size_t>(digits)) != '}') ++digits;
      MLC_ASSIGN_OR_RETURN(const uint32_t value, cursor_.hex_digits(digits));
      cursor_.take_if('}');
      if (digits == 0 || value > kLastCodePoint) return cursor_.error("has a bad escape");
      return CodePointSet{{value, value}};
    }
    if (cursor_.peek() != 'U') {
      MLC_ASSIGN_OR_RETURN(const std::optional<uint32_t> common, cursor_.common_escape());
      if (common) return CodePointSet{{*common, *common}};
    }
    const uint32_t c = cursor_.take();
    const CodePointSet named = shorthand(c);
    if (!named.empty()) return named;
    if (c == 'f') return CodePointSet{{'\f', '\f'}};
    if (c == 'v') return CodePointSet{{'\v', '\v'}};
    if (c == '0' && !(cursor_.peek() >= '0' && cursor_.peek() <= '9')) return CodePointSet{{0, 0}};
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter) {
      return cursor_.error(
          cat("has the escape \\", static_cast<char>(c), ", which is not supported"),
          "\\d \\w \\s \\D \\W \\S \\n \\r \\t \\f \\v \\0 \\xHH \\uHHHH \\u{H}, "
          "or \\ before a sign");
    }
    return CodePointSet{{c, c}};
  }

  Result<Expr> read_class() {
    cursor_.take();
    const bool negated = cursor_.take_if('^');
    CodePointSet set;
    while (!cursor_.take_if(']')) {
      MLC_ASSIGN_OR_RETURN(const CodePointSet first, read_class_member());
      const bool single = first.size() == 1 && first[0].first == first[0].last;
      if (cursor_.peek() == '-' && cursor_.peek(1) != ']' && single) {
        cursor_.take();
        MLC_ASSIGN_OR_RETURN(const CodePointSet last, read_class_member());
        if (last.size() != 1 || last[0].first != last[0].last || last[0].first < first[0].first) {
          return cursor_.error("has a range that is none", "a range such as a-z");
        }
        set.push_back({first[0].first, last[0].first});
      } else {
        set.insert(set.end(), first.begin(), first.end());
      }
    }
    return write_(negated ? complement(std::move(set)) : normalized(std::move(set)));
  }

  Result<CodePointSet> read_class_member() {
    if (cursor_.done()) return cursor_.error("has a class without its closing ]");
    const uint32_t c = cursor_.take();
    if (c != '\\') return CodePointSet{{c, c}};
    if (cursor_.take_if('b')) return CodePointSet{{'\b', '\b'}};
    return read_escape();
  }

  PatternCursor cursor_;
  RegexMatch match_;
  WriteCharacter write_;
};

}  // namespace

Result<Expr> regex_expression(std::string_view pattern, RegexMatch match, WriteCharacter write,
                              const std::string& where) {
  return RegexReader(pattern, match, write, where).run();
}

Result<Rules> read_regex(std::string_view pattern, const std::string& where) {
  MLC_ASSIGN_OR_RETURN(Expr e, regex_expression(pattern, RegexMatch::kWhole, one_of, where));
  Rules rules;
  rules.root = rules.add("the expression");
  rules.rules[0].body = std::move(e);
  return rules;
}

}  // namespace mlc::engine::grammar
