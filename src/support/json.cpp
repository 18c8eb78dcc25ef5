// SPDX-License-Identifier: Apache-2.0
#include "support/json.h"

#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

#include <algorithm>

#include "support/check.h"
#include "support/file.h"
#include "support/strings.h"

namespace mlc {

std::string_view Json::kind_name() const {
  switch (value_.index()) {
    case 0:
      return "null";
    case 1:
      return "a boolean";
    case 2:
      return "an integer";
    case 3:
      return "a float";
    case 4:
      return "a string";
    case 5:
      return "a list";
    default:
      return "an object";
  }
}

bool Json::as_bool() const {
  MLC_CHECK(is_bool()) << kind_name();
  return std::get<bool>(value_);
}
int64_t Json::as_int() const {
  MLC_CHECK(is_int()) << kind_name();
  return std::get<int64_t>(value_);
}
double Json::as_double() const {
  if (is_int()) return static_cast<double>(std::get<int64_t>(value_));
  MLC_CHECK(is_float()) << kind_name();
  return std::get<double>(value_);
}
const std::string& Json::as_string() const {
  MLC_CHECK(is_string()) << kind_name();
  return std::get<std::string>(value_);
}
const Json::Array& Json::as_array() const {
  MLC_CHECK(is_array()) << kind_name();
  return std::get<Array>(value_);
}
Json::Array& Json::as_array() {
  MLC_CHECK(is_array()) << kind_name();
  return std::get<Array>(value_);
}
const Json::Object& Json::as_object() const {
  MLC_CHECK(is_object()) << kind_name();
  return std::get<Object>(value_);
}
Json::Object& Json::as_object() {
  MLC_CHECK(is_object()) << kind_name();
  return std::get<Object>(value_);
}

const Json* Json::find(std::string_view key) const {
  if (!is_object()) return nullptr;
  const Object& members = as_object();
  for (auto it = members.rbegin(); it != members.rend(); ++it) {
    if (it->first == key) return &it->second;
  }
  return nullptr;
}

Json* Json::find(std::string_view key) {
  return const_cast<Json*>(static_cast<const Json*>(this)->find(key));
}

void Json::set(std::string_view key, Json value) {
  if (Json* member = find(key)) {
    *member = std::move(value);
  } else {
    as_object().emplace_back(key, std::move(value));
  }
}

void Json::erase(std::string_view key) {
  std::erase_if(as_object(), [&](const Member& member) { return member.first == key; });
}

namespace {

void append_utf16_escape(std::string& text, uint32_t unit) { text += "\\u" + hex(unit, 4); }

void append_string(std::string& text, std::string_view value, bool ensure_ascii) {
  text += '"';
  for (size_t i = 0; i < value.size();) {
    const unsigned char c = static_cast<unsigned char>(value[i]);
    if (c < 0x80) {
      ++i;
      switch (c) {
        case '"':
          text += "\\\"";
          break;
        case '\\':
          text += "\\\\";
          break;
        case '\n':
          text += "\\n";
          break;
        case '\r':
          text += "\\r";
          break;
        case '\t':
          text += "\\t";
          break;
        case '\b':
          text += "\\b";
          break;
        case '\f':
          text += "\\f";
          break;
        default:
          if (c < 0x20) {
            append_utf16_escape(text, c);
          } else {
            text += static_cast<char>(c);
          }
      }
      continue;
    }
    const int length = utf8_sequence_length(value, i);
    if (length == 0) {  // strings hold UTF-8; anything else would make the file unreadable
      text += ensure_ascii ? "\\ufffd" : "\xef\xbf\xbd";
      ++i;
      continue;
    }
    if (!ensure_ascii) {
      text += value.substr(i, static_cast<size_t>(length));
    } else {
      uint32_t point = length == 2 ? c & 0x1f : length == 3 ? c & 0x0f : c & 0x07;
      for (int k = 1; k < length; ++k) {
        point =
            (point << 6) | (static_cast<unsigned char>(value[i + static_cast<size_t>(k)]) & 0x3f);
      }
      if (point >= 0x10000) {
        append_utf16_escape(text, 0xd800 + ((point - 0x10000) >> 10));
        append_utf16_escape(text, 0xdc00 + ((point - 0x10000) & 0x3ff));
      } else {
        append_utf16_escape(text, point);
      }
    }
    i += static_cast<size_t>(length);
  }
  text += '"';
}

void append_newline(std::string& text, int indent, int depth) {
  if (indent < 0) return;
  text += '\n';
  text.append(static_cast<size_t>(indent * depth), ' ');
}

void append_value(std::string& text, const Json& value, int indent, int depth, bool ensure_ascii) {
  const std::string_view separator = indent < 0 ? ", " : ",";
  if (value.is_null()) {
    text += "null";
  } else if (value.is_bool()) {
    text += value.as_bool() ? "true" : "false";
  } else if (value.is_int()) {
    text += std::to_string(value.as_int());
  } else if (value.is_float()) {
    text += python_float(value.as_double());
  } else if (value.is_string()) {
    append_string(text, value.as_string(), ensure_ascii);
  } else if (value.is_array()) {
    const Json::Array& items = value.as_array();
    text += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) text += separator;
      append_newline(text, indent, depth + 1);
      append_value(text, items[i], indent, depth + 1, ensure_ascii);
    }
    if (!items.empty()) append_newline(text, indent, depth);
    text += ']';
  } else {
    const Json::Object& members = value.as_object();
    text += '{';
    for (size_t i = 0; i < members.size(); ++i) {
      if (i > 0) text += separator;
      append_newline(text, indent, depth + 1);
      append_string(text, members[i].first, ensure_ascii);
      text += ": ";
      append_value(text, members[i].second, indent, depth + 1, ensure_ascii);
    }
    if (!members.empty()) append_newline(text, indent, depth);
    text += '}';
  }
}

