// SPDX-License-Identifier: Apache-2.0
// JSON schemas to rules. What the rules match is JSON that is valid for the schema; not every valid
// text is matched: properties come in the schema's order, blanks are few, numbers have at most so
// many digits (docs/grammar.md). What cannot be expressed is refused by name.
#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <memory>
#include <set>

#include "engine/grammar/json_members.h"
#include "engine/grammar/json_schema_merge.h"
#include "engine/grammar/json_schema_rewrite.h"
#include "engine/grammar/json_schema_values.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/pattern_cursor.h"
#include "engine/grammar/readers.h"
#include "engine/grammar/text_set.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int64_t kMostSchemas = 50'000;
constexpr int64_t kMostResolved = 100'000;
constexpr size_t kMostPatterns = 5;       // each choice of them has rules of its own
constexpr int64_t kMostCounted = 20'000;  // properties times their counts
constexpr size_t kMostSubsets = 5'000;    // of unique items
constexpr size_t kMostUnique = 60;
constexpr const char* kAlternatives[] = {"anyOf", "oneOf"};

// False where there is NaN or Infinity, which Python writes and JSON does not have.
bool is_json(const Json& value) {
  if (value.is_float()) return std::isfinite(value.as_double());
  if (value.is_array())
    return std::all_of(value.as_array().begin(), value.as_array().end(), is_json);
  return !value.is_object() || std::all_of(value.as_object().begin(), value.as_object().end(),
                                           [](const Json::Member& m) { return is_json(m.second); });
}

class SchemaReader {
 public:
  SchemaReader(const Json& schema, const std::string& where) : document_(schema), where_(where) {}

  Result<Rules> run() {
    json_ = add_json_rules(rules_);
    MLC_ASSIGN_OR_RETURN(rules_.root, rule_for("#"));
    return std::move(rules_);
  }

 private:
  std::string at(const std::string& pointer) const { return cat(where_, " ", pointer); }

  // A place that nothing can meet. It has a rule, so that a schema that fails for it can say so.
  Expr impossible(const std::string& pointer, const std::string& reason) {
    const size_t rule = rules_.add(cat(pointer, " (", reason, ")"));
    rules_.rules[rule].body = nothing();
    return rule_reference(rule);
  }

  size_t add_rule(const std::string& name, Expr body) {
    const size_t rule = rules_.add(name);
    rules_.rules[rule].body = std::move(body);
    return rule;
  }

  Result<const Json*> resolve(const std::string& pointer) const {
    if (pointer != "#" && !pointer.starts_with("#/")) {
      return user_error(at("$ref"), cat("is ", pointer), "# or #/..., a place in this schema",
                        "copy the schema that it means into $defs");
    }
    const Json* place = &document_;
    std::vector<std::string> steps = split(pointer, '/');
    for (size_t i = 1; i < steps.size(); ++i) {
      const std::string step = replace_all(replace_all(steps[i], "~1", "/"), "~0", "~");
      const Json* next = nullptr;
      if (place->is_object()) {
        next = place->find(step);
      } else if (place->is_array()) {
        const std::optional<int64_t> index = parse_int64(step);
        if (index && *index >= 0 && *index < static_cast<int64_t>(place->as_array().size())) {
          next = &place->as_array()[static_cast<size_t>(*index)];
        }
      }
      if (next == nullptr) {
        return user_error(at("$ref"), cat("is ", pointer), "a place that the schema has");
      }
      place = next;
    }
    return place;
  }

  Result<size_t> rule_for(const std::string& pointer) {
    const auto known = rules_by_pointer_.find(pointer);
    if (known != rules_by_pointer_.end()) return known->second;
    const size_t rule = rules_.add(pointer);
    rules_by_pointer_[pointer] = rule;
    MLC_ASSIGN_OR_RETURN(const Json* schema, resolve(pointer));
    MLC_ASSIGN_OR_RETURN(Expr body, read(*schema, pointer, 0));
    rules_.rules[rule].body = std::move(body);
    return rule;
  }

  static bool constrains(const Json& schema) {
    if (schema.is_bool()) return !schema.as_bool();
    return std::any_of(schema.as_object().begin(), schema.as_object().end(),
                       [](const Json::Member& m) { return !is_annotation(m.first); });
  }

  // Without $ref: what it means, together with what stands beside it.
  Result<Json> dereferenced(Json schema, const std::string& pointer) {
    for (int i = 0; schema.is_object() && schema.contains("$ref"); ++i) {
      if (i > kDeepestNesting) {
        return user_error(at(pointer), "has a $ref that leads to itself", "one that ends");
      }
      MLC_RETURN_IF_ERROR(check_keywords(schema, at(pointer)));
      MLC_ASSIGN_OR_RETURN(const Json* target, resolve(schema.find("$ref")->as_string()));
      if (!target->is_object() && !target->is_bool()) {
        return user_error(at(pointer), "has a $ref to what is no schema", "an object or a bool");
      }
      schema.erase("$ref");
      MLC_ASSIGN_OR_RETURN(schema, plain(std::move(schema), pointer));
      MLC_ASSIGN_OR_RETURN(const Json meant, plain(*target, pointer));
      MLC_ASSIGN_OR_RETURN(schema, merged(meant, schema, at(pointer)));
    }
    return plain(std::move(schema), pointer);
  }

