// SPDX-License-Identifier: Apache-2.0
// Jinja's filters, with `tojson` as transformers defines it. Left out, since no prompt needs them:
// pprint, random, striptags, urlize, wordwrap. Filters that give generators in Jinja work
// at once here.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

Value default_value(Machine& machine, Value value, const BoundArguments& bound,
                    const CallArguments&) {
  const bool replaces = value.is_undefined() || (truth(bound[1]) && !truth(value));
  if (!replaces) return value;
  return bound[0].is_absent() ? machine.text("") : bound[0];
}

Value count(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<int64_t> size = length(machine, value);
  return size ? Value::integer(*size) : Value::failure();
}

Value to_list(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  std::optional<std::vector<Value>> items = iterate(machine, value);
  return items ? machine.list(std::move(*items)) : Value::failure();
}

Value items_filter(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.is_undefined()) return machine.iterator({});
  if (!value.is_dict()) {
    return machine.fail("TypeError", "Can only get item pairs from a mapping.");
  }
  std::vector<Value> pairs;
  for (const auto& [key, item] : value.dict().entries()) {
    pairs.push_back(machine.tuple({key, item}));
    if (pairs.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(pairs));
}

Value first(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  if (items->empty()) return machine.undefined("No first item, sequence was empty.");
  return items->front();
}

Value last(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (value.kind() == Kind::kIterator || !is_iterable(value)) {
    return machine.fail("TypeError", cat("'", type_name(value), "' object is not reversible"));
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  if (items->empty()) return machine.undefined("No last item, sequence was empty.");
  return items->back();
}

Value reverse(Machine& machine, Value value, const BoundArguments&, const CallArguments&) {
  if (!is_iterable(value)) {
    return machine.fail("FilterArgumentError", "argument must be iterable");
  }
  if (value.is_string()) {
    Slice slice;
    slice.step = Value::integer(-1);
    return get_slice(machine, value, slice);
  }
  std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::reverse(items->begin(), items->end());
  return machine.iterator(std::move(*items));
}

// An attribute path: "a.b.0". None gives the item itself.
class Attribute {
 public:
  // False after a failure.
  bool parse(Machine& machine, Value path) {
    if (path.is_absent() || path.is_none()) return true;
    if (!path.is_string()) {
      parts_.push_back(path);
      return true;
    }
    for (const std::string& part : split(path.text(), '.')) {
      const bool number =
          !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
      const std::optional<int64_t> index = number ? parse_int64(part) : std::nullopt;
      parts_.push_back(index ? Value::integer(*index) : machine.text(part));
      if (parts_.back().failed()) return false;
    }
    return true;
  }

  Value of(Machine& machine, Value item, Value otherwise = {}) const {
    for (const Value& part : parts_) {
      item = get_item(machine, item, part);
      if (item.failed()) return item;
      if (item.is_undefined() && !otherwise.is_absent() && !otherwise.is_none()) item = otherwise;
    }
    return item;
  }

 private:
  std::vector<Value> parts_;
};

Value lowered(Machine& machine, Value value) {
  return value.is_string() ? machine.text(lower_text(value.text())) : value;
}

Value join_filter(Machine& machine, Value value, const BoundArguments& bound,
                  const CallArguments&) {
  const std::optional<std::string> separator =
      bound[0].is_absent() ? std::optional<std::string>("") : str(machine, bound[0]);
  Attribute attribute;
  if (!separator || !attribute.parse(machine, bound[1])) return Value::failure();
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::string result;
  bool is_first = true;
  for (const Value& item : *items) {
    const Value part = attribute.of(machine, item);
    if (part.failed()) return part;
    if (!is_first) result += *separator;
    is_first = false;
    if (!append_str(machine, part, result) ||
        !machine.has_room(static_cast<int64_t>(result.size()))) {
      return Value::failure();
    }
  }
  return machine.text(std::move(result));
}

// Items with the keys by which they are sorted. Stable; false after a failure.
struct Keyed {
  Value key;
  Value item;
};

bool sort_keyed(Machine& machine, std::vector<Keyed>& items, bool reversed) {
  if (reversed) std::reverse(items.begin(), items.end());  // keeps the order of equals
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (machine.failed()) return false;
    return compare(machine, Comparison::kLt, a.key, b.key).value_or(false);
  });
  if (reversed) std::reverse(items.begin(), items.end());
  return !machine.failed();
}

