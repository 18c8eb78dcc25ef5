// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/json_schema_merge.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "engine/grammar/json_schema_rewrite.h"
#include "engine/grammar/text_set.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int64_t kLargestStep = 10'000;

enum class Kind : uint8_t {
  kAnnotation,
  kAny,      // a value of any kind
  kType,     // a name or a list of names
  kString,   // a string
  kStrings,  // a list of strings
  kArray,    // a list, not empty
  kSchema,
  kSchemas,    // a list of schemas, not empty
  kSchemaMap,  // an object of schemas
  kNumber,
  kPositive,    // a number above 0
  kCount,       // an integer of at least 0
  kBool,        // true or false
  kStringsMap,  // an object of lists of strings
};

struct Keyword {
  std::string_view name;
  Kind kind;
  std::string_view of;  // the type whose values alone it constrains
};

constexpr Keyword kKeywords[] = {
    {"title", Kind::kAnnotation, ""},
    {"description", Kind::kAnnotation, ""},
    {"default", Kind::kAnnotation, ""},
    {"example", Kind::kAnnotation, ""},
    {"examples", Kind::kAnnotation, ""},
    {"deprecated", Kind::kAnnotation, ""},
    {"readOnly", Kind::kAnnotation, ""},
    {"writeOnly", Kind::kAnnotation, ""},
    {"contentEncoding", Kind::kAnnotation, ""},
    {"contentMediaType", Kind::kAnnotation, ""},
    {"$schema", Kind::kAnnotation, ""},
    {"$comment", Kind::kAnnotation, ""},
    {"$id", Kind::kAnnotation, ""},
    {"id", Kind::kAnnotation, ""},
    {"$defs", Kind::kAnnotation, ""},
    {"definitions", Kind::kAnnotation, ""},
    {"$ref", Kind::kString, ""},
    {"type", Kind::kType, ""},
    {"const", Kind::kAny, ""},
    {"enum", Kind::kArray, ""},
    {"anyOf", Kind::kSchemas, ""},
    {"oneOf", Kind::kSchemas, ""},
    {"allOf", Kind::kSchemas, ""},
    {"not", Kind::kSchema, ""},
    {"if", Kind::kSchema, ""},
    {"then", Kind::kSchema, ""},
    {"else", Kind::kSchema, ""},
    {"properties", Kind::kSchemaMap, "object"},
    {"patternProperties", Kind::kSchemaMap, "object"},
    {"propertyNames", Kind::kSchema, "object"},
    {"dependentRequired", Kind::kStringsMap, "object"},
    {"dependentSchemas", Kind::kSchemaMap, "object"},
    {"required", Kind::kStrings, "object"},
    {"additionalProperties", Kind::kSchema, "object"},
    {"minProperties", Kind::kCount, "object"},
    {"maxProperties", Kind::kCount, "object"},
    {"items", Kind::kSchema, "array"},
    {"prefixItems", Kind::kSchemas, "array"},
    {"minItems", Kind::kCount, "array"},
    {"maxItems", Kind::kCount, "array"},
    {"uniqueItems", Kind::kBool, "array"},
    {"minLength", Kind::kCount, "string"},
    {"maxLength", Kind::kCount, "string"},
    {"pattern", Kind::kString, "string"},
    {"format", Kind::kString, "string"},
    {"minimum", Kind::kNumber, "number"},
    {"maximum", Kind::kNumber, "number"},
    {"exclusiveMinimum", Kind::kNumber, "number"},
    {"exclusiveMaximum", Kind::kNumber, "number"},
    {"multipleOf", Kind::kPositive, "number"},
};

constexpr std::string_view kTypes[] = {"object",  "array",   "string", "number",
                                       "integer", "boolean", "null"};

const Keyword* keyword(std::string_view name) {
  const auto at = std::find_if(std::begin(kKeywords), std::end(kKeywords),
                               [&](const Keyword& k) { return k.name == name; });
  return at == std::end(kKeywords) ? nullptr : at;
}

bool is_schema(const Json& value) { return value.is_object() || value.is_bool(); }

bool is_type(const Json& value) {
  return value.is_string() &&
         std::find(std::begin(kTypes), std::end(kTypes), value.as_string()) != std::end(kTypes);
}

template <class F>
bool all_of(const Json& list, const F& f) {
  return list.is_array() && std::all_of(list.as_array().begin(), list.as_array().end(), f);
}

