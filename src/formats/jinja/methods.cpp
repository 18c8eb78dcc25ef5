// SPDX-License-Identifier: Apache-2.0
// The methods of Python's str, list, tuple, dict and float that change nothing.
#include <algorithm>
#include <cmath>

#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

// A text argument of a method; an error otherwise.
const Text* text_argument(Machine& machine, Value value) {
  if (value.is_string()) return &value.text_object();
  if (value.is_undefined()) {
    machine.fail("TypeError", "must be str, not Undefined");
  } else {
    machine.fail("TypeError", cat("must be str, not ", type_name(value)));
  }
  return nullptr;
}

std::optional<int64_t> integer_or(Machine& machine, Value value, int64_t otherwise) {
  if (value.is_absent()) return otherwise;
  return index_of(machine, value);
}

bool is_given(Value value) { return !value.is_absent() && !value.is_none(); }

// ---- case and kinds of characters

template <std::string (*function)(std::string_view)>
Value mapped(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  if (!machine.spend_on_text(self.text().size())) return Value::failure();
  return machine.text(function(self.text()));
}

std::string capitalize_text(std::string_view text) {
  if (text.empty()) return "";
  const Character first = character_at(text, 0);
  return title_character(first.code) + lower_text(text.substr(first.bytes));
}

std::string title_text(std::string_view text) {
  std::string result;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const std::string_view bytes = text.substr(i, c.bytes);
    result +=
        in_word ? lower_character(text, i)
                : (c.code >= 0xDC80 && c.bytes == 1 ? std::string(bytes) : title_character(c.code));
    in_word = is_upper(c.code) || is_lower(c.code) || is_title(c.code);
    i += c.bytes;
  }
  return result;
}

std::string swapcase_text(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const std::string_view bytes = text.substr(i, c.bytes);
    result += is_upper(c.code)   ? lower_character(text, i)
              : is_lower(c.code) ? upper_text(bytes)
                                 : std::string(bytes);
    i += c.bytes;
  }
  return result;
}

template <bool (*predicate)(uint32_t)>
Value all_are(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  const std::string_view text = self.text();
  if (!machine.spend_on_text(text.size())) return Value::failure();
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (!predicate(c.code)) return Value::boolean(false);
    i += c.bytes;
  }
  return Value::boolean(!text.empty());
}

bool is_alnum(uint32_t c) { return is_alpha(c) || is_digit(c) || is_numeric(c); }

Value is_ascii_method(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  return Value::boolean(is_ascii(self.text()));
}

Value isprintable(Machine& machine, Value self, const BoundArguments& bound,
                  const CallArguments& arguments) {
  if (self.text().empty()) return Value::boolean(true);
  return all_are<is_printable>(machine, self, bound, arguments);
}

Value isidentifier(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  const std::string_view text = self.text();
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (i == 0 ? !is_name_start(c.code) : !is_word(c.code)) return Value::boolean(false);
    i += c.bytes;
  }
  return Value::boolean(!text.empty());
}

// islower() and isupper(): letters with case are there, and all of them are of this one.
template <bool (*wanted)(uint32_t), bool (*other)(uint32_t)>
Value has_case(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  const std::string_view text = self.text();
  bool found = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (other(c.code) || is_title(c.code)) return Value::boolean(false);
    found = found || wanted(c.code);
    i += c.bytes;
  }
  return Value::boolean(found);
}

Value istitle(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  const std::string_view text = self.text();
  bool found = false;
  bool in_word = false;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const bool begins = is_upper(c.code) || is_title(c.code);
    const bool goes_on = is_lower(c.code);
    if ((begins && in_word) || (goes_on && !in_word)) return Value::boolean(false);
    found = found || begins || goes_on;
    in_word = begins || goes_on;
    i += c.bytes;
  }
  return Value::boolean(found);
}

// ---- stripping and filling