Value dictsort(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::string_view by = bound[1].is_string() ? bound[1].text() : "key";
  if (by != "key" && by != "value") {
    return machine.fail("FilterArgumentError", "You can only sort by either \"key\" or \"value\"");
  }
  if (value.is_undefined()) return fail_undefined(machine, value);
  if (!value.is_dict()) {
    return machine.fail("AttributeError",
                        cat("'", type_name(value), "' object has no attribute 'items'"));
  }
  std::vector<Keyed> entries;
  for (const auto& [key, item] : value.dict().entries()) {
    const Value pair = machine.tuple({key, item});
    const Value part = by == "key" ? key : item;
    entries.push_back({truth(bound[0]) ? part : lowered(machine, part), pair});
    if (machine.failed()) return Value::failure();
  }
  if (!sort_keyed(machine, entries, truth(bound[2]))) return Value::failure();
  std::vector<Value> result;
  for (const Keyed& entry : entries) result.push_back(entry.item);
  return machine.list(std::move(result));
}

Value sort(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  std::vector<Attribute> attributes;
  const bool by_path = bound[2].is_string();
  for (const std::string& path : split(by_path ? bound[2].text() : "", ',')) {
    attributes.emplace_back();
    const Value text = by_path ? machine.text(path) : bound[2];
    if (text.failed() || !attributes.back().parse(machine, text)) return Value::failure();
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Keyed> keyed;
  for (const Value& item : *items) {
    std::vector<Value> key;
    for (const Attribute& attribute : attributes) {
      key.push_back(attribute.of(machine, item));
      if (!truth(bound[1])) key.back() = lowered(machine, key.back());
      if (machine.failed()) return Value::failure();
    }
    keyed.push_back({machine.list(std::move(key)), item});
    if (machine.failed()) return Value::failure();
  }
  if (!sort_keyed(machine, keyed, truth(bound[0]))) return Value::failure();
  std::vector<Value> result;
  for (const Keyed& entry : keyed) result.push_back(entry.item);
  return machine.list(std::move(result));
}

// The key of each item, lower case where case does not count.
std::optional<std::vector<Keyed>> with_keys(Machine& machine, Value value, Value path,
                                            Value case_sensitive, Value otherwise = {}) {
  Attribute attribute;
  if (!attribute.parse(machine, path)) return std::nullopt;
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return std::nullopt;
  std::vector<Keyed> keyed;
  for (const Value& item : *items) {
    Value key = attribute.of(machine, item, otherwise);
    if (!key.failed() && !truth(case_sensitive)) key = lowered(machine, key);
    if (key.failed()) return std::nullopt;
    keyed.push_back({key, item});
  }
  return keyed;
}

Value unique(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const auto keyed = with_keys(machine, value, bound[1], bound[0]);
  if (!keyed) return Value::failure();
  const Value seen = machine.new_dict();
  std::vector<Value> result;
  for (const Keyed& entry : *keyed) {
    if (is_hashable(entry.key) && seen.dict().find(entry.key) != nullptr) continue;
    if (!machine.set_item(seen.dict(), entry.key, entry.item)) return Value::failure();
    result.push_back(entry.item);
  }
  return machine.iterator(std::move(result));
}

template <Comparison better>
Value extreme(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const auto keyed = with_keys(machine, value, bound[1], bound[0]);
  if (!keyed) return Value::failure();
  if (keyed->empty()) return machine.undefined("No aggregated item, sequence was empty.");
  Keyed best = keyed->front();
  for (size_t i = 1; i < keyed->size(); ++i) {
    const std::optional<bool> is_better = compare(machine, better, (*keyed)[i].key, best.key);
    if (!is_better) return Value::failure();
    if (*is_better) best = (*keyed)[i];
  }
  return best.item;
}

Value groupby(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  auto keyed = with_keys(machine, value, bound[0], bound[2], bound[1]);
  if (!keyed || !sort_keyed(machine, *keyed, false)) return Value::failure();
  Attribute attribute;
  if (!attribute.parse(machine, bound[0])) return Value::failure();
  std::vector<Value> groups;
  for (size_t i = 0; i < keyed->size();) {
    std::vector<Value> members;
    const Value key = (*keyed)[i].key;
    const Value name = attribute.of(machine, (*keyed)[i].item, bound[1]);
    for (; i < keyed->size(); ++i) {
      const std::optional<bool> same = equal(machine, key, (*keyed)[i].key);
      if (!same) return Value::failure();
      if (!*same) break;
      members.push_back((*keyed)[i].item);
    }
    const Value list = machine.list(std::move(members));
    if (machine.failed()) return Value::failure();
    groups.push_back(machine.sequence(Kind::kTuple, {name, list}, "_GroupTuple"));
    if (machine.failed()) return Value::failure();
  }
  return machine.list(std::move(groups));
}

Value sum(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  Attribute attribute;
  if (!attribute.parse(machine, bound[0])) return Value::failure();
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  Value total = bound[1].is_absent() ? Value::integer(0) : bound[1];
  if (total.is_string()) {
    return machine.fail("TypeError", "sum() can't sum strings [use ''.join(seq) instead]");
  }
  for (const Value& item : *items) {
    const Value part = attribute.of(machine, item);
    if (part.failed()) return part;
    total = binary(machine, Operator::kAdd, total, part);
    if (total.failed()) return total;
  }
  return total;
}

Value batch(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<int64_t> size = index_of(machine, bound[0]);
  const std::optional<std::vector<Value>> items = size ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  std::vector<Value> rows;
  std::vector<Value> row;
  const auto flush = [&] {
    rows.push_back(machine.list(std::move(row)));
    row.clear();
    return !rows.back().failed();
  };
  for (const Value& item : *items) {
    if (static_cast<int64_t>(row.size()) == *size && !flush()) return Value::failure();
    row.push_back(item);
  }
  if (!row.empty()) {
    if (!bound[1].is_absent() && !bound[1].is_none()) {
      if (*size > machine.limits().range_length) {
        return machine.fail("LimitError", cat("batches of ", *size, " items"));
      }
      while (static_cast<int64_t>(row.size()) < *size) row.push_back(bound[1]);
    }
    if (!flush()) return Value::failure();
  }
  return machine.iterator(std::move(rows));
}

Value slice_filter(Machine& machine, Value value, const BoundArguments& bound,
                   const CallArguments&) {
  const std::optional<int64_t> count = index_of(machine, bound[0]);
  const std::optional<std::vector<Value>> items = count ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  if (*count == 0) {
    return machine.fail("ZeroDivisionError", "integer division or modulo by zero");
  }
  if (*count > machine.limits().range_length) {
    return machine.fail("LimitError", cat(*count, " slices"));
  }
  std::vector<Value> columns;
  const auto size = static_cast<int64_t>(items->size());
  int64_t begin = 0;
  for (int64_t i = 0; i < *count; ++i) {
    const bool larger = i < size % *count;
    const int64_t end = begin + size / *count + (larger ? 1 : 0);
    std::vector<Value> column(items->begin() + begin, items->begin() + end);
    if (!bound[1].is_absent() && !bound[1].is_none() && !larger) column.push_back(bound[1]);
    columns.push_back(machine.list(std::move(column)));
    if (columns.back().failed()) return Value::failure();
    begin = end;
  }
  return machine.iterator(std::move(columns));
}

// ---- filters that take filters and tests

// `arguments` without the first positional ones.
CallArguments rest_of(const CallArguments& arguments, size_t skipped) {
  CallArguments rest = arguments;
  rest.positional.erase(rest.positional.begin(),
                        rest.positional.begin() + static_cast<int64_t>(skipped));
  return rest;
}

Value map_attribute(Machine& machine, Value value, const CallArguments& arguments) {
  Value path;
  Value otherwise;
  for (const auto& [name, given] : arguments.named) {
    if (name == "attribute") {
      path = given;
    } else if (name == "default") {
      otherwise = given;
    } else {
      return machine.fail("FilterArgumentError", cat("Unexpected keyword argument ", quoted(name)));
    }
  }
  Attribute attribute;
  const std::optional<std::vector<Value>> items =
      attribute.parse(machine, path) ? iterate(machine, value) : std::nullopt;
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    result.push_back(attribute.of(machine, item, otherwise));
    if (result.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(result));
}

Value map_filter(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  if (!truth(value)) return machine.iterator({});
  if (arguments.positional.empty()) {
    const bool by_attribute =
        std::any_of(arguments.named.begin(), arguments.named.end(),
                    [](const auto& argument) { return argument.first == "attribute"; });
    if (by_attribute) return map_attribute(machine, value, arguments);
    return machine.fail("FilterArgumentError", "map requires a filter argument");
  }
  const Value name = arguments.positional[0];
  const Builtin* filter = name.is_string() ? find_filter(name.text()) : nullptr;
  if (filter == nullptr) {
    const std::optional<std::string> text = str(machine, name);
    return machine.fail("TemplateRuntimeError",
                        cat("No filter named ", quoted(text.value_or("")), "."));
  }
  const CallArguments rest = rest_of(arguments, 1);
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    result.push_back(call_builtin(machine, *filter, item, rest));
    if (result.back().failed()) return Value::failure();
  }
  return machine.iterator(std::move(result));
}

