// SPDX-License-Identifier: Apache-2.0
// Values of the template language: Python's, as far as templates can get at them. All objects
// belong to a Heap that lives as long as the rendering (those of literals: as long as the
// template), so that cycles and deep nesting cost nothing when they are freed, and so that a
// limit on what was ever allocated is a limit on memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlc::jinja {

enum class Kind : uint8_t {
  kAbsent,     // no value at all: an argument that was not given
  kFailure,    // an error was raised; the Machine has it
  kUndefined,  // Jinja's Undefined
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kRange,
  kIterator,  // what filters such as map give: can be walked once
  kView,      // what keys(), values() and items() of a dict give
  kDict,
  kNamespace,
  kLoop,      // the variable `loop`
  kCallable,  // macros, functions, methods
  kSlice,     // the a:b:c of a subscript
};

struct Object {
  virtual ~Object() = default;
};

struct Text;
struct Sequence;
struct Dict;
struct Callable;
struct LoopState;
struct UndefinedName;
struct Slice;

class Value {
 public:
  Value() : int_(0) {}
  static Value failure() { return Value(Kind::kFailure); }
  static Value none() { return Value(Kind::kNone); }
  static Value boolean(bool value);
  static Value integer(int64_t value);
  static Value floating(double value);
  Value(const Text* text);  // NOLINT: implicit
  Value(Kind kind, Object* object) : kind_(kind), object_(object) {}

  Kind kind() const { return kind_; }
  bool failed() const { return kind_ == Kind::kFailure; }
  bool is_absent() const { return kind_ == Kind::kAbsent; }
  bool is_undefined() const { return kind_ == Kind::kUndefined; }
  bool is_none() const { return kind_ == Kind::kNone; }
  bool is_bool() const { return kind_ == Kind::kBool; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_dict() const { return kind_ == Kind::kDict; }
  bool is_integral() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool is_number() const { return is_integral() || kind_ == Kind::kFloat; }
  bool is_sequence() const {  // of the kinds that hold a Sequence
    return kind_ >= Kind::kList && kind_ <= Kind::kView;
  }

  // Each requires a kind that has it.
  int64_t as_int() const { return int_; }  // also of a bool
  double as_double() const { return kind_ == Kind::kFloat ? float_ : static_cast<double>(int_); }
  std::string_view text() const;
  const Text& text_object() const;
  Sequence& sequence() const;
  std::vector<Value>& items() const;
  Dict& dict() const;  // of a dict or a namespace
  Callable& callable() const;
  LoopState& loop() const;
  const UndefinedName& undefined_name() const;
  const Slice& slice() const;
  const Object* object() const { return object_; }

 private:
  explicit Value(Kind kind) : kind_(kind), int_(0) {}

  Kind kind_ = Kind::kAbsent;
  union {
    int64_t int_;
    double float_;
    Object* object_;
  };
};

struct Text : Object {
  explicit Text(std::string text) : text(std::move(text)) {}
  std::string text;
};

struct Sequence : Object {
  std::vector<Value> items;
  int depth = 1;               // of nested containers, itself included; bounded by the Machine
  std::string_view type_name;  // of a view: "dict_items" ...; of an iterator: "generator"
  size_t next = 0;             // of an iterator: what comes next
  int64_t start = 0, stop = 0, step = 1;  // of a range, for its repr
};

// In the order of insertion. Keys are hashable: none, numbers, strings, tuples of these.
struct Dict : Object {
  using Entry = std::pair<Value, Value>;
  const Value* find(std::string_view key) const;
  const Value* find(Value key) const;
  void set(Value key, Value value);  // see Machine::set_item()
  const std::vector<Entry>& entries() const { return entries_; }
  int depth = 1;

 private:
  int64_t position(Value key, size_t hash) const;
  std::vector<Entry> entries_;
  std::unordered_multimap<size_t, size_t> index_;  // of large dicts: hash to position
};

struct UndefinedName : Object {
  UndefinedName(std::string error, std::string message)
      : error(std::move(error)), message(std::move(message)) {}
  std::string error;  // that its use raises: UndefinedError, or SecurityError
  std::string message;
};

struct Slice : Object {
  Value start, stop, step;  // absent where left out
};

struct CallArguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string_view, Value>> named;
};

// Owner of objects. Counts what was allocated; `over_limit` once it is more than the limit.
class Heap {
 public:
  explicit Heap(int64_t limit_bytes) : limit_bytes_(limit_bytes) {}

  template <class T, class... Args>
  T* make(Args&&... args) {
    auto object = std::make_unique<T>(std::forward<Args>(args)...);
    T* pointer = object.get();
    charge(static_cast<int64_t>(sizeof(T)) + 16);
    objects_.push_back(std::move(object));
    return pointer;
  }
  void adopt(std::unique_ptr<Object> object) { objects_.push_back(std::move(object)); }
  void charge(int64_t bytes) { used_bytes_ += bytes; }
  bool over_limit() const { return used_bytes_ > limit_bytes_; }
  int64_t limit_bytes() const { return limit_bytes_; }

 private:
  int64_t limit_bytes_;
  int64_t used_bytes_ = 0;
  std::vector<std::unique_ptr<Object>> objects_;
};

// True of none, numbers, strings and tuples of them: what may be a key.
bool is_hashable(Value value);
// Python's ==, without limits: of hashable values only.
bool equal_keys(Value a, Value b);
// "int", "str", "NoneType" ...: the type's name in Python.
std::string_view type_name(Value value);

}  // namespace mlc::jinja
