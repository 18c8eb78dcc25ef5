// SPDX-License-Identifier: Apache-2.0
// Oniguruma's syntax to PCRE2's. They agree but for: what \s, \w, \h and \b mean, (?m), {,n}, \u,
// classes inside classes and their intersections.
#include <optional>

#include "support/strings.h"
#include "tokenizers/regex.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {
namespace {

// Contents of a class. PCRE2 counts U+180E as a blank and no marks as word characters.
constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kHex = "0-9A-Fa-f";
constexpr int kMaxDepth = 32;  // classes in classes

// Property names that PCRE2 lacks: POSIX classes written as properties.
std::optional<std::string_view> property_class(std::string_view name) {
  const std::string lower = to_lower(name);
  if (lower == "space") return kSpace;
  if (lower == "word") return kWord;
  if (lower == "xdigit") return kHex;
  if (lower == "digit") return "\\p{Nd}";
  if (lower == "alpha") return "\\p{Alphabetic}";
  if (lower == "alnum") return "\\p{Alphabetic}\\p{Nd}";
  if (lower == "upper") return "\\p{Uppercase}";
  if (lower == "lower") return "\\p{Lowercase}";
  if (lower == "punct") return "\\p{P}$+<=>^`|~";
  if (lower == "cntrl") return "\\p{Cc}";
  if (lower == "blank") return "\\t\\p{Zs}";
  if (lower == "ascii") return "\\x00-\\x7f";
  if (lower == "any") return "\\x00-\\x{10ffff}";
  return std::nullopt;
}

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
  Translator(std::string_view pattern, std::string_view where) : in_(pattern), where_(where) {}

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
  Result<std::optional<Set>> set_escape() {
    const char c = in_[at_ + 1];
    const auto set = [&](std::string_view contents, bool negated) {
      at_ += 2;
      if (negated) return std::optional<Set>(Set{false, cat("[^", contents, "]")});
      return std::optional<Set>(Set{true, std::string(contents)});
    };
    switch (c) {
      case 's':
        return set(kSpace, false);
      case 'S':
        return set(kSpace, true);
      case 'w':
        return set(kWord, false);
      case 'W':
        return set(kWord, true);
      case 'h':
        return set(kHex, false);
      case 'H':
        return set(kHex, true);
      case 'd':
        return set("\\p{Nd}", false);
      case 'D':
        return set("\\p{Nd}", true);
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
    if (const std::optional<std::string_view> contents = property_class(*name)) {
      at_ -= 2;
      return set(*contents, negated);
    }
    return std::optional<Set>(Set{true, cat(negated ? "\\P{" : "\\p{", *name, "}")});
  }

  Result<void> escape() {
    if (at_ + 1 == in_.size()) return bad("ends in a backslash");
    MLC_ASSIGN_OR_RETURN(const std::optional<Set> set, set_escape());
    if (set) {
      // \p{L} alone needs no brackets.
      out_ +=
          set->plain && set->text.starts_with("\\p{") && set->text.find('}') + 1 == set->text.size()
              ? set->text
              : set->expression();
      return {};
    }
    const char c = in_[at_ + 1];
    if (c == 'b') {
      out_ += cat("(?:(?<=[", kWord, "])(?![", kWord, "])|(?<![", kWord, "])(?=[", kWord, "]))");
      at_ += 2;
    } else if (c == 'B') {
      out_ += cat("(?:(?<=[", kWord, "])(?=[", kWord, "])|(?<![", kWord, "])(?![", kWord, "]))");
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
    if (depth > kMaxDepth) return bad("has classes nested too deeply");
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
            if (const std::optional<std::string_view> contents = property_class(name)) {
              if (not_in) {
                others.push_back(cat("[^", *contents, "]"));
              } else {
                unit.text += *contents;
              }
              at_ = close + 2;
              continue;
            }
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
        MLC_ASSIGN_OR_RETURN(const std::optional<Set> set, set_escape());
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
  std::string_view where_;
  size_t at_ = 0;
  std::string out_;
};

}  // namespace

Result<std::string> pcre2_from_oniguruma(std::string_view pattern, std::string_view where) {
  return Translator(pattern, where).run();
}

}  // namespace mlc::tokenizers