template <StripSide side>
Value strip_method(Machine& machine, Value self, const BoundArguments& bound,
                   const CallArguments&) {
  std::string_view characters;
  const bool given = is_given(bound[0]);
  if (given) {
    const Text* text = text_argument(machine, bound[0]);
    if (text == nullptr) return Value::failure();
    characters = text->text;
  }
  if (!machine.spend_on_text(self.text().size())) return Value::failure();
  return machine.text(std::string(strip_text(self.text(), given ? &characters : nullptr, side)));
}

Value fill(Machine& machine, Value self, const BoundArguments& bound, char align) {
  const std::optional<int64_t> width = index_of(machine, bound[0]);
  if (!width) return Value::failure();
  std::string_view character = " ";
  if (!bound[1].is_absent()) {
    if (!bound[1].is_string() || count_characters(bound[1].text()) != 1) {
      return machine.fail("TypeError", "The fill character must be exactly one character long");
    }
    character = bound[1].text();
  }
  const int64_t missing = *width - std::min(*width, count_characters(self.text()));
  if (missing <= 0) return self;
  if (!machine.has_room(std::min(missing, INT64_MAX / 4) *
                        static_cast<int64_t>(character.size()))) {
    return Value::failure();
  }
  int64_t left = 0;
  if (align == '>') left = missing;
  if (align == '^') left = missing / 2 + (missing & *width & 1);
  std::string result;
  for (int64_t i = 0; i < left; ++i) result += character;
  result += self.text();
  for (int64_t i = left; i < missing; ++i) result += character;
  return machine.text(std::move(result));
}

template <char align>
Value fill_method(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  return fill(machine, self, bound, align);
}

Value zfill(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  const std::string_view text = self.text();
  const size_t sign = !text.empty() && (text[0] == '+' || text[0] == '-') ? 1 : 0;
  const std::optional<int64_t> width = index_of(machine, bound[0]);
  if (!width) return Value::failure();
  const int64_t missing = *width - std::min(*width, count_characters(text));
  if (!machine.has_room(missing)) return Value::failure();
  return machine.text(std::string(text.substr(0, sign)) +
                      std::string(static_cast<size_t>(missing), '0') +
                      std::string(text.substr(sign)));
}

Value expandtabs(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  const std::optional<int64_t> given = integer_or(machine, bound[0], 8);
  if (!given) return Value::failure();
  const std::string_view text = self.text();
  const int64_t size = std::max<int64_t>(*given, 0);
  const int64_t tabs = std::count(text.begin(), text.end(), '\t');
  if (tabs > 0 && size > machine.heap().limit_bytes() / tabs) {
    machine.has_room(INT64_MAX);
    return Value::failure();
  }
  std::string result;
  int64_t column = 0;
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    if (c.code == '\t') {
      const int64_t blanks = size > 0 ? size - column % size : 0;
      result.append(static_cast<size_t>(blanks), ' ');
      column += blanks;
    } else {
      result += text.substr(i, c.bytes);
      column = c.code == '\n' || c.code == '\r' ? 0 : column + 1;
    }
    i += c.bytes;
  }
  return machine.text(std::move(result));
}

// ---- searching

// The part of a text between two positions, as Python's start and end arguments say it.
struct Part {
  std::string_view text;
  int64_t first = 0;  // the position of its first character
  bool valid = true;  // false: the start lies behind the end, where even "" is not found
};

std::optional<Part> part_of(Machine& machine, std::string_view text, Value start, Value end) {
  if (!machine.spend_on_text(text.size())) return std::nullopt;
  if (!is_given(start) && !is_given(end)) return Part{text};
  const std::vector<size_t> offsets = character_offsets(text);
  const auto size = static_cast<int64_t>(offsets.size()) - 1;
  const auto position = [&](Value value, int64_t otherwise) -> std::optional<int64_t> {
    if (!is_given(value)) return otherwise;
    std::optional<int64_t> index = index_of(machine, value);
    if (index && *index < 0) index = std::max<int64_t>(0, *index + size);
    return index;
  };
  const std::optional<int64_t> from = position(start, 0);
  const std::optional<int64_t> given_to = position(end, size);
  if (!from || !given_to) return std::nullopt;
  const int64_t to = std::min(*given_to, size);
  if (*from > to) return Part{{}, *from, false};
  const size_t begin = offsets[static_cast<size_t>(*from)];
  return Part{text.substr(begin, offsets[static_cast<size_t>(to)] - begin), *from, true};
}

