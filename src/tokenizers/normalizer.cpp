// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/normalizer.h"

#include <algorithm>
#include <optional>

#include "support/strings.h"
#include "tokenizers/byte_alphabet.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

Result<Pattern> Pattern::from_json(const Json& json, const std::string& where) {
  Pattern pattern;
  if (json.is_string()) {
    pattern.literal_ = json.as_string();
    return pattern;
  }
  if (const Json* text = json.find("String"); text != nullptr && text->is_string()) {
    pattern.literal_ = text->as_string();
    return pattern;
  }
  if (const Json* text = json.find("Regex"); text != nullptr && text->is_string()) {
    MLC_ASSIGN_OR_RETURN(pattern.regex_, Regex::compile(text->as_string(), where));
    pattern.is_regex_ = true;
    return pattern;
  }
  return user_error(where, cat("pattern is ", json.kind_name()),
                    "{\"String\": text} or {\"Regex\": expression}");
}

void Pattern::find_all(std::string_view text, std::vector<Span>& matches) const {
  if (is_regex_) {
    regex_.find_all(text, matches);
    return;
  }
  if (literal_.empty()) return;
  for (size_t at = text.find(literal_); at != std::string_view::npos;
       at = text.find(literal_, at)) {
    matches.push_back({at, at + literal_.size()});
    at += literal_.size();
  }
}