Value choose(Machine& machine, Value value, const CallArguments& arguments, bool by_attribute,
             bool wanted) {
  if (!truth(value)) return machine.iterator({});
  Attribute attribute;
  if (by_attribute) {
    if (arguments.positional.empty()) {
      return machine.fail("FilterArgumentError", "Missing parameter for attribute name");
    }
    if (!attribute.parse(machine, arguments.positional[0])) return Value::failure();
  }
  const size_t skipped = by_attribute ? 1 : 0;
  const Builtin* test = nullptr;
  CallArguments rest;
  if (arguments.positional.size() > skipped) {
    const Value name = arguments.positional[skipped];
    test = name.is_string() ? find_test(name.text()) : nullptr;
    if (test == nullptr) {
      const std::optional<std::string> text = str(machine, name);
      return machine.fail("TemplateRuntimeError",
                          cat("No test named ", quoted(text.value_or("")), "."));
    }
    rest = rest_of(arguments, skipped + 1);
  }
  const std::optional<std::vector<Value>> items = iterate(machine, value);
  if (!items) return Value::failure();
  std::vector<Value> result;
  for (const Value& item : *items) {
    Value judged = attribute.of(machine, item);
    if (!judged.failed() && test != nullptr) judged = call_builtin(machine, *test, judged, rest);
    if (judged.failed()) return judged;
    if (truth(judged) == wanted) result.push_back(item);
  }
  return machine.iterator(std::move(result));
}

