// SPDX-License-Identifier: Apache-2.0
// json.dumps() of values.
#include <algorithm>
#include <cmath>

#include "formats/jinja/operations.h"
#include "formats/jinja/unicode.h"
#include "support/strings.h"

namespace mlc::jinja {
namespace {

void append_quoted(std::string_view text, bool ensure_ascii, std::string& out) {
  out += '"';
  for (size_t i = 0; i < text.size();) {
    const Character c = character_at(text, i);
    const std::string_view bytes = text.substr(i, c.bytes);
    i += c.bytes;
    if (c.code == '"' || c.code == '\\') {
      out += '\\';
      out += bytes;
    } else if (c.code == '\n') {
      out += "\\n";
    } else if (c.code == '\r') {
      out += "\\r";
    } else if (c.code == '\t') {
      out += "\\t";
    } else if (c.code == '\b') {
      out += "\\b";
    } else if (c.code == '\f') {
      out += "\\f";
    } else if (c.code < 0x20 || (ensure_ascii && c.code >= 0x7F && c.code < 0x10000)) {
      out += "\\u" + hex(c.code, 4);
    } else if (ensure_ascii && c.code >= 0x10000) {
      out += "\\u" + hex(0xD800 + ((c.code - 0x10000) >> 10), 4);
      out += "\\u" + hex(0xDC00 + ((c.code - 0x10000) & 0x3FF), 4);
    } else {
      out += bytes;
    }
  }
  out += '"';
}

std::string json_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return float_text(value);
}

// False where the type can be no key.
bool append_key(Value key, const JsonOptions& options, std::string& out) {
  switch (key.kind()) {
    case Kind::kString:
      append_quoted(key.text(), options.ensure_ascii, out);
      return true;
    case Kind::kNone:
      out += "\"null\"";
      return true;
    case Kind::kBool:
      out += key.as_int() != 0 ? "\"true\"" : "\"false\"";
      return true;
    case Kind::kInt:
      out += cat("\"", key.as_int(), "\"");
      return true;
    case Kind::kFloat:
      out += cat("\"", json_float(key.as_double()), "\"");
      return true;
    default:
      return false;
  }
}

class Writer {
 public:
  Writer(Machine& machine, const JsonOptions& options, std::string& out)
      : machine_(machine), options_(options), out_(out) {}

  bool append(Value value, int level) {
    if (!machine_.spend(1) || !machine_.has_room(static_cast<int64_t>(out_.size()))) return false;
    switch (value.kind()) {
      case Kind::kNone:
        out_ += "null";
        return true;
      case Kind::kBool:
        out_ += value.as_int() != 0 ? "true" : "false";
        return true;
      case Kind::kInt:
        out_ += std::to_string(value.as_int());
        return true;
      case Kind::kFloat:
        out_ += json_float(value.as_double());
        return true;
      case Kind::kString:
        if (!machine_.spend_on_text(value.text().size())) return false;
        append_quoted(value.text(), options_.ensure_ascii, out_);
        return true;
      case Kind::kList:
      case Kind::kTuple:
        return append_list(value.items(), level);
      case Kind::kDict:
        return append_dict(value.dict(), level);
      default:
        machine_.fail("TypeError",
                      cat("Object of type ", type_name(value), " is not JSON serializable"));
        return false;
    }
  }

 private:
  void new_line(int level) {
    if (!options_.indent) return;
    out_ += '\n';
    for (int i = 0; i < level; ++i) out_ += *options_.indent;
  }

  bool append_list(const std::vector<Value>& items, int level) {
    out_ += '[';
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += options_.item_separator;
      new_line(level + 1);
      if (!append(items[i], level + 1)) return false;
    }
    if (!items.empty()) new_line(level);
    out_ += ']';
    return true;
  }

  bool append_dict(const Dict& dict, int level) {
    std::vector<Dict::Entry> entries = dict.entries();
    if (options_.sort_keys && !sort(entries)) return false;
    out_ += '{';
    bool first = true;
    for (const auto& [key, item] : entries) {
      if (!first) out_ += options_.item_separator;
      first = false;
      new_line(level + 1);
      if (!append_key(key, options_, out_)) {
        machine_.fail("TypeError",
                      cat("keys must be str, int, float, bool or None, not ", type_name(key)));
        return false;
      }
      out_ += options_.key_separator;
      if (!append(item, level + 1)) return false;
    }
    if (!entries.empty()) new_line(level);
    out_ += '}';
    return true;
  }

  bool sort(std::vector<Dict::Entry>& entries) {
    std::stable_sort(entries.begin(), entries.end(),
                     [&](const Dict::Entry& a, const Dict::Entry& b) {
                       if (machine_.failed()) return false;
                       return compare(machine_, Comparison::kLt, a.first, b.first).value_or(false);
                     });
    return !machine_.failed();
  }

  Machine& machine_;
  const JsonOptions& options_;
  std::string& out_;
};

}  // namespace

bool append_json(Machine& machine, Value value, const JsonOptions& options, std::string& out) {
  return Writer(machine, options, out).append(value, 0);
}

}  // namespace mlc::jinja