namespace {

// Symbols of \p{...} that Bert's normalizer sets apart: CJK ideographs, but not kana or hangul.
bool is_chinese(char32_t c) {
  return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) ||
         (c >= 0x20000 && c <= 0x2a6df) || (c >= 0x2a700 && c <= 0x2b73f) ||
         (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

// What Nmt makes of a character: itself, a blank, or nothing.
std::optional<char32_t> nmt(char32_t c) {
  if ((c >= 0x1 && c <= 0x8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f ||
      c == 0x9f) {
    return std::nullopt;
  }
  switch (c) {
    case 0x9:
    case 0xa:
    case 0xc:
    case 0xd:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x2581:
    case 0xfeff:
    case 0xfffd:
      return ' ';
    default:
      return c >= 0x200b && c <= 0x200f ? U' ' : c;
  }
}

std::optional<char32_t> bert_clean(char32_t c) {
  if (c == '\t' || c == '\n' || c == '\r') return ' ';
  if (c == 0 || c == 0xfffd || is_other(c)) return std::nullopt;
  return is_whitespace(c) ? U' ' : c;
}

// Characters changed or dropped one at a time.
template <class F>
void map_characters(std::string_view text, std::string& result, bool* at_start, F function) {
  for (size_t i = 0; i < text.size();) {
    const bool first = i == 0;
    const std::optional<char32_t> c = function(next_code_point(text, i));
    if (c) {
      append_utf8(result, *c);
    } else if (first) {
      *at_start = false;
    }
  }
}

void append_precompiled(const Charsmap& charsmap, std::string_view text, std::string& result,
                        bool* at_start) {
  for (size_t i = 0; i < text.size();) {
    const size_t end = grapheme_end(text, i);
    const bool first = i == 0;
    const size_t size_before = result.size();
    // As the tokenizers package does it: the shortest source that a whole short cluster begins with
    // stands for all of the cluster; otherwise each character is looked up alone.
    std::optional<Charsmap::Match> whole;
    if (end - i < 6) whole = charsmap.shortest(text.substr(i, end - i));
    if (whole) {
      result += whole->replacement;
      i = end;
    } else {
      while (i < end) {
        const std::string_view one = text.substr(i, utf8_length(text[i]));
        const std::optional<Charsmap::Match> match = charsmap.shortest(one);
        result += match ? match->replacement : one;
        i += one.size();
      }
    }
    if (first && result.size() == size_before) *at_start = false;
  }
}

void append_sentencepiece(const SentencePieceRules& rules, const Trie& user_symbols,
                          std::string_view text, std::string& result) {
  // What a place of the text becomes, and how much of the text that is.
  const auto next = [&](size_t at) -> Charsmap::Match {
    const auto [length, symbol] = user_symbols.longest(text, at);
    if (symbol >= 0) return {length, text.substr(at, length)};
    if (const std::optional<Charsmap::Match> match = rules.charsmap.longest(text.substr(at)))
      return *match;
    const size_t character = utf8_length(text[at]);
    return {character, text.substr(at, character)};
  };
  const std::string_view blank = rules.escape_whitespaces ? kBlankSymbol : " ";
  size_t at = 0;
  while (rules.remove_extra_whitespaces && at < text.size()) {
    const Charsmap::Match match = next(at);
    if (match.replacement != " ") break;
    at += match.length;
  }
  if (at == text.size()) return;
  const size_t start = result.size();
  if (rules.add_dummy_prefix && !rules.whitespace_as_suffix) result += blank;
  bool after_blank = rules.remove_extra_whitespaces;
  while (at < text.size()) {
    auto [length, replacement] = next(at);
    at += length;
    while (after_blank && replacement.starts_with(' ')) replacement.remove_prefix(1);
    for (const char c : replacement) {
      if (c == ' ') {
        result += blank;
      } else {
        result += c;
      }
    }
    if (!replacement.empty()) after_blank = replacement.ends_with(' ');
    after_blank &= rules.remove_extra_whitespaces;
  }
  while (rules.remove_extra_whitespaces &&
         std::string_view(result).substr(start).ends_with(blank)) {
    result.resize(result.size() - blank.size());
  }
  if (rules.add_dummy_prefix && rules.whitespace_as_suffix) result += blank;
}

}  // namespace

Normalizer Normalizer::from_sentencepiece(SentencePieceRules rules) {
  Normalizer normalizer;
  Step step{.kind = Step::Kind::kSentencePiece};
  step.rules = std::make_shared<const SentencePieceRules>(std::move(rules));
  std::vector<std::pair<std::string_view, int32_t>> symbols;
  for (const std::string& symbol : step.rules->user_symbols) symbols.emplace_back(symbol, 0);
  auto trie = std::make_shared<Trie>();
  trie->build(std::move(symbols));
  step.user_symbols = std::move(trie);
  normalizer.steps_.push_back(std::move(step));
  return normalizer;
}

Result<Normalizer> Normalizer::from_json(const Json& json, const std::string& where) {
  Normalizer normalizer;
  if (!json.is_null()) MLC_RETURN_IF_ERROR(normalizer.add(json, where, 0));
  return normalizer;
}

Result<void> Normalizer::add(const Json& json, const std::string& where, int depth) {
  MLC_ASSIGN_OR_RETURN(const std::string type, type_field(json, where, depth));
  using Kind = Step::Kind;
  const auto push = [&](Kind kind) { steps_.push_back({.kind = kind}); };
  const auto push_form = [&](NormalForm form) {
    steps_.push_back({.kind = Kind::kForm, .form = form});
  };
  if (type == "Sequence") {
    MLC_ASSIGN_OR_RETURN(const Json::Array* const parts, list_field(json, "normalizers", where));
    for (const Json& part : *parts) MLC_RETURN_IF_ERROR(add(part, where, depth + 1));
  } else if (type == "NFC") {
    push_form(NormalForm::kNfc);
  } else if (type == "NFD") {
    push_form(NormalForm::kNfd);
  } else if (type == "NFKC") {
    push_form(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    push_form(NormalForm::kNfkd);
  } else if (type == "Lowercase") {
    push(Kind::kLowercase);
  } else if (type == "StripAccents") {
    push(Kind::kStripAccents);
  } else if (type == "Nmt") {
    push(Kind::kNmt);
  } else if (type == "ByteLevel") {
    push(Kind::kByteLevel);
  } else if (type == "Strip") {
    MLC_ASSIGN_OR_RETURN(const bool left, bool_field(json, "strip_left", where));
    MLC_ASSIGN_OR_RETURN(const bool right, bool_field(json, "strip_right", where));
    steps_.push_back({.kind = Kind::kStrip, .left = left, .right = right});
  } else if (type == "Prepend") {
    MLC_ASSIGN_OR_RETURN(std::string text, json_string(json, "prepend", where));
    steps_.push_back({.kind = Kind::kPrepend, .content = std::move(text)});
  } else if (type == "Replace") {
    MLC_ASSIGN_OR_RETURN(const Json* const pattern, json_member(json, "pattern", where));
    MLC_ASSIGN_OR_RETURN(std::string content, json_string(json, "content", where));
    Step step{.kind = Kind::kReplace, .content = std::move(content)};
    MLC_ASSIGN_OR_RETURN(step.pattern, Pattern::from_json(*pattern, where));
    steps_.push_back(std::move(step));
  } else if (type == "Precompiled") {
    MLC_ASSIGN_OR_RETURN(const std::string encoded,
                         json_string(json, "precompiled_charsmap", where));
    MLC_ASSIGN_OR_RETURN(const std::string blob, decode_base64(encoded, where));
    Step step{.kind = Kind::kPrecompiled};
    MLC_ASSIGN_OR_RETURN(step.charsmap, Charsmap::parse(blob, where));
    steps_.push_back(std::move(step));
  } else if (type == "BertNormalizer" || type == "Bert") {
    MLC_ASSIGN_OR_RETURN(const bool clean, bool_field(json, "clean_text", where));
    MLC_ASSIGN_OR_RETURN(const bool chinese, bool_field(json, "handle_chinese_chars", where));
    MLC_ASSIGN_OR_RETURN(const bool lowercase, bool_field(json, "lowercase", where));
    MLC_ASSIGN_OR_RETURN(const bool accents, bool_field(json, "strip_accents", where, lowercase));
    if (clean) push(Kind::kBertClean);
    if (chinese) push(Kind::kBertChinese);
    if (accents) push(Kind::kBertAccents);
    if (lowercase) push(Kind::kLowercase);
  } else {
    return unknown_name_error(
        ErrorKind::kUser, where, "normalizer", type,
        {"BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt",
         "Precompiled", "Prepend", "Replace", "Sequence", "Strip", "StripAccents"});
  }
  return {};
}

// False if a look tells that the step would leave the text as it is.
bool Normalizer::changes(const Step& step, std::string_view text) {
  using Kind = Step::Kind;
  switch (step.kind) {
    case Kind::kForm:
      return !is_surely_normalized(text, step.form);
    case Kind::kBertAccents:
      return !is_ascii(text);
    case Kind::kStripAccents:
      return !is_ascii(text);
    case Kind::kLowercase:
    case Kind::kStrip:
    case Kind::kReplace:
    case Kind::kPrepend:
    case Kind::kNmt:
    case Kind::kByteLevel:
    case Kind::kPrecompiled:
    case Kind::kBertClean:
    case Kind::kBertChinese:
    case Kind::kSentencePiece:
      return true;
  }
  return true;
}

void Normalizer::run(const Step& step, std::string_view text, std::string& result, bool* at_start) {
  using Kind = Step::Kind;
  switch (step.kind) {
    case Kind::kForm:
      append_normalized(result, text, step.form);
      break;
    case Kind::kLowercase:
      for (size_t i = 0; i < text.size();) append_lowercase(result, next_code_point(text, i));
      break;
    case Kind::kStrip: {
      size_t begin = 0;
      size_t end = text.size();
      for (size_t i = 0; step.left && i < end && is_whitespace(next_code_point(text, i));)
        begin = i;
      while (step.right && end > begin) {
        size_t last = previous_offset(text, end);
        const size_t start = last;
        if (!is_whitespace(next_code_point(text, last))) break;
        end = start;
      }
      if (begin > 0) *at_start = false;
      result += text.substr(begin, end - begin);
      break;
    }
    case Kind::kStripAccents:
      map_characters(text, result, at_start, [](char32_t c) {
        return is_mark(c) ? std::nullopt : std::optional<char32_t>(c);
      });
      break;
    case Kind::kReplace: {
      std::vector<Span> matches;
      step.pattern.find_all(text, matches);
      size_t done = 0;
      for (const Span& match : matches) {
        result += text.substr(done, match.begin - done);
        result += step.content;
        done = match.end;
        if (match.begin == 0 && match.end > 0 && step.content.empty()) *at_start = false;
      }
      result += text.substr(done);
      break;
    }
    case Kind::kPrepend:
      if (!text.empty()) result += step.content;
      result += text;
      break;
    case Kind::kNmt:
      map_characters(text, result, at_start, nmt);
      break;
    case Kind::kByteLevel:
      append_byte_alphabet(result, text);
      break;
    case Kind::kSentencePiece:
      append_sentencepiece(*step.rules, *step.user_symbols, text, result);
      break;
    case Kind::kPrecompiled:
      append_precompiled(step.charsmap, text, result, at_start);
      break;
    case Kind::kBertClean:
      map_characters(text, result, at_start, bert_clean);
      break;
    case Kind::kBertChinese:
      for (size_t i = 0; i < text.size();) {
        const char32_t c = next_code_point(text, i);
        if (is_chinese(c)) result += ' ';
        append_utf8(result, c);
        if (is_chinese(c)) result += ' ';
      }
      break;
    case Kind::kBertAccents: {
      std::string decomposed;
      append_normalized(decomposed, text, NormalForm::kNfd);
      map_characters(decomposed, result, at_start, [](char32_t c) {
        return is_nonspacing_mark(c) ? std::nullopt : std::optional<char32_t>(c);
      });
      break;
    }
  }
}

std::string_view Normalizer::apply(std::string_view text, std::string& buffer,
                                   bool* at_start) const {
  std::string previous;
  for (const Step& step : steps_) {
    if (!changes(step, text)) continue;
    if (text.data() == buffer.data()) {
      previous.swap(buffer);
      text = previous;
    }
    buffer.clear();
    buffer.reserve(text.size() + 16);
    run(step, text, buffer, at_start);
    text = buffer;
  }
  return text;
}

}  // namespace mlc::tokenizers