template <bool from_right, bool must_find>
Value find_method(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  const Text* wanted = text_argument(machine, bound[0]);
  if (wanted == nullptr) return Value::failure();
  const std::optional<Part> part = part_of(machine, self.text(), bound[1], bound[2]);
  if (!part) return Value::failure();
  size_t found = std::string_view::npos;
  if (part->valid) {
    found = from_right ? part->text.rfind(wanted->text) : part->text.find(wanted->text);
  }
  if (found != std::string_view::npos) {
    return Value::integer(part->first + count_characters(part->text.substr(0, found)));
  }
  if (must_find) return machine.fail("ValueError", "substring not found");
  return Value::integer(-1);
}

int64_t count_occurrences(std::string_view text, std::string_view wanted) {
  if (wanted.empty()) return count_characters(text) + 1;
  int64_t count = 0;
  for (size_t i = text.find(wanted); i != std::string_view::npos;
       i = text.find(wanted, i + wanted.size())) {
    ++count;
  }
  return count;
}

Value count_method(Machine& machine, Value self, const BoundArguments& bound,
                   const CallArguments&) {
  const Text* wanted = text_argument(machine, bound[0]);
  if (wanted == nullptr) return Value::failure();
  const std::optional<Part> part = part_of(machine, self.text(), bound[1], bound[2]);
  if (!part) return Value::failure();
  return Value::integer(part->valid ? count_occurrences(part->text, wanted->text) : 0);
}

template <bool at_end>
Value begins_or_ends(Machine& machine, Value self, const BoundArguments& bound,
                     const CallArguments&) {
  const std::string_view name = at_end ? "endswith" : "startswith";
  const std::optional<Part> part = part_of(machine, self.text(), bound[1], bound[2]);
  if (!part) return Value::failure();
  const std::vector<Value> single{bound[0]};
  const std::vector<Value>& wanted = bound[0].kind() == Kind::kTuple ? bound[0].items() : single;
  for (const Value& value : wanted) {
    if (!value.is_string()) {
      return machine.fail("TypeError", cat(name, " first arg must be str or a tuple of str, not ",
                                           type_name(value)));
    }
    const std::string_view text = part->text;
    if (part->valid && (at_end ? text.ends_with(value.text()) : text.starts_with(value.text()))) {
      return Value::boolean(true);
    }
  }
  return Value::boolean(false);
}

// ---- splitting, joining, replacing

Value texts(Machine& machine, const std::vector<std::string_view>& parts, Kind kind = Kind::kList) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) {
    items.push_back(machine.text(std::string(part)));
    if (items.back().failed()) return Value::failure();
  }
  return machine.sequence(kind, std::move(items));
}

std::vector<std::string_view> split_at_blanks(std::string_view text, int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip_text(text, nullptr, StripSide::kLeft);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<int64_t>(parts.size()) == limit) {
      parts.push_back(text);
      break;
    }
    size_t end = 0;
    while (end < text.size()) {
      const Character c = character_at(text, end);
      if (is_space(c.code)) break;
      end += c.bytes;
    }
    parts.push_back(text.substr(0, end));
    text = strip_text(text.substr(end), nullptr, StripSide::kLeft);
  }
  return parts;
}

