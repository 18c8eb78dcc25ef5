// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/json_schema_rewrite.h"

#include <algorithm>

#include "engine/grammar/json_schema_merge.h"
#include "engine/grammar/pattern_cursor.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

Json schema_of(Json::Object members) { return Json(std::move(members)); }

Json typed(const char* type, const char* keyword, Json value) {
  return schema_of({{"type", type}, {keyword, std::move(value)}});
}

void add_to_all(Json& schema, Json part) {
  if (!schema.contains("allOf")) schema.set("allOf", Json::array());
  schema.find("allOf")->push_back(std::move(part));
}

// One of the alternatives; false where there is none.
Json any_of(Json::Array alternatives) {
  if (alternatives.empty()) return false;
  if (alternatives.size() == 1) return std::move(alternatives[0]);
  return schema_of({{"anyOf", Json(std::move(alternatives))}});
}

bool has_only(const Json& schema, std::string_view keyword) {
  return schema.is_object() &&
         std::all_of(schema.as_object().begin(), schema.as_object().end(),
                     [&](const Json::Member& member) {
                       return member.first == keyword || is_annotation(member.first);
                     }) &&
         schema.contains(keyword);
}

// Forms that stay below `not`.
bool is_exclusion(const Json& schema) {
  return has_only(schema, "enum") || has_only(schema, "pattern") ||
         (has_only(schema, "type") && *schema.find("type") == Json("integer"));
}

class Negation {
 public:
  Negation(const ResolveReference& resolve, const std::string& at) : resolve_(resolve), at_(at) {}

  // Alternatives that a value meets if, and only if, it does not meet the schema.
  Result<Json::Array> of(const Json& schema, int depth) {
    if (depth > kDeepestNesting) {
      return user_error(at_, "has a not that is nested too deeply or leads to itself",
                        cat("at most ", kDeepestNesting, " levels"));
    }
    Json::Array alternatives;
    if (schema.is_bool()) {
      if (!schema.as_bool()) alternatives.emplace_back(true);
      return alternatives;
    }
    MLC_RETURN_IF_ERROR(check_keywords(schema, at_));
    for (const auto& [name, value] : schema.as_object()) {
      if (is_annotation(name) || schema.find(name) != &value) continue;
      MLC_ASSIGN_OR_RETURN(Json::Array more, keyword(schema, name, value, depth));
      alternatives.insert(alternatives.end(), more.begin(), more.end());
    }
    return alternatives;
  }

 private:
  static Json::Array not_types(const Json& type) {
    const Json types = type.is_array() ? type : Json(Json::Array{type});
    const auto has = [&](const char* name) {
      return std::find(types.as_array().begin(), types.as_array().end(), Json(name)) !=
             types.as_array().end();
    };
    Json::Array others;
    for (const char* name : {"object", "array", "string", "boolean", "null"}) {
      if (!has(name)) others.emplace_back(name);
    }
    Json::Array alternatives;
    if (!has("number") && !has("integer")) others.emplace_back("number");
    if (!others.empty()) alternatives.push_back(schema_of({{"type", Json(std::move(others))}}));
    if (has("integer") && !has("number")) {
      alternatives.push_back(typed("number", "not", schema_of({{"type", "integer"}})));
    }
    return alternatives;
  }

  Result<Json::Array> keyword(const Json& schema, const std::string& name, const Json& value,
                              int depth) {
    Json::Array alternatives;
    const auto count = [&](const char* type, const char* opposite, int64_t least, int64_t step) {
      if (value.as_int() >= least) {
        alternatives.push_back(typed(type, opposite, Json(value.as_int() + step)));
      }
      return alternatives;
    };
    if (name == "type") return not_types(value);
    if (name == "enum" || name == "const") {
      const Json constants = name == "enum" ? value : Json(Json::Array{value});
      return Json::Array{schema_of({{"not", schema_of({{"enum", constants}})}})};
    }
    if (name == "pattern") {
      return Json::Array{typed("string", "not", schema_of({{"pattern", value}}))};
    }
    if (name == "minimum") return Json::Array{typed("number", "exclusiveMaximum", value)};
    if (name == "maximum") return Json::Array{typed("number", "exclusiveMinimum", value)};
    if (name == "exclusiveMinimum") return Json::Array{typed("number", "maximum", value)};
    if (name == "exclusiveMaximum") return Json::Array{typed("number", "minimum", value)};
    if (name == "minLength") return count("string", "maxLength", 1, -1);
    if (name == "maxLength") return count("string", "minLength", 0, 1);
    if (name == "minItems") return count("array", "maxItems", 1, -1);
    if (name == "maxItems") return count("array", "minItems", 0, 1);
    if (name == "minProperties") return count("object", "maxProperties", 1, -1);
    if (name == "maxProperties") return count("object", "minProperties", 0, 1);
    if (name == "required") {
      for (const Json& key : value.as_array()) {
        alternatives.push_back(
            typed("object", "properties", schema_of({{key.as_string(), Json(false)}})));
      }
      return alternatives;
    }
    if (name == "properties") {
      for (const auto& [key, its_schema] : value.as_object()) {
        MLC_ASSIGN_OR_RETURN(Json::Array others, of(its_schema, depth + 1));
        if (others.empty()) continue;
        Json other = typed("object", "properties", schema_of({{key, any_of(std::move(others))}}));
        other.set("required", Json(Json::Array{Json(key)}));
        alternatives.push_back(std::move(other));
      }
      return alternatives;
    }
    if (name == "not") return Json::Array{value};
    if (name == "allOf") {
      for (const Json& part : value.as_array()) {
        MLC_ASSIGN_OR_RETURN(const Json::Array others, of(part, depth + 1));
        alternatives.insert(alternatives.end(), others.begin(), others.end());
      }
      return alternatives;
    }
    if (name == "anyOf") {
      Json all = Json::object();
      for (const Json& part : value.as_array()) {
        MLC_ASSIGN_OR_RETURN(Json::Array others, of(part, depth + 1));
        add_to_all(all, any_of(std::move(others)));
      }
      return Json::Array{std::move(all)};
    }
    if (name == "$ref") {
      MLC_ASSIGN_OR_RETURN(const Json* target, resolve_(value.as_string()));
      return of(*target, depth + 1);
    }
    if (name == "uniqueItems" && !value.as_bool()) return alternatives;
    if ((name == "then" || name == "else") && !schema.contains("if")) return alternatives;
    return user_error(at_,
                      cat("has a not (or if, or oneOf whose alternatives overlap) of the keyword ",
                          name, ", which is not supported"),
                      "one of type, enum, const, required, properties, pattern, and of bounds of "
                      "numbers and counts",
                      "say what is allowed instead");
  }