// Builds the value from RapidJSON's events; `open_` holds the containers that are not closed yet.
class Builder : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, Builder> {
 public:
  static constexpr size_t kMaxDepth = 512;

  bool Null() { return add(Json()); }
  bool Bool(bool value) { return add(Json(value)); }
  // RapidJSON's own conversion makes 1.4e-17 of 0e-28.
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    const std::string_view number(text, size);
    const bool is_integer = number.find_first_not_of("-0123456789") == std::string_view::npos;
    if (const auto value = is_integer ? parse_int64(number) : std::nullopt)
      return add(Json(*value));
    const auto value = parse_double(number);
    return value && add(Json(*value));
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    return add(Json(std::string(text, size)));
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    open_.back().key.assign(text, size);
    return true;
  }
  bool StartObject() { return open(Json::object()); }
  bool StartArray() { return open(Json::array()); }
  bool EndObject(rapidjson::SizeType) { return close(); }
  bool EndArray(rapidjson::SizeType) { return close(); }

  Json take() { return std::move(root_); }
  bool too_deep() const { return too_deep_; }

 private:
  struct Open {
    Json value;
    std::string key;  // the member being read, in an object
  };

  bool add(Json value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().value.is_array()) {
      open_.back().value.as_array().push_back(std::move(value));
    } else {
      open_.back().value.as_object().emplace_back(std::move(open_.back().key), std::move(value));
    }
    return true;
  }
  bool open(Json value) {
    too_deep_ = open_.size() >= kMaxDepth;
    if (too_deep_) return false;
    open_.push_back({std::move(value), {}});
    return true;
  }
  bool close() {
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return add(std::move(value));
  }

  std::vector<Open> open_;
  Json root_;
  bool too_deep_ = false;
};

}  // namespace

std::string Json::dump(int indent, bool ensure_ascii) const {
  std::string text;
  append_value(text, *this, indent, 0, ensure_ascii);
  return text;
}

Result<Json> parse_json(std::string_view text, std::string_view where) {
  rapidjson::MemoryStream memory(text.data(), text.size());
  rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(memory);
  rapidjson::Reader reader;
  Builder builder;
  constexpr unsigned kFlags =
      rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag |
      rapidjson::kParseNanAndInfFlag | rapidjson::kParseValidateEncodingFlag;
  const rapidjson::ParseResult result = reader.Parse<kFlags>(stream, builder);
  if (result.IsError()) {
    const size_t offset = std::min(result.Offset(), text.size());
    const std::string_view before = text.substr(0, offset);
    const auto line = std::count(before.begin(), before.end(), '\n') + 1;
    const size_t newline = before.rfind('\n');
    const size_t column = offset - (newline == std::string_view::npos ? 0 : newline + 1) + 1;
    std::string reason =
        builder.too_deep() ? "nested too deeply" : rapidjson::GetParseError_En(result.Code());
    if (!reason.empty() && reason.back() == '.') reason.pop_back();
    if (!builder.too_deep()) reason[0] = static_cast<char>(reason[0] | 0x20);
    return user_error(cat(where, ":", line, ":", column), cat("is not valid JSON: ", reason), "",
                      text.starts_with("version https://git-lfs") ? "run git lfs pull" : "");
  }
  return builder.take();
}

Result<Json> read_json_file(const std::string& path) {
  MLC_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse_json(text, path);
}

Result<const Json*> json_member(const Json& object, std::string_view key, std::string_view where) {
  if (!object.is_object()) {
    return user_error(std::string(where), cat("is ", object.kind_name()), "an object");
  }
  const Json* member = object.find(key);
  if (member == nullptr) return user_error(std::string(where), cat("lacks the key \"", key, "\""));
  return member;
}

namespace {

Error wrong_kind(std::string_view where, std::string_view key, const Json& value,
                 std::string expected) {
  return user_error(cat(where, ": ", key), cat("is ", value.kind_name()), std::move(expected));
}

}  // namespace

Result<int64_t> json_int(const Json& object, std::string_view key, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const Json* member, json_member(object, key, where));
  if (!member->is_int()) return wrong_kind(where, key, *member, "an integer");
  return member->as_int();
}

Result<double> json_double(const Json& object, std::string_view key, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const Json* member, json_member(object, key, where));
  if (!member->is_number()) return wrong_kind(where, key, *member, "a number");
  return member->as_double();
}

Result<std::string> json_string(const Json& object, std::string_view key, std::string_view where) {
  MLC_ASSIGN_OR_RETURN(const Json* member, json_member(object, key, where));
  if (!member->is_string()) return wrong_kind(where, key, *member, "a string");
  return member->as_string();
}

}  // namespace mlc