std::vector<std::string_view> split_at_blanks_from_right(std::string_view text, int64_t limit) {
  std::vector<std::string_view> words = split_at_blanks(text, -1);
  if (limit < 0 || static_cast<int64_t>(words.size()) <= limit) return words;
  const size_t kept = words.size() - static_cast<size_t>(limit);
  const std::string_view last = words[kept - 1];
  std::vector<std::string_view> parts{
      {text.data(), static_cast<size_t>(last.data() + last.size() - text.data())}};
  parts.insert(parts.end(), words.begin() + static_cast<int64_t>(kept), words.end());
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator,
                                       int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<int64_t>(parts.size()) < limit) {
    const size_t found = from_right ? text.rfind(separator) : text.find(separator);
    if (found == std::string_view::npos) break;
    if (from_right) {
      parts.push_back(text.substr(found + separator.size()));
      text = text.substr(0, found);
    } else {
      parts.push_back(text.substr(0, found));
      text = text.substr(found + separator.size());
    }
  }
  parts.push_back(text);
  if (from_right) std::reverse(parts.begin(), parts.end());
  return parts;
}

template <bool from_right>
Value split_method(Machine& machine, Value self, const BoundArguments& bound,
                   const CallArguments&) {
  const std::optional<int64_t> limit = integer_or(machine, bound[1], -1);
  if (!limit || !machine.spend_on_text(self.text().size())) return Value::failure();
  if (!is_given(bound[0])) {
    return texts(machine, from_right ? split_at_blanks_from_right(self.text(), *limit)
                                     : split_at_blanks(self.text(), *limit));
  }
  const Text* separator = text_argument(machine, bound[0]);
  if (separator == nullptr) return Value::failure();
  if (separator->text.empty()) return machine.fail("ValueError", "empty separator");
  return texts(machine, split_at(self.text(), separator->text, *limit, from_right));
}

Value splitlines(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  if (!machine.spend_on_text(self.text().size())) return Value::failure();
  return texts(machine, split_lines(self.text(), truth(bound[0])));
}

template <bool from_right>
Value partition(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  const Text* separator = text_argument(machine, bound[0]);
  if (separator == nullptr) return Value::failure();
  if (separator->text.empty()) return machine.fail("ValueError", "empty separator");
  const std::string_view text = self.text();
  const size_t found = from_right ? text.rfind(separator->text) : text.find(separator->text);
  if (found == std::string_view::npos) {
    if (from_right) return texts(machine, {"", "", text}, Kind::kTuple);
    return texts(machine, {text, "", ""}, Kind::kTuple);
  }
  return texts(
      machine,
      {text.substr(0, found), separator->text, text.substr(found + separator->text.size())},
      Kind::kTuple);
}

Value join_method(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  const std::optional<std::vector<Value>> items = iterate(machine, bound[0]);
  if (!items) return Value::failure();
  std::string result;
  for (size_t i = 0; i < items->size(); ++i) {
    const Value item = (*items)[i];
    if (!item.is_string()) {
      return machine.fail("TypeError", cat("sequence item ", i, ": expected str instance, ",
                                           type_name(item), " found"));
    }
    if (i > 0) result += self.text();
    result += item.text();
    if (!machine.has_room(static_cast<int64_t>(result.size()))) return Value::failure();
  }
  return machine.text(std::move(result));
}

Value replace_method(Machine& machine, Value self, const BoundArguments& bound,
                     const CallArguments&) {
  const Text* from = text_argument(machine, bound[0]);
  const Text* to = from == nullptr ? nullptr : text_argument(machine, bound[1]);
  const std::optional<int64_t> limit = integer_or(machine, bound[2], -1);
  if (to == nullptr || !limit || !machine.spend_on_text(self.text().size())) {
    return Value::failure();
  }
  const std::string_view text = self.text();
  std::string result;
  int64_t done = 0;
  size_t i = 0;
  const auto more = [&] { return *limit < 0 || done < *limit; };
  const auto fits = [&] { return machine.has_room(static_cast<int64_t>(result.size())); };
  if (from->text.empty()) {  // between all characters
    while (more() && i <= text.size()) {
      result += to->text;
      ++done;
      if (i == text.size() || !fits()) break;
      const size_t bytes = character_at(text, i).bytes;
      result += text.substr(i, bytes);
      i += bytes;
    }
  } else {
    while (more()) {
      const size_t found = text.find(from->text, i);
      if (found == std::string_view::npos || !fits()) break;
      result += text.substr(i, found - i);
      result += to->text;
      i = found + from->text.size();
      ++done;
    }
  }
  if (machine.failed()) return Value::failure();
  result += text.substr(std::min(i, text.size()));
  return machine.text(std::move(result));
}

