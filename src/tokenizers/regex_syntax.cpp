// SPDX-License-Identifier: Apache-2.0
// Oniguruma's syntax to PCRE2's. They agree but for: what \s, \w, \h and \b mean, (?m), {,n}, \u,
// classes inside classes and their intersections.
#include <algorithm>
#include <optional>

#include "support/strings.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {
namespace {

// Contents of a class. PCRE2 counts U+180E as a blank and no marks as word characters; Oniguruma
// counts the numbers of Latin-1 as word characters, and no others.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kHex = "0-9A-Fa-f";
constexpr int kMaxClassDepth = 32;  // classes in classes

// General categories have two names. Blanks, hyphens and underscores do not count, nor does case.
constexpr std::string_view kCategories[][2] = {{"letter", "L"},
                                               {"uppercaseletter", "Lu"},
                                               {"lowercaseletter", "Ll"},
                                               {"titlecaseletter", "Lt"},
                                               {"modifierletter", "Lm"},
                                               {"otherletter", "Lo"},
                                               {"mark", "M"},
                                               {"nonspacingmark", "Mn"},
                                               {"spacingmark", "Mc"},
                                               {"enclosingmark", "Me"},
                                               {"number", "N"},
                                               {"decimalnumber", "Nd"},
                                               {"letternumber", "Nl"},
                                               {"othernumber", "No"},
                                               {"punctuation", "P"},
                                               {"connectorpunctuation", "Pc"},
                                               {"dashpunctuation", "Pd"},
                                               {"openpunctuation", "Ps"},
                                               {"closepunctuation", "Pe"},
                                               {"initialpunctuation", "Pi"},
                                               {"finalpunctuation", "Pf"},
                                               {"otherpunctuation", "Po"},
                                               {"symbol", "S"},
                                               {"mathsymbol", "Sm"},
                                               {"currencysymbol", "Sc"},
                                               {"modifiersymbol", "Sk"},
                                               {"othersymbol", "So"},
                                               {"separator", "Z"},
                                               {"spaceseparator", "Zs"},
                                               {"lineseparator", "Zl"},
                                               {"paragraphseparator", "Zp"},
                                               {"other", "C"},
                                               {"control", "Cc"},
                                               {"format", "Cf"},
                                               {"unassigned", "Cn"},
                                               {"privateuse", "Co"},
                                               {"surrogate", "Cs"}};
// Properties that PCRE2 knows by these names; what is left are scripts.
constexpr std::string_view kProperties[] = {"alphabetic",
                                            "uppercase",
                                            "lowercase",
                                            "whitespace",
                                            "emoji",
                                            "emojipresentation",
                                            "emojimodifier",
                                            "emojimodifierbase",
                                            "emojicomponent",
                                            "extendedpictographic",
                                            "ideographic",
                                            "idstart",
                                            "idcontinue",
                                            "xidstart",
                                            "xidcontinue",
                                            "math",
                                            "dash",
                                            "hexdigit",
                                            "asciihexdigit",
                                            "diacritic",
                                            "quotationmark",
                                            "cased",
                                            "caseignorable",
                                            "defaultignorablecodepoint",
                                            "regionalindicator",
                                            "variationselector"};

// A set of characters: contents of a plain class, or an expression that matches one character.
struct Set {
  bool plain = true;
  std::string text;

  std::string expression() const {
    if (!plain) return text;
    return text.empty() ? "(?!)" : cat("[", text, "]");
  }
};

class Translator {
 public:
  Translator(std::string_view pattern, UnicodeVersion version, std::string_view where)
      : in_(pattern), version_(version), where_(where) {}

  Result<std::string> run() {
    while (at_ < in_.size()) {
      switch (in_[at_]) {
        case '\\':
          MLC_RETURN_IF_ERROR(escape());
          break;
        case '[': {
          MLC_ASSIGN_OR_RETURN(const Set set, char_class(0));
          out_ += set.expression();
          break;
        }
        case '(':
          group();
          break;
        case '{':
          repeat();
          break;
        default:
          out_ += in_[at_++];
      }
    }
    return std::move(out_);
  }

 private:
  std::string newer(std::string_view category) const {
    return version_ == UnicodeVersion::kOniguruma ? newer_characters(category) : std::string();
  }

  // Oniguruma's \w has the superscripts and fractions of Latin-1, but not within brackets.
  enum class Place { kAlone, kInClass };
  std::string word_contents(Place place) const {
    return cat("\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}",
               place == Place::kAlone ? "\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" : "", newer("L"),
               newer("M"), newer("Nd"), newer("Pc"));
  }