  // Without keywords that others can say.
  Result<Json> plain(Json schema, const std::string& pointer) const {
    if (!schema.is_object()) return schema;
    MLC_RETURN_IF_ERROR(check_keywords(schema, at(pointer)));
    return rewritten(schema, resolve_, at(pointer));
  }

  Result<Expr> read(const Json& given, const std::string& pointer, int depth) {
    if (depth > kDeepestNesting) {
      return user_error(at(pointer.substr(0, 100)), "is nested too deeply",
                        cat("at most ", kDeepestNesting, " levels"),
                        "is there a $ref to an outer schema beside other keywords? leave it alone "
                        "in its schema");
    }
    if (++read_ > kMostSchemas) {
      return user_error(where_, cat("becomes more than ", kMostSchemas, " schemas"),
                        "a smaller schema", "leave a $ref to a large schema alone in its schema");
    }
    if (given.is_bool()) {
      return given.as_bool() ? rule_reference(json_.value) : impossible(pointer, "is false");
    }
    if (!given.is_object()) {
      return user_error(at(pointer), cat("is ", given.kind_name()),
                        "a schema: an object or a bool");
    }
    MLC_ASSIGN_OR_RETURN(const Json schema, plain(given, pointer));
    if (const Json* ref = schema.find("$ref")) {
      Json beside = schema;
      beside.erase("$ref");
      if (!constrains(beside)) {
        MLC_ASSIGN_OR_RETURN(const size_t rule, rule_for(ref->as_string()));
        return rule_reference(rule);
      }
      MLC_ASSIGN_OR_RETURN(const Json whole, dereferenced(schema, pointer));
      return read(whole, pointer, depth + 1);
    }
    if (schema.contains("allOf")) {
      const Json* written = given.find("allOf");
      return read_all(schema, written != nullptr ? written->as_array().size() : 0, pointer, depth);
    }
    for (const char* name : {"anyOf", "oneOf"}) {
      if (schema.contains(name)) return read_combination(schema, name, pointer, depth);
    }
    Json::Array storage;
    if (const Json::Array* constants = constants_of(schema, storage)) {
      return read_constants(schema, *constants, pointer);
    }
    std::vector<Expr> alternatives;
    const std::vector<std::string> types = types_of(schema);
    if (!constrains(schema)) return rule_reference(json_.value);
    for (const std::string& type : types) {
      MLC_ASSIGN_OR_RETURN(Expr e, read_type(schema, type, pointer, depth));
      alternatives.push_back(std::move(e));
    }
    if (types.empty()) return impossible(pointer, "allows no type");
    return choice(std::move(alternatives));
  }

  // What must hold together becomes one schema. Two lists of alternatives are taken apart one after
  // the other. The first `written` parts are those of the schema's text.
  Result<Expr> read_all(const Json& schema, size_t written, const std::string& pointer, int depth) {
    Json beside = schema;
    const Json::Array parts = schema.find("allOf")->as_array();
    beside.erase("allOf");
    const auto place_of = [&](size_t part) {
      return part < written ? cat(pointer, "/allOf/", part) : pointer;
    };
    if (parts.size() == 1 && !constrains(beside)) return read(parts[0], place_of(0), depth + 1);
    Json::Array others;
    for (size_t i = 0; i < parts.size(); ++i) {
      MLC_ASSIGN_OR_RETURN(Json part, dereferenced(parts[i], place_of(i)));
      const bool apart =
          std::any_of(std::begin(kAlternatives), std::end(kAlternatives), [&](const char* name) {
            return part.contains(name) && beside.contains(name) &&
                   *part.find(name) != *beside.find(name);
          });
      if (apart) {
        others.push_back(std::move(part));
      } else {
        MLC_ASSIGN_OR_RETURN(beside, merged(beside, part, at(pointer)));
      }
    }
    const bool all_apart = others.size() == parts.size();
    if (beside.is_object() && !others.empty()) {
      Json::Array left =
          beside.contains("allOf") ? beside.find("allOf")->as_array() : Json::Array{};
      left.insert(left.end(), others.begin(), others.end());
      beside.set("allOf", std::move(left));
    }
    if (!all_apart) return read(beside, pointer, depth + 1);
    const char* name = beside.contains("anyOf") ? "anyOf" : "oneOf";
    return read_combination(beside, name, pointer, depth);
  }