// What a keyword's value must be; empty where it is that.
std::string_view expectation(Kind kind, const Json& value) {
  const auto unless = [](bool good, std::string_view words) {
    return good ? std::string_view{} : words;
  };
  switch (kind) {
    case Kind::kAnnotation:
    case Kind::kAny:
      return {};
    case Kind::kType:
      return unless(is_type(value) || all_of(value, is_type),
                    "object, array, string, number, integer, boolean, null, or a list of these");
    case Kind::kString:
      return unless(value.is_string(), "a string");
    case Kind::kStrings:
      return unless(all_of(value, [](const Json& v) { return v.is_string(); }),
                    "a list of strings");
    case Kind::kArray:
      return unless(value.is_array(), "a list");
    case Kind::kSchema:
      return unless(is_schema(value), "a schema");
    case Kind::kSchemas:
      return unless(all_of(value, is_schema) && !value.as_array().empty(),
                    "a list of schemas that is not empty");
    case Kind::kSchemaMap:
      return unless(value.is_object() &&
                        std::all_of(value.as_object().begin(), value.as_object().end(),
                                    [](const Json::Member& m) { return is_schema(m.second); }),
                    "an object of schemas");
    case Kind::kNumber:
      return unless(value.is_int() || (value.is_float() && std::isfinite(value.as_double())),
                    "a number");
    case Kind::kPositive:
      return unless(value.is_number() && std::isfinite(value.as_double()) && value.as_double() > 0,
                    "a number above 0");
    case Kind::kCount:
      return unless(value.is_int() && value.as_int() >= 0, "an integer of at least 0");
    case Kind::kBool:
      return unless(value.is_bool(), "true or false");
    case Kind::kStringsMap:
      return unless(value.is_object() &&
                        std::all_of(value.as_object().begin(), value.as_object().end(),
                                    [](const Json::Member& m) {
                                      return all_of(m.second,
                                                    [](const Json& v) { return v.is_string(); });
                                    }),
                    "an object of lists of strings");
  }
  return {};
}

std::vector<std::string> strings_of(const Json& value) {
  std::vector<std::string> strings;
  if (value.is_string()) strings.push_back(value.as_string());
  if (value.is_array()) {
    for (const Json& item : value.as_array()) strings.push_back(item.as_string());
  }
  return strings;
}

bool has(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Json all_of(const Json& a, const Json& b) {
  if (a == b || b == Json(true)) return a;
  if (a == Json(true)) return b;
  return Json(Json::Object{{"allOf", Json(Json::Array{a, b})}});
}

Json both_types(const Json& a, const Json& b) {
  const std::vector<std::string> x = strings_of(a);
  const std::vector<std::string> y = strings_of(b);
  Json::Array both;
  for (const std::string& type : x) {
    if (has(y, type) || (type == "integer" && has(y, "number"))) both.push_back(type);
  }
  for (const std::string& type : y) {
    if (type == "integer" && has(x, "number") && !has(x, "integer")) both.push_back(type);
  }
  return both;
}

Result<bool> matches_a_pattern(const Json& schema, const std::string& name, const std::string& at) {
  const Json* patterns = schema.find("patternProperties");
  if (patterns == nullptr) return false;
  for (const auto& [pattern, its_schema] : patterns->as_object()) {
    MLC_ASSIGN_OR_RETURN(const TextSet set,
                         TextSet::of_pattern(pattern, cat(at, "/patternProperties")));
    if (set.contains(name)) return true;
  }
  return false;
}

// Properties that only one schema names must meet what the other says of additional ones; its
// patterns stay, and hold for them too.
Result<void> add_properties(const Json& from, const Json& other, const std::string& at,
                            Json& properties) {
  const Json* named = from.find("properties");
  if (named == nullptr) return {};
  const Json* others = other.find("properties");
  const Json* additional = other.find("additionalProperties");
  for (const auto& [name, schema] : named->as_object()) {
    if (properties.contains(name)) continue;
    const Json* bound = others != nullptr ? others->find(name) : nullptr;
    if (bound == nullptr && additional != nullptr) {
      MLC_ASSIGN_OR_RETURN(const bool matches, matches_a_pattern(other, name, at));
      if (!matches) bound = additional;
    }
    properties.set(name, bound != nullptr ? all_of(schema, *bound) : schema);
  }
  return {};
}

Json both_constants(const Json& a, const Json& b) {
  Json::Array x_storage;
  Json::Array y_storage;
  const Json::Array* x = constants_of(a, x_storage);
  const Json::Array* y = constants_of(b, y_storage);
  if (x == nullptr) return *y;
  if (y == nullptr) return *x;
  Json::Array both;
  for (const Json& value : *x) {
    if (std::find(y->begin(), y->end(), value) != y->end()) both.push_back(value);
  }
  return both;
}

}  // namespace

