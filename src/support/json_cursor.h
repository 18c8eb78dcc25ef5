// SPDX-License-Identifier: Apache-2.0
// Reads a JSON text value by value without building a tree: for files of many megabytes whose
// values go straight into tables. Strings without escapes are views of the text. The first mistake
// stops it: every later call fails, and error() says where and what. No recursion; memory does not
// grow with the text.
//
//   JsonCursor in(text, path);
//   std::string_view key;
//   for (in.enter_object(); in.next_member(&key);) {
//     if (key == "vocab") read_vocab(in); else in.skip();
//   }
//   if (in.failed()) return in.error();
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "support/error.h"

namespace mlc {

class JsonCursor {
 public:
  enum class Kind { kObject, kArray, kString, kNumber, kBool, kNull, kNone };

  // Both must outlive the cursor. `where` (a file) begins every message.
  JsonCursor(std::string_view text, std::string_view where)
      : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()), where_(where) {}

  // Of the value that comes next; kNone at the end of the text or where no value can begin.
  Kind peek();

  // An object is entered, then next_member() until it says false: at its end, or after a mistake.
  // After each true the member's value must be read or skipped. The key lives until the next call
  // of anything.
  bool enter_object();
  bool next_member(std::string_view* key);
  bool enter_array();
  bool next_element();

  // Each fails, with an error that names the kind found, if the next value is of another kind. A
  // string is valid UTF-8 and lives until the next string is read.
  bool read_string(std::string_view* value);
  bool read_int(int64_t* value);
  bool read_double(double* value);
  // The text of a number, for a caller that reads it in a way of its own.
  bool read_number(std::string_view* text);
  bool read_bool(bool* value);
  bool read_null();

  // Passes over the next value, whatever it is, and gives its text.
  std::string_view skip();

  // Nothing but blanks may be left.
  bool finish();

  // Position of the cursor, to come back to a value that was skipped.
  size_t offset() const { return static_cast<size_t>(at_ - begin_); }
  void move_to(size_t offset) {
    at_ = begin_ + offset;
    first_ = false;
  }

  // Reports a mistake of the caller's at the cursor's place.
  bool fail(std::string found, std::string expected = {}, std::string remedy = {});
  bool failed() const { return failed_; }
  const Error& error() const { return error_; }

 private:
  bool next(char close);
  void skip_blanks();
  bool wrong_kind(std::string_view expected);
  bool read_string_body(std::string_view* value);
  bool read_escaped(const char* plain_end, std::string_view* value);
  bool literal(std::string_view word);
  std::string_view number_text();

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string_view where_;
  std::string unescaped_;
  bool first_ = false;  // just behind '{' or '['
  bool failed_ = false;
  Error error_;
};

}  // namespace mlc
