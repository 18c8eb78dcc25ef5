// SPDX-License-Identifier: Apache-2.0
#include "formats/jinja/value.h"

#include <cmath>
#include <functional>

#include "formats/jinja/callable.h"
#include "formats/jinja/loop.h"

namespace mlc::jinja {
namespace {

constexpr size_t kIndexFrom = 16;  // entries from which a dict has an index

// Equal keys have equal hashes: 1, 1.0 and true are one key.
size_t hash_key(Value value) {
  switch (value.kind()) {
    case Kind::kBool:
    case Kind::kInt:
      return std::hash<int64_t>()(value.as_int());
    case Kind::kFloat: {
      const double number = value.as_double();
      if (number == std::floor(number) && std::fabs(number) < 9e18) {
        return std::hash<int64_t>()(static_cast<int64_t>(number));
      }
      return std::hash<double>()(number);
    }
    case Kind::kString:
      return std::hash<std::string_view>()(value.text());
    case Kind::kTuple: {
      size_t hash = 0x345678;
      for (const Value& item : value.items()) hash = hash * 1000003 ^ hash_key(item);
      return hash;
    }
    default:
      return std::hash<const void*>()(value.kind() == Kind::kNone ? nullptr : value.object());
  }
}

}  // namespace

Value::Value(const Text* text)
    : kind_(Kind::kString), object_(const_cast<Text*>(text)) {}  // strings never change

Value Value::boolean(bool value) {
  Value v(Kind::kBool);
  v.int_ = value ? 1 : 0;
  return v;
}
Value Value::integer(int64_t value) {
  Value v(Kind::kInt);
  v.int_ = value;
  return v;
}
Value Value::floating(double value) {
  Value v(Kind::kFloat);
  v.float_ = value;
  return v;
}

std::string_view Value::text() const { return text_object().text; }
const Text& Value::text_object() const { return *static_cast<const Text*>(object_); }
Sequence& Value::sequence() const { return *static_cast<Sequence*>(object_); }
std::vector<Value>& Value::items() const { return sequence().items; }
Dict& Value::dict() const { return *static_cast<Dict*>(object_); }
Callable& Value::callable() const { return *static_cast<Callable*>(object_); }
LoopState& Value::loop() const { return *static_cast<LoopState*>(object_); }
const UndefinedName& Value::undefined_name() const {
  return *static_cast<const UndefinedName*>(object_);
}
const Slice& Value::slice() const { return *static_cast<const Slice*>(object_); }

const Value* Dict::find(std::string_view key) const {
  if (index_.empty()) {
    for (const Entry& entry : entries_) {
      if (entry.first.is_string() && entry.first.text() == key) return &entry.second;
    }
    return nullptr;
  }
  const auto [begin, end] = index_.equal_range(std::hash<std::string_view>()(key));
  for (auto it = begin; it != end; ++it) {
    const Entry& entry = entries_[it->second];
    if (entry.first.is_string() && entry.first.text() == key) return &entry.second;
  }
  return nullptr;
}

int64_t Dict::position(Value key, size_t hash) const {
  if (index_.empty()) {
    for (size_t i = 0; i < entries_.size(); ++i) {
      if (equal_keys(entries_[i].first, key)) return static_cast<int64_t>(i);
    }
    return -1;
  }
  const auto [begin, end] = index_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (equal_keys(entries_[it->second].first, key)) return static_cast<int64_t>(it->second);
  }
  return -1;
}

const Value* Dict::find(Value key) const {
  const int64_t found = position(key, hash_key(key));
  return found < 0 ? nullptr : &entries_[static_cast<size_t>(found)].second;
}

void Dict::set(Value key, Value value) {
  const size_t hash = hash_key(key);
  const int64_t found = position(key, hash);
  if (found >= 0) {
    entries_[static_cast<size_t>(found)].second = value;
    return;
  }
  entries_.emplace_back(key, value);
  if (!index_.empty()) {
    index_.emplace(hash, entries_.size() - 1);
  } else if (entries_.size() >= kIndexFrom) {
    for (size_t i = 0; i < entries_.size(); ++i) index_.emplace(hash_key(entries_[i].first), i);
  }
}

bool is_hashable(Value value) {
  switch (value.kind()) {
    case Kind::kList:
    case Kind::kDict:
    case Kind::kView:
    case Kind::kSlice:
      return false;
    case Kind::kTuple:
      for (const Value& item : value.items()) {
        if (!is_hashable(item)) return false;
      }
      return true;
    default:
      return true;
  }
}

bool equal_keys(Value a, Value b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_integral() && b.is_integral()) return a.as_int() == b.as_int();
    return a.as_double() == b.as_double();
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kNone:
    case Kind::kUndefined:
      return true;
    case Kind::kString:
      return a.text() == b.text();
    case Kind::kTuple: {
      if (a.items().size() != b.items().size()) return false;
      for (size_t i = 0; i < a.items().size(); ++i) {
        if (!equal_keys(a.items()[i], b.items()[i])) return false;
      }
      return true;
    }
    default:
      return a.object() == b.object();
  }
}

std::string_view type_name(Value value) {
  switch (value.kind()) {
    case Kind::kAbsent:
    case Kind::kFailure:
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kRange:
      return "range";
    case Kind::kIterator:
    case Kind::kView:
      return value.sequence().type_name;
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return value.callable().type_name();
    case Kind::kSlice:
      return "slice";
  }
  return "";
}

}  // namespace mlc::jinja