bool is_annotation(std::string_view name) {
  const Keyword* known = keyword(name);
  return known != nullptr && known->kind == Kind::kAnnotation;
}

Result<void> check_keywords(const Json& schema, const std::string& at) {
  for (const auto& [name, value] : schema.as_object()) {
    const Keyword* known = keyword(name);
    if (known == nullptr) {
      return user_error(at, cat("has the keyword ", name, ", which is not supported"),
                        "keywords of docs/grammar.md",
                        "leave it out, if what is generated need not meet it");
    }
    const std::string_view expected = expectation(known->kind, value);
    if (!expected.empty()) {
      return user_error(cat(at, "/", name), cat("is ", value.dump().substr(0, 60)),
                        std::string(expected));
    }
  }
  return {};
}

Result<Json> merged(const Json& a, const Json& b, const std::string& at) {
  for (const Json* side : {&a, &b}) {
    if (side->is_bool() && !side->as_bool()) return Json(false);
  }
  if (a.is_bool()) return b;
  if (b.is_bool()) return a;
  Json result = a;
  Json properties = Json::object();
  MLC_RETURN_IF_ERROR(add_properties(a, b, at, properties));
  MLC_RETURN_IF_ERROR(add_properties(b, a, at, properties));
  if (!properties.as_object().empty()) result.set("properties", properties);
  if (a.contains("const") || a.contains("enum") || b.contains("const") || b.contains("enum")) {
    result.erase("const");
    result.set("enum", both_constants(a, b));
  }
  // Additional properties are those that no pattern of the same schema matches: joined with the
  // patterns of another one they would be others.
  const bool same = a.contains("patternProperties") && b.contains("patternProperties") &&
                    *a.find("patternProperties") == *b.find("patternProperties");
  for (const auto& [x, y] : {std::pair(&a, &b), std::pair(&b, &a)}) {
    if (same || !x->contains("patternProperties") || !y->contains("additionalProperties")) continue;
    return user_error(at,
                      "has two schemas that must hold together, with patternProperties in one and "
                      "additionalProperties in the other",
                      "both in one of them", "join them into one schema");
  }
  Json::Array parts;  // what cannot be joined before alternatives are taken apart
  for (const auto& [name, value] : b.as_object()) {
    if (name == "properties" || name == "const" || name == "enum") continue;
    const Json* mine = a.find(name);
    if (mine == nullptr) {
      result.set(name, value);
    } else if (*mine == value || is_annotation(name)) {
      continue;
    } else if (name == "type") {
      result.set(name, both_types(*mine, value));
    } else if (name == "required") {
      Json::Array names = mine->as_array();
      names.insert(names.end(), value.as_array().begin(), value.as_array().end());
      result.set(name, std::move(names));
    } else if (name == "allOf") {
      parts.insert(parts.end(), value.as_array().begin(), value.as_array().end());
    } else if (name == "anyOf" || name == "oneOf") {
      parts.push_back(Json(Json::Object{{name, value}}));
    } else if (name == "patternProperties") {
      Json all = *mine;
      for (const auto& [pattern, its_schema] : value.as_object()) {
        const Json* own = mine->find(pattern);
        all.set(pattern, own != nullptr ? all_of(*own, its_schema) : its_schema);
      }
      result.set(name, std::move(all));
    } else if (name == "not") {
      exclude(result, value);
    } else if (name == "uniqueItems") {
      result.set(name, Json(true));  // one of the two says so
    } else if (name == "multipleOf" && mine->is_int() && value.is_int() &&
               mine->as_int() <= kLargestStep && value.as_int() <= kLargestStep) {
      result.set(name, Json(std::lcm(mine->as_int(), value.as_int())));
    } else if (name == "additionalProperties" || name == "propertyNames" ||
               (name == "items" && !a.contains("prefixItems") && !b.contains("prefixItems"))) {
      result.set(name, all_of(*mine, value));
    } else if (name.starts_with("min") || name == "exclusiveMinimum") {
      if (value.as_double() > mine->as_double()) result.set(name, value);
    } else if (name.starts_with("max") || name == "exclusiveMaximum") {
      if (value.as_double() < mine->as_double()) result.set(name, value);
    } else {
      return user_error(at,
                        cat("has two schemas that must hold together, with different values "
                            "of ",
                            name),
                        cat("at most one of them with ", name), "join them into one schema");
    }
  }
  if (!parts.empty()) {
    const Json* before = result.find("allOf");
    Json::Array all = before != nullptr ? before->as_array() : Json::Array{};
    all.insert(all.end(), parts.begin(), parts.end());
    result.set("allOf", std::move(all));
  }
  if ((a.contains("prefixItems") || b.contains("prefixItems")) &&
      (a.contains("prefixItems") ? b : a).contains("items")) {
    return user_error(at, "has two schemas that must hold together, with prefixItems and items",
                      "both in one of them", "join them into one schema");
  }
  return result;
}