  const ResolveReference& resolve_;
  const std::string& at_;
};

}  // namespace

void exclude(Json& schema, const Json& what) {
  const Json* before = schema.find("not");
  Json::Array all;
  if (before != nullptr && has_only(*before, "anyOf")) {
    all = before->find("anyOf")->as_array();
  } else if (before != nullptr) {
    all.push_back(*before);
  }
  if (has_only(what, "anyOf")) {
    const Json::Array& more = what.find("anyOf")->as_array();
    all.insert(all.end(), more.begin(), more.end());
  } else {
    all.push_back(what);
  }
  schema.set("not", any_of(std::move(all)));
}

std::vector<Json> exclusions_of(const Json& schema) {
  const Json* what = schema.find("not");
  if (what == nullptr) return {};
  return has_only(*what, "anyOf") ? what->find("anyOf")->as_array() : Json::Array{*what};
}

Result<Json> rewritten(const Json& schema, const ResolveReference& resolve, const std::string& at) {
  Json result = schema;
  for (const char* name : {"not", "if", "then", "else"}) {
    const Json* part = schema.find(name);
    if (part == nullptr || !part->is_object()) continue;
    MLC_RETURN_IF_ERROR(check_keywords(*part, cat(at, "/", name)));
  }
  if (const Json* condition = schema.find("if")) {
    const Json* then = schema.find("then");
    const Json* otherwise = schema.find("else");
    for (const char* name : {"if", "then", "else"}) result.erase(name);
    if (then != nullptr || otherwise != nullptr) {
      const Json yes(true);
      const Json unmet = schema_of({{"not", *condition}});
      const auto both = [](const Json& a, const Json& b) {
        return schema_of({{"allOf", Json(Json::Array{a, b})}});
      };
      add_to_all(result, any_of({both(*condition, then != nullptr ? *then : yes),
                                 both(unmet, otherwise != nullptr ? *otherwise : yes)}));
    }
  }
  for (const char* name : {"dependentRequired", "dependentSchemas"}) {
    const Json* dependent = schema.find(name);
    if (dependent == nullptr) continue;
    result.erase(name);
    for (const auto& [key, needs] : dependent->as_object()) {
      Json::Array required{Json(key)};
      Json with = schema_of({{"required", Json(required)}});
      if (needs.is_array()) {
        required.insert(required.end(), needs.as_array().begin(), needs.as_array().end());
        with.set("required", Json(std::move(required)));
      } else {
        add_to_all(with, needs);
      }
      const Json without = schema_of({{"properties", schema_of({{key, Json(false)}})}});
      add_to_all(result, any_of({without, std::move(with)}));
    }
  }
  result.erase("not");
  for (const Json& what : exclusions_of(schema)) {
    // An integer is kept from numbers, a pattern from strings: beside other types they need
    // alternatives.
    const auto is_only = [&](std::initializer_list<std::string_view> names) {
      const std::vector<std::string> types = types_of(schema);
      return schema.contains("type") &&
             std::all_of(types.begin(), types.end(), [&](const std::string& type) {
               return std::find(names.begin(), names.end(), type) != names.end();
             });
    };
    const bool is_plain =
        is_exclusion(what) &&
        (what.contains("enum") ||
         (what.contains("pattern") ? is_only({"string"}) : is_only({"number", "integer"})));
    if (is_plain) {
      exclude(result, what);
      continue;
    }
    MLC_ASSIGN_OR_RETURN(Json::Array alternatives, Negation(resolve, at).of(what, 0));
    add_to_all(result, any_of(std::move(alternatives)));
  }
  return result;
}

}  // namespace mlc::engine::grammar
