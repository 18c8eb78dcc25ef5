// SPDX-License-Identifier: Apache-2.0
// Exceptions of the compiler column, serve and cli. They are caught in cli main, the server's request handler
// and the test harness only. The base and the right column return Result<T>; or_throw() opens one.
#pragma once

#include <exception>
#include <string>
#include <utility>

#include "support/error.h"

namespace mlc {

class UserError : public std::exception {
 public:
  explicit UserError(Error error) : error_(std::move(error)), text_(error_.to_string()) {}
  UserError(std::string where, std::string found, std::string expected = {}, std::string remedy = {})
      : UserError(user_error(std::move(where), std::move(found), std::move(expected),
                             std::move(remedy))) {}
  const Error& error() const { return error_; }
  const char* what() const noexcept override { return text_.c_str(); }

 private:
  Error error_;
  std::string text_;
};

class InternalError : public std::exception {
 public:
  explicit InternalError(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

// A graph or kernel that breaks the rules of docs/ir.md: ours where a pass or template made it, the user's where it was
// read from a text, and then the parser turns it into a UserError.
class IrError : public InternalError {
 public:
  using InternalError::InternalError;
};

template <class T>
T or_throw(Result<T> result) {
  if (!result.ok()) throw UserError(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

}  // namespace mlc