  // What \p{name} holds.
  std::string property_contents(std::string_view name, Place place) const {
    std::string plain;
    for (const char c : to_lower(name)) {
      if (c != ' ' && c != '_' && c != '-') plain += c;
    }
    if (plain == "space") return std::string(kSpace);
    if (plain == "word") return word_contents(place);
    if (plain == "xdigit") return std::string(kHex);
    if (plain == "digit") return property_contents("Nd", place);
    if (plain == "alpha") return "\\p{Alphabetic}" + newer("L");
    if (plain == "alnum") return property_contents("alpha", place) + property_contents("Nd", place);
    if (plain == "upper") return "\\p{Uppercase}" + newer("Lu");
    if (plain == "lower") return "\\p{Lowercase}" + newer("Ll");
    if (plain == "punct") return property_contents("P", place) + property_contents("S", place);
    if (plain == "cntrl") return "\\p{Cc}";
    if (plain == "blank") return "\\t\\p{Zs}";
    if (plain == "ascii") return "\\x00-\\x7f";
    if (plain == "any") return "\\x00-\\x{10ffff}";
    for (const auto& [long_name, short_name] : kCategories) {
      if (plain == long_name || plain == to_lower(short_name)) {
        return cat("\\p{", short_name, "}", newer(short_name));
      }
    }
    for (const std::string_view property : kProperties) {
      if (plain == property) return cat("\\p{", property, "}");
    }
    if (plain == "han" && version_ == UnicodeVersion::kOniguruma)
      return "\\p{sc:Han}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}";  // since Unicode 14
    return cat("\\p{sc:", plain, "}");
  }

  Error bad(std::string found) const {
    return user_error(std::string(where_), cat("regular expression ", in_, " ", found));
  }

  // The name in \p{name}; at_ stands behind the p.
  std::optional<std::string_view> property_name() {
    if (at_ >= in_.size() || in_[at_] != '{') return std::nullopt;
    const size_t close = in_.find('}', at_);
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view name = in_.substr(at_ + 1, close - at_ - 1);
    at_ = close + 1;
    return name;
  }

  // An escape that names a set; nothing (and at_ unmoved) if it is another escape.
  Result<std::optional<Set>> set_escape(Place place) {
    const char c = in_[at_ + 1];
    const auto set = [&](std::string_view contents, bool negated, bool moved = false) {
      if (!moved) at_ += 2;
      if (negated) return std::optional<Set>(Set{false, cat("[^", contents, "]")});
      return std::optional<Set>(Set{true, std::string(contents)});
    };
    switch (c) {
      case 's':
        return set(kSpace, false);
      case 'S':
        return set(kSpace, true);
      case 'w':
        return set(word_contents(place), false);
      case 'W':
        return set(word_contents(place), true);
      case 'h':
        return set(kHex, false);
      case 'H':
        return set(kHex, true);
      case 'd':
        return set(property_contents("Nd", place), false);
      case 'D':
        return set(property_contents("Nd", place), true);
      case 'p':
      case 'P':
        break;
      default:
        return std::optional<Set>();
    }
    at_ += 2;
    std::optional<std::string_view> name = property_name();
    if (!name) return bad("has a \\p without {name}");
    bool negated = c == 'P';
    if (name->starts_with('^')) {
      negated = !negated;
      name->remove_prefix(1);
    }
    return set(property_contents(*name, place), negated, true);
  }

  Result<void> escape() {
    if (at_ + 1 == in_.size()) return bad("ends in a backslash");
    MLC_ASSIGN_OR_RETURN(const std::optional<Set> set, set_escape(Place::kAlone));
    if (set) {
      // PCRE2 is faster with \p{L} than with [\p{L}].
      const bool alone = set->plain && set->text.starts_with("\\p{") &&
                         set->text.find('}') + 1 == set->text.size();
      out_ += alone ? set->text : set->expression();
      return {};
    }
    const char c = in_[at_ + 1];
    if (c == 'b' || c == 'B') {
      const std::string word = cat("[", word_contents(Place::kAlone), "]");
      out_ += c == 'b' ? cat("(?:(?<=", word, ")(?!", word, ")|(?<!", word, ")(?=", word, "))")
                       : cat("(?:(?<=", word, ")(?=", word, ")|(?<!", word, ")(?!", word, "))");
      at_ += 2;
    } else {
      literal_escape(out_);
    }
    return {};
  }

