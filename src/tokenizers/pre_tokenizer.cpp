// SPDX-License-Identifier: Apache-2.0
#include "tokenizers/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "support/strings.h"
#include "tokenizers/byte_alphabet.h"
#include "tokenizers/json_fields.h"
#include "tokenizers/unicode.h"

namespace mlc::tokenizers {

namespace {

// GPT-2's expression, which ByteLevel cuts with.
constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// \w+|[^\w\s]+ as Rust's regular expressions understand it: Oniguruma's \w has other characters.
constexpr std::string_view kWordsOrSymbols =
    R"([\p{Alpha}\p{M}\p{Nd}\p{Nl}\p{Pc}\u200c\u200d]+|[^\p{Alpha}\p{M}\p{Nd}\p{Nl}\p{Pc}\u200c\u200d\s]+)";

// Where a text under way goes: the buffer that does not hold the current one.
std::string& other_buffer(Words& words) {
  std::string& buffer = words.buffers[words.text.data() == words.buffers[0].data() ? 1 : 0];
  buffer.clear();
  return buffer;
}

void take_over(Words& words, const std::string& buffer) {
  words.text = buffer;
  words.spans.swap(words.next);
}

}  // namespace

Result<PreTokenizer> PreTokenizer::from_json(const Json& json, const std::string& where) {
  PreTokenizer pre_tokenizer;
  if (!json.is_null()) MLC_RETURN_IF_ERROR(pre_tokenizer.add(json, where, 0));
  return pre_tokenizer;
}

Result<PreTokenizer::Behavior> PreTokenizer::behavior_field(const Json& json,
                                                            const std::string& where) {
  MLC_ASSIGN_OR_RETURN(const std::string name, json_string(json, "behavior", where));
  if (name == "Removed") return Behavior::kRemoved;
  if (name == "Isolated") return Behavior::kIsolated;
  if (name == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::kMergedWithNext;
  if (name == "Contiguous") return Behavior::kContiguous;
  return unknown_name_error(
      ErrorKind::kUser, where, "behavior", name,
      {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"});
}

Result<PreTokenizer::Step> PreTokenizer::metaspace(const Json& json, const std::string& where) {
  Step step{.kind = Step::Kind::kMetaspace};
  MLC_ASSIGN_OR_RETURN(const char32_t replacement, character_field(json, "replacement", where));
  append_utf8(step.replacement, replacement);
  MLC_ASSIGN_OR_RETURN(step.split, bool_field(json, "split", where, true));
  MLC_ASSIGN_OR_RETURN(const bool prefix, bool_field(json, "add_prefix_space", where, true));
  if (!prefix) step.scheme = Scheme::kNever;  // the form of old files
  if (const Json* const scheme = json.find("prepend_scheme")) {
    const std::string name =
        scheme->is_string() ? scheme->as_string() : std::string(scheme->kind_name());
    if (name == "first") {
      step.scheme = Scheme::kFirst;
    } else if (name == "never") {
      step.scheme = Scheme::kNever;
    } else if (name == "always") {
      step.scheme = Scheme::kAlways;
    } else {
      return unknown_name_error(ErrorKind::kUser, where, "prepend_scheme", name,
                                {"always", "first", "never"});
    }
    if (!prefix && step.scheme != Scheme::kNever) {
      return user_error(where, cat("add_prefix_space is false and prepend_scheme is ", name),
                        "the scheme \"never\" with it");
    }
  }
  return step;
}

Result<void> PreTokenizer::add(const Json& json, const std::string& where, int depth) {
  MLC_ASSIGN_OR_RETURN(const std::string type, type_field(json, where, depth));
  using Kind = Step::Kind;
  if (type == "Sequence") {
    MLC_ASSIGN_OR_RETURN(const Json::Array* const parts, list_field(json, "pretokenizers", where));
    for (const Json& part : *parts) MLC_RETURN_IF_ERROR(add(part, where, depth + 1));
    return {};
  }
  Step step{.kind = Kind::kSplit};
  if (type == "ByteLevel") {
    step.kind = Kind::kByteLevel;
    MLC_ASSIGN_OR_RETURN(step.add_prefix_space, bool_field(json, "add_prefix_space", where));
    MLC_ASSIGN_OR_RETURN(step.use_regex, bool_field(json, "use_regex", where, true));
    MLC_ASSIGN_OR_RETURN(step.pattern,
                         Pattern::from_json(Json(Json::Object{{"Regex", kGpt2}}), where));
  } else if (type == "Split") {
    MLC_ASSIGN_OR_RETURN(const Json* const pattern, json_member(json, "pattern", where));
    MLC_ASSIGN_OR_RETURN(step.pattern, Pattern::from_json(*pattern, where));
    MLC_ASSIGN_OR_RETURN(step.behavior, behavior_field(json, where));
    MLC_ASSIGN_OR_RETURN(step.invert, bool_field(json, "invert", where));
  } else if (type == "Metaspace") {
    MLC_ASSIGN_OR_RETURN(step, metaspace(json, where));
  } else if (type == "Digits") {
    step.kind = Kind::kDigits;
    MLC_ASSIGN_OR_RETURN(const bool individual, bool_field(json, "individual_digits", where));
    step.behavior = individual ? Behavior::kIsolated : Behavior::kContiguous;
  } else if (type == "Punctuation") {
    step.kind = Kind::kPunctuation;
    if (json.contains("behavior")) {
      MLC_ASSIGN_OR_RETURN(step.behavior, behavior_field(json, where));
    }
  } else if (type == "Whitespace") {
    step.kind = Kind::kWhitespace;
    step.behavior = Behavior::kRemoved;
    step.invert = true;
    MLC_ASSIGN_OR_RETURN(step.pattern,
                         Pattern::from_json(Json(Json::Object{{"Regex", kWordsOrSymbols}}), where));
  } else if (type == "WhitespaceSplit") {
    step.kind = Kind::kWhitespaceSplit;
    step.behavior = Behavior::kRemoved;
  } else if (type == "BertPreTokenizer") {
    step.kind = Kind::kWhitespaceSplit;
    step.behavior = Behavior::kRemoved;
    steps_.push_back(std::move(step));
    step = Step{.kind = Kind::kPunctuation};
  } else if (type == "CharDelimiterSplit" || type == "Delimiter") {
    step.kind = Kind::kDelimiter;
    step.behavior = Behavior::kRemoved;
    MLC_ASSIGN_OR_RETURN(step.delimiter, character_field(json, "delimiter", where));
  } else if (type == "FixedLength") {
    step.kind = Kind::kFixedLength;
    MLC_ASSIGN_OR_RETURN(step.length, size_field(json, "length", where, 5));
    if (step.length == 0) return user_error(cat(where, ".length"), "is 0", "1 or more");
  } else {
    return unknown_name_error(
        ErrorKind::kUser, where, "pre_tokenizer", type,
        {"BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "FixedLength",
         "Metaspace", "Punctuation", "Sequence", "Split", "Whitespace", "WhitespaceSplit"});
  }
  steps_.push_back(std::move(step));
  return {};
}

bool PreTokenizer::ends_in_byte_alphabet() const {
  return !steps_.empty() && steps_.back().kind == Step::Kind::kByteLevel;
}

template <class F>
void PreTokenizer::match_characters(std::string_view text, std::vector<Span>& matches, F is_match) {
  for (size_t i = 0; i < text.size();) {
    const size_t begin = i;
    if (is_match(next_code_point(text, i))) matches.push_back({begin, i});
  }
}

void PreTokenizer::find(const Step& step, std::string_view text, std::vector<Span>& matches) {
  using Kind = Step::Kind;
  switch (step.kind) {
    case Kind::kSplit:
    case Kind::kByteLevel:
    case Kind::kWhitespace:
      step.pattern.find_all(text, matches);
      break;
    case Kind::kDigits:
      match_characters(text, matches, is_numeric);
      break;
    case Kind::kPunctuation:
      match_characters(text, matches, is_punctuation);
      break;
    case Kind::kWhitespaceSplit:
      match_characters(text, matches, is_whitespace);
      break;
    case Kind::kDelimiter:
      match_characters(text, matches, [&](char32_t c) { return c == step.delimiter; });
      break;
    case Kind::kMetaspace:
      Pattern::literal(step.replacement).find_all(text, matches);
      break;
    case Kind::kFixedLength:
      break;
  }
}

// Appends the words of text [begin, end): `matches` are relative to begin.
void PreTokenizer::cut(const Step& step, size_t begin, size_t end, const std::vector<Span>& matches,
                       std::vector<Span>& spans) {
  const auto keep = [&](size_t from, size_t to) {
    if (from < to) spans.push_back({from, to});
  };
  if (step.behavior == Behavior::kIsolated) {
    size_t done = begin;
    for (const Span& match : matches) {
      keep(done, begin + match.begin);
      keep(begin + match.begin, begin + match.end);
      done = begin + match.end;
    }
    keep(done, end);
    return;
  }
  // The others see matches and the text between them in turn; an empty match counts as one.
  struct Part {
    Span span;
    bool is_match;
  };
  std::vector<Part> parts;
  parts.reserve(matches.size() * 2 + 1);
  size_t done = begin;
  for (const Span& match : matches) {
    if (done < begin + match.begin) parts.push_back({{done, begin + match.begin}, step.invert});
    parts.push_back({{begin + match.begin, begin + match.end}, !step.invert});
    done = begin + match.end;
  }
  if (done < end) parts.push_back({{done, end}, step.invert});
  if (step.behavior == Behavior::kRemoved) {
    for (const Part& part : parts) {
      if (!part.is_match) keep(part.span.begin, part.span.end);
    }
    return;
  }
  const bool backwards = step.behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(parts.begin(), parts.end());
  std::vector<Span> merged;
  bool previous_match = false;
  for (const Part& part : parts) {
    const bool joins = step.behavior == Behavior::kContiguous ? part.is_match == previous_match
                                                              : part.is_match && !previous_match;
    if (joins && !merged.empty()) {
      (backwards ? merged.back().begin : merged.back().end) =
          backwards ? part.span.begin : part.span.end;
    } else {
      merged.push_back(part.span);
    }
    previous_match = part.is_match;
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  for (const Span& span : merged) keep(span.begin, span.end);
}

void PreTokenizer::run_split(const Step& step, Words& words) {
  words.next.clear();
  for (const Span& span : words.spans) {
    words.matches.clear();
    find(step, words.text.substr(span.begin, span.end - span.begin), words.matches);
    cut(step, span.begin, span.end, words.matches, words.next);
  }
  words.spans.swap(words.next);
}

void PreTokenizer::run_byte_level(const Step& step, bool last, Words& words) const {
  const auto starts_with_blank = [&](const Span& span) { return words.text[span.begin] == ' '; };
  if (step.add_prefix_space &&
      !std::all_of(words.spans.begin(), words.spans.end(), starts_with_blank)) {
    std::string& buffer = other_buffer(words);
    words.next.clear();
    for (const Span& span : words.spans) {
      const size_t begin = buffer.size();
      if (!starts_with_blank(span)) buffer += ' ';
      buffer += words.text.substr(span.begin, span.end - span.begin);
      words.next.push_back({begin, buffer.size()});
    }
    take_over(words, buffer);
  }
  if (step.use_regex) run_split(step, words);
  if (last && keep_bytes_) return;
  std::string& buffer = other_buffer(words);
  words.next.clear();
  for (const Span& span : words.spans) {
    const size_t begin = buffer.size();
    append_byte_alphabet(buffer, words.text.substr(span.begin, span.end - span.begin));
    words.next.push_back({begin, buffer.size()});
  }
  take_over(words, buffer);
}

void PreTokenizer::run_metaspace(const Step& step, bool at_start, Words& words) {
  std::string& buffer = other_buffer(words);
  words.next.clear();
  for (const Span& span : words.spans) {
    const std::string_view word = words.text.substr(span.begin, span.end - span.begin);
    const size_t begin = buffer.size();
    const bool prepend = step.scheme == Scheme::kAlways ||
                         (step.scheme == Scheme::kFirst && at_start && span.begin == 0);
    if (prepend && word[0] != ' ' && !word.starts_with(step.replacement))
      buffer += step.replacement;
    for (size_t i = 0; i < word.size();) {
      const size_t blank = std::min(word.find(' ', i), word.size());
      buffer += word.substr(i, blank - i);
      if (blank < word.size()) buffer += step.replacement;
      i = blank + 1;
    }
    words.next.push_back({begin, buffer.size()});
  }
  take_over(words, buffer);
  if (!step.split) return;
  Step split{.kind = Step::Kind::kMetaspace};
  split.behavior = Behavior::kMergedWithNext;
  split.replacement = step.replacement;
  run_split(split, words);
}

void PreTokenizer::run_fixed_length(const Step& step, Words& words) {
  words.next.clear();
  for (const Span& span : words.spans) {
    for (size_t i = span.begin; i < span.end;) {
      const size_t begin = i;
      for (int64_t k = 0; k < step.length && i < span.end; ++k) i += utf8_length(words.text[i]);
      words.next.push_back({begin, i});
    }
  }
  words.spans.swap(words.next);
}

void PreTokenizer::run(std::string_view text, bool at_start, Words& words) const {
  words.text = text;
  words.spans.clear();
  if (!text.empty()) words.spans.push_back({0, text.size()});
  for (size_t i = 0; i < steps_.size() && !words.spans.empty(); ++i) {
    at_start &= words.spans[0].begin == 0;  // what a step removes is gone for the next one
    const Step& step = steps_[i];
    using Kind = Step::Kind;
    switch (step.kind) {
      case Kind::kByteLevel:
        run_byte_level(step, i + 1 == steps_.size(), words);
        break;
      case Kind::kMetaspace:
        run_metaspace(step, at_start, words);
        break;
      case Kind::kFixedLength:
        run_fixed_length(step, words);
        break;
      case Kind::kSplit:
      case Kind::kDigits:
      case Kind::kPunctuation:
      case Kind::kWhitespace:
      case Kind::kWhitespaceSplit:
      case Kind::kDelimiter:
        run_split(step, words);
        break;
    }
  }
}

}  // namespace mlc::tokenizers