  Result<Expr> read_combination(const Json& schema, const std::string& name,
                                const std::string& pointer, int depth) {
    Json beside = schema;
    const Json::Array parts = schema.find(name)->as_array();
    beside.erase(name);
    const std::string place = cat(pointer, "/", name);
    std::vector<Json> wholes;
    const bool alone = !constrains(beside);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (alone && name == "anyOf") {
        wholes.push_back(parts[i]);
        continue;
      }
      const std::string part_place = cat(place, "/", i);
      MLC_ASSIGN_OR_RETURN(const Json part, dereferenced(parts[i], part_place));
      MLC_ASSIGN_OR_RETURN(Json whole, merged(beside, part, at(part_place)));
      wholes.push_back(std::move(whole));
    }
    std::vector<Expr> alternatives;
    for (size_t i = 0; i < wholes.size(); ++i) {
      // Of alternatives that exclude each other one is met. Others are kept from each other.
      Json whole = wholes[i];
      bool apart = true;
      for (size_t k = 0; name == "oneOf" && k < wholes.size() && whole.is_object(); ++k) {
        if (k == i || are_disjoint(wholes[k], wholes[i])) continue;
        Json::Array all = whole.contains("allOf") ? whole.find("allOf")->as_array() : Json::Array{};
        all.push_back(Json(Json::Object{{"not", parts[k]}}));
        whole.set("allOf", std::move(all));
        apart = false;
      }
      MLC_ASSIGN_OR_RETURN(Expr e,
                           read(alone && apart ? parts[i] : whole, cat(place, "/", i), depth + 1));
      alternatives.push_back(std::move(e));
    }
    return choice(std::move(alternatives));
  }

  Result<Expr> read_constants(const Json& schema, const Json::Array& constants,
                              const std::string& pointer) {
    std::vector<Expr> alternatives;
    bool has_type_of_one = false;
    Json others = schema;
    for (const char* name : {"const", "enum"}) others.erase(name);
    const std::vector<std::string> types = types_of(schema);
    for (const Json& value : constants) {
      if (!is_json(value)) {
        return user_error(at(pointer), "has a constant that is no JSON number", "a finite number");
      }
      has_type_of_one = has_type_of_one ||
                        std::any_of(types.begin(), types.end(),
                                    [&](const std::string& type) { return has_type(value, type); });
      MLC_ASSIGN_OR_RETURN(const bool valid, is_valid(value, others, resolve_, at(pointer)));
      if (valid) alternatives.push_back(json_literal(value));
    }
    if (alternatives.empty()) {
      return impossible(pointer, schema.contains("type") && !has_type_of_one
                                     ? "has no value of the type that is allowed"
                                     : "has no constant that meets its other keywords");
    }
    return choice(std::move(alternatives));
  }

  Result<Expr> read_type(const Json& schema, const std::string& type, const std::string& pointer,
                         int depth) {
    MLC_ASSIGN_OR_RETURN(const std::vector<Json> excluded,
                         excluded_constants(schema, type, pointer));
    const auto is_excluded = [&](const Json& value) {
      return std::any_of(excluded.begin(), excluded.end(),
                         [&](const Json& other) { return same_value(value, other); });
    };
    if (type == "boolean" || type == "null") {
      std::vector<Expr> left;
      for (const Json& value : type == "null" ? Json::Array{Json()} : Json::Array{true, false}) {
        if (!is_excluded(value)) left.push_back(json_literal(value));
      }
      return left.empty() ? impossible(pointer, cat("excludes every ", type))
                          : choice(std::move(left));
    }
    if (type == "string") return read_string(schema, excluded, pointer);
    if (type == "object" || type == "array") {
      if (!excluded.empty()) {
        return user_error(at(cat(pointer, "/not")), cat("excludes ", excluded[0].dump()),
                          "constants that are no objects and no arrays",
                          "exclude a property or a length that it has instead");
      }
      return type == "object" ? read_object(schema, pointer, depth)
                              : read_array(schema, pointer, depth);
    }
    return read_number(schema, excluded, type == "integer", pointer);
  }

  // The constants that `not` names, as far as the schema has them otherwise.
  Result<std::vector<Json>> excluded_constants(const Json& schema, const std::string& type,
                                               const std::string& pointer) const {
    std::vector<Json> constants;
    Json rest = schema;
    rest.erase("not");
    for (const Json& what : exclusions_of(schema)) {
      const Json* values = what.find("enum");
      for (size_t i = 0; values != nullptr && i < values->as_array().size(); ++i) {
        const Json& value = values->as_array()[i];
        if (!has_type(value, type)) continue;
        MLC_ASSIGN_OR_RETURN(const bool valid, is_valid(value, rest, resolve_, at(pointer)));
        if (valid) constants.push_back(value);
      }
    }
    return constants;
  }

  Result<Expr> read_number(const Json& schema, const std::vector<Json>& excluded, bool integer,
                           const std::string& pointer) {
    std::optional<Bound> low;
    std::optional<Bound> high;
    const auto consider = [&](const char* name, bool exclusive, bool lower) -> Result<void> {
      const Json* value = schema.find(name);
      if (value == nullptr) return {};
      if (is_too_large(*value)) {
        return user_error(at(cat(pointer, "/", name)), cat("is ", value->dump()),
                          "a bound of at most 18 digits", "leave it out");
      }
      std::optional<Bound>& bound = lower ? low : high;
      const double sign = lower ? 1 : -1;
      const double step = bound ? sign * (value->as_double() - bound->value.as_double()) : 1;
      if (step > 0 || (step == 0 && exclusive)) bound = Bound{*value, exclusive};
      return {};
    };
    MLC_RETURN_IF_ERROR(consider("minimum", false, true));
    MLC_RETURN_IF_ERROR(consider("exclusiveMinimum", true, true));
    MLC_RETURN_IF_ERROR(consider("maximum", false, false));
    MLC_RETURN_IF_ERROR(consider("exclusiveMaximum", true, false));
    if (low && high && low->value.as_double() > high->value.as_double()) {
      return impossible(pointer, cat("the minimum ", low->value.dump(), " is above the maximum ",
                                     high->value.dump()));
    }
    const Json* multiple = schema.find("multipleOf");
    std::vector<Json> exclusions = exclusions_of(schema);
    const bool no_integer = std::any_of(exclusions.begin(), exclusions.end(),
                                        [](const Json& what) { return what.contains("type"); });
    MLC_ASSIGN_OR_RETURN(Expr e, numbers_of({.integer = integer,
                                             .low = low,
                                             .high = high,
                                             .multiple_of = multiple,
                                             .excluded = excluded,
                                             .no_integer = no_integer},
                                            at(pointer)));
    const size_t rule = add_rule(
        cat(pointer, integer ? " (an integer" : " (a number", " within its bounds)"), std::move(e));
    return rule_reference(rule);
  }

  Result<Expr> read_string(const Json& schema, const std::vector<Json>& excluded,
                           const std::string& pointer) {
    const Json* pattern = schema.find("pattern");
    const Json* format = schema.find("format");
    const Json* min = schema.find("minLength");
    const Json* max = schema.find("maxLength");
    const int64_t least = min != nullptr ? min->as_int() : 0;
    const int64_t most = max != nullptr ? max->as_int() : Expr::kNoLimit;
    if (max != nullptr && least > most) {
      return impossible(pointer, cat("minLength ", least, " is above maxLength ", most));
    }
    std::vector<std::pair<std::string, std::string>> patterns;  // and where they stand
    if (pattern != nullptr) {
      patterns.emplace_back(pattern->as_string(), at(cat(pointer, "/pattern")));
    }
    if (format != nullptr) {
      const std::string place = at(cat(pointer, "/format"));
      const std::string_view known = format_pattern(format->as_string());
      if (known.empty()) {
        return user_error(place, cat("is ", format->as_string(), ", which is not supported"),
                          "date, time, date-time, uuid, ipv4 or email",
                          "use a pattern, or leave it out");
      }
      patterns.emplace_back(known, place);
    }
    std::vector<std::string> unwanted;
    for (const Json& what : exclusions_of(schema)) {
      if (what.contains("pattern")) unwanted.push_back(what.find("pattern")->as_string());
    }
    const bool counts = min != nullptr || max != nullptr;
    Expr content;
    if (unwanted.empty() && excluded.empty() && patterns.size() + (counts ? 1 : 0) < 2) {
      if (patterns.empty() && !counts) return rule_reference(json_.string);
      if (counts) {
        content = repeat(any_json_character(), least, most);
      } else {
        MLC_ASSIGN_OR_RETURN(content, regex_expression(patterns[0].first, RegexMatch::kSomewhere,
                                                       json_character, patterns[0].second));
      }
    } else {
      TextSet set = TextSet::all();
      for (const auto& [text, place] : patterns) {
        MLC_ASSIGN_OR_RETURN(const TextSet own, TextSet::of_pattern(text, place));
        MLC_ASSIGN_OR_RETURN(set, set.both(own, place));
      }
      const std::string place = at(cat(pointer, "/not"));
      for (const std::string& text : unwanted) {
        MLC_ASSIGN_OR_RETURN(const TextSet own, TextSet::of_pattern(text, place));
        MLC_ASSIGN_OR_RETURN(set, set.both(own.none_of_these(), place));
      }
      std::vector<std::string> texts;
      for (const Json& value : excluded) texts.push_back(value.as_string());
      MLC_ASSIGN_OR_RETURN(set, set.both(TextSet::of_texts(texts).none_of_these(), place));
      MLC_ASSIGN_OR_RETURN(content,
                           set.expression(json_character_or_any, least, most, at(pointer)));
      if (content.kind == Expr::Kind::kChoice) {
        return impossible(pointer, "no string meets its pattern, format, lengths and not");
      }
    }
    return sequence({literal("\""), std::move(content), literal("\"")});
  }

  // Properties that no other name: their names, and what they must meet.
  struct Extra {
    Expr name;  // with its quotes
    Json schema;
  };

  Result<Expr> read_object(const Json& schema, const std::string& pointer, int depth) {
    const Json none = Json::object();
    const Json* named = schema.find("properties");
    Json properties = named != nullptr ? *named : none;
    const Json* patterned = schema.find("patternProperties");
    const Json* all_names = schema.find("propertyNames");
    std::set<std::string> required;
    const Json* additional = schema.find("additionalProperties");
    const bool closed = additional != nullptr && *additional == Json(false);
    if (const Json* names = schema.find("required")) {
      for (const Json& name : names->as_array()) required.insert(name.as_string());
    }
    std::vector<std::pair<TextSet, Json>> patterns;
    for (size_t i = 0; patterned != nullptr && i < patterned->as_object().size(); ++i) {
      const auto& [pattern, its_schema] = patterned->as_object()[i];
      if (patterned->find(pattern) != &its_schema) continue;  // it stands there again
      MLC_ASSIGN_OR_RETURN(TextSet set,
                           TextSet::of_pattern(pattern, at(cat(pointer, "/patternProperties"))));
      patterns.emplace_back(std::move(set), its_schema);
    }
    if (patterns.size() > kMostPatterns) {
      return user_error(at(cat(pointer, "/patternProperties")), cat("has ", patterns.size()),
                        cat("at most ", kMostPatterns), "join patterns of the same schema by |");
    }
    const auto matches = [&](const std::string& name) {
      return std::any_of(patterns.begin(), patterns.end(),
                         [&](const auto& p) { return p.first.contains(name); });
    };
    for (const std::string& name : required) {
      if (properties.contains(name)) continue;
      if (closed && !matches(name)) {
        return impossible(pointer, cat("requires ", name, ", which additionalProperties forbids"));
      }
      properties.set(name, additional != nullptr && !matches(name) ? *additional : Json(true));
    }
    // Where nothing is said of additional properties they are allowed, but not generated beside
    // others.
    const bool open =
        additional != nullptr ? !closed : properties.as_object().empty() && patterns.empty();
    std::vector<Field> fields;
    std::vector<std::string> names;
    for (const auto& [name, value] : properties.as_object()) {
      if (properties.find(name) != &value) continue;  // it stands there again
      names.push_back(name);
      Json whole = value;
      for (const auto& [set, its_schema] : patterns) {
        if (set.contains(name)) whole = both(whole, its_schema);
      }
      if (all_names != nullptr) {
        MLC_ASSIGN_OR_RETURN(const bool valid,
                             is_valid(Json(name), *all_names, resolve_, at(pointer)));
        if (!valid && required.count(name) > 0) {
          return impossible(pointer, cat("requires ", name, ", which propertyNames forbids"));
        }
        if (!valid) continue;
      }
      if (whole == Json(false) && required.count(name) == 0) continue;
      const std::string place = cat(pointer, "/properties/", name);
      MLC_ASSIGN_OR_RETURN(Expr e, read(whole, place, depth + 1));
      fields.push_back({sequence({json_literal(Json(name)), literal(":"), blank(), std::move(e)}),
                        required.count(name) > 0});
    }
    std::vector<Extra> extras;
    const Json rest = additional != nullptr ? *additional : Json(true);
    if (all_names == nullptr && patterns.empty()) {
      if (open) {
        const size_t name =
            names.empty() ? json_.string
                          : add_rule(cat(pointer, " (another name)"), string_other_than(names));
        extras.push_back({rule_reference(name), rest});
      }
    } else {
      MLC_ASSIGN_OR_RETURN(
          extras, extra_names(patterns, all_names, names, open ? std::optional(rest) : std::nullopt,
                              pointer, depth));
    }
    std::vector<Expr> more;
    for (Extra& extra : extras) {
      const std::string place =
          cat(pointer, patterns.empty() ? "/additionalProperties" : "/patternProperties");
      MLC_ASSIGN_OR_RETURN(Expr e, read(extra.schema, place, depth + 1));
      more.push_back(sequence({std::move(extra.name), literal(":"), blank(), std::move(e)}));
    }
    const std::optional<Expr> extra =
        more.empty() ? std::nullopt : std::optional(choice(std::move(more)));
    MLC_ASSIGN_OR_RETURN(const PropertyCounts counts,
                         property_counts(schema, pointer, fields, extra.has_value()));
    const std::optional<std::string> contradiction =
        contradiction_of(counts, fields, extra.has_value());
    if (contradiction) return impossible(pointer, *contradiction);
    return sequence(
        {literal("{"), blank(), json_members(rules_, blank(), fields, extra, counts, pointer)});
  }

  static Json both(const Json& a, const Json& b) {
    if (a == Json(true)) return b;
    if (b == Json(true)) return a;
    if (a == Json(false) || b == Json(false)) return false;
    return Json(Json::Object{{"allOf", Json(Json::Array{a, b})}});
  }

  // Names that match some patterns and not the others, for each choice of them; `rest` is what
  // those must meet that match none.
  Result<std::vector<Extra>> extra_names(const std::vector<std::pair<TextSet, Json>>& patterns,
                                         const Json* all_names,
                                         const std::vector<std::string>& names,
                                         const std::optional<Json>& rest,
                                         const std::string& pointer, int depth) {
    const std::string place = at(pointer);
    TextSet free = TextSet::of_texts(names).none_of_these();
    if (all_names != nullptr) {
      const std::string its_place = cat(pointer, "/propertyNames");
      MLC_ASSIGN_OR_RETURN(const TextSet allowed, strings_of_schema(*all_names, its_place, depth));
      MLC_ASSIGN_OR_RETURN(free, free.both(allowed, place));
    }
    std::vector<Extra> extras;
    for (size_t chosen = 0; chosen < size_t{1} << patterns.size(); ++chosen) {
      if (chosen == 0 && !rest) continue;
      TextSet set = free;
      Json schema = chosen == 0 ? *rest : Json(true);
      for (size_t i = 0; i < patterns.size(); ++i) {
        const bool is_chosen = (chosen >> i & 1) != 0;
        MLC_ASSIGN_OR_RETURN(
            set,
            set.both(is_chosen ? patterns[i].first : patterns[i].first.none_of_these(), place));
        if (is_chosen) schema = both(schema, patterns[i].second);
      }
      if (set.is_empty() || schema == Json(false)) continue;
      MLC_ASSIGN_OR_RETURN(Expr name,
                           set.expression(json_character_or_any, 0, Expr::kNoLimit, place));
      const size_t rule = add_rule(cat(pointer, " (another name)"),
                                   sequence({literal("\""), std::move(name), literal("\"")}));
      extras.push_back({rule_reference(rule), std::move(schema)});
    }
    return extras;
  }

  // The strings that meet a schema, as names of properties must.
  Result<TextSet> strings_of_schema(const Json& given, const std::string& pointer, int depth) {
    if (given.is_bool()) return given.as_bool() ? TextSet::all() : TextSet::of_texts({});
    MLC_ASSIGN_OR_RETURN(Json schema, dereferenced(given, pointer));
    // Alternatives are refused below: two lists of them would stay apart for ever.
    while (schema.contains("allOf") && !schema.contains("anyOf") && !schema.contains("oneOf")) {
      const Json::Array parts = schema.find("allOf")->as_array();
      schema.erase("allOf");
      for (const Json& part : parts) {
        MLC_ASSIGN_OR_RETURN(const Json its, dereferenced(part, pointer));
        MLC_ASSIGN_OR_RETURN(schema, merged(schema, its, at(pointer)));
        if (schema.is_bool()) return strings_of_schema(schema, pointer, depth);
      }
    }
    const std::string place = at(pointer);
    TextSet set = TextSet::all();
    const auto meet = [&](const Result<TextSet>& other, bool within) -> Result<void> {
      if (!other.ok()) return other.error();
      MLC_ASSIGN_OR_RETURN(set, set.both(within ? *other : other->none_of_these(), place));
      return {};
    };
    const auto texts_of = [](const Json::Array& values) {
      std::vector<std::string> texts;
      for (const Json& value : values) {
        if (value.is_string()) texts.push_back(value.as_string());
      }
      return TextSet::of_texts(texts);
    };
    Json::Array storage;
    if (const Json::Array* constants = constants_of(schema, storage)) {
      MLC_RETURN_IF_ERROR(meet(texts_of(*constants), true));
    }
    int64_t least = 0;
    int64_t most = Expr::kNoLimit;
    for (const auto& [name, value] : schema.as_object()) {
      if (is_annotation(name) || name == "enum" || name == "const") continue;
      if (name == "pattern") {
        MLC_RETURN_IF_ERROR(meet(TextSet::of_pattern(value.as_string(), place), true));
      } else if (name == "format") {
        const std::string_view pattern = format_pattern(value.as_string());
        if (pattern.empty()) {
          return user_error(place, cat("has the format ", value.as_string()),
                            "date, time, date-time, uuid, ipv4 or email", "use a pattern");
        }
        MLC_RETURN_IF_ERROR(meet(TextSet::of_pattern(pattern, place), true));
      } else if (name == "minLength") {
        least = value.as_int();
      } else if (name == "maxLength") {
        most = value.as_int();
      } else if (name == "not") {
        for (const Json& what : exclusions_of(schema)) {
          if (const Json* pattern = what.find("pattern")) {
            MLC_RETURN_IF_ERROR(meet(TextSet::of_pattern(pattern->as_string(), place), false));
          } else if (const Json* values = what.find("enum")) {
            MLC_RETURN_IF_ERROR(meet(texts_of(values->as_array()), false));
          }
        }
      } else if (name == "type") {
        const std::vector<std::string> types = types_of(schema);
        if (std::find(types.begin(), types.end(), "string") == types.end()) {
          return TextSet::of_texts({});
        }
      } else {
        return user_error(place, cat("has the keyword ", name, ", which is not supported there"),
                          "enum, const, pattern, format, minLength, maxLength and not of these",
                          "write it as a pattern");
      }
    }
    if (least > 0 || most != Expr::kNoLimit) {
      if (most != Expr::kNoLimit && least > most) return TextSet::of_texts({});
      MLC_RETURN_IF_ERROR(
          meet(TextSet::of(repeat(characters(complement({})), least, most), place), true));
    }
    return set;
  }

  // How many properties are to be counted: what required ensures already is not.
  Result<PropertyCounts> property_counts(const Json& schema, const std::string& pointer,
                                         const std::vector<Field>& fields, bool open) const {
    const auto required = static_cast<int64_t>(
        std::count_if(fields.begin(), fields.end(), [](const Field& f) { return f.required; }));
    const auto named = std::ssize(fields);
    PropertyCounts counts;
    const Json* min = schema.find("minProperties");
    if (min != nullptr && min->as_int() > required) counts.least = min->as_int();
    const Json* max = schema.find("maxProperties");
    if (max != nullptr && (open || max->as_int() < named)) counts.most = max->as_int();
    const auto refuse = [&](const char* name, const Json& count, std::string expected) {
      return user_error(at(cat(pointer, "/", name)), cat("is ", count.dump()), std::move(expected),
                        "leave it out");
    };
    // Additional properties may repeat a name, so that two of them need not be two.
    if (open && counts.least > required + 1) {
      return refuse("minProperties", *min,
                    "at most one more than required names, where names are not all given");
    }
    for (const char* name : {"minProperties", "maxProperties"}) {
      const int64_t count = name == std::string_view("minProperties") ? counts.least : counts.most;
      if (count * (named + 1) > kMostCounted) {
        return refuse(name, *schema.find(name), "a smaller count");
      }
    }
    return counts;
  }

  Result<Expr> read_array(const Json& schema, const std::string& pointer, int depth) {
    const Json* prefix = schema.find("prefixItems");
    const Json* items = schema.find("items");
    const Json* min = schema.find("minItems");
    const Json* max = schema.find("maxItems");
    const int64_t least = min != nullptr ? min->as_int() : 0;
    const int64_t most = max != nullptr ? max->as_int() : Expr::kNoLimit;
    if (max != nullptr && least > most) {
      return impossible(pointer, cat("minItems ", least, " is above maxItems ", most));
    }
    const Json* unique = schema.find("uniqueItems");
    if (unique != nullptr && unique->as_bool() && most != 0 && most != 1) {
      return read_unique(schema, least, most, pointer);
    }
    std::vector<Expr> first;
    for (size_t i = 0; prefix != nullptr && i < prefix->as_array().size(); ++i) {
      if (max != nullptr && static_cast<int64_t>(i) >= most) break;
      const std::string place = cat(pointer, "/prefixItems/", i);
      MLC_ASSIGN_OR_RETURN(Expr e, read(prefix->as_array()[i], place, depth + 1));
      first.push_back(rule_reference(add_rule(place, std::move(e))));
    }
    // Behind a prefix nothing more is generated unless `items` says what, or more are needed.
    std::optional<Expr> rest;
    const bool needs_more = least > static_cast<int64_t>(first.size());
    if (items != nullptr ? *items != Json(false) : prefix == nullptr || needs_more) {
      const std::string place = cat(pointer, "/items");
      MLC_ASSIGN_OR_RETURN(Expr e, read(items != nullptr ? *items : Json(true), place, depth + 1));
      rest = rule_reference(add_rule(place, std::move(e)));
    } else if (needs_more) {
      return impossible(pointer, cat("minItems ", least,
                                     " is more than prefixItems has, and items "
                                     "is false"));
    }
    return sequence({literal("["), blank(), elements(first, rest, least, most), literal("]")});
  }

  // Items that are all different: which were written is a state.
  Result<Expr> read_unique(const Json& schema, int64_t least, int64_t most,
                           const std::string& pointer) {
    const Json* items = schema.find("items");
    const std::string place = at(cat(pointer, "/uniqueItems"));
    std::vector<Json> values;
    if (items != nullptr && !schema.contains("prefixItems")) {
      MLC_ASSIGN_OR_RETURN(const Json whole, dereferenced(*items, cat(pointer, "/items")));
      MLC_ASSIGN_OR_RETURN(values, finite_values(whole, pointer));
    }
    if (values.empty() || values.size() > kMostUnique) {
      return user_error(place, "is true",
                        cat("items of one to ", kMostUnique, " constants (const, enum, booleans)"),
                        "leave it out, or say which items there are");
    }
    if (least > std::ssize(values)) {
      return impossible(pointer, cat("minItems ", least, " is more than there are unique items, ",
                                     values.size()));
    }
    auto graph = std::make_shared<Graph>();
    for (const bool begins : {true, false}) {
      for (const Json& value : values) {
        graph->labels.push_back(begins ? json_literal(value)
                                       : sequence({literal(","), blank(), json_literal(value)}));
      }
    }
    std::map<uint64_t, size_t> nodes{{0, 0}};
    std::vector<uint64_t> subsets{0};
    for (size_t n = 0; n < subsets.size(); ++n) {
      const uint64_t written = subsets[n];
      const int64_t count = std::popcount(written);
      Graph::Node node;
      node.ends = count >= least && count > 0;
      for (size_t i = 0; i < values.size() && (most == Expr::kNoLimit || count < most); ++i) {
        if ((written >> i & 1) != 0) continue;
        const auto [to, is_new] = nodes.try_emplace(written | uint64_t{1} << i, subsets.size());
        if (is_new) subsets.push_back(to->first);
        node.edges.push_back({to->second, count == 0 ? i : values.size() + i});
      }
      graph->nodes.push_back(std::move(node));
      if (subsets.size() > kMostSubsets) {
        return user_error(place, cat("is true, of ", values.size(), " items"),
                          cat("at most ", kMostSubsets, " ways to have written some of them"),
                          "use fewer items, or a smaller maxItems");
      }
    }
    Expr some;
    some.kind = Expr::Kind::kGraph;
    some.graph = std::move(graph);
    Expr all = sequence({std::move(some), blank()});
    if (least == 0) all = choice({empty(), std::move(all)});
    return sequence({literal("["), blank(), std::move(all), literal("]")});
  }

  // The values of a schema of constants, each once; none where it is no such schema.
  Result<std::vector<Json>> finite_values(const Json& schema, const std::string& pointer) const {
    std::vector<Json> values;
    if (!schema.is_object()) return values;
    Json::Array storage;
    const Json::Array* constants = constants_of(schema, storage);
    Json::Array candidates;
    if (constants != nullptr) {
      candidates = *constants;
    } else if (schema.contains("type")) {
      for (const std::string& type : types_of(schema)) {
        if (type != "boolean" && type != "null") return values;
        if (type == "null") candidates.emplace_back();
        if (type == "boolean") candidates.insert(candidates.end(), {Json(true), Json(false)});
      }
    }
    for (const Json& value : candidates) {
      MLC_ASSIGN_OR_RETURN(const bool valid, is_valid(value, schema, resolve_, at(pointer)));
      const bool is_new = std::none_of(values.begin(), values.end(),
                                       [&](const Json& v) { return same_value(v, value); });
      if (valid && is_new && is_json(value)) values.push_back(value);
    }
    return values;
  }

  Expr elements(const std::vector<Expr>& first, const std::optional<Expr>& rest, int64_t least,
                int64_t most) const {
    const auto after_comma = [&](const Expr& item) {
      return sequence({literal(","), blank(), item});
    };
    const auto count = static_cast<int64_t>(first.size());
    const auto left = [&](int64_t written) {
      return most == Expr::kNoLimit ? most : most - written;
    };
    Expr tail = empty();  // behind `count` elements
    if (rest && most != count && count > 0) {
      tail = repeat(after_comma(*rest), std::max<int64_t>(0, least - count), left(count));
    } else if (rest && most != 0 && count == 0) {
      tail = sequence({*rest, repeat(after_comma(*rest), std::max<int64_t>(0, least - 1), left(1)),
                       blank_end(true)});
      return least == 0 ? choice({blank_end(false), std::move(tail)}) : tail;
    }
    for (int64_t i = count; i-- > 0;) {
      const Expr& item = first[static_cast<size_t>(i)];
      tail = sequence({i == 0 ? item : after_comma(item), std::move(tail)});
      if (i == 0) tail = sequence({std::move(tail), blank_end(true)});
      if (i >= least) {
        tail = i == 0 ? choice({blank_end(false), std::move(tail)}) : optional(std::move(tail));
      }
    }
    return tail;
  }

  Expr blank() const { return rule_reference(json_.blank); }
  // Before the closing bracket; where nothing stands in between, the blanks were read already.
  Expr blank_end(bool anything) const { return anything ? blank() : empty(); }

  const Json& document_;
  const std::string& where_;
  // For `not` and constants, which follow each $ref where it stands: so many of them in all.
  int64_t resolved_ = 0;
  const ResolveReference resolve_ = [this](const std::string& pointer) -> Result<const Json*> {
    if (++resolved_ > kMostResolved) {
      return user_error(where_, cat("follows more than ", kMostResolved, " $refs for not or enum"),
                        "fewer of them", "leave not, if, oneOf and enum to small schemas");
    }
    return resolve(pointer);
  };
  Rules rules_;
  JsonRules json_{};
  int64_t read_ = 0;  // schemas so far, those that came about by merging included
  std::map<std::string, size_t> rules_by_pointer_;
};

}  // namespace

Result<Rules> read_json_schema(const Json& schema, const std::string& where) {
  return SchemaReader(schema, where).run();
}

}  // namespace mlc::engine::grammar