Value select(Machine& machine, Value value, const BoundArguments&, const CallArguments& arguments) {
  return choose(machine, value, arguments, false, true);
}
Value reject(Machine& machine, Value value, const BoundArguments&, const CallArguments& arguments) {
  return choose(machine, value, arguments, false, false);
}
Value selectattr(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  return choose(machine, value, arguments, true, true);
}
Value rejectattr(Machine& machine, Value value, const BoundArguments&,
                 const CallArguments& arguments) {
  return choose(machine, value, arguments, true, false);
}

Value attr(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  const std::optional<std::string> name = str(machine, bound[0]);
  if (!name) return Value::failure();
  // An attribute only, no item.
  if (value.is_dict() && find_method(value, *name) == nullptr) {
    return machine.undefined(cat("'dict object' has no attribute ", quoted(*name)));
  }
  return get_attribute(machine, value, *name);
}

Value tojson(Machine& machine, Value value, const BoundArguments& bound, const CallArguments&) {
  JsonOptions options;
  options.ensure_ascii = truth(bound[0]);
  options.sort_keys = truth(bound[3]);
  const Value width = bound[1];
  if (width.is_string()) {
    options.indent = std::string(width.text());
  } else if (!width.is_absent() && !width.is_none()) {
    const std::optional<int64_t> count = index_of(machine, width);
    if (!count || !machine.has_room(*count)) return Value::failure();
    options.indent = std::string(static_cast<size_t>(std::max<int64_t>(0, *count)), ' ');
  }
  if (options.indent) options.item_separator = ",";
  if (!bound[2].is_absent() && !bound[2].is_none()) {
    const std::optional<std::vector<Value>> parts = iterate(machine, bound[2]);
    if (!parts) return Value::failure();
    if (parts->size() != 2 || !(*parts)[0].is_string() || !(*parts)[1].is_string()) {
      return machine.fail("ValueError", "separators must be two strings");
    }
    options.item_separator = (*parts)[0].text();
    options.key_separator = (*parts)[1].text();
  }
  std::string text;
  if (!append_json(machine, value, options, text)) return Value::failure();
  return machine.text(std::move(text));
}

constexpr Builtin kFilters[] = {
    {"attr", "name", attr},
    {"batch", "linecount fill_with?", batch},
    {"count", "", count},
    {"d", "default_value? boolean?", default_value},
    {"default", "default_value? boolean?", default_value},
    {"dictsort", "case_sensitive? by? reverse?", dictsort},
    {"first", "", first},
    {"groupby", "attribute default? case_sensitive?", groupby},
    {"items", "", items_filter},
    {"join", "d? attribute?", join_filter},
    {"last", "", last},
    {"length", "", count},
    {"list", "", to_list},
    {"map", "*", map_filter},
    {"max", "case_sensitive? attribute?", extreme<Comparison::kGt>},
    {"min", "case_sensitive? attribute?", extreme<Comparison::kLt>},
    {"reject", "*", reject},
    {"rejectattr", "*", rejectattr},
    {"reverse", "", reverse},
    {"select", "*", select},
    {"selectattr", "*", selectattr},
    {"slice", "slices fill_with?", slice_filter},
    {"sort", "reverse? case_sensitive? attribute?", sort},
    {"sum", "attribute? start?", sum},
    {"tojson", "ensure_ascii? indent? separators? sort_keys?", tojson},
    {"unique", "case_sensitive? attribute?", unique},
};

}  // namespace

const Builtin* find_filter(std::string_view name) {
  for (const Builtin& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return find_text_filter(name);
}

}  // namespace mlc::jinja