template <bool at_end>
Value remove_affix(Machine& machine, Value self, const BoundArguments& bound,
                   const CallArguments&) {
  const Text* affix = text_argument(machine, bound[0]);
  if (affix == nullptr) return Value::failure();
  std::string_view text = self.text();
  if (at_end && !affix->text.empty() && text.ends_with(affix->text)) {
    text.remove_suffix(affix->text.size());
  } else if (!at_end && text.starts_with(affix->text)) {
    text.remove_prefix(affix->text.size());
  }
  return machine.text(std::string(text));
}

Value format_method(Machine& machine, Value self, const BoundArguments&,
                    const CallArguments& arguments) {
  return brace_format(machine, self.text(), arguments);
}

constexpr Builtin kStringMethods[] = {
    {"capitalize", "", mapped<capitalize_text>},
    {"casefold", "", mapped<casefold_text>},
    {"center", "width fillchar?", fill_method<'^'>},
    {"count", "sub start? end?", count_method},
    {"endswith", "suffix start? end?", begins_or_ends<true>},
    {"expandtabs", "tabsize?", expandtabs},
    {"find", "sub start? end?", find_method<false, false>},
    {"format", "*", format_method},
    {"index", "sub start? end?", find_method<false, true>},
    {"isalnum", "", all_are<is_alnum>},
    {"isalpha", "", all_are<is_alpha>},
    {"isascii", "", is_ascii_method},
    {"isdecimal", "", all_are<is_decimal>},
    {"isdigit", "", all_are<is_digit>},
    {"isidentifier", "", isidentifier},
    {"islower", "", has_case<is_lower, is_upper>},
    {"isnumeric", "", all_are<is_numeric>},
    {"isprintable", "", isprintable},
    {"isspace", "", all_are<is_space>},
    {"istitle", "", istitle},
    {"isupper", "", has_case<is_upper, is_lower>},
    {"join", "iterable", join_method},
    {"ljust", "width fillchar?", fill_method<'<'>},
    {"lower", "", mapped<lower_text>},
    {"lstrip", "chars?", strip_method<StripSide::kLeft>},
    {"partition", "sep", partition<false>},
    {"removeprefix", "prefix", remove_affix<false>},
    {"removesuffix", "suffix", remove_affix<true>},
    {"replace", "old new count?", replace_method},
    {"rfind", "sub start? end?", find_method<true, false>},
    {"rindex", "sub start? end?", find_method<true, true>},
    {"rjust", "width fillchar?", fill_method<'>'>},
    {"rpartition", "sep", partition<true>},
    {"rsplit", "sep? maxsplit?", split_method<true>},
    {"rstrip", "chars?", strip_method<StripSide::kRight>},
    {"split", "sep? maxsplit?", split_method<false>},
    {"splitlines", "keepends?", splitlines},
    {"startswith", "prefix start? end?", begins_or_ends<false>},
    {"strip", "chars?", strip_method<StripSide::kBoth>},
    {"swapcase", "", mapped<swapcase_text>},
    {"title", "", mapped<title_text>},
    {"upper", "", mapped<upper_text>},
    {"zfill", "width", zfill},
};

// ---- lists and dicts

