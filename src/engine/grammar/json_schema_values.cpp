// SPDX-License-Identifier: Apache-2.0
#include "engine/grammar/json_schema_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "engine/grammar/json_schema_merge.h"
#include "support/strings.h"

namespace mlc::engine::grammar {
namespace {

constexpr int kMostReferences = 100;  // within each other

struct StringFormat {
  std::string_view name;
  std::string_view pattern;
};

#define MLC_DATE                                           \
  "\\d{4}-((01|03|05|07|08|10|12)-(0[1-9]|[12]\\d|3[01])|" \
  "(04|06|09|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))"
#define MLC_TIME "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)"
#define MLC_BYTE "(\\d|[1-9]\\d|1\\d\\d|2[0-4]\\d|25[0-5])"
constexpr StringFormat kFormats[] = {
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

// The places in the digits of a number, without its sign, as 0.digits * 10^exponent.
struct Digits {
  std::string digits;
  int exponent = 0;
  bool negative = false;
};

Digits digits_of(const Json& number) {
  char buffer[400];
  std::string text;
  if (number.is_int()) {
    text = std::to_string(number.as_int());
  } else {
    const auto end =
        std::to_chars(buffer, buffer + sizeof buffer, number.as_double(), std::chars_format::fixed);
    text.assign(buffer, end.ptr);
  }
  Digits found;
  found.negative = text.starts_with('-');
  if (found.negative) text.erase(0, 1);
  const size_t point = std::min(text.find('.'), text.size());
  found.exponent = static_cast<int>(point);
  if (point < text.size()) text.erase(point, 1);
  while (text.ends_with('0')) text.pop_back();
  found.digits = text;
  return found;
}

class Validator {
 public:
  Validator(const ResolveReference& resolve, const std::string& at) : resolve_(resolve), at_(at) {}

  Result<bool> meets(const Json& value, const Json& schema, int references) {
    if (schema.is_bool()) return schema.as_bool();
    if (!schema.is_object()) {
      return user_error(at_, cat("has ", schema.kind_name(), " in the place of a schema"),
                        "an object or a bool");
    }
    MLC_RETURN_IF_ERROR(check_keywords(schema, at_));
    for (const auto& [name, operand] : schema.as_object()) {
      if (schema.find(name) != &operand) continue;  // it stands there again
      MLC_ASSIGN_OR_RETURN(const bool met, keyword(value, schema, name, operand, references));
      if (!met) return false;
    }
    return true;
  }

 private:
  Result<int64_t> count_met(const Json& value, const Json& schemas, int references) {
    int64_t count = 0;
    for (const Json& schema : schemas.as_array()) {
      MLC_ASSIGN_OR_RETURN(const bool met, meets(value, schema, references));
      count += met ? 1 : 0;
    }
    return count;
  }

  Result<bool> keyword(const Json& value, const Json& schema, const std::string& name,
                       const Json& operand, int references) {
    if (name == "$ref") {
      if (references > kMostReferences) {
        return user_error(at_, "has a $ref that leads to itself", "one that ends");
      }
      MLC_ASSIGN_OR_RETURN(const Json* target, resolve_(operand.as_string()));
      return meets(value, *target, references + 1);
    }
    if (name == "type") {
      const std::vector<std::string> types = types_of(schema);
      return std::any_of(types.begin(), types.end(),
                         [&](const std::string& type) { return has_type(value, type); });
    }
    if (name == "const") return same_value(value, operand);
    if (name == "enum") {
      return std::any_of(operand.as_array().begin(), operand.as_array().end(),
                         [&](const Json& constant) { return same_value(value, constant); });
    }
    if (name == "anyOf" || name == "oneOf" || name == "allOf") {
      MLC_ASSIGN_OR_RETURN(const int64_t count, count_met(value, operand, references));
      if (name == "anyOf") return count > 0;
      return name == "oneOf" ? count == 1 : count == std::ssize(operand.as_array());
    }
    if (name == "not") {
      MLC_ASSIGN_OR_RETURN(const bool met, meets(value, operand, references));
      return !met;
    }
    if (name == "if") {
      MLC_ASSIGN_OR_RETURN(const bool met, meets(value, operand, references));
      const Json* next = schema.find(met ? "then" : "else");
      return next == nullptr ? Result<bool>(true) : meets(value, *next, references);
    }
    if (value.is_object()) return object_keyword(value, schema, name, operand, references);
    if (value.is_array()) return array_keyword(value, schema, name, operand, references);
    if (value.is_string()) return string_keyword(value.as_string(), name, operand);
    if (value.is_number()) return number_keyword(value, name, operand);
    return true;
  }

  Result<bool> object_keyword(const Json& value, const Json& schema, const std::string& name,
                              const Json& operand, int references) {
    std::vector<const Json::Member*> members;
    for (const Json::Member& member : value.as_object()) {
      if (value.find(member.first) == &member.second) members.push_back(&member);
    }
    const auto count = std::ssize(members);
    if (name == "minProperties") return count >= operand.as_int();
    if (name == "maxProperties") return count <= operand.as_int();
    if (name == "required") {
      return std::all_of(operand.as_array().begin(), operand.as_array().end(),
                         [&](const Json& key) { return value.contains(key.as_string()); });
    }
    if (name == "dependentRequired" || name == "dependentSchemas") {
      for (const auto& [key, needs] : operand.as_object()) {
        if (!value.contains(key)) continue;
        const Json needed =
            name == "dependentSchemas" ? needs : Json(Json::Object{{"required", needs}});
        MLC_ASSIGN_OR_RETURN(const bool met, meets(value, needed, references));
        if (!met) return false;
      }
      return true;
    }
    if (name != "properties" && name != "patternProperties" && name != "additionalProperties" &&
        name != "propertyNames") {
      return true;
    }
    for (const Json::Member* member : members) {
      if (name == "propertyNames") {
        MLC_ASSIGN_OR_RETURN(const bool met, meets(Json(member->first), operand, references));
        if (!met) return false;
        continue;
      }
      std::vector<const Json*> schemas;
      const Json* named = schema.find("properties");
      const Json* own = named != nullptr ? named->find(member->first) : nullptr;
      std::vector<const Json*> matching;
      if (const Json* patterns = schema.find("patternProperties")) {
        for (const auto& [pattern, its_schema] : patterns->as_object()) {
          MLC_ASSIGN_OR_RETURN(const TextSet set, TextSet::of_pattern(pattern, at_));
          if (set.contains(member->first)) matching.push_back(&its_schema);
        }
      }
      if (name == "properties" && own != nullptr) schemas.push_back(own);
      if (name == "patternProperties") schemas = matching;
      if (name == "additionalProperties" && own == nullptr && matching.empty()) {
        schemas.push_back(&operand);
      }
      for (const Json* its_schema : schemas) {
        MLC_ASSIGN_OR_RETURN(const bool met, meets(member->second, *its_schema, references));
        if (!met) return false;
      }
    }
    return true;
  }

  Result<bool> array_keyword(const Json& value, const Json& schema, const std::string& name,
                             const Json& operand, int references) {
    const Json::Array& items = value.as_array();
    if (name == "minItems") return std::ssize(items) >= operand.as_int();
    if (name == "maxItems") return std::ssize(items) <= operand.as_int();
    if (name == "uniqueItems") {
      for (size_t i = 0; operand.as_bool() && i < items.size(); ++i) {
        for (size_t k = 0; k < i; ++k) {
          if (same_value(items[i], items[k])) return false;
        }
      }
      return true;
    }
    const Json* prefix = schema.find("prefixItems");
    const size_t first = prefix != nullptr ? prefix->as_array().size() : 0;
    for (size_t i = 0; i < items.size(); ++i) {
      const bool constrained = name == "prefixItems" ? i < first : name == "items" && i >= first;
      if (!constrained) continue;
      const Json& its_schema = name == "items" ? operand : operand.as_array()[i];
      MLC_ASSIGN_OR_RETURN(const bool met, meets(items[i], its_schema, references));
      if (!met) return false;
    }
    return true;
  }

  Result<bool> string_keyword(const std::string& value, const std::string& name,
                              const Json& operand) {
    if (name == "minLength") return std::ssize(code_points_of(value)) >= operand.as_int();
    if (name == "maxLength") return std::ssize(code_points_of(value)) <= operand.as_int();
    if (name != "pattern" && name != "format") return true;
    const std::string_view pattern =
        name == "pattern" ? operand.as_string() : format_pattern(operand.as_string());
    if (name == "format" && pattern.empty()) {
      return user_error(at_,
                        cat("has the format ", operand.as_string(), ", which is not supported"),
                        "date, time, date-time, uuid, ipv4 or email", "leave it out");
    }
    MLC_ASSIGN_OR_RETURN(const TextSet set, TextSet::of_pattern(pattern, at_));
    return set.contains(value);
  }

  Result<bool> number_keyword(const Json& value, const std::string& name, const Json& operand) {
    if (name == "multipleOf") {
      const std::optional<DecimalStep> step = decimal_step(operand);
      if (!step) {
        return user_error(at_, cat("has multipleOf ", operand.dump()),
                          "a number of few digits: at most 10000 times a power of ten");
      }
      // The digits of the value, up to those of the step, are a multiple of its factor.
      const Digits digits = digits_of(value);
      const int places = static_cast<int>(digits.digits.size()) - digits.exponent;
      if (places > step->digits) return false;
      int64_t rest = 0;
      for (const char c : digits.digits) rest = (rest * 10 + (c - '0')) % step->factor;
      for (int i = places; i < step->digits; ++i) rest = rest * 10 % step->factor;
      return rest == 0;
    }
    const double difference = value.as_double() - operand_number(operand);
    if (name == "minimum") return difference >= 0;
    if (name == "maximum") return difference <= 0;
    if (name == "exclusiveMinimum") return difference > 0;
    if (name == "exclusiveMaximum") return difference < 0;
    return true;
  }

  static double operand_number(const Json& operand) {
    return operand.is_number() ? operand.as_double() : 0;
  }

  const ResolveReference& resolve_;
  const std::string& at_;
};

}  // namespace

std::string_view format_pattern(std::string_view format) {
  for (const StringFormat& known : kFormats) {
    if (known.name == format) return known.pattern;
  }
  return {};
}

std::optional<DecimalStep> decimal_step(const Json& number) {
  constexpr int64_t kLargestFactor = 10'000;
  constexpr int kMostDigits = 12;
  const Digits digits = digits_of(number);
  DecimalStep step;
  int64_t factor = 0;
  for (const char c : digits.digits) {
    factor = factor * 10 + (c - '0');
    if (factor > kLargestFactor) return {};
  }
  for (int i = static_cast<int>(digits.digits.size()); i < digits.exponent; ++i) {
    factor *= 10;
    if (factor > kLargestFactor) return {};
  }
  step.factor = factor;
  step.digits = std::max(0, static_cast<int>(digits.digits.size()) - digits.exponent);
  if (factor == 0 || digits.negative || step.digits > kMostDigits) return {};
  return step;
}

bool same_value(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    return a.is_int() && b.is_int() ? a == b : a.as_double() == b.as_double();
  }
  if (a.is_array() && b.is_array()) {
    return std::equal(a.as_array().begin(), a.as_array().end(), b.as_array().begin(),
                      b.as_array().end(), same_value);
  }
  if (!a.is_object() || !b.is_object()) return a == b;
  const auto has_all_of = [](const Json& all, const Json& some) {
    return std::all_of(some.as_object().begin(), some.as_object().end(),
                       [&](const Json::Member& member) {
                         const Json* other = all.find(member.first);
                         return other != nullptr && same_value(*other, *some.find(member.first));
                       });
  };
  return has_all_of(a, b) && has_all_of(b, a);
}

Result<bool> is_valid(const Json& value, const Json& schema, const ResolveReference& resolve,
                      const std::string& at) {
  return Validator(resolve, at).meets(value, schema, 0);
}

}  // namespace mlc::engine::grammar
