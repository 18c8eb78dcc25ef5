// SPDX-License-Identifier: Apache-2.0
// JSON schemas to rules. What the rules match is JSON that is valid for the schema; not every valid
// text is matched: properties come in the schema's order, blanks are few, numbers have at most so
// many digits (docs/grammar.md). What cannot be expressed is refused by name.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/grammar/json_schema_merge.h"
#include "engine/grammar/json_text.h"
#include "engine/grammar/pattern_cursor.h"
#include "engine/grammar/readers.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int64_t kMostSchemas = 50'000;

struct Format {
  std::string_view name;
  std::string_view pattern;
};

#define MLC_DATE                                           \
  "\\d{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12]\\d|3[01])|" \
  "(04|06|09|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))"
#define MLC_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define MLC_BYTE "(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])"
constexpr Format kFormats[] = {
    {"date", "^" MLC_DATE "$"},
    {"time", "^" MLC_TIME "$"},
    {"date-time", "^" MLC_DATE "T" MLC_TIME "$"},
    {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
    {"ipv4", "^" MLC_BYTE "(\\." MLC_BYTE "){3}$"},
    {"email",
     "^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9]+(-[A-Za-z0-9]+)*"
     "(\\.[A-Za-z0-9]+(-[A-Za-z0-9]+)*)+$"},
};
#undef MLC_DATE
#undef MLC_TIME
#undef MLC_BYTE

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
      if (target->is_object()) MLC_RETURN_IF_ERROR(check_keywords(*target, at(pointer)));
      schema.erase("$ref");
      MLC_ASSIGN_OR_RETURN(schema, merged(*target, schema, at(pointer)));
    }
    return schema;
  }

  Result<Expr> read(const Json& schema, const std::string& pointer, int depth) {
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
    if (schema.is_bool()) {
      return schema.as_bool() ? rule_reference(json_.value) : impossible(pointer, "is false");
    }
    if (!schema.is_object()) {
      return user_error(at(pointer), cat("is ", schema.kind_name()),
                        "a schema: an object or a bool");
    }
    MLC_RETURN_IF_ERROR(check_keywords(schema, at(pointer)));
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
    for (const char* name : {"allOf", "anyOf", "oneOf"}) {
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

  Result<Expr> read_combination(const Json& schema, const std::string& name,
                                const std::string& pointer, int depth) {
    Json beside = schema;
    const Json::Array parts = schema.find(name)->as_array();
    beside.erase(name);
    const std::string place = cat(pointer, "/", name);
    if (name == "allOf") {
      if (parts.size() == 1 && !constrains(beside)) {
        return read(parts[0], cat(place, "/0"), depth + 1);
      }
      for (size_t i = 0; i < parts.size(); ++i) {
        MLC_ASSIGN_OR_RETURN(const Json part, dereferenced(parts[i], cat(place, "/", i)));
        if (part.is_object()) MLC_RETURN_IF_ERROR(check_keywords(part, at(cat(place, "/", i))));
        MLC_ASSIGN_OR_RETURN(beside, merged(beside, part, at(place)));
      }
      return read(beside, pointer, depth + 1);
    }
    std::vector<Json> wholes;
    std::vector<Expr> alternatives;
    const bool plain = !constrains(beside);
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string part_place = cat(place, "/", i);
      if (plain && name == "anyOf") {
        MLC_ASSIGN_OR_RETURN(Expr e, read(parts[i], part_place, depth + 1));
        alternatives.push_back(std::move(e));
        continue;
      }
      MLC_ASSIGN_OR_RETURN(const Json part, dereferenced(parts[i], part_place));
      if (part.is_object()) MLC_RETURN_IF_ERROR(check_keywords(part, at(part_place)));
      MLC_ASSIGN_OR_RETURN(Json whole, merged(beside, part, at(part_place)));
      MLC_ASSIGN_OR_RETURN(Expr e, read(plain ? parts[i] : whole, part_place, depth + 1));
      alternatives.push_back(std::move(e));
      wholes.push_back(std::move(whole));
    }
    for (size_t i = 0; name == "oneOf" && i < wholes.size(); ++i) {
      for (size_t k = 0; k < i; ++k) {
        if (are_disjoint(wholes[k], wholes[i])) continue;
        return user_error(
            at(place), cat("has alternatives ", k, " and ", i, " that one value might meet both"),
            "alternatives that differ by type, by constants, or by constants of a "
            "required property",
            "use anyOf");
      }
    }
    return choice(std::move(alternatives));
  }

  Result<Expr> read_constants(const Json& schema, const Json::Array& constants,
                              const std::string& pointer) {
    for (const auto& [name, value] : schema.as_object()) {
      if (is_annotation(name) || name == "const" || name == "enum" || name == "type") continue;
      return user_error(at(pointer),
                        cat("has the keyword ", name,
                            " beside const or enum, which "
                            "is not supported"),
                        "const or enum, and type", "leave out the values that do not meet it");
    }
    std::vector<Expr> alternatives;
    const std::vector<std::string> types = types_of(schema);
    for (const Json& value : constants) {
      if (!is_json(value)) {
        return user_error(at(pointer), "has a constant that is no JSON number", "a finite number");
      }
      if (std::any_of(types.begin(), types.end(),
                      [&](const std::string& type) { return has_type(value, type); })) {
        alternatives.push_back(json_literal(value));
      }
    }
    if (alternatives.empty())
      return impossible(pointer, "has no value of the type that is allowed");
    return choice(std::move(alternatives));
  }

  Result<Expr> read_type(const Json& schema, const std::string& type, const std::string& pointer,
                         int depth) {
    if (type == "boolean") return choice({literal("true"), literal("false")});
    if (type == "null") return literal("null");
    if (type == "string") return read_string(schema, pointer);
    if (type == "object") return read_object(schema, pointer, depth);
    if (type == "array") return read_array(schema, pointer, depth);
    return read_number(schema, type == "integer", pointer);
  }

  Result<Expr> read_number(const Json& schema, bool integer, const std::string& pointer) {
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
    Expr e = integer ? integer_between(low, high) : number_between(low, high);
    const size_t rule = add_rule(
        cat(pointer, integer ? " (an integer" : " (a number", " within its bounds)"), std::move(e));
    return rule_reference(rule);
  }

  Result<Expr> read_string(const Json& schema, const std::string& pointer) {
    const Json* pattern = schema.find("pattern");
    const Json* format = schema.find("format");
    const Json* min = schema.find("minLength");
    const Json* max = schema.find("maxLength");
    if (pattern == nullptr && format == nullptr && min == nullptr && max == nullptr) {
      return rule_reference(json_.string);
    }
    if ((pattern != nullptr) + (format != nullptr) + (min != nullptr || max != nullptr) > 1) {
      return user_error(at(pointer),
                        "has more than one of pattern, format and minLength or "
                        "maxLength, which is not supported together",
                        "one of them", "say the length in the pattern, as in ^[a-z]{3,8}$");
    }
    Expr content;
    if (pattern != nullptr || format != nullptr) {
      std::string_view text;
      if (pattern != nullptr) {
        text = pattern->as_string();
      } else {
        const auto known =
            std::find_if(std::begin(kFormats), std::end(kFormats),
                         [&](const Format& f) { return f.name == format->as_string(); });
        if (known == std::end(kFormats)) {
          return user_error(at(cat(pointer, "/format")),
                            cat("is ", format->as_string(), ", which is not supported"),
                            "date, time, date-time, uuid, ipv4 or email",
                            "use a pattern, or leave it out");
        }
        text = known->pattern;
      }
      MLC_ASSIGN_OR_RETURN(content, regex_expression(text, RegexMatch::kSomewhere, json_character,
                                                     at(cat(pointer, "/pattern"))));
    } else {
      const int64_t least = min != nullptr ? min->as_int() : 0;
      const int64_t most = max != nullptr ? max->as_int() : Expr::kNoLimit;
      if (max != nullptr && least > most) {
        return impossible(pointer, cat("minLength ", least, " is above maxLength ", most));
      }
      content = repeat(any_json_character(), least, most);
    }
    return sequence({literal("\""), std::move(content), literal("\"")});
  }

  struct Field {
    Expr member;
    bool required;
  };

  Result<Expr> read_object(const Json& schema, const std::string& pointer, int depth) {
    const Json none = Json::object();
    const Json* named = schema.find("properties");
    Json properties = named != nullptr ? *named : none;
    std::set<std::string> required;
    const Json* additional = schema.find("additionalProperties");
    const bool closed = additional != nullptr && *additional == Json(false);
    if (const Json* names = schema.find("required")) {
      for (const Json& name : names->as_array()) required.insert(name.as_string());
    }
    for (const std::string& name : required) {
      if (properties.contains(name)) continue;
      if (closed) {
        return impossible(pointer, cat("requires ", name, ", which additionalProperties forbids"));
      }
      properties.set(name, additional != nullptr ? *additional : Json(true));
    }
    // Where nothing is said of additional properties they are allowed, but not generated beside
    // others.
    const bool open = additional != nullptr ? !closed : properties.as_object().empty();
    MLC_RETURN_IF_ERROR(
        check_property_counts(schema, pointer, required.size(),
                              open ? -1 : static_cast<int64_t>(properties.as_object().size())));
    std::vector<Field> fields;
    std::vector<std::string> names;
    for (const auto& [name, value] : properties.as_object()) {
      if (properties.find(name) != &value) continue;  // it stands there again
      names.push_back(name);
      if (value == Json(false) && required.count(name) == 0) continue;
      const std::string place = cat(pointer, "/properties/", name);
      MLC_ASSIGN_OR_RETURN(Expr e, read(value, place, depth + 1));
      fields.push_back({sequence({json_literal(Json(name)), literal(":"), blank(), std::move(e)}),
                        required.count(name) > 0});
    }
    std::optional<Expr> extra;
    if (open) {
      MLC_ASSIGN_OR_RETURN(Expr e, read(additional != nullptr ? *additional : Json(true),
                                        cat(pointer, "/additionalProperties"), depth + 1));
      const size_t key = names.empty()
                             ? json_.string
                             : add_rule(cat(pointer, " (another name)"), string_other_than(names));
      extra = sequence({rule_reference(key), literal(":"), blank(), std::move(e)});
    }
    return sequence({literal("{"), blank(), members(fields, extra, pointer)});
  }

  // With the closing brace. Two rules a field: what follows where no member was written yet, and
  // where one was.
  Expr members(const std::vector<Field>& fields, const std::optional<Expr>& extra,
               const std::string& pointer) {
    const auto after_comma = [&](const Expr& member) {
      return sequence({literal(","), blank(), member});
    };
    const Expr close = literal("}");
    Expr before = close;
    Expr after = sequence({blank(), close});
    if (extra) {
      const size_t more =
          add_rule(cat(pointer, " (more properties)"),
                   sequence({repeat(after_comma(*extra), 0, Expr::kNoLimit), after}));
      after = rule_reference(more);
      before = choice({close, sequence({*extra, after})});
    }
    for (size_t i = fields.size(); i-- > 0;) {
      const Field& field = fields[i];
      const size_t member = add_rule(cat(pointer, " (a property)"), field.member);
      const Expr reference = rule_reference(member);
      Expr begins = sequence({reference, after});
      Expr goes_on = sequence({after_comma(reference), after});
      if (!field.required) {
        begins = choice({std::move(begins), before});
        goes_on = choice({std::move(goes_on), after});
      }
      before = rule_reference(add_rule(cat(pointer, " (a property)"), std::move(begins)));
      after = rule_reference(add_rule(cat(pointer, " (a property)"), std::move(goes_on)));
    }
    return before;
  }

  Result<void> check_property_counts(const Json& schema, const std::string& pointer, size_t least,
                                     int64_t most) const {
    const auto refuse = [&](const char* name, const Json& count) {
      return user_error(at(cat(pointer, "/", name)), cat("is ", count.dump()),
                        "a count that required and properties ensure already",
                        cat("leave it out: ", name, " is not supported otherwise"));
    };
    const Json* min = schema.find("minProperties");
    if (min != nullptr && min->as_int() > static_cast<int64_t>(least)) {
      return refuse("minProperties", *min);
    }
    const Json* max = schema.find("maxProperties");
    if (max != nullptr && (most < 0 || max->as_int() < most)) {
      return refuse("maxProperties", *max);
    }
    return {};
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