Value count_items(Machine& machine, Value self, const BoundArguments& bound, const CallArguments&) {
  int64_t count = 0;
  for (const Value& item : self.items()) {
    const std::optional<bool> same = equal(machine, item, bound[0]);
    if (!same) return Value::failure();
    count += *same ? 1 : 0;
  }
  return Value::integer(count);
}

Value index_of_item(Machine& machine, Value self, const BoundArguments& bound,
                    const CallArguments&) {
  const auto size = static_cast<int64_t>(self.items().size());
  std::optional<int64_t> from = integer_or(machine, bound[1], 0);
  std::optional<int64_t> to = integer_or(machine, bound[2], size);
  if (!from || !to) return Value::failure();
  if (*from < 0) from = std::max<int64_t>(0, *from + size);
  if (*to < 0) to = *to + size;
  for (int64_t i = *from; i < std::min(*to, size); ++i) {
    const std::optional<bool> same = equal(machine, self.items()[static_cast<size_t>(i)], bound[0]);
    if (!same) return Value::failure();
    if (*same) return Value::integer(i);
  }
  std::string text;
  if (!append_repr(machine, bound[0], text)) return Value::failure();
  return machine.fail("ValueError", cat(text, " is not in ", type_name(self)));
}

Value copy_list(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  return machine.list(self.items());
}

Value get_entry(Machine&, Value self, const BoundArguments& bound, const CallArguments&) {
  const Value* found = is_hashable(bound[0]) ? self.dict().find(bound[0]) : nullptr;
  if (found != nullptr) return *found;
  return bound[1].is_absent() ? Value::none() : bound[1];
}

Value keys(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries()) items.push_back(key);
  return machine.sequence(Kind::kView, std::move(items), "dict_keys");
}

Value values(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries()) items.push_back(value);
  return machine.sequence(Kind::kView, std::move(items), "dict_values");
}

Value entries(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  std::vector<Value> items;
  for (const auto& [key, value] : self.dict().entries()) {
    items.push_back(machine.tuple({key, value}));
    if (items.back().failed()) return Value::failure();
  }
  return machine.sequence(Kind::kView, std::move(items), "dict_items");
}

Value copy_dict(Machine& machine, Value self, const BoundArguments&, const CallArguments&) {
  const Value copy = machine.new_dict();
  for (const auto& [key, value] : self.dict().entries()) {
    if (!machine.set_item(copy.dict(), key, value)) return Value::failure();
  }
  return copy;
}

Value is_integer(Machine&, Value self, const BoundArguments&, const CallArguments&) {
  const double number = self.as_double();
  return Value::boolean(std::isfinite(number) && number == std::floor(number));
}

constexpr Builtin kListMethods[] = {
    {"copy", "", copy_list},
    {"count", "value", count_items},
    {"index", "value start? stop?", index_of_item},
};
constexpr Builtin kDictMethods[] = {
    {"copy", "", copy_dict}, {"get", "key default?", get_entry},
    {"items", "", entries},  {"keys", "", keys},
    {"values", "", values},
};
constexpr Builtin kNumberMethods[] = {{"is_integer", "", is_integer}};

template <size_t count>
const Builtin* find_in(const Builtin (&methods)[count], std::string_view name) {
  for (const Builtin& method : methods) {
    if (method.name == name) return &method;
  }
  return nullptr;
}

}  // namespace

const Builtin* find_method(Value self, std::string_view name) {
  switch (self.kind()) {
    case Kind::kString:
      return find_in(kStringMethods, name);
    case Kind::kList:
      return find_in(kListMethods, name);
    case Kind::kTuple:
    case Kind::kRange: {
      const Builtin* method = find_in(kListMethods, name);
      return method != nullptr && method->name == "copy" ? nullptr : method;
    }
    case Kind::kDict:
      return find_in(kDictMethods, name);
    case Kind::kInt:
    case Kind::kFloat:
      return find_in(kNumberMethods, name);
    default:
      return nullptr;
  }
}

}  // namespace mlc::jinja
