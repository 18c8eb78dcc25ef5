// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/json_text.h"

#include <algorithm>

#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int64_t kBlanksOfALine = 20;

Expr hex_digit(std::string_view digits = "0123456789abcdefABCDEF") {
  Expr e;
  e.kind = Expr::Kind::kBytes;
  for (const char c : digits) e.bytes.set(static_cast<uint8_t>(c));
  return e;
}

// Characters that a string holds as they are.
CodePointSet raw_characters() { return complement({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}); }

// A string whose first characters, `prefix`, are those of `names`, sorted; none of them is matched.
Expr rest_other_than(const std::vector<std::vector<uint32_t>>& names, size_t prefix) {
  std::vector<Expr> alternatives;
  const bool is_name = names.front().size() == prefix;
  if (!is_name) alternatives.push_back(literal("\""));
  CodePointSet others = raw_characters();
  for (size_t first = is_name ? 1 : 0; first < names.size();) {
    const uint32_t c = names[first][prefix];
    std::vector<std::vector<uint32_t>> alike;
    for (; first < names.size() && names[first][prefix] == c; ++first) {
      if (alike.empty() || alike.back() != names[first]) alike.push_back(names[first]);
    }
    // A name with a character that needs an escape is not spelled here: escapes come later only.
    if (!contains(raw_characters(), c)) continue;
    others = intersection(others, complement({{c, c}}));
    alternatives.push_back(sequence({literal(utf8(c)), rest_other_than(alike, prefix + 1)}));
  }
  alternatives.push_back(
      sequence({one_of(others), repeat(any_json_character(), 0, Expr::kNoLimit), literal("\"")}));
  return choice(std::move(alternatives));
}

}  // namespace

Expr json_character(const CodePointSet& wanted) {
  const CodePointSet set = normalized(wanted);
  std::vector<Expr> alternatives{one_of(intersection(set, raw_characters()))};
  constexpr std::string_view kEscaped = "\"\\\b\f\n\r\t";
  constexpr std::string_view kLetters = "\"\\bfnrt";
  for (uint32_t c = 0; c <= '\\'; ++c) {
    if (!contains(set, c) || contains(raw_characters(), c)) continue;
    const size_t at = kEscaped.find(static_cast<char>(c));
    alternatives.push_back(literal(at != std::string_view::npos ? cat("\\", kLetters.substr(at, 1))
                                                                : cat("\\u", hex(c, 4))));
  }
  return choice(std::move(alternatives));
}

Expr json_character_or_any(const CodePointSet& set) {
  return complement(set).empty() ? any_json_character() : json_character(set);
}

Expr any_json_character() {
  const Expr any = hex_digit();
  const Expr not_d = hex_digit("0123456789abcefABCEF");
  const Expr d = hex_digit("dD");
  const Expr plain =
      choice({sequence({not_d, any, any, any}), sequence({d, hex_digit("01234567"), any, any})});
  const Expr pair = sequence(
      {d, hex_digit("89abAB"), any, any, literal("\\u"), d, hex_digit("cdefCDEF"), any, any});
  return choice(
      {one_of(raw_characters()),
       sequence({literal("\\"), choice({hex_digit("\"\\/bfnrt"),
                                        sequence({literal("u"), choice({plain, pair})})})})});
}

Expr json_literal(const Json& value) { return literal(value.dump(-1, false)); }

Expr string_other_than(const std::vector<std::string>& names) {
  std::vector<std::vector<uint32_t>> sorted;
  for (const std::string& name : names) sorted.push_back(code_points_of(name));
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  if (sorted.empty()) {
    return sequence(
        {literal("\""), repeat(any_json_character(), 0, Expr::kNoLimit), literal("\"")});
  }
  return sequence({literal("\""), rest_other_than(sorted, 0)});
}

JsonRules add_json_rules(Rules& rules) {
  JsonRules json{rules.add("blanks"), rules.add("string"), rules.add("object"), rules.add("value")};
  const Expr blank = rule_reference(json.blank);
  const Expr value = rule_reference(json.value);
  rules.rules[json.blank].body = choice(
      {empty(), literal(" "),
       sequence({literal("\n"), repeat(one_of({{' ', ' '}, {'\t', '\t'}}), 0, kBlanksOfALine)})});
  rules.rules[json.string].body = string_other_than({});
  const auto list = [&](const char* open, const Expr& item, const char* close) {
    const Expr more = repeat(sequence({literal(","), blank, item}), 0, Expr::kNoLimit);
    return sequence(
        {literal(open), blank, optional(sequence({item, more, blank})), literal(close)});
  };
  const Expr member = sequence({rule_reference(json.string), literal(":"), blank, value});
  rules.rules[json.object].body = list("{", member, "}");
  const size_t array = rules.add("array");
  rules.rules[array].body = list("[", value, "]");
  const size_t number = rules.add("number");
  rules.rules[number].body = number_between({}, {});
  rules.rules[json.value].body =
      choice({rule_reference(json.object), rule_reference(array), rule_reference(json.string),
              rule_reference(number), literal("true"), literal("false"), literal("null")});
  return json;
}

}  // namespace mlc::engine::grammar