std::string_view type_name(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_bool()) return "boolean";
  if (value.is_null()) return "null";
  if (value.is_int()) return "integer";
  return std::floor(value.as_double()) == value.as_double() ? "integer" : "number";
}

bool has_type(const Json& value, std::string_view type) {
  const std::string_view own = type_name(value);
  return own == type || (own == "integer" && type == "number");
}

std::vector<std::string> types_of(const Json& schema) {
  std::vector<std::string> types;
  if (const Json* type = schema.find("type")) {
    types = strings_of(*type);
  } else {
    // Keywords constrain values of their type alone. What is generated is of such a type: a schema
    // with `minimum` is about a number.
    for (const auto& [name, value] : schema.as_object()) {
      const Keyword* known = keyword(name);
      if (known == nullptr || known->of.empty() || has(types, known->of)) continue;
      types.emplace_back(known->of);
    }
    if (types.empty()) types.assign(std::begin(kTypes), std::end(kTypes));
  }
  if (has(types, "number")) std::erase(types, "integer");
  return types;
}

const Json::Array* constants_of(const Json& schema, Json::Array& storage) {
  const Json* constant = schema.find("const");
  const Json* list = schema.find("enum");
  if (constant == nullptr) return list != nullptr ? &list->as_array() : nullptr;
  const bool listed = list == nullptr || std::find(list->as_array().begin(), list->as_array().end(),
                                                   *constant) != list->as_array().end();
  if (listed) storage.push_back(*constant);
  return &storage;
}

bool are_disjoint(const Json& a, const Json& b) {
  if (a.is_bool() || b.is_bool()) return a == Json(false) || b == Json(false);
  Json::Array a_storage;
  Json::Array b_storage;
  const Json::Array* x = constants_of(a, a_storage);
  const Json::Array* y = constants_of(b, b_storage);
  const auto has_none_of = [](const Json::Array& values, const Json& schema) {
    const Json* type = schema.find("type");
    if (type == nullptr) return false;
    const std::vector<std::string> types = strings_of(*type);
    return std::none_of(values.begin(), values.end(), [&](const Json& value) {
      return std::any_of(types.begin(), types.end(),
                         [&](const std::string& t) { return has_type(value, t); });
    });
  };
  if (x != nullptr && y != nullptr) {
    return std::none_of(x->begin(), x->end(), [&](const Json& value) {
      return std::any_of(y->begin(), y->end(), [&](const Json& other) {
        return value == other ||
               (value.is_number() && other.is_number() && value.as_double() == other.as_double());
      });
    });
  }
  if (x != nullptr) return has_none_of(*x, b);
  if (y != nullptr) return has_none_of(*y, a);
  const Json* a_type = a.find("type");
  const Json* b_type = b.find("type");
  if (a_type == nullptr || b_type == nullptr) return false;
  if (both_types(*a_type, *b_type).as_array().empty()) return true;
  if (*a_type != Json("object") || *b_type != Json("object")) return false;
  const auto required = [](const Json& schema, const std::string& name) {
    const Json* names = schema.find("required");
    return names != nullptr && has(strings_of(*names), name);
  };
  const Json* a_properties = a.find("properties");
  const Json* b_properties = b.find("properties");
  if (a_properties == nullptr || b_properties == nullptr) return false;
  for (const auto& [name, schema] : a_properties->as_object()) {
    const Json* other = b_properties->find(name);
    if (other == nullptr || !required(a, name) || !required(b, name)) continue;
    if (are_disjoint(schema, *other)) return true;
  }
  return false;
}

}  // namespace mlc::engine::grammar