  // \uHHHH, or an escape that both know.
  void literal_escape(std::string& out) {
    if (in_[at_ + 1] == 'u' && at_ + 6 <= in_.size()) {
      out += cat("\\x{", in_.substr(at_ + 2, 4), "}");
      at_ += 6;
      return;
    }
    const size_t length = 1 + utf8_length(in_[at_ + 1]);
    out += in_.substr(at_, length);
    at_ += std::min(length, in_.size() - at_);
  }

  // (?m) makes the dot match newlines, which is (?s) in PCRE2.
  void group() {
    out_ += in_[at_++];
    if (at_ >= in_.size() || in_[at_] != '?') return;
    size_t end = at_ + 1;
    while (end < in_.size() &&
           (in_[end] == 'i' || in_[end] == 'm' || in_[end] == 'x' || in_[end] == '-'))
      ++end;
    if (end == at_ + 1 || end >= in_.size() || (in_[end] != ':' && in_[end] != ')')) return;
    for (; at_ < end; ++at_) out_ += in_[at_] == 'm' ? 's' : in_[at_];
  }

  // {,n} is {0,n}.
  void repeat() {
    out_ += in_[at_++];
    if (at_ < in_.size() && in_[at_] == ',') out_ += '0';
  }

  // [...] with classes inside and && between; at_ stands at the bracket.
  Result<Set> char_class(int depth) {
    if (depth > kMaxClassDepth) return bad("has classes nested too deeply");
    ++at_;
    const bool negated = at_ < in_.size() && in_[at_] == '^';
    if (negated) ++at_;
    Set unit;                           // the union read so far
    std::vector<std::string> others;    // its members that are no plain contents
    std::optional<std::string> before;  // the expression in front of the last &&
    const auto finish_unit = [&] {
      if (!others.empty()) {
        if (!unit.text.empty()) others.insert(others.begin(), unit.expression());
        unit = Set{false, cat("(?:", join(others, "|"), ")")};
        others.clear();
      }
      if (before) unit = Set{false, cat("(?:(?=", *before, ")", unit.expression(), ")")};
    };
    for (bool first = true;; first = false) {
      if (at_ >= in_.size()) return bad("has a class without its ]");
      const char c = in_[at_];
      if (c == ']' && !first) {
        ++at_;
        break;
      }
      if (c == '[') {
        if (at_ + 1 < in_.size() && in_[at_ + 1] == ':') {
          const size_t close = in_.find(":]", at_ + 2);
          if (close != std::string_view::npos) {
            std::string_view name = in_.substr(at_ + 2, close - at_ - 2);
            const bool not_in = name.starts_with('^');
            if (not_in) name.remove_prefix(1);
            const std::string contents = property_contents(name, Place::kInClass);
            if (not_in) {
              others.push_back(cat("[^", contents, "]"));
            } else {
              unit.text += contents;
            }
            at_ = close + 2;
            continue;
          }
        }
        MLC_ASSIGN_OR_RETURN(const Set inner, char_class(depth + 1));
        if (inner.plain) {
          unit.text += inner.text;
        } else {
          others.push_back(inner.text);
        }
      } else if (c == '&' && in_.substr(at_).starts_with("&&")) {
        at_ += 2;
        finish_unit();
        before = unit.expression();
        unit = Set{};
      } else if (c == '\\') {
        if (at_ + 1 == in_.size()) return bad("ends in a backslash");
        MLC_ASSIGN_OR_RETURN(const std::optional<Set> set, set_escape(Place::kInClass));
        if (!set) {
          literal_escape(unit.text);
        } else if (set->plain) {
          unit.text += set->text;
        } else {
          others.push_back(set->text);
        }
      } else if (c == ']') {
        unit.text += "\\]";
        ++at_;
      } else if (c == '^' && unit.text.empty()) {
        unit.text += "\\^";
        ++at_;
      } else {
        unit.text += c;
        ++at_;
      }
    }
    finish_unit();
    if (!negated) return unit;
    if (unit.plain) return Set{false, cat("[^", unit.text, "]")};
    return Set{false, cat("(?:(?!", unit.text, ")(?s:.))")};
  }

  std::string_view in_;
  UnicodeVersion version_;
  std::string_view where_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern, UnicodeVersion version,
                                         std::string_view where) {
  return Translator(pattern, version, where).run();
}

}  // namespace mlc::tokenizers
